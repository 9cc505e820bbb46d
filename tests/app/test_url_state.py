"""Choices in the URL: what is chosen comes back from the link, and no link leads to anything but a valid state."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pages import open_page

from mushroom.app import url_state
from mushroom.app.components import Rectangle, rectangle_from_text
from mushroom.app.main import URL_CHOICES

in_percent = st.integers(0, 100)
rectangles = (
    st.tuples(in_percent, in_percent, in_percent, in_percent)
    .filter(lambda sides: sides[0] < sides[2] and sides[1] < sides[3])
    .map(lambda sides: Rectangle(*sides))
)
names = st.lists(st.text(max_size=8), unique=True, max_size=6)
hostile = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["", "../../etc/passwd", "\0", "<script>", "NaN", "-1", "1e999", "9" * 5000 + "-1-2-3", "٣-1-50-50"]
    ),
)


class Browser:
    """As much of Streamlit as the choices need: the URL, and the session behind it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.notes: list[str] = []
        self.session_state: dict[str, object] = {}
        monkeypatch.setattr(url_state, "note", self.notes.append)
        monkeypatch.setattr(url_state, "arrived", lambda: self.first_run)
        monkeypatch.setattr(url_state, "st", self)
        self.open({})

    def open(self, query: dict[str, str]) -> None:
        """Another visitor opens a link."""
        self.query_params = dict(query)
        self.session_state.clear()
        self.notes.clear()
        self.first_run = True


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Browser:
    return Browser(monkeypatch)


with_browser = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(names, st.data())
@with_browser
def test_what_one_visitor_chose_is_what_the_next_one_sees(
    browser: Browser, allowed: list[str], data: st.DataObject
) -> None:
    option = st.sampled_from([*allowed, None])
    default, value = data.draw(option), data.draw(option)
    browser.open({})
    url_state.choice("layer", allowed, default, what="layer")
    url_state.choose("layer", value)
    expected = default if value is None else value
    assert url_state.choice("layer", allowed, default, what="layer") == url_state.chosen("layer") == expected
    browser.open(browser.query_params)
    assert url_state.choice("layer", allowed, default, what="layer") == expected
    assert not browser.notes


@given(names, hostile, hostile)
@with_browser
def test_any_value_in_a_link_gives_a_choice_that_is_allowed(
    browser: Browser, allowed: list[str], value: str, later: str
) -> None:
    default = allowed[0] if allowed else None
    browser.open({"genus": value, "nothing": later})
    url_state.keep_only(["genus"])
    # The link as it was opened, then as the browser's back and forward change it.
    for written in (value, later):
        browser.query_params["genus"] = written
        browser.notes.clear()
        assert url_state.choice("genus", allowed, default, what="genus") in {*allowed, default}
        assert set(browser.query_params) <= {"genus"}
        assert browser.query_params.get("genus") in {*allowed, None}
        browser.first_run = False


@given(rectangles, st.integers(1, 300), st.integers(1, 300))
def test_a_part_of_the_photo_comes_back_from_its_text_and_lies_on_the_photo(
    rectangle: Rectangle, width: int, height: int
) -> None:
    assert rectangle_from_text(rectangle.text) == rectangle
    left, top, right, bottom = rectangle.box((width, height))
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


@given(hostile)
def test_any_text_is_a_part_of_the_photo_or_none(text: str) -> None:
    found = rectangle_from_text(text)
    assert found is None or found.text == text


@pytest.mark.usefixtures("painted")
@pytest.mark.parametrize("page", list(URL_CHOICES))
@given(data=st.data())
@settings(with_browser, max_examples=3)
def test_no_link_breaks_a_page(page: str, data: st.DataObject, test_photo: str) -> None:
    query = data.draw(st.dictionaries(st.sampled_from(URL_CHOICES[page]), hostile))
    app = open_page(page, **({"photo": test_photo} if "photo" in URL_CHOICES[page] else {}) | query)
    assert not app.exception
    assert not app.error
