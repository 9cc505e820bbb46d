"""Identify and its parts, driven by Streamlit's AppTest: what a visitor gives, reads, presses and gets."""

import csv
import io
import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages import open_page, texts
from PIL import Image
from streamlit.testing.v1 import AppTest

from mushroom.app import (
    answer_text,
    bars,
    components,
    corrections,
    cropping,
    downloads,
    panels,
    photo_table,
    steadiness,
    subject,
    uploads,
)
from mushroom.app.records import TrackRecord
from mushroom.app.subject import Refusal, Subject, shrunk
from mushroom.classifier import Classifier, Prediction
from mushroom.genera import GENERA
from mushroom.texts import NONE_OF_THE_NINE


@pytest.fixture(autouse=True)
def painted(painted_app: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in painted_app.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def test_photo(painted_app: dict[str, str]) -> str:
    with Path(painted_app["MUSHROOM_PREPARED"], "manifest.csv").open() as file:
        return next(row["photo"] for row in csv.DictReader(file) if row["split"] == "test")


@pytest.fixture(scope="module")
def classifier(painted_app: dict[str, str]) -> Classifier:
    return Classifier.load(next(Path(painted_app["MUSHROOM_CHECKPOINTS"]).glob("*/config.json")).parent)


def noise(seed: int = 0) -> bytes:
    values = np.random.default_rng(seed).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def give(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    """Drop files, as a browser does with one drop; the uploader is a new one after each."""
    number = app.session_state["given"]
    return app.file_uploader(key=f"uploads:{number}").set_value([(*file, "image/png") for file in files]).run()


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def headline(app: AppTest) -> str:
    return next((html.proto.body for html in app.get("html") if 'class="answer"' in html.proto.body), "")


def prediction(genus: str = GENERA[0], confidence: float = 0.9, unknown: bool = False) -> Prediction:
    shares = dict.fromkeys(GENERA, (1 - confidence) / 8) | {genus: confidence}
    return Prediction(genus, confidence, shares, unknown, 0.0, (0.0,) * 9)


# --- Choices ------------------------------------------------------------------------------------------------


def test_a_test_photo_in_the_link_is_explained_with_its_true_genus(test_photo: str) -> None:
    app = open_page("identify", photo=test_photo)
    assert not app.exception
    shown = texts(app)
    assert "All nine genera" in shown
    assert "The photo is of the genus" in shown
    assert len(app.selectbox(key="widget:genus").options) == 9
    assert len(app.select_slider[0].options) > 5


def test_another_genus_gets_its_own_heatmap_and_stands_in_the_link(test_photo: str) -> None:
    app = open_page("identify", photo=test_photo)
    other = next(genus for genus in GENERA if genus != app.selectbox(key="widget:genus").value)
    app.selectbox(key="widget:genus").select(other).run()
    assert not app.exception
    assert app.query_params["genus"] == other
    assert f"what speaks for *{other}*" in texts(app)


def test_options_are_named_by_what_does_not_change(test_photo: str) -> None:
    app = open_page("identify", photo=test_photo)
    assert set(app.selectbox(key="widget:genus").options) == set(GENERA)
    against = next(box for box in app.selectbox if box.label.startswith("Why "))
    assert set(against.options) < set(GENERA)


def test_layer_method_opacity_and_colours_stand_in_the_link(test_photo: str) -> None:
    app = open_page("identify", photo=test_photo)
    app.select_slider[0].set_value("blocks.0").run()
    assert app.query_params["layer"] == "blocks.0"
    app.selectbox(key="widget:method").select("layercam").run()
    app.selectbox(key="widget:colours").select("jet").run()
    app.slider(key="widget:opacity").set_value(30).run()
    assert not app.exception
    assert app.query_params["method"] == "layercam"
    assert app.query_params["colours"] == "jet"
    assert app.query_params["opacity"] == "30"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("genus", "Chanterelle"),
        ("layer", "nowhere"),
        ("method", "magic"),
        ("photo", "../../etc/passwd"),
        ("model", "x"),
        ("opacity", "1000"),
        ("colours", "pink"),
    ],
)
def test_a_bad_value_in_the_link_falls_back_with_a_note(key: str, value: str, test_photo: str) -> None:
    app = open_page("identify", **({"photo": test_photo} | {key: value}))
    assert not app.exception
    assert any("not at hand here" in info.value for info in app.info)


