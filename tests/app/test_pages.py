"""Every page, driven by Streamlit's AppTest: what a visitor reads, presses and gets."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from mushroom.app import components, panels, photo_table
from mushroom.genera import GENERA
from mushroom.texts import NONE_OF_THE_NINE, SAFETY, percent

TIMEOUT = 120
REPOSITORY = Path(__file__).resolve().parent.parent.parent


def show_page(name: str) -> None:
    """A page under its frame, as app.py shows it; runs inside AppTest."""
    import importlib

    from mushroom.app import layout, main

    layout.remember_pages(main.build_pages())
    notes = layout.begin_page(name)
    importlib.import_module(f"mushroom.app.pages.{name}").render()
    layout.show_notes(notes)


def open_page(name: str, **query: str) -> AppTest:
    app = AppTest.from_function(show_page, args=(name,), default_timeout=TIMEOUT)
    for key, value in query.items():
        app.query_params[key] = value
    return app.run()


def texts(app: AppTest) -> str:
    """All that stands on the page in words."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "info", "warning", "error", "metric")
    found = [str(element.value) for kind in kinds for element in app.get(kind)]
    return "\n".join([*found, *(element.proto.body for element in app.get("html"))])


@pytest.fixture(autouse=True)
def painted(painted_app: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in painted_app.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def test_photo(painted_app: dict[str, str]) -> str:
    import csv

    with Path(painted_app["MUSHROOM_PREPARED"], "manifest.csv").open() as file:
        return next(row["photo"] for row in csv.DictReader(file) if row["split"] == "test")


# --- All pages ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["identify", "compare", "browse", "report", "about"])
def test_every_page_opens_with_the_safety_sentence_and_without_an_exception(name: str) -> None:
    app = open_page(name)
    assert not app.exception
    assert SAFETY in texts(app)
    assert "edible" not in texts(app).lower()


@pytest.mark.parametrize("name", ["identify", "compare", "browse", "report", "about"])
def test_without_a_network_every_page_says_what_to_do(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, test_photo: str
) -> None:
    monkeypatch.setenv("MUSHROOM_CHECKPOINTS", str(tmp_path))
    app = open_page(name, photo=test_photo)
    assert not app.exception
    assert "python train.py train" in texts(app)


def test_a_damaged_network_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, test_photo: str
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"no tensors")
    monkeypatch.setenv("MUSHROOM_CHECKPOINTS", str(tmp_path))
    app = open_page("identify", photo=test_photo)
    assert not app.exception
    assert app.error[0].value.endswith(".")


def test_the_app_starts_on_identify() -> None:
    app = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=TIMEOUT).run()
    assert not app.exception
    assert app.title[0].value == "Which mushroom is it, and why?"


# --- Identify -----------------------------------------------------------------------------------------------


def test_a_test_photo_in_the_link_is_explained_with_its_true_genus(test_photo: str) -> None:
    app = open_page("identify", photo=test_photo)
    assert not app.exception
    shown = texts(app)
    assert "All nine genera" in shown
    assert "The photo is of the genus" in shown
    assert len(app.selectbox(key="widget:genus").options) == 9
    assert len(app.select_slider(key="widget:layer").options) > 5


def test_another_genus_gets_its_own_heatmap_and_stands_in_the_link(test_photo: str) -> None:
    app = open_page("identify", photo=test_photo)
    other = next(genus for genus in GENERA if genus != app.selectbox(key="widget:genus").value)
    app.selectbox(key="widget:genus").select(other).run()
    assert not app.exception
    assert app.query_params["genus"] == other
    assert f"what speaks for *{other}*" in texts(app)


def test_a_layer_and_a_method_stand_in_the_link(test_photo: str) -> None:
    app = open_page("identify", photo=test_photo)
    app.select_slider(key="widget:layer").set_value("blocks.0").run()
    assert app.query_params["layer"] == "blocks.0"
    app.selectbox(key="widget:method").select("layercam").run()
    assert not app.exception
    assert app.query_params["method"] == "layercam"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("genus", "Chanterelle"),
        ("layer", "nowhere"),
        ("method", "magic"),
        ("photo", "../../etc/passwd"),
        ("model", "x"),
    ],
)
def test_a_bad_value_in_the_link_falls_back_with_a_note(key: str, value: str, test_photo: str) -> None:
    app = open_page("identify", **({"photo": test_photo} | {key: value}))
    assert not app.exception
    assert any("not at hand here" in info.value for info in app.info)


def test_uploaded_photos_are_answered_and_a_broken_file_gets_a_sentence() -> None:
    app = open_page("identify")
    good = io.BytesIO()
    Image.effect_noise((64, 48), 80).convert("RGB").save(good, "PNG")
    app.file_uploader(key="uploads").set_value(
        [("noise.png", good.getvalue(), "image/png"), ("<b>broken</b>.jpg", b"\xff\xd8 no photo", "image/jpeg")]
    ).run()
    assert not app.exception
    shown = texts(app)
    assert "All nine genera" in shown
    assert "&lt;b&gt;broken&lt;/b&gt;.jpg" in shown
    assert "<b>broken" not in shown


def test_many_photos_become_a_table() -> None:
    app = open_page("identify")
    files = []
    for index in range(3):
        buffer = io.BytesIO()
        Image.new("RGB", (40, 40), (90 * index, 60, 30)).save(buffer, "PNG")
        files.append((f"{index}.png", buffer.getvalue(), "image/png"))
    app.file_uploader(key="uploads").set_value(files).run()
    assert not app.exception
    assert app.title[0].value == "3 photos"
    assert len(app.dataframe[0].value) == 3


def test_a_file_name_that_is_a_formula_does_not_run_in_a_spreadsheet() -> None:
    from mushroom.app.subject import Subject
    from mushroom.classifier import Prediction

    prediction = Prediction(GENERA[0], 0.5, dict.fromkeys(GENERA, 1 / 9), False, 0.0, (0.0,) * 9)
    table = photo_table.table_csv([Subject("upload", "=HYPERLINK(1)", b"", "0")], [prediction])
    assert table.splitlines()[1].startswith("'=HYPERLINK")


def test_an_answer_that_covering_does_not_change_is_not_said_to_miss_its_reasons() -> None:
    from mushroom.classifier import Prediction

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


@pytest.mark.parametrize("values", [None, [1, 2, 3], [0, 0, 101, 5], [5, 5, 5, 9], ["a", 1, 2, 3], {"left": 1}])
def test_what_is_no_rectangle_is_not_taken_from_a_browser(values: object) -> None:
    assert components.checked_rectangle(values) is None


# --- Telling ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "told"), [(0, "0%"), (0.001, "<1%"), (0.5, "50%"), (0.994, "99%"), (0.9951, ">99%"), (1, "100%")]
)
def test_nearly_sure_is_never_told_as_sure(share: float, told: str) -> None:
    assert percent(share) == told
