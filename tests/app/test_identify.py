"""Identify, driven by Streamlit's AppTest: what a visitor gives, chooses and gets."""

import json
import shutil
from pathlib import Path

import pytest
from pages import give, headline, noise, open_page, press, texts
from PIL import Image

from mushroom.app import subject, uploads
from mushroom.app.subject import Refusal, enlarged, shrunk
from mushroom.genera import GENERA

pytestmark = pytest.mark.usefixtures("painted")


# --- Choices ------------------------------------------------------------------------------------------------


def test_a_test_photo_is_explained_with_its_true_genus_and_each_choice_stands_in_the_link(test_photo: str) -> None:
    app = open_page("identify", photo=test_photo, split="train", true="Boletus")
    # What another page left in the link goes.
    assert set(app.query_params) == {"photo"}
    shown = texts(app)
    assert "All nine genera" in shown
    assert "The photo is of the genus" in shown
    # Options are named by what does not change.
    genus = app.selectbox(key="widget:genus")
    assert sorted(genus.options) == sorted(GENERA)
    assert set(app.selectbox(key="widget:against").options) < set(GENERA)
    other = next(name for name in GENERA if name != genus.value)
    genus.select(other).run()
    assert f"what speaks for *{other}*" in texts(app)
    assert len(app.select_slider[0].options) > 5
    app.select_slider[0].set_value("blocks.0").run()
    app.selectbox(key="widget:method").select("layercam").run()
    app.selectbox(key="widget:colours").select("jet").run()
    app.slider(key="widget:opacity").set_value(30).run()
    assert not app.exception
    chosen = {"genus": other, "layer": "blocks.0", "method": "layercam", "colours": "jet", "opacity": "30"}
    assert {key: app.query_params[key] for key in chosen} == chosen


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
        *(("cover", value) for value in ("7", "90", "1-2-3", "50-50-40-40", "<b>")),
    ],
)
def test_a_bad_value_in_the_link_falls_back_with_a_note(key: str, value: str, test_photo: str) -> None:
    app = open_page("identify", **({"photo": test_photo, "panel": "cover"} | {key: value}))
    assert not app.exception
    assert any("not at hand here" in info.value for info in app.info)


def test_a_note_speaks_of_layers_as_the_page_does(test_photo: str) -> None:
    app = open_page("identify", photo=test_photo, layer="nowhere")
    [note] = [info.value for info in app.info if "not at hand here" in info.value]
    assert "showing layer" in note
    assert "blocks" not in note


# --- What was given -----------------------------------------------------------------------------------------


def test_what_was_given_goes_with_the_next_photo_and_when_one_starts_again() -> None:
    app = give(open_page("identify"), ("broken.png", b"no photo"))
    assert "broken.png" in texts(app)
    give(app, ("one.png", noise(1)))
    assert headline(app)
    assert "broken.png" not in texts(app)
    first = app.query_params["upload"]
    give(app, ("two.png", noise(2)))
    assert not app.exception
    assert headline(app)
    assert not app.dataframe
    assert app.query_params["upload"] != first
    press(app, "Start again")
    assert not app.exception
    assert not headline(app)
    assert "upload" not in app.query_params
    assert not app.session_state["uploaded"]
    assert app.title[0].value == "Which mushroom is it, and why?"
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


def test_a_refusal_does_not_outlive_its_page() -> None:
    app = give(open_page("identify"), ("broken.png", b"no photo"))
    assert "broken.png" in texts(app)
    app.session_state["page_now"] = "about"
    app.run()
    assert "broken.png" not in texts(app)


def test_many_files_get_one_sentence_about_those_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "PHOTOS_AT_ONCE", 2)
    app = give(open_page("identify"), *((f"{number}.png", noise(number)) for number in range(12)))
    assert not app.exception
    refusals = [html.proto.body for html in app.get("html") if 'class="refused"' in html.proto.body]
    assert len(refusals) == 1
    assert "and 7 more files" in refusals[0]
    assert "Only 2 photos" in refusals[0]


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
    output = uploads.refusal_html(Refusal("It is broken.", ("<i>", "b", "c", "d", "e")))
    assert output == "<b>&lt;i&gt;</b>, <b>b</b>, <b>c</b> and 2 more files: It is broken."


def test_a_smaller_copy_leaves_the_photo_as_it_is() -> None:
    photo = Image.new("RGB", (800, 600))
    assert shrunk(photo, 200).size == (200, 150)
    assert photo.size == (800, 600)
    assert shrunk(photo, 1000).size == (800, 600)


@pytest.mark.parametrize(
    ("size", "output"), [((200, 100), (640, 320)), ((800, 600), (800, 600)), ((1, 2000), (1, 2000))]
)
def test_a_small_photo_is_shown_as_large_as_others(size: tuple[int, int], output: tuple[int, int]) -> None:
    assert enlarged(Image.new("RGB", size), 640).size == output


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


# --- Photos it learned from ---------------------------------------------------------------------------------


def test_the_photos_it_learned_from_are_shown_with_genus_and_source(test_photo: str) -> None:
    app = open_page("identify", photo=test_photo, panel="nearest")
    press(app, "Look for the nearest")
    assert not app.exception
    assert sum('class="neighbour"' in html.proto.body for html in app.get("html")) == 5


def test_without_those_photos_the_page_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSHROOM_PREPARED", str(tmp_path))
    app = open_page("identify", drawing="Fly_agaric", panel="nearest")
    assert not app.exception
    assert "train.py prepare" in texts(app)
