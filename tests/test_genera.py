"""What is known of names, and what is made of a name that nobody has heard of."""

import pytest

from mushroom import genera, texts
from mushroom.genera import GENERA, NINE, about, colours

ENDORSING = ("edible", "delicious", "tasty", "culinary", "safe to")


def test_every_genus_is_told_with_marks_look_alikes_and_sources() -> None:
    for genus in NINE:
        assert len(genus.field_marks) >= 3
        assert len(genus.look_alikes) >= 2
        assert all(source.startswith("[") for source in genus.sources)
        known = " ".join((genus.description, *genus.field_marks, *genus.look_alikes)).lower()
        assert not any(word in known for word in ENDORSING)


def test_the_nine_have_the_colours_they_always_had() -> None:
    assert colours(GENERA) == {genus.name: genus.colour for genus in NINE}
    assert colours(("Amanita",))["Amanita"] == "#88CCEE"


@pytest.mark.parametrize("count", [2, 60, 300])
def test_names_that_nobody_knows_get_colours_of_their_own(count: int) -> None:
    names = [f"Genus {number}" for number in range(count)]
    found = colours(["Amanita", *names])
    assert len(set(found.values())) == count + 1
    assert all(len(colour) == 7 and colour.startswith("#") for colour in found.values())


def test_of_an_unknown_name_nothing_is_invented() -> None:
    known = about("Хвост трутовика", "species")
    assert (known.description, known.field_marks, known.look_alikes) == ("", (), ())
    assert "%D0%A5" in known.sources[0]
    assert "rank=SPECIES" in known.sources[1]
    assert " " not in known.sources[0].split("](")[1]
    assert about("Amanita") is genera.GENUS_BY_NAME["Amanita"]


def test_sentences_follow_how_many_names_there_are_and_what_they_are() -> None:
    assert texts.third_answer(9) == "None of the nine, as far as I can tell"
    assert texts.third_answer(12) == "None of these 12, as far as I can tell"
    assert texts.these(9) == "the nine genera"
    assert texts.these(3, "species") == "these 3 species"
