"""``python -m mushroom explain``: pictures and numbers into a folder, and sentences when it can't be done."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mushroom.__main__ import main
from mushroom.cli.explain import top_region
from mushroom.genera import GENERA
from mushroom.texts import SAFETY


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    coarse = np.random.default_rng(0).integers(0, 255, (6, 8, 3)).astype(np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(coarse).resize((160, 120), Image.Resampling.BICUBIC).save(path)
    return path


def test_explain_writes_an_overlay_a_layer_a_film_strip_and_numbers(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["explain", str(photo), "--out", str(out), "--genus", "russula", "--faithfulness"]) == 0
    numbers = json.loads((out / "explanation.json").read_text())
    overlays = sorted(out.glob("0*.png"))
    assert len(overlays) == len(numbers["layers"]) > 3
    assert {Image.open(path).size for path in overlays} == {(160, 120)}
    assert (out / "film_strip.png").exists()
    assert numbers["target"] == "Russula"
    assert list(numbers["probabilities"]) == list(GENERA)
    assert numbers["safety"] == SAFETY
    for layer in numbers["layers"]:
        assert {"name", "label", "height", "width", "top_region", "faithfulness"} <= set(layer)
        assert 0 <= layer["faithfulness"]["deletion"] <= 1


def test_all_layers_and_a_second_genus(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [
        "explain",
        str(photo),
        "--out",
        str(out),
        "--genus",
        "Amanita",
        "--against",
        "Agaricus",
        "--layers",
        "all",
    ]
    assert main(command) == 0
    numbers = json.loads((out / "explanation.json").read_text())
    assert (numbers["method"], numbers["against"]) == ("contrastive", "Agaricus")
    assert len(numbers["layers"]) > 10


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--genus", "Chanterelle"], "Agaricus, Amanita"),
        (["--method", "magic"], "choose from gradcam"),
        (["--layers", "nowhere"], "choose stages, all, or from blocks.0"),
        (["--against", "Boletus", "--method", "layercam"], "Only contrastive"),
        (["--genus", "Boletus", "--against", "Boletus"], "can't be contrasted with itself"),
        (["--checkpoint", "nowhere"], "nowhere"),
    ],
)
def test_a_bad_choice_is_told_with_the_valid_ones(
    options: list[str], sentence: str, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["explain", str(photo), "--out", str(out), *options]) == 2
    assert sentence in capsys.readouterr().err
    assert not out.exists()


def test_a_file_that_is_no_photo_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "note.txt").write_text("no photo")
    assert main(["explain", str(tmp_path / "note.txt"), "--out", str(tmp_path / "out")]) == 2
    assert "not a photo" in capsys.readouterr().err


def test_the_top_region_encloses_the_hottest_fifth_and_an_empty_heatmap_has_none() -> None:
    heatmap = np.zeros((4, 4), np.float32)
    heatmap[0, 3] = 1
    region = top_region(heatmap, (40, 40))
    assert region is not None
    assert region["left"] >= 20
    assert region["right"] == 40
    assert region["top"] == 0
    assert region["bottom"] <= 20
    assert top_region(np.zeros((4, 4), np.float32), (40, 40)) is None
