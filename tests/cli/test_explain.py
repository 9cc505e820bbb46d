"""``python -m mushroom explain``: pictures and numbers into a folder, and sentences when it can't be done."""

import json
import shutil
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from commands import Run
from PIL import Image

from mushroom.classifier import Classifier
from mushroom.cli.explain import top_region
from mushroom.errors import SOME_PHOTOS_FAILED, STOPPED
from mushroom.explain import overlays
from mushroom.genera import GENERA
from mushroom.texts import SAFETY


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    coarse = np.random.default_rng(0).integers(0, 255, (6, 8, 3)).astype(np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(coarse).resize((160, 120), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture
def explain(run: Run, checkpoint: Path) -> Run:
    """``mushroom explain`` with the small network, unless its words name another."""
    return lambda *words: run("explain", "--checkpoint", checkpoint, *words)


def test_explain_writes_an_overlay_a_layer_a_film_strip_and_numbers(
    explain: Run, photo: Path, checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert explain(photo, "--out", out, "--genus", "russula", "--faithfulness").status == 0
    numbers = json.loads((out / "explanation.json").read_text())
    overlays = sorted(out.glob("0*.png"))
    assert len(overlays) == len(numbers["layers"]) > 3
    assert {Image.open(path).size for path in overlays} == {(160, 120)}
    assert {path.name for path in out.iterdir()} == set(numbers["files"]) > {"film_strip.png"}
    assert numbers["schema_version"] == 2
    assert (numbers["model"], numbers["weights"]) == ("small", Classifier.load(checkpoint).weights_sha256[:12])
    assert numbers["bytes"] == photo.stat().st_size
    assert numbers["target"] == "Russula"
    assert list(numbers["probabilities"]) == list(GENERA)
    assert numbers["safety"] == SAFETY
    for layer in numbers["layers"]:
        assert {"name", "label", "height", "width", "top_region", "faithfulness"} <= set(layer)
        regions = layer["hottest_regions_percent"]
        assert bool(regions) is layer["has_evidence"]
        assert all(0 <= region["left"] < region["right"] <= 100 for region in regions)
        assert sum(region["share"] for region in regions) <= layer["hottest_percent"] / 100 + 0.02
        assert 0 <= layer["faithfulness"]["deletion"] <= 1


def test_all_layers_and_a_second_genus_with_the_network_that_ships(run: Run, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    genera = ("--genus", "Amanita", "--against", "Agaricus")
    assert run("explain", photo, "--out", out, *genera, "--layers", "all").status == 0
    numbers = json.loads((out / "explanation.json").read_text())
    assert (numbers["method"], numbers["against"]) == ("contrastive", "Agaricus")
    assert len(numbers["layers"]) > 10


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--genus", "Chanterelle"], "Agaricus, Amanita"),
        (["--method", "magic"], "choose from gradcam"),
        (["--layers", "nowhere"], "choose stages, all, or from bn1, blocks.0"),
        (["--against", "Boletus", "--method", "layercam"], "Only contrastive"),
    ],
)
def test_a_bad_choice_is_told_with_the_valid_ones(
    options: list[str], sentence: str, explain: Run, photo: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert sentence in explain(photo, "--out", out, *options).refusal
    assert not out.exists()


def test_a_file_that_is_no_photo_is_told(explain: Run, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("no photo")
    assert "not a photo" in explain(tmp_path / "note.txt", "--out", tmp_path / "out").refusal


def test_the_top_region_encloses_the_hottest_fifth_and_an_empty_heatmap_has_none() -> None:
    heatmap = np.zeros((4, 4), np.float32)
    heatmap[0, 3] = 1
    region = top_region(heatmap, (40, 40))
    assert region is not None
    assert 20 <= region["left"] < region["right"] == 40
    assert 0 == region["top"] < region["bottom"] <= 20
    assert top_region(np.zeros((4, 4), np.float32), (40, 40)) is None


# --- Whole or not at all ------------------------------------------------------------------------------------


def test_a_run_that_is_stopped_leaves_no_half_explanation(
    explain: Run, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr(overlays, "film_strip", Mock(side_effect=KeyboardInterrupt))
        assert explain(photo, "--out", out).status == STOPPED
    assert not out.exists()
    assert explain(photo, "--out", out).status == 0
    assert {path.name for path in tmp_path.iterdir()} == {"out", "photo.png"}


def test_what_is_there_is_not_overwritten_and_resume_leaves_other_files_alone(
    explain: Run, photo: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "letter.txt").write_text("mine")
    assert "is there already" in explain(photo, "--out", out).refusal
    assert explain(photo, "--out", out, "--layers", "all", "--resume").status == 0
    assert explain(photo, "--out", out, "--resume").status == 0
    numbers = json.loads((out / "explanation.json").read_text())
    assert {path.name for path in out.iterdir()} == {"letter.txt", *numbers["files"]}


def test_a_folder_is_explained_photo_by_photo_and_gone_on_with(explain: Run, photo: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "photos", tmp_path / "out"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.png", "b.png", "deep/a.png"):
        shutil.copy(photo, folder / name)
    (folder / "bad.jpg").write_bytes(b"no")
    (folder / "notes.txt").write_bytes(b"no")
    ran = explain(folder, "--out", out, "--batch", 2)
    assert ran.status == SOME_PHOTOS_FAILED
    assert "bad.jpg: This file is not a photo" in ran.err
    assert "3 photos answered, 1 can't be read" in ran.err
    whole = sorted(path.parent.relative_to(out).as_posix() for path in out.rglob("explanation.json"))
    assert whole == ["a.png", "b.png", "deep/a.png"]

    def written() -> dict[str, int]:
        return {name: (out / name / "explanation.json").stat().st_mtime_ns for name in whole}

    before = written()
    Image.new("RGB", (90, 60), "red").save(folder / "b.png")
    assert explain(folder, "--out", out, "--batch", 2, "--resume").status == SOME_PHOTOS_FAILED
    assert [name for name, _ in written().items() - before.items()] == ["b.png"]
    assert not list(out.rglob(".*"))
