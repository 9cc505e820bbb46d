"""The same answers, heatmaps and reports wherever a network runs: on the processor, and on a GPU where there is one.

``python -m pytest tests/gpu -p no:cacheprovider`` needs torch, timm and what a prediction needs, no page and no peer
of the heatmaps.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import small_model
from painted import PAINTED, paint_photos
from PIL import Image

from mushroom.__main__ import main as mushroom_command
from mushroom.checkpoint import save_checkpoint
from mushroom.classifier import DEVICES, Classifier, choose_device
from mushroom.errors import FAILED
from mushroom.explain.similarity import rank_correlation
from mushroom.model import ModelConfig

PRESENT = [name for name in DEVICES[1:] if name == choose_device("auto").type or name == "cpu"]
NETWORKS = {
    "convolutional": ("mobilenetv3_small_050", 64),
    "class token": ("test_vit", 64),
    "channels last": ("swin_tiny_patch4_window7_224", 64),
    "registers": ("test_vit2", 64),
}
FLOAT32 = 0.005
"""By how much a probability may differ in float32: GPUs round convolutions' factors to 10 bits (TF32)."""

HALF = 0.02
"""By how much a probability may differ where a device computes in half precision."""

ON_EACH_DEVICE = pytest.mark.parametrize("device", PRESENT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder a genus with painted photos in it."""
    root = tmp_path_factory.mktemp("photos")
    for genus, colour in PAINTED.items():
        paint_photos(root / genus, colour, 6)
    return root


@pytest.fixture(scope="module")
def photos(folder: Path) -> list[Image.Image]:
    return [Image.open(file).convert("RGB") for file in sorted(folder.glob("*/*.jpg"))[::3]]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a small network by its kind; it has learned nothing, and answers with some decision."""
    root = tmp_path_factory.mktemp("checkpoints")

    def saved(kind: str) -> Path:
        if not (root / kind).is_dir():
            backbone, input_px = NETWORKS[kind]
            config = ModelConfig(name=kind, backbone=backbone, input_px=input_px, genera=tuple(PAINTED))
            model = small_model(config)
            with torch.no_grad():
                model.head[-1].weight.mul_(3)
            save_checkpoint(root / kind, model, config)
        return root / kind

    return saved


@ON_EACH_DEVICE
@pytest.mark.parametrize("kind", NETWORKS)
def test_an_answer_is_the_same_everywhere(
    checkpoints: Callable[[str], Path], photos: list[Image.Image], kind: str, device: str
) -> None:
    reference = Classifier.load(checkpoints(kind)).predict(photos)
    classifier = Classifier.load(checkpoints(kind), device=device, batch=3)
    assert next(classifier.model.parameters()).device.type == device
    tolerance = HALF if device == "cuda" else FLOAT32
    assert_same_answers(classifier.predict(photos), reference, tolerance)
    with torch.inference_mode():
        logits = classifier.model(classifier.to_images(photos).to(device)).float().cpu().numpy()
    assert_same_answers(classifier.read_logits(logits), reference, FLOAT32)
    assert classifier.features(photos) == pytest.approx(
        Classifier.load(checkpoints(kind)).features(photos), abs=0.05, rel=0.05
    )


@ON_EACH_DEVICE
@pytest.mark.parametrize("kind", NETWORKS)
def test_heatmaps_are_the_same_everywhere(
    checkpoints: Callable[[str], Path], photos: list[Image.Image], kind: str, device: str
) -> None:
    reference = Classifier.load(checkpoints(kind))
    classifier = Classifier.load(checkpoints(kind), device=device)
    genus = classifier.genera[1]
    assert classifier.layers == reference.layers
    # A pass a channel is hundreds: one small network is enough.
    slow = () if kind == "convolutional" else ("scorecam",)
    for method in (method for method in classifier.methods if method not in slow):
        found = classifier.explain_photos(photos[:2], genus, method=method)
        expected = reference.explain_photos(photos[:2], genus, method=method)
        for one, other in zip(found, expected, strict=True):
            for layer in classifier.choose_layers("stages"):
                assert one.has_evidence[layer.name] == other.has_evidence[layer.name]
                mine, theirs = one.heatmaps[layer.name], other.heatmaps[layer.name]
                # An order of rank is not to be had of a handful of places.
                if other.has_evidence[layer.name] and mine.size >= 9:
                    assert rank_correlation(mine, theirs) > 0.97, (method, layer.name)
                assert np.abs(mine - theirs).mean() < 0.03, (method, layer.name)


@ON_EACH_DEVICE
def test_commands_run_on_the_device_they_are_given(
    checkpoints: Callable[[str], Path],
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    device: str,
) -> None:
    checkpoint = str(checkpoints("convolutional"))
    chosen = ["--checkpoint", checkpoint, "--device", device, "--batch", "5"]
    assert mushroom_command(["predict", str(folder), "--json", *chosen]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 6 * len(PAINTED)
    assert mushroom_command(["explain", str(folder), "--out", str(tmp_path / "out"), *chosen]) == 0
    written = [json.loads(file.read_text()) for file in sorted((tmp_path / "out").rglob("explanation.json"))]
    assert [one["photo"] for one in written] == [line["photo"] for line in lines]
    for one, line in zip(written, lines, strict=True):
        assert one["probabilities"] == pytest.approx(line["probabilities"], abs=HALF)
    one_photo = str(next(folder.glob("*/*.jpg")))
    faithful = ["explain", one_photo, "--out", str(tmp_path / "one"), "--faithfulness", *chosen]
    assert mushroom_command(faithful) == 0


@ON_EACH_DEVICE
def test_a_checkpoint_is_evaluated_on_the_device_it_is_given(
    checkpoints: Callable[[str], Path], folder: Path, tmp_path: Path, device: str
) -> None:
    pytest.importorskip("pydantic")
    from mushroom.dataset import load_prepared
    from mushroom.evaluation.evaluate import evaluate, with_faithfulness
    from mushroom.evaluation.predictions import read_predictions
    from mushroom.training.prepare import prepare

    prepare(str(folder), tmp_path / "prepared", progress=False)
    prepared = load_prepared(tmp_path / "prepared")
    logits = []
    for where in ("cpu", device):
        checkpoint = checkpoints("convolutional")
        report = evaluate(checkpoint, prepared, device=where, batch=7)
        with_faithfulness(checkpoint, report, prepared, 2, where)
        logits.append(read_predictions(checkpoint / "predictions.csv").logits)
    assert np.abs(logits[0] - logits[1]).max() < 0.1


@ON_EACH_DEVICE
def test_photos_that_do_not_fit_into_memory_are_a_sentence(
    checkpoints: Callable[[str], Path],
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    device: str,
) -> None:
    def exhausted(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    monkeypatch.setattr("mushroom.model.GenusNet.forward", exhausted)
    chosen = ["--checkpoint", str(checkpoints("convolutional")), "--device", device, "--batch", "6"]
    for command in (["predict", str(folder)], ["explain", str(folder), "--out", str(tmp_path / "out")]):
        assert mushroom_command([*command, *chosen]) == FAILED
        assert "smaller --batch than 6" in capsys.readouterr().err


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_auto_is_the_gpu_where_there_is_one(checkpoints: Callable[[str], Path]) -> None:
    assert Classifier.load(checkpoints("convolutional"), device="auto").device.type == "cuda"


def test_the_checkpoint_at_hand_answers_alike_everywhere(photos: list[Image.Image]) -> None:
    from mushroom.checkpoint import list_checkpoints

    if not list_checkpoints() or PRESENT == ["cpu"]:
        pytest.skip("no checkpoint at hand, or no other device")
    reference = Classifier.load().predict(photos)
    for device in PRESENT:
        assert_same_answers(Classifier.load(device=device).predict(photos), reference, HALF)


def assert_same_answers(found: list, expected: list, tolerance: float) -> None:
    """The same genus, but where two were equally likely, and probabilities that differ by ``tolerance`` at most."""
    for one, other in zip(found, expected, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=tolerance)
        assert one.genus == other.genus or other.confidence - other.probabilities[one.genus] < 2 * tolerance
