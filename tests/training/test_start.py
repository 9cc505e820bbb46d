"""What a run starts from, and sizes that a network takes or not."""

from dataclasses import fields, replace
from itertools import chain, product
from pathlib import Path

import pytest
import torch
from networks import SMALL, small_model, untrained_checkpoint

from mushroom.checkpoint import weights_hash, write_safetensors
from mushroom.errors import TrainingError
from mushroom.training.recipes import (
    DEFAULT,
    LIMITS,
    LINEAR_PROBE,
    NOTEBOOK,
    RECIPES,
    Phase,
    Recipe,
    with_epochs,
    with_setting,
)
from mushroom.training.start import (
    DEFAULT_BACKBONE,
    PRETRAINED,
    RANDOM,
    backbone_of,
    check_sizes,
    new_network,
    provenance_of,
)

CONFIG = replace(SMALL, genera=("a", "b"))


def test_a_run_starts_from_the_backbone_of_a_checkpoint_and_says_so(tmp_path: Path) -> None:
    checkpoint = untrained_checkpoint(tmp_path / "before", CONFIG, seed=7)
    assert backbone_of(None, str(checkpoint)) == CONFIG.backbone
    config = replace(CONFIG, genera=("x", "y", "z"))
    found = new_network(config, str(checkpoint), seed=0)
    expected = small_model(CONFIG, seed=7).backbone.state_dict()
    assert all(torch.equal(expected[key], value) for key, value in found.backbone.state_dict().items())
    assert found.head[-1].out_features == 3
    provenance = provenance_of(str(checkpoint))
    assert provenance.start == "checkpoint"
    assert [(a.how, a.name, a.weights_sha256) for a in provenance.ancestors] == [
        ("start", "small", weights_hash(checkpoint))
    ]
    with pytest.raises(TrainingError, match="has the backbone mobilenetv3_small_050, not resnet18"):
        new_network(replace(config, backbone="resnet18"), str(checkpoint), seed=0)


def test_a_run_starts_from_a_file_or_from_random_numbers(tmp_path: Path) -> None:
    backbone = small_model(CONFIG, seed=7).backbone
    write_safetensors(tmp_path / "weights.safetensors", backbone.state_dict())
    found = new_network(CONFIG, str(tmp_path / "weights.safetensors"), seed=0)
    assert torch.equal(found.backbone.state_dict()["conv_stem.weight"], backbone.state_dict()["conv_stem.weight"])
    assert provenance_of(str(tmp_path / "weights.safetensors")).notes == (
        "The backbone's pretrained tensors were read from `weights.safetensors`.",
    )
    one, same, other = (new_network(CONFIG, RANDOM, seed) for seed in (0, 0, 1))
    key = "conv_stem.weight"
    assert torch.equal(one.backbone.state_dict()[key], same.backbone.state_dict()[key])
    assert not torch.equal(one.backbone.state_dict()[key], other.backbone.state_dict()[key])
    assert (provenance_of(RANDOM).start, provenance_of(PRETRAINED).start) == ("random", "pretrained")
    assert backbone_of(None, RANDOM) == DEFAULT_BACKBONE


@pytest.mark.parametrize(
    ("backbone", "input_px", "train_px", "sentence"),
    [
        ("inception_v3", 64, 299, "takes no photos of 64 px: try --set input_px=96"),
        ("mixer_s32_224", 224, 192, "takes no photos of 192 px: try --set train_px=224"),
        ("eva02_tiny_patch14_224", 150, 154, "takes no photos of 150 px: try --set input_px=154"),
    ],
)
def test_a_size_that_does_not_fit_is_told_before_training_with_one_that_does(
    backbone: str, input_px: int, train_px: int, sentence: str
) -> None:
    config = replace(CONFIG, backbone=backbone, input_px=input_px)
    recipe = replace(DEFAULT, input_px=input_px, train_px=train_px)
    with pytest.raises(TrainingError, match=sentence):
        check_sizes(new_network(config, RANDOM, 0), config, recipe)


def test_a_probe_is_asked_for_no_size_of_training_because_it_has_none() -> None:
    config = replace(CONFIG, backbone="eva02_tiny_patch14_224", input_px=154)
    network = new_network(config, RANDOM, 0)
    check_sizes(network, config, replace(LINEAR_PROBE, input_px=154))
    with pytest.raises(TrainingError, match="photos of 256 px: try --set input_px=252"):
        check_sizes(network, replace(config, input_px=256), LINEAR_PROBE)


@pytest.mark.parametrize("backbone", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "hrnet_w18_small"])
def test_transformers_take_the_sizes_of_the_default_recipe(backbone: str) -> None:
    config = replace(CONFIG, backbone=backbone, input_px=DEFAULT.input_px)
    check_sizes(new_network(config, RANDOM, 0), config, DEFAULT)


def test_settings_change_the_recipe_or_its_phases_that_train_the_backbone() -> None:
    assert with_setting(DEFAULT, "balance=0.25").balance == 0.25
    changed = with_setting(DEFAULT, "layer_decay=0.5")
    assert [phase.layer_decay for phase in changed.phases] == [1.0, 0.5]
    assert isinstance(with_setting(DEFAULT, "train_px=160").train_px, int)
    assert [phase.epochs for phase in with_epochs(NOTEBOOK, [3, 4]).phases] == [3, 4]
    with pytest.raises(TrainingError, match="takes 0 numbers"):
        with_epochs(LINEAR_PROBE, [1])
    for wrong in ("balance", "balance=much", "balance=nan", "name=1", "frozen=1", "half=1"):
        with pytest.raises(TrainingError, match="--set takes name=number"):
            with_setting(DEFAULT, wrong)
    for impossible in ("batch=0", "input_px=-224", "background=1", "ema=1", "learning_rate=-1"):
        with pytest.raises(TrainingError, match=f"{impossible.split('=')[0]} to train with: it goes from"):
            with_setting(DEFAULT, impossible)
    with pytest.raises(TrainingError, match="-1 is no epochs"):
        with_epochs(NOTEBOOK, [3, -1])


def test_every_number_of_a_recipe_has_limits_and_every_recipe_is_within_them() -> None:
    for kind, owners in ((Recipe, RECIPES.values()), (Phase, chain(*(each.phases for each in RECIPES.values())))):
        numbers = {field.name for field in fields(kind) if field.type in (int, float)}
        assert numbers <= set(LIMITS)
        for owner, name in product(owners, numbers - {"views"}):
            assert LIMITS[name][0] <= getattr(owner, name) <= LIMITS[name][1]
