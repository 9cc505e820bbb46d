"""The panels of Identify: covering, a part of the photo, altered copies, a correction."""

import io
from dataclasses import replace

import numpy as np
import pytest
from answers import prediction
from pages import headline, noise, open_page, texts
from PIL import Image

from mushroom.app import components, covering, cropping, steadiness
from mushroom.classifier import Prediction
from mushroom.explain.regions import suggested_square
from mushroom.genera import GENERA
from mushroom.texts import third_answer

pytestmark = pytest.mark.usefixtures("painted")


# --- A part of the photo ------------------------------------------------------------------------------------


def test_a_suggested_part_is_a_square_round_the_hot_place() -> None:
    heatmap = np.zeros((20, 20), np.float32)
    heatmap[12:15, 4:7] = 1
    part = cropping.suggested(heatmap, (400, 300))
    assert part is not None
    assert part.box((400, 300)) == pytest.approx(suggested_square(heatmap, (400, 300)), abs=4)
    assert cropping.suggested(np.zeros((7, 7), np.float32), (400, 300)) is None


def test_a_heatmap_of_a_part_lies_on_the_whole_photo() -> None:
    photo = Image.new("RGB", (100, 100), (200, 200, 200))
    whole = np.asarray(
        cropping.over_whole(photo, np.ones((4, 4), np.float32), components.Rectangle(20, 20, 60, 60), 1.0, "even")
    )
    assert whole.shape == (100, 100, 3)
    assert (whole[40, 40] != 200).any()
    assert (whole[80, 80] == 110).all()


def test_a_part_in_the_link_is_what_is_asked_about(test_photo: str) -> None:
    app = open_page("identify", photo=test_photo, crop="10-10-60-70")
    assert not app.exception
    assert "of the whole photo it says" in headline(app)
    app = open_page("identify", photo=test_photo, crop="10-10-5-170")
    assert not app.exception
    assert "of the whole photo" not in headline(app)


@pytest.mark.parametrize("text", ["", "1-2-3", "a-b-c-d", "5-5-5-9", "0-0-101-5", "-1-0-5-5"])
def test_a_link_with_no_part_in_it_gives_none(text: str) -> None:
    assert components.rectangle_from_text(text) is None


@pytest.mark.parametrize("values", [None, [1, 2, 3], [0, 0, 101, 5], [5, 5, 5, 9], ["a", 1, 2, 3], {"left": 1}])
def test_what_is_no_rectangle_is_not_taken_from_a_browser(values: object) -> None:
    assert components.checked_rectangle(values) is None


# --- Covering ------------------------------------------------------------------------------------------------


def test_an_answer_that_covering_does_not_change_is_not_said_to_miss_its_reasons() -> None:
    shares = dict.fromkeys(GENERA, 0.0) | {GENERA[0]: 0.9, GENERA[1]: 0.1}
    sure = Prediction(GENERA[0], 0.9, shares, False, 0.0, (0.0,) * 9)
    same = covering.change(sure, sure)
    assert "the rest of the photo is enough" in same
    assert "may have counted all the same" in same
    other = replace(sure, genus=GENERA[1], confidence=0.9, probabilities=shares | {GENERA[0]: 0.1, GENERA[1]: 0.9})
    assert f"would now say *{GENERA[1]}* (90%)" in covering.change(sure, other)
    assert f"would now say: {third_answer(9)}" in covering.change(sure, replace(sure, unknown=True))
    assert "stays the same" in covering.change(replace(sure, unknown=True), replace(other, unknown=True))


def test_a_rectangle_covers_what_lies_inside() -> None:
    mask = covering.rectangle_mask(components.Rectangle(50, 0, 100, 50), Image.new("RGB", (10, 20)))
    assert mask.sum() == 5 * 10
    assert mask[:10, 5:].all()


# --- Steady, wrong ------------------------------------------------------------------------------------------


def test_copies_that_get_the_same_answer_are_counted() -> None:
    copies = {"a": prediction(), "b": prediction(GENERA[2]), "c": prediction(unknown=True), "d": prediction()}
    found = steadiness.steadiness(prediction(), copies)
    assert (found.same, found.count) == (2, 4)
    assert "hangs on how the photo was taken" in found.sentence
    # Turned away is turned away, whatever genus comes nearest; the marks beside the copies go by the same rule.
    away = replace(prediction(unknown=True), genus=GENERA[2])
    assert steadiness.steadiness(away, copies).same == 1
    assert away.answer == copies["c"].answer
    assert away.answer != copies["b"].answer
    assert "may be wrong all the same" in steadiness.Steadiness(8, 8).sentence


def test_every_copy_is_another_picture_without_empty_corners() -> None:
    photo = Image.open(io.BytesIO(noise())).resize((120, 90)).point(lambda value: max(value, 40))
    for name, made in steadiness.COPIES.items():
        copy = made(photo)
        assert copy.mode == "RGB", name
        assert copy.size != photo.size or (np.asarray(copy) != np.asarray(photo)).any(), name
        corners = [copy.getpixel((x, y)) for x in (0, copy.width - 1) for y in (0, copy.height - 1)]
        assert all(sum(corner) for corner in corners), name  # type: ignore[arg-type]


def test_a_correction_shows_what_speaks_for_both_names(test_photo: str) -> None:
    app = open_page("identify", photo=test_photo, panel="wrong")
    answer = app.selectbox(key="widget:genus").value
    other = next(genus for genus in GENERA if genus != answer)
    app.selectbox(key="widget:correction").select(other).run()
    assert not app.exception
    assert f"What speaks for *{answer}*" in texts(app)
    assert f"What speaks for *{other}*" in texts(app)
