"""The link of the answer page holds what a visitor chose: whoever opens it sees the same."""

import re
from typing import Any

import pytest
from pages import give, noise, open_page, press, texts
from streamlit.testing.v1 import AppTest

from mushroom.app import viewer

pytestmark = pytest.mark.usefixtures("painted")


def reopened(app: AppTest) -> AppTest:
    """The page as whoever gets the link of ``app`` sees it."""
    return open_page("identify", **{key: values[0] for key, values in query(app).items()})


def query(app: AppTest) -> dict[str, list[str]]:
    return {key: value if isinstance(value, list) else [value] for key, value in app.query_params.items()}


def rectangle(app: AppTest) -> Any:
    return app.slider(key="across").value, app.slider(key="down").value


def test_what_is_covered_is_in_the_link_and_found_as_it_was_left(test_photo: str) -> None:
    app = open_page("identify", photo=test_photo, panel="cover")
    app.slider(key="widget:cover").set_value(40).run()
    assert query(app)["cover"] == ["40"]
    assert reopened(app).slider(key="widget:cover").value == 40
    app.button_group(key="covered_part").set_value("A rectangle of your own").run()
    app.slider(key="across").set_value((10, 60)).run()
    app.slider(key="down").set_value((0, 100)).run()
    assert query(app)["cover"] == ["10-0-60-100"]
    again = reopened(app)
    assert rectangle(again) == ((10, 60), (0, 100))
    assert re.search(r"\b(49|5[0-2]) ?% of the photo is blurred", texts(again))
    app.button_group(key="covered_part").set_value("The hottest part").run()
    assert app.slider(key="widget:cover").value == 40
    app.button_group(key="covered_part").set_value("A rectangle of your own").run()
    assert rectangle(app) == ((10, 60), (0, 100))
    # A browser reports a control that has just appeared as empty, now and then: nothing was chosen.
    app.button_group(key="covered_part").set_value(None).run()
    assert not app.exception
    assert rectangle(app) == ((10, 60), (0, 100))


@pytest.mark.parametrize("ends", [(100, 100), (0, 0)])
def test_a_rectangle_at_the_edge_keeps_an_area(ends: tuple[int, int], test_photo: str) -> None:
    app = open_page("identify", photo=test_photo, panel="cover", cover="35-35-65-65")
    app.slider(key="across").set_value(ends).run()
    assert not app.exception
    left, right = app.slider(key="across").value
    assert right - left == 1


def test_the_outlined_part_and_its_colour_are_in_the_link(test_photo: str) -> None:
    app = open_page("identify", photo=test_photo, panel="for-against")
    app.slider(key="widget:outline").set_value(35).run()
    app.toggle(key="widget:only").set_value(True).run()
    assert query(app)["outline"] == ["35"]
    again = reopened(app)
    assert again.slider(key="widget:outline").value == 35
    assert again.toggle(key="widget:only").value is True


def test_the_colours_are_those_of_every_heatmap(test_photo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from mushroom.explain import overlays

    seen = []
    overlay = overlays.overlay

    def noted(*args: Any) -> Any:
        seen.append(args[3])
        return overlay(*args)

    monkeypatch.setattr(overlays, "overlay", noted)
    for choices in ({"against": "Suillus", "genus": "Russula"}, {"panel": "wrong", "correction": "none"}):
        open_page("identify", photo=test_photo, colours="jet", **choices)
    assert set(seen) == {"jet"}
    seen.clear()
    open_page("compare", photo=test_photo, colours="jet", compare="layers")
    assert set(seen) == {"jet"}


def test_copies_that_were_asked_about_and_a_correction_are_in_the_link(test_photo: str) -> None:
    assert "of 8** copies get the same answer" in texts(
        open_page("identify", photo=test_photo, panel="steady", copies="8")
    )
    app = open_page("identify", photo=test_photo, panel="wrong")
    app.selectbox(key="widget:correction").select("none").run()
    assert reopened(app).selectbox(key="widget:correction").value == "none"


def test_another_photo_begins_without_what_was_asked_of_the_last(test_photo: str) -> None:
    app = open_page("identify", photo=test_photo, panel="cover", cover="10-0-60-100", copies="8", correction="none")
    press(app, "Start again")
    assert set(query(app)) <= {"panel"}


def test_a_link_to_the_start_page_has_its_slash() -> None:
    assert viewer.link("http://host:8501", {"drawing": "Waxcap"}) == "http://host:8501/?drawing=Waxcap"
    assert viewer.link("https://host/app?old=1", {"genus": "a b"}) == "https://host/app?genus=a+b"
    assert viewer.link("https://host/compare", {}) == "https://host/compare"


def test_several_photos_that_are_gone_are_told_once() -> None:
    app = open_page("identify", several="one")
    assert "give them again" in texts(app)
    assert "several" not in app.query_params
    assert "give them again" not in texts(app.run())


def test_one_mushroom_is_in_the_link() -> None:
    app = give(open_page("identify"), ("1.png", noise(1)), ("2.png", noise(2)))
    app.get("button_group")[0].set_value("One mushroom").run()
    assert query(app)["several"] == ["one"]
    app.get("button_group")[0].set_value(None).run()
    assert query(app)["several"] == ["one"]
    assert "several" not in query(give(app, ("3.png", noise(3)), ("4.png", noise(4))))
