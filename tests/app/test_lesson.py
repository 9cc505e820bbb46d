"""Browse, Compare, Report and About, driven by Streamlit's AppTest, and what a lesson is made of."""

import json
import re
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from answers import answer
from pages import open_page, texts

from mushroom.app import field_marks, filters, gallery, heatmap_grid, lesson, prepared_photos, subject
from mushroom.app.filters import Filters
from mushroom.app.records import Names
from mushroom.genera import GENERA

pytestmark = pytest.mark.usefixtures("painted")


# --- Compare ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["models", "layers", "genera"])
def test_every_comparison_says_how_its_maps_are_scaled(kind: str, test_photo: str) -> None:
    app = open_page("compare", photo=test_photo, compare=kind)
    assert not app.exception
    assert "Each map is scaled to its own hottest place" in texts(app)
    assert "same scale" not in texts(app)
    assert 'alt="Heatmap: ' in texts(app)


def test_with_a_common_scale_a_map_is_as_hot_as_beside_the_hottest() -> None:
    one, other = np.array([[0.5, 1.0]], np.float32), np.array([[1.0, 0.0]], np.float32)
    strong, weak = heatmap_grid.common_scale([one, other], [8.0, 2.0])
    assert strong.tolist() == [[0.5, 1.0]]
    assert weak.tolist() == [[0.25, 0.0]]
    nothing, _ = heatmap_grid.common_scale([np.zeros((1, 2), np.float32), one], [-1.0, 8.0])
    assert not nothing.any()


def test_how_alike_heatmaps_are_is_computed() -> None:
    left, right = np.zeros((8, 8), np.float32), np.zeros((8, 8), np.float32)
    left[:, :4] = right[:, 4:] = np.linspace(0.5, 1, 32).reshape(8, 4)
    maps = {"A": left, "B": left.copy(), "C": right, "D": np.zeros((8, 8), np.float32)}
    cells = heatmap_grid.agreement_cells(maps)
    assert cells[0][1].text == "1.00 (100%)"
    assert cells[0][2].text.endswith("(0%)")
    assert cells[0][2].kind == "mistake"
    assert "empty heatmap" in cells[0][3].title
    assert cells[0][0].text == ""


# --- Browse -------------------------------------------------------------------------------------------------


def test_browse_shows_the_test_split_and_each_button_has_its_own_name() -> None:
    app = open_page("browse")
    assert not app.exception
    count = len(app.get("image"))
    assert count > 3
    assert f"**{count} photos**" in texts(app)
    labels = [button.label for button in app.button]
    assert len(labels) == len(set(labels))


def test_each_photo_is_told_right_told_wrong_or_turned_away() -> None:
    found = [
        answer("a", "Amanita", "Amanita", 0.9),
        answer("b", "Amanita", "Boletus", 0.6),
        answer("c", "Boletus", "Boletus", 0.3, unknown=True),
    ]

    def names(**asked: object) -> str:
        return "".join(each.photo for each in filters.matching(found, Filters(**({"order": "most_sure"} | asked))))

    assert names() == "abc"
    assert names(order="least_sure") == "cba"
    assert names(order="loss") == "cba"
    assert names(true="Amanita") == "ab"
    assert names(predicted="Boletus") == "bc"
    assert (names(answer="right"), names(answer="wrong"), names(answer="unknown")) == ("a", "b", "c")
    assert names(sure=(50, 70)) == "b"


def test_what_the_photos_are_together_is_said() -> None:
    known = Names(GENERA)
    assert filters.describe(19, Filters(answer="wrong"), known) == "19 photos told wrong"
    assert filters.describe(1, Filters(true="Amanita", answer="unknown"), known) == (
        "1 photo of Amanita told “none of the nine”"
    )


def test_without_photos_browse_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSHROOM_PREPARED", str(tmp_path))
    app = open_page("browse")
    assert not app.exception
    assert "train.py prepare" in texts(app)


def test_a_changed_manifest_is_said_and_not_that_there_are_no_photos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, painted_app: dict[str, str]
) -> None:
    shutil.copytree(painted_app["MUSHROOM_PREPARED"], tmp_path / "prepared")
    manifest = tmp_path / "prepared" / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("Amanita", "Amanitas"))
    monkeypatch.setenv("MUSHROOM_PREPARED", str(tmp_path / "prepared"))
    app = open_page("browse")
    assert not app.exception
    assert "The prepared photos on this machine can't be used" in texts(app)
    assert "are not on this machine" not in texts(app)


# --- A lesson -----------------------------------------------------------------------------------------------


def test_a_row_knows_where_a_photo_stands() -> None:
    row = lesson.Row(("a", "b"), "2 photos told wrong", Filters(answer="wrong"))
    assert lesson.position(row, "b") == 1
    assert lesson.position(row, "c") is None
    assert lesson.position(None, "a") is None