def test_a_note_speaks_of_layers_as_the_page_does(test_photo: str) -> None:
    app = open_page("identify", photo=test_photo, layer="nowhere")
    [note] = [info.value for info in app.info if "not at hand here" in info.value]
    assert "showing layer" in note
    assert "blocks" not in note


def test_what_another_page_left_in_the_link_goes(test_photo: str) -> None:
    app = open_page("identify", photo=test_photo, split="train", true="Boletus")
    assert set(app.query_params) == {"photo"}


# --- What was given -----------------------------------------------------------------------------------------


def test_a_second_photo_takes_the_place_of_the_first() -> None:
    app = give(open_page("identify"), ("one.png", noise(1)))
    first = app.query_params["upload"]
    give(app, ("two.png", noise(2)))
    assert not app.exception
    assert headline(app)
    assert not app.dataframe
    assert app.query_params["upload"] != first


def test_start_again_leaves_nothing_of_the_photo() -> None:
    app = give(open_page("identify"), ("one.png", noise(1)))
    press(app, "Start again")
    assert not app.exception
    assert not headline(app)
    assert "upload" not in app.query_params
    assert not app.session_state["uploaded"]
    assert app.title[0].value == "Which mushroom is it, and why?"


def test_a_drawing_puts_a_given_photo_away() -> None:
    app = give(open_page("identify"), ("one.png", noise(1)))
    press(app, "Start again")
    press(app, "Fly agaric")
    assert "A drawing, not a photo" in headline(app)
    assert not app.session_state["uploaded"]


def test_a_broken_file_gets_a_sentence_and_the_others_go_on() -> None:
    app = give(open_page("identify"), ("noise.png", noise()), ("<b>broken</b>.jpg", b"\xff\xd8 no photo"))
    assert not app.exception
    shown = texts(app)
    assert "All nine genera" in shown
    assert "&lt;b&gt;broken&lt;/b&gt;.jpg" in shown
    assert "<b>broken</b>" not in shown


def test_a_refusal_does_not_outlive_the_next_photo() -> None:
    app = give(open_page("identify"), ("broken.png", b"no photo"))
    assert "broken.png" in texts(app)
    give(app, ("one.png", noise(1)))
    assert headline(app)
    assert "broken.png" not in texts(app)


def test_a_refusal_does_not_outlive_its_page() -> None:
    app = give(open_page("identify"), ("broken.png", b"no photo"))
    assert "broken.png" in texts(app)
    app.session_state["page_now"] = "about"
    app.run()
    assert "broken.png" not in texts(app)


def test_sixty_files_get_one_sentence_about_those_beyond_the_limit() -> None:
    app = give(open_page("identify"), *((f"{number}.png", noise(number)) for number in range(60)))
    assert not app.exception
    refusals = [html.proto.body for html in app.get("html") if 'class="refused"' in html.proto.body]
    assert len(refusals) == 1
    assert "and 7 more files" in refusals[0]
    assert "Only 50 photos" in refusals[0]


def test_files_that_came_to_nothing_are_told(test_photo: str) -> None:
    app = open_page("identify")
    app.session_state["files_came"] = []
    app.run()
    assert uploads.LOST.split(":")[0] in texts(app)


def test_a_link_to_a_photo_that_is_not_here_is_told_in_a_sentence() -> None:
    app = open_page("identify", upload="0123456789ab")
    assert not app.exception
    assert any("the connection was lost" in info.value for info in app.info)
    assert "upload" not in app.query_params


