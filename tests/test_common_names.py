"""Common names of the genera: every language has every genus, or the reason why not, and where the names were read."""

from mushroom.common_names import COMMON_NAMES, SOURCES, UNNAMED, common_name, common_name_sources
from mushroom.genera import GENERA


def test_every_language_has_every_genus_or_the_reason_why_not() -> None:
    assert len(COMMON_NAMES) == 12
    for language, names in COMMON_NAMES.items():
        assert tuple(names) == GENERA, language
        given = [name for name in names.values() if name is not None]
        assert all(name.strip() == name and name for name in given)
        assert len(set(given)) == len(given), language
        assert {(language, genus) for genus, name in names.items() if name is None} == {
            missing for missing in UNNAMED if missing[0] == language
        }
    assert all(reason.endswith(".") for reason in UNNAMED.values())


def test_every_language_says_where_its_names_were_read() -> None:
    assert set(SOURCES) == set(COMMON_NAMES)
    for language in COMMON_NAMES:
        assert common_name_sources(language), language
        assert len(set(SOURCES[language])) == len(SOURCES[language])


def test_a_visitors_language_may_name_a_country() -> None:
    assert common_name("Russula", "de-AT") == common_name("Russula", "DE") == "Täublinge"
    assert common_name_sources("de_CH") == common_name_sources("de")
    assert common_name("Suillus", "nl") is None
    assert common_name("Russula", "tlh") is None
    assert common_name("Tricholoma", "de") is None
    assert common_name_sources("tlh") == ()
