"""Checkpoints that somebody just trained on folders of their own: the app shows them, with their names and rank."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from networks import SMALL, untrained_checkpoint
from pages import open_page, texts

from mushroom.app.pages.report import _answers_the_nine
from mushroom.app.records import Names
from mushroom.genera import GENERA

NAMES = ("Amanita muscaria", "ヒラタケ", "Pholiota <b>")


@pytest.fixture
def own_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Convolutional networks and a transformer, untrained, that answer with three names of no known genus."""
    monkeypatch.setenv("MUSHROOM_PREPARED", str(tmp_path / "none"))
    monkeypatch.setenv("MUSHROOM_CHECKPOINTS", str(tmp_path / "runs"))
    for backbone, side in (("test_efficientnet", 64), ("test_resnet.r160_in1k", 64), ("test_vit", 160)):
        config = replace(SMALL, name=backbone, backbone=backbone, input_px=side, genera=NAMES, rank="species")
        untrained_checkpoint(tmp_path / "runs" / backbone, config)
    return tmp_path / "runs"


@pytest.mark.parametrize("one", ["", "test_resnet.r160_in1k"])
def test_the_app_shows_a_network_of_ones_own_with_its_names(
    own_networks: Path, monkeypatch: pytest.MonkeyPatch, one: str
) -> None:
    monkeypatch.setenv("MUSHROOM_CHECKPOINTS", str(own_networks / one))
    app = open_page("identify", drawing="Fly_agaric")
    assert not app.exception
    shown = texts(app)
    assert "Most likely species" in shown or "most likely species" in shown
    assert "All 3 species" in shown
    assert "nine" not in shown
    assert app.selectbox(key="widget:against").placeholder == "Choose a species"
    assert set(app.selectbox(key="widget:genus").options) == set(NAMES)
    assert "<b></em>" not in shown
    bars = next(element for element in app.get("bidi_component") if "bars" in str(element.proto.component_name))
    output = json.dumps(json.loads(bars.proto.json or bars.proto.mixed.json), ensure_ascii=False)
    assert all(json.dumps(name, ensure_ascii=False)[1:-1] in output for name in NAMES)


@pytest.mark.usefixtures("own_networks")
@pytest.mark.parametrize("name", ["browse", "report"])
def test_pages_of_its_test_photos_open_with_it(name: str) -> None:
    assert not open_page(name).exception


@pytest.mark.usefixtures("own_networks")
@pytest.mark.parametrize("kind", ["models", "layers", "genera"])
def test_a_transformer_stands_beside_convolutional_networks(kind: str) -> None:
    app = open_page("compare", drawing="Fly_agaric", compare=kind, model="test_vit")
    assert not app.exception
    assert not app.error
    assert texts(app).count('alt="Heatmap: ') >= 3
    assert "Boletus" not in texts(app)


@pytest.mark.usefixtures("own_networks")
def test_about_tells_of_unknown_names_only_where_to_read_of_them() -> None:
    app = open_page("about")
    assert not app.exception
    shown = texts(app)
    assert "These 3 species" in shown
    assert shown.count("Nothing about this species is told here") == 3
    assert "rank=SPECIES" in shown


def test_the_notebooks_numbers_stand_only_beside_a_network_of_its_nine() -> None:
    assert _answers_the_nine(Names(GENERA[::-1]))
    assert not _answers_the_nine(Names(NAMES))
    assert not _answers_the_nine(Names(()))
