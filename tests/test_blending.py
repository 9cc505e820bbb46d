"""A blended network: between two backbones, with a head fitted to what comes out."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import train as train_command
from mushroom.blending import blend
from mushroom.classifier import Classifier
from mushroom.genera import GENERA
from mushroom.model import GenusNet, ModelConfig, build_model
from mushroom.recipes import BLENDED
from mushroom.training import BACKGROUND, TrainingPhotos, plain_logits

CONFIG = ModelConfig(name="small", backbone="mobilenetv3_small_050", input_px=64)
COLOURS = {1: (200, 40, 40), 2: (120, 90, 30), BACKGROUND: (40, 60, 200)}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> TrainingPhotos:
    """Eight coloured squares of each of two genera and of background."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    paths, labels = [], []
    for label, colour in COLOURS.items():
        for index in range(8):
            noise = random.integers(-30, 30, (70, 80, 3))
            paths.append(folder / f"{label}-{index}.png")
            Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)).save(paths[-1])
            labels.append(label)
    return TrainingPhotos(paths, np.array(labels))


def network(seed: int) -> GenusNet:
    torch.manual_seed(seed)
    return build_model(CONFIG).eval()


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_every_tensor_of_the_backbone_lies_between_the_two_it_came_from(photos: TrainingPhotos, share: float) -> None:
    start, tuned = network(0), network(1)
    found = blend(start.backbone, [tuned], CONFIG, photos, replace(BLENDED, tuned_share=share), workers=0)
    before, after = start.backbone.state_dict(), tuned.backbone.state_dict()
    for key, value in found.backbone.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, (1 - share) * before[key] + share * after[key])
    assert not found.training
    assert not any(parameter.requires_grad for parameter in found.parameters())


def test_several_tuned_networks_count_as_their_mean(photos: TrainingPhotos) -> None:
    tuned = [network(1), network(2)]
    found = blend(network(0).backbone, tuned, CONFIG, photos, replace(BLENDED, tuned_share=1.0), workers=0)
    one, other = (each.backbone.state_dict() for each in tuned)
    for key, value in found.backbone.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, (one[key] + other[key]) / 2)


def test_the_new_head_names_what_it_was_fitted_to_and_turns_background_away(photos: TrainingPhotos) -> None:
    recipe = replace(BLENDED, background=0.3)
    found = blend(network(0).backbone, [network(1)], CONFIG, photos, recipe, workers=0)
    logits = plain_logits(found, photos, CONFIG, workers=0)
    known = photos.labels < BACKGROUND
    assert logits.shape == (len(photos), len(GENERA))
    assert (logits.argmax(1).numpy() == photos.labels)[known].mean() > 0.9
    highest = logits.max(1).values.numpy()
    assert highest[known].min() > highest[~known].max()


def painted(folder: Path) -> Path:
    """A prepared folder of twelve squares of each of two genera."""
    random = np.random.default_rng(0)
    for genus, colour in (("Amanita", COLOURS[1]), ("Boletus", COLOURS[2])):
        (folder / "photos" / genus).mkdir(parents=True)
        for index in range(12):
            coarse = np.clip(np.array(colour) + random.integers(-60, 60, (7, 8, 3)), 0, 255).astype(np.uint8)
            picture = Image.fromarray(coarse).resize((160, 140), Image.Resampling.BICUBIC)
            picture.save(folder / "photos" / genus / f"{index}.png")
    assert train_command.main(["prepare", str(folder / "photos"), "--out", str(folder / "prepared")]) == 0
    return folder / "prepared"


def test_the_command_blends_a_checkpoint_and_says_what_it_came_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared, tuned, out = painted(tmp_path), tmp_path / "tuned", tmp_path / "blended"
    small = [str(prepared), "--backbone", "mobilenetv3_small_050", "--random-backbone", "--workers", "0"]
    assert train_command.main(["train", *small, "--out", str(tuned), "--epochs", "1", "1"]) == 0
    blending = ["train", *small, "--out", str(out), "--recipe", "blended"]
    assert train_command.main([*blending, "--tuned", str(tuned), "--set", "tuned_share=0.75"]) == 0
    recipe = json.loads((out / "config.json").read_text())["recipe"]
    assert recipe["tuned"] == [{"name": "tuned", "weights_sha256": Classifier.load(tuned).weights_sha256}]
    assert "75% those of tuned" in (out / "README.md").read_text(encoding="utf-8")
    capsys.readouterr()
    assert train_command.main(blending) == 1
    assert "belong together" in capsys.readouterr().err
    other = [*blending, "--tuned", str(tuned), "--backbone", "mobilenetv3_small_075"]
    assert train_command.main(other) == 1
    assert "name its --backbone" in capsys.readouterr().err
