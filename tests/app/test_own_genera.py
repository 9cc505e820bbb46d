"""A checkpoint that somebody just trained on folders of their own: the app shows it, with its names and its rank."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from networks import SMALL, untrained_checkpoint
from pages import open_page, texts

NAMES = ("Amanita muscaria", "ヒラタケ", "Pholiota <b>")


@pytest.fixture
def own_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small network with random weights that answers with three names of no known genus."""
    monkeypatch.setenv("MUSHROOM_PREPARED", str(tmp_path / "none"))
    config = replace(SMALL, name="mine", backbone="test_resnet.r160_in1k", genera=NAMES, rank="species")
    return untrained_checkpoint(tmp_path / "runs" / "mine", config)


@pytest.mark.parametrize("parent", [True, False])
def test_the_app_shows_a_network_of_ones_own_with_its_names(
    own_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, parent: bool
) -> None:
    monkeypatch.setenv("MUSHROOM_CHECKPOINTS", str(own_checkpoint.parent if parent else own_checkpoint))
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


@pytest.mark.parametrize("name", ["compare", "browse", "report", "about"])
def test_the_other_pages_open_with_it(own_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("MUSHROOM_CHECKPOINTS", str(own_checkpoint.parent))
    app = open_page(name, drawing="Fly_agaric") if name in ("compare", "about") else open_page(name)
    assert not app.exception


def test_the_notebooks_numbers_stand_only_beside_a_network_of_its_nine() -> None:
    from mushroom.app.pages.report import _answers_the_nine
    from mushroom.app.records import Names
    from mushroom.genera import GENERA

    assert _answers_the_nine(Names(GENERA[::-1]))
    assert not _answers_the_nine(Names(NAMES))
    assert not _answers_the_nine(Names(()))