def test_the_score_counts_the_class_and_the_network_and_comes_back_from_its_text() -> None:
    guesses = [lesson.Guess("Amanita", True, False), lesson.Guess("Boletus", False, False)]
    counted = lesson.NOTHING_YET.after(guesses[0]).after(guesses[1])
    assert counted == lesson.Score(1, 0, 2)
    assert lesson.score_from_text(counted.text) == counted
    for strange in ("", "1-2", "3-0-2", "0-0-99999", "-1-0-1", "01-0-2", "٣-٣-٣"):
        assert lesson.score_from_text(strange) is None


@pytest.mark.parametrize("asked", [Filters(), Filters("Amanita", "Boletus", "wrong", (5, 70), "loss")])
def test_filters_come_back_from_their_text(asked: Filters) -> None:
    known = Names(("Amanita", "Boletus", "a/b & c=d"))
    assert filters.from_text(asked.text, known) == asked
    strange_name = Filters("a/b & c=d")
    assert filters.from_text(strange_name.text, known) == strange_name
    for strange in (
        "true=Russula",
        "sure=1",
        "sure=5-x",
        "sure=0-999",
        "sure=90-10",
        "colour=red",
        "x",
        "answer=wrong&answer=wrong",
    ):
        assert filters.from_text(strange, known) is None


def test_a_page_that_is_loaded_anew_goes_on_in_its_row(test_photo: str) -> None:
    app = open_page("identify", photo=test_photo, row=filters.ALL)
    assert not app.exception
    assert any(button.label.startswith("Back to the ") for button in app.button)
    assert {"Previous", "Next"} <= {button.label for button in app.button}
    for strange in ("answer=nonsense", "true=Nothing"):
        app = open_page("identify", photo=test_photo, row=strange)
        assert not app.exception
        assert "Next" not in {button.label for button in app.button}


def test_a_link_to_a_test_photo_does_not_tell_its_genus(test_photo: str) -> None:
    short = prepared_photos.link_name(test_photo)
    assert test_photo.split("/")[0] not in short
    app = open_page("identify", photo=short)
    assert not app.exception
    assert "The photo is of the genus <em>" + test_photo.split("/")[0] in texts(app)


def test_guess_first_hides_the_answer_until_the_class_has_chosen(test_photo: str) -> None:
    assert 'class="answer"' in texts(open_page("identify", photo=test_photo))
    app = open_page("identify", photo=test_photo, guess="3-4-5")
    assert 'class="answer"' not in texts(app)
    assert test_photo.split("/")[0] not in texts(app)
    app.pills(key="lesson_guess").set_value(test_photo.split("/")[0]).run()
    assert not app.exception
    assert 'class="answer"' in texts(app)
    assert "You said " in texts(app)
    assert "you 4 of 6" in texts(app)
    assert app.query_params["guess"] in (["4-4-6"], ["4-5-6"], "4-4-6", "4-5-6")


# --- Report and About ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["test", "validation", "train"])
def test_the_report_shows_the_numbers_of_report_json(split: str, painted_app: dict[str, str]) -> None:
    folder = next(Path(painted_app["MUSHROOM_CHECKPOINTS"]).iterdir())
    scores = json.loads((folder / "report.json").read_text())["splits"][split]
    app = open_page("report", split=split)
    assert not app.exception
    assert f"{scores['accuracy']:.1%}" in texts(app)
    assert [metric.label for metric in app.metric][:2] == ["Told right", "Most probable right"]
    assert len(app.get("plotly_chart")) >= 2


def test_about_makes_five_pictures_of_the_photo_and_a_page_a_genus(test_photo: str) -> None:
    app = open_page("about", photo=test_photo)
    assert not app.exception
    assert len(app.get("image")) == 5
    assert "on a test photo" in texts(app)
    drawn = "".join(str(component.proto) for component in app.get("bidi_component"))
    assert drawn.count("<svg") == 9


def test_every_genus_has_a_drawing_with_labels_that_end_on_the_paper() -> None:
    for genus in GENERA:
        drawn = field_marks.drawing(genus)
        assert drawn is not None
        assert drawn.count("<text") >= 3
        for x, anchor, words in re.findall(r'<text x="(\d+)"[^>]*text-anchor="(\w+)"[^>]*>([^<]*)<', drawn):
            width = 6.6 * len(words)
            end = int(x) + width if anchor == "start" else int(x) - width
            assert 0 <= end <= field_marks.WIDTH, (genus, words)
        for side in ("start", "end"):
            heights = sorted(int(y) for y in re.findall(rf'y="(\d+)" text-anchor="{side}"', drawn))
            assert all(lower - upper >= 12 for upper, lower in pairwise(heights)), genus
    assert field_marks.drawing("Tricholoma") is None


def test_what_the_network_makes_of_each_drawing_is_said_plainly() -> None:
    assert set(gallery.DRAWN) == set(subject.drawings())
    app = open_page("identify")
    assert not app.exception
    said = [caption.value for caption in app.caption if caption.value[:2] in ("✓ ", "✗ ", "○ ")]
    assert len(said) == 6