def test_what_all_sessions_hold_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "SERVER_BYTES", 10)
    app = give(open_page("identify"), ("one.png", noise(1)))
    assert "Too many photos are here at the moment" in texts(app)


def test_names_in_a_refusal_are_text() -> None:
    told = uploads.refusal_html(Refusal("It is broken.", ("<i>", "b", "c", "d", "e")))
    assert told == "<b>&lt;i&gt;</b>, <b>b</b>, <b>c</b> and 2 more files: It is broken."


def test_a_smaller_copy_leaves_the_photo_as_it_is() -> None:
    photo = Image.new("RGB", (800, 600))
    assert shrunk(photo, 200).size == (200, 150)
    assert photo.size == (800, 600)
    assert shrunk(photo, 1000).size == (800, 600)


# --- Several photos -----------------------------------------------------------------------------------------


def test_many_photos_become_a_table_and_a_row_opens() -> None:
    app = give(open_page("identify"), *((f"{number}.png", noise(number)) for number in range(3)))
    assert not app.exception
    assert app.title[0].value == "3 photos"
    assert len(app.dataframe[0].value) == 3
    app.selectbox(key="table_open").select("2. 1.png").run()
    assert headline(app)
    press(app, "All 3 photos")
    assert app.title[0].value == "3 photos"


def test_photos_of_one_mushroom_get_one_answer_and_each_its_own() -> None:
    app = give(open_page("identify"), *((f"{number}.png", noise(number)) for number in range(3)))
    app.get("button_group")[0].set_value("One mushroom").run()
    assert not app.exception
    assert "One answer from all" in headline(app)
    assert sum("says " in html.proto.body and 'class="view"' in html.proto.body for html in app.get("html")) == 3
    press(app, "See why: photo 2")
    assert headline(app)


def test_the_visitors_table_is_the_commands_with_a_guard_and_a_mark_for_spreadsheets(classifier: Classifier) -> None:
    table = photo_table.table_csv(
        classifier,
        [Subject("upload", "=HYPERLINK(1)", b"", "0"), Subject("upload", "Champiñón.jpg", b"", "1")],
        [prediction(), prediction(unknown=True)],
    )
    assert table.startswith("\ufeff")
    rows = list(csv.DictReader(io.StringIO(table.removeprefix("\ufeff"))))
    assert [row["photo"] for row in rows] == ["'=HYPERLINK(1)", "Champiñón.jpg"]
    assert rows[0]["weights"] == classifier.weights_sha256[:12]


# --- The answer in words ------------------------------------------------------------------------------------


def test_the_track_record_says_whose_photos_and_is_not_told_of_drawings(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer_text.records, "track_record", lambda *_: TrackRecord(0.9, 1.0, 90, 100))
    upload = Subject("upload", "a", b"", "0")
    told = answer_text.track_record_html(upload, prediction(), classifier)
    assert "Of 100 test photos" in told
    assert "<b>90</b> right" in told
    assert "the same collections" in told
    assert "collections" not in answer_text.track_record_html(replace(upload, origin="test"), prediction(), classifier)
    assert answer_text.track_record_html(replace(upload, origin="drawing"), prediction(), classifier) == ""
    assert answer_text.track_record_html(upload, prediction(unknown=True), classifier) == ""


def test_a_known_photo_that_is_turned_away_is_wrong(classifier: Classifier) -> None:
    photo = Subject("test", "a", b"", "0", true_genus=GENERA[0])
    assert "✓ right" in answer_text.headline_html(photo, prediction(), classifier)
    assert "✗ wrong" in answer_text.headline_html(photo, prediction(unknown=True), classifier)


