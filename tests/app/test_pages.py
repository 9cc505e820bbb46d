"""Every page, driven by Streamlit's AppTest: what a visitor reads, presses and gets."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from mushroom.app import components, panels, photo_table, records
from mushroom.app.pages import browse, compare, report
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
    kinds = ("title", "subheader", "markdown", "caption", "info", "warning", "error", "metric")
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


# --- Compare ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["models", "layers", "genera"])
def test_every_comparison_shows_pictures(kind: str, test_photo: str) -> None:
    app = open_page("compare", photo=test_photo, compare=kind)
    assert not app.exception
    assert "the hottest place counts as 1" in texts(app)


def test_what_differs_is_computed() -> None:
    left, right = np.zeros((8, 8), np.float32), np.zeros((8, 8), np.float32)
    left[:, :4] = right[:, 4:] = np.linspace(0.5, 1, 32).reshape(8, 4)
    same = compare.differences({"A": left, "B": left.copy()})
    other = compare.differences({"A": left, "B": right})
    empty = compare.differences({"A": left, "B": np.zeros((8, 8), np.float32)})
    assert "rank correlation 1.00" in same[0]
    assert "100% is shared" in same[0]
    assert "0% is shared" in other[0]
    assert empty == ["B has an empty heatmap: nothing to compare."]


# --- Browse -------------------------------------------------------------------------------------------------


def test_browse_shows_the_test_split_with_true_and_predicted_genus() -> None:
    app = open_page("browse")
    count = len(app.get("image"))
    assert count > 3
    assert f"**{count}** photos" in texts(app)


def test_browse_filters_by_true_genus_and_by_answer() -> None:
    app = open_page("browse", true="Amanita", answer="wrong")
    assert not app.exception
    assert "says " in texts(app) or "No photo of the test split is like that" in texts(app)
    assert "<em>Boletus</em>" not in texts(app)


def answer(photo: str, true: str, genus: str, confidence: float, unknown: bool = False) -> records.TestAnswer:
    return records.TestAnswer(photo, true, genus, confidence, unknown, -float(np.log(confidence)))


def test_filters_and_orders_keep_what_they_say() -> None:
    found = [
        answer("a", "Amanita", "Amanita", 0.9),
        answer("b", "Amanita", "Boletus", 0.6),
        answer("c", "Boletus", "Boletus", 0.3, unknown=True),
    ]

    def names(true: str = "any", predicted: str = "any", kind: str = "any", order: str = "most_sure") -> str:
        return "".join(each.photo for each in browse.kept(found, true, predicted, kind, (0, 1), order))

    assert names() == "abc"
    assert names(order="least_sure") == "cba"
    assert names(order="loss") == "cba"
    assert names(true="Amanita") == "ab"
    assert names(predicted="Boletus") == "bc"
    assert names(kind="wrong") == "b"
    assert names(kind="unknown") == "c"
    assert len(browse.kept(found, "any", "any", "any", (0.5, 0.7), "loss")) == 1


def test_without_photos_browse_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSHROOM_PREPARED", str(tmp_path))
    app = open_page("browse")
    assert not app.exception
    assert "train.py prepare" in texts(app)


# --- Report and About ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["test", "validation", "train"])
def test_the_report_shows_the_numbers_of_report_json(split: str, painted_app: dict[str, str]) -> None:
    folder = next(Path(painted_app["MUSHROOM_CHECKPOINTS"]).iterdir())
    scores = json.loads((folder / "report.json").read_text())["splits"][split]
    app = open_page("report", split=split)
    assert not app.exception
    assert f"{scores['accuracy']:.1%}" in texts(app)
    charts = app.get("plotly_chart")
    assert len(charts) >= 4


def test_every_mistake_of_the_matrix_can_be_opened() -> None:
    scores = {"per_genus": [{"genus": "Amanita"}, {"genus": "Boletus"}], "confusion": [[5, 2], [3, 9]]}
    assert report._mistakes(scores) == {
        ("Boletus", "Amanita"): "Boletus taken for Amanita · 3",
        ("Amanita", "Boletus"): "Amanita taken for Boletus · 2",
    }


def test_about_makes_five_pictures_of_the_photo(test_photo: str) -> None:
    app = open_page("about", photo=test_photo)
    assert not app.exception
    assert len(app.get("image")) == 5
    assert "on a test photo" in texts(app)


# --- Telling ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "told"), [(0, "0%"), (0.001, "<1%"), (0.5, "50%"), (0.994, "99%"), (0.9951, ">99%"), (1, "100%")]
)
def test_nearly_sure_is_never_told_as_sure(share: float, told: str) -> None:
    assert percent(share) == told
