"""A checkpoint in other forms: an ONNX file and a folder of timm's, kept only if they answer as the checkpoint does."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from app_server import REPOSITORY
from commands import Run
from networks import SMALL, small_model
from painted import paint_photos
from PIL import Image

from mushroom import onnx_file
from mushroom.checkpoint import save_checkpoint
from mushroom.classifier import Classifier
from mushroom.photos import read_photo_file

pytest.importorskip("onnx", reason="needs the extra export")
GENERA = ("Tricholoma", "Täubling", "Hydnum")


def checkpoint_of(folder: Path, **options: object) -> Path:
    config = replace(SMALL, genera=GENERA, temperature=0.7, **options)  # type: ignore[arg-type]
    model = small_model(config)
    # Answers that differ from photo to photo.
    with torch.no_grad():
        model.head[-1].weight.mul_(30)
    save_checkpoint(folder, model, config)
    return folder


@pytest.fixture(scope="module", params=[(), ("Boletus", "Russula")], ids=["genera", "other genera"])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network with a linear head, with and without other genera that it knows by name."""
    folder = tmp_path_factory.mktemp("checkpoint") / "small"
    return checkpoint_of(folder, head_dropouts=(0.1,), other_genera=request.param, unknown_threshold=0.1)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos") / "painted"
    paint_photos(folder, (200, 40, 40), 3)
    return folder


def test_the_onnx_file_answers_without_this_project_as_the_checkpoint_does(
    run: Run, checkpoint: Path, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "small.onnx"
    ran = run("export", checkpoint, "--out", out, "--photos", photos)
    assert "over 3 photos probabilities differ by at most" in ran.out
    script = [sys.executable, str(REPOSITORY / "docs" / "onnx_answer.py"), str(out), str(photos / "1.jpg")]
    output = json.loads(subprocess.run(script, check=True, capture_output=True, text=True, cwd=tmp_path).stdout)
    expected = Classifier.load(checkpoint).predict([read_photo_file(photos / "1.jpg")])[0]
    assert output["probabilities"] == pytest.approx(expected.probabilities, abs=0.01)
    assert (output["genus"], output["unknown"]) == (expected.genus, expected.unknown)


def test_a_transformer_of_another_grid_is_exported_for_the_photos_that_it_sees(
    run: Run, photos: Path, tmp_path: Path
) -> None:
    checkpoint = checkpoint_of(tmp_path / "vit", backbone="test_vit", head_dropouts=(0.1,))
    before = Classifier.load(checkpoint).predict([read_photo_file(photos / "1.jpg")])
    ran = run("export", checkpoint, "--out", tmp_path / "vit.onnx", "--photos", photos)
    assert "have the same genus" in ran.out
    assert Classifier.load(checkpoint).predict([read_photo_file(photos / "1.jpg")]) == before


def test_its_metadata_says_what_it_answers_and_which_checkpoint_it_is(checkpoint: Path) -> None:
    import onnxruntime

    classifier = Classifier.load(checkpoint)
    session = onnxruntime.InferenceSession(onnx_file.onnx_bytes(classifier))
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["genera"]) == list(GENERA)
    assert metadata["checkpoint_sha256"] == classifier.identity
    photo = np.random.default_rng(0).integers(0, 255, (90, 70, 3)).astype(np.uint8)
    score = session.run(["unknown_score"], {"photo": photo})[0]
    assert score[0] == pytest.approx(classifier.predict([Image.fromarray(photo)])[0].unknown_score, abs=0.02)


def test_less_precise_files_are_smaller_and_answer_alike(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    # Of other colours each: 8 bits take their ranges from half of them.
    for number, colour in enumerate([(200, 40, 40), (40, 160, 60), (230, 220, 200), (90, 60, 30)]):
        paint_photos(tmp_path / "painted" / str(number), colour, 2)
    sizes = {}
    for precision in ("float32", "float16", "int8"):
        words = ("--photos", tmp_path / "painted", "--out", tmp_path / precision, "--precision", precision)
        assert run("export", checkpoint, *words).status == 0
        sizes[precision] = (tmp_path / precision).stat().st_size
    assert max(sizes["float16"], sizes["int8"]) < 0.6 * sizes["float32"]


def test_eight_bits_want_photos_to_take_their_ranges_from(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    paint_photos(tmp_path / "one", (200, 40, 40), 1)
    ran = run("export", checkpoint, "--photos", tmp_path / "one", "--out", tmp_path / "x.onnx", "--precision", "int8")
    assert "two photos or more" in ran.refusal


def test_a_file_with_other_answers_is_not_written(
    run: Run, checkpoint: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_file, "TOLERANCE", {"float32": -1.0})
    ran = run("export", checkpoint, "--out", tmp_path / "small.onnx", "--photos", photos)
    assert "was not written" in ran.refusal
    assert not list(tmp_path.iterdir())


def test_timm_loads_the_folder_and_answers_alike(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "timm"
    assert run("export", checkpoint, "--format", "timm", "--out", out).status == 0
    network = timm.create_model(f"local-dir:{out}", pretrained=True).eval()
    classifier = Classifier.load(checkpoint)
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        np.testing.assert_allclose(network(images).numpy(), classifier.image_logits(images), atol=1e-4)
    assert json.loads((out / "config.json").read_text())["label_names"][:3] == list(GENERA)


def test_a_head_that_timm_has_no_place_for_is_told(run: Run, tmp_path: Path) -> None:
    checkpoint = checkpoint_of(tmp_path / "small", head_widths=(16,), head_dropouts=(0.1,))
    ran = run("export", checkpoint, "--format", "timm", "--out", tmp_path / "timm")
    assert "one linear layer" in ran.refusal


def test_without_the_packages_a_sentence_says_how_to_get_them(
    run: Run, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert "pip install" in run("export", checkpoint, "--out", tmp_path / "small.onnx").refusal
