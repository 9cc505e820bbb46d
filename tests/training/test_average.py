"""Networks averaged; a blended network: between two backbones, with a head fitted to what comes out."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import train as train_command
from mushroom.classifier import Classifier
from mushroom.genera import GENERA
from mushroom.model import GenusNet, ModelConfig, build_model
from mushroom.training.average import average, blend
from mushroom.training.recipes import BLENDED
from mushroom.training.trainer import BACKGROUND, TrainingPhotos, plain_logits

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


def test_every_tensor_of_an_average_is_the_mean_of_its_networks_heads_included() -> None:
    tuned = [network(1), network(2), network(3)]
    found = average(tuned, CONFIG)
    for key, value in found.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, sum(each.state_dict()[key] for each in tuned) / 3)
    assert not found.training
    assert not any(parameter.requires_grad for parameter in found.parameters())


def test_the_new_head_names_what_it_was_fitted_to_and_turns_background_away(photos: TrainingPhotos) -> None:
    recipe = replace(BLENDED, background=0.3)
    found = blend(network(0).backbone, [network(1)], CONFIG, photos, recipe, workers=0)
    logits = plain_logits(found, photos, CONFIG, workers=0)
    known = photos.labels < BACKGROUND
    assert logits.shape == (len(photos), len(GENERA))
    assert (logits.argmax(1).numpy() == photos.labels)[known].mean() > 0.9
    highest = logits.max(1).values.numpy()
    assert highest[known].min() > highest[~known].max()


SMALL = ["--backbone", "mobilenetv3_small_050", "--random-backbone", "--workers", "0"]


def painted(folder: Path) -> Path:
    """A prepared folder of twelve squares of one genus and twenty-four of another."""
    random = np.random.default_rng(0)
    for genus, colour, count in (("Amanita", COLOURS[1], 12), ("Boletus", COLOURS[2], 24)):
        (folder / "photos" / genus).mkdir(parents=True)
        for index in range(count):
            coarse = np.clip(np.array(colour) + random.integers(-60, 60, (7, 8, 3)), 0, 255).astype(np.uint8)
            picture = Image.fromarray(coarse).resize((160, 140), Image.Resampling.BICUBIC)
            picture.save(folder / "photos" / genus / f"{index}.png")
    assert train_command.main(["prepare", str(folder / "photos"), "--out", str(folder / "prepared")]) == 0
    return folder / "prepared"


def test_the_command_blends_a_checkpoint_and_says_what_it_came_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared, tuned, out = painted(tmp_path), tmp_path / "tuned", tmp_path / "blended"
    small = [str(prepared), *SMALL]
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


def test_the_command_averages_checkpoints_and_moves_the_head_as_the_recipe_has_it(tmp_path: Path) -> None:
    prepared, tuned = painted(tmp_path), [tmp_path / "one", tmp_path / "other"]
    for seed, folder in enumerate(tuned):
        begun = ["train", str(prepared), *SMALL, "--out", str(folder), "--epochs", "1", "0", "--seed", str(seed)]
        assert train_command.main([*begun, "--set", "alike=0"]) == 0
    biases = {}
    for alike in (0, 1):
        out = tmp_path / f"averaged-{alike}"
        averaging = ["train", str(prepared), *SMALL, "--out", str(out), "--recipe", "averaged"]
        assert train_command.main([*averaging, "--tuned", *map(str, tuned), "--set", f"alike={alike}"]) == 0
        biases[alike] = Classifier.load(out).model.head[-1].bias.numpy()
    mean = sum(Classifier.load(folder).model.head[-1].bias.numpy() for folder in tuned) / 2
    np.testing.assert_allclose(biases[0], mean, atol=1e-3)
    moved = biases[1] - biases[0]
    assert moved[GENERA.index("Amanita")] - moved[GENERA.index("Boletus")] == pytest.approx(np.log(2) / 2, abs=0.1)
    card = (tmp_path / "averaged-1" / "README.md").read_text(encoding="utf-8")
    assert "the mean of networks that were fine-tuned on these photos from there: one (weights `" in card
    assert "100% of the way" in card