def test_a_part_that_is_answered_otherwise_than_the_whole_is_told(classifier: Classifier) -> None:
    photo = Subject("upload", "a", b"", "0", crop=components.Rectangle(0, 0, 50, 50))
    same = answer_text.headline_html(photo, prediction(), classifier, prediction(confidence=0.6))
    other = answer_text.headline_html(photo, prediction(), classifier, prediction(GENERA[3], 0.6))
    assert "of the whole photo it says the same (60%)" in same
    assert f"otherwise: <b>{GENERA[3]}</b> (60%)" in other


# --- Bars ---------------------------------------------------------------------------------------------------


class Named:
    """As much of a classifier as the bars need, with any names."""

    def __init__(self, names: list[str]) -> None:
        self.genera = tuple(names)
        self.config = type("Config", (), {"unknown_threshold": 2.0})()


def test_many_names_are_folded_and_the_third_answer_stands_with_its_threshold() -> None:
    names = [f"名 {number}" for number in range(60)]
    shares = {name: (60 - number) / 1830 for number, name in enumerate(names)}
    rows: list[dict[str, Any]] = bars.rows(
        Named(names),  # type: ignore[arg-type]
        Prediction(names[0], shares[names[0]], shares, False, 2.0, (0.0,) * 60),
        "en",
    )
    assert [row["name"] for row in rows] == [*names[:10], None, None]
    assert rows[10]["title"] == "50 others together"
    assert rows[11]["title"] == "None of these 60"
    assert rows[11]["width"] == 50
    assert rows[11]["share"] == "no"


# --- A part of the photo ------------------------------------------------------------------------------------


def test_a_suggested_part_is_a_square_round_the_hot_place() -> None:
    heatmap = np.zeros((20, 20), np.float32)
    heatmap[12:15, 4:7] = 1
    part = cropping.suggested(heatmap, (400, 300))
    assert part is not None
    left, top, right, bottom = part.box((400, 300))
    assert right - left == pytest.approx(bottom - top, abs=8)
    assert left <= 4 * 20
    assert right >= 7 * 20
    assert top <= 12 * 15
    assert bottom >= 15 * 15
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


# --- Files and panels ---------------------------------------------------------------------------------------


def test_the_numbers_name_the_network(classifier: Classifier) -> None:
    explanation = classifier.explain(Image.new("RGB", (64, 48), (200, 60, 40)))
    told = json.loads(downloads.explanation_json(Subject("upload", "a", b"", "0"), explanation, classifier))
    assert told["model"] == classifier.config.name
    assert told["weights_sha256"] == classifier.weights_sha256
    assert told["schema"] == downloads.SCHEMA


def test_an_answer_that_covering_does_not_change_is_not_said_to_miss_its_reasons() -> None:
    shares = dict.fromkeys(GENERA, 0.0) | {GENERA[0]: 0.9, GENERA[1]: 0.1}
    sure = Prediction(GENERA[0], 0.9, shares, False, 0.0, (0.0,) * 9)
    same = panels._change(sure, sure)
    assert "the rest of the photo is enough" in same
    assert "may have counted all the same" in same
    other = replace(sure, genus=GENERA[1], confidence=0.9, probabilities=shares | {GENERA[0]: 0.1, GENERA[1]: 0.9})
    assert f"would now say *{GENERA[1]}* (90%)" in panels._change(sure, other)
    assert f"would now say: {NONE_OF_THE_NINE}" in panels._change(sure, replace(sure, unknown=True))


def test_a_rectangle_covers_what_lies_inside() -> None:
    mask = panels.rectangle_mask(components.Rectangle(50, 0, 100, 50), Image.new("RGB", (10, 20)))
    assert mask.sum() == 5 * 10
    assert mask[:10, 5:].all()


# --- A checkpoint that changes ------------------------------------------------------------------------------


def test_a_changed_config_changes_the_answer_of_a_running_app(
    painted_app: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, test_photo: str
) -> None:
    original = next(Path(painted_app["MUSHROOM_CHECKPOINTS"]).glob("*/config.json")).parent
    copy = tmp_path / original.name
    shutil.copytree(original, copy)
    monkeypatch.setenv("MUSHROOM_CHECKPOINTS", str(tmp_path))
    before = headline(open_page("identify", photo=test_photo))
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"temperature": 20.0, "unknown_threshold": None}))
    after = headline(open_page("identify", photo=test_photo))
    assert before != after


# --- Steady, wrong ------------------------------------------------------------------------------------------


def test_copies_that_get_the_same_answer_are_counted() -> None:
    copies = {"a": prediction(), "b": prediction(GENERA[2]), "c": prediction(unknown=True), "d": prediction()}
    found = steadiness.steadiness(prediction(), copies)
    assert (found.same, found.count) == (2, 4)
    assert "hangs on how the photo was taken" in found.sentence
    assert steadiness.steadiness(prediction(unknown=True), copies).same == 1
    assert "may be wrong all the same" in steadiness.Steadiness(8, 8).sentence


def test_every_copy_is_another_picture_without_empty_corners() -> None:
    photo = Image.open(io.BytesIO(noise())).resize((120, 90)).point(lambda value: max(value, 40))
    for name, made in steadiness.COPIES.items():
        copy = made(photo)
        assert copy.mode == "RGB", name
        assert copy.size != photo.size or (np.asarray(copy) != np.asarray(photo)).any(), name
        corners = [copy.getpixel((x, y)) for x in (0, copy.width - 1) for y in (0, copy.height - 1)]
        assert all(sum(corner) for corner in corners), name  # type: ignore[arg-type]


def test_eight_copies_are_asked_about_in_one_press(test_photo: str) -> None:
    app = open_page("identify", photo=test_photo, panel="steady")
    press(app, "Ask about eight copies")
    assert not app.exception
    assert "of 8** copies get the same answer" in texts(app)


def test_a_correction_leaves_as_files_that_prepare_takes(tmp_path: Path, classifier: Classifier) -> None:
    from mushroom.training.folders import read_corrections

    explanation = classifier.explain(Image.new("RGB", (64, 48), (200, 60, 40)))
    given = Subject("upload", "=cap.jpg", noise(), "0" * 64)
    correction = corrections.corrected(given, explanation, classifier, "Boletus")
    table = tmp_path / "corrections.csv"
    table.write_text(corrections.corrections_csv([correction]), encoding="utf-8")
    assert read_corrections(table) == {"=cap.jpg": "Boletus"}
    with zipfile.ZipFile(io.BytesIO(corrections.bundle(given, correction))) as archive:
        assert set(archive.namelist()) == {"=cap.jpg", "correction.json", "corrections.csv"}
        assert archive.read("=cap.jpg") == noise()
        said = json.loads(archive.read("correction.json"))
    assert said["genus"] == "Boletus"
    assert said["answer"] == explanation.prediction.genus
    assert said["weights_sha256"] == classifier.weights_sha256


def test_a_correction_shows_what_speaks_for_both_names(test_photo: str) -> None:
    app = open_page("identify", photo=test_photo, panel="wrong")
    answer = app.selectbox(key="widget:genus").value
    other = next(genus for genus in GENERA if genus != answer)
    app.selectbox(key="correction").select(other).run()
    assert not app.exception
    assert f"What speaks for *{answer}*" in texts(app)
    assert f"What speaks for *{other}*" in texts(app)


# --- Photos it learned from ---------------------------------------------------------------------------------


def test_the_photos_it_learned_from_are_shown_with_genus_and_source(test_photo: str) -> None:
    app = open_page("identify", photo=test_photo, panel="alike")
    press(app, "Look for the nearest")
    assert not app.exception
    assert sum('class="neighbour"' in html.proto.body for html in app.get("html")) == 5


def test_without_those_photos_the_page_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSHROOM_PREPARED", str(tmp_path))
    app = open_page("identify", drawing="Fly_agaric", panel="alike")
    assert not app.exception
    assert "train.py prepare" in texts(app)
