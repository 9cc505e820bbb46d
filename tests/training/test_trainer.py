"""Training on small synthetic photos: phases, feature cache, resuming, early stop, accidents."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from networks import small_model
from training_squares import CONFIG

from mushroom.checkpoint import load_checkpoint
from mushroom.errors import DatasetError, TrainingError
from mushroom.model import GenusNet
from mushroom.training import trainer
from mushroom.training.data import TrainingPhotos
from mushroom.training.recipes import NOTEBOOK, Phase, Recipe, with_epochs
from mushroom.training.trainer import Trainer, TrainingOptions, stages

HEAD = Phase("head", epochs=2, frozen=True, learning_rate=5e-3, weight_decay=0.0)
TUNE = Phase("fine-tuning", epochs=2, frozen=False, learning_rate=1e-3, weight_decay=0.01, layer_decay=0.8)
SMALL = Recipe(
    name="small",
    input_px=64,
    train_px=64,
    augmentation="strong",
    batch=8,
    views=2,
    phases=(HEAD, replace(TUNE, ema=0.9, label_smoothing=0.1)),
    balance=0.5,
    background=0.3,
    logit_adjustment=1.0,
)


HEAD_ONLY = replace(SMALL, phases=(HEAD,))

Train = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="session")
def train(squares: TrainingPhotos, known_squares: TrainingPhotos) -> Train:
    """Trains a small network, or ``model``, and returns its history; validated on the squares that are known."""

    def run(
        recipe: Recipe, out: Path, photos: TrainingPhotos = squares, model: GenusNet | None = None, **options: Any
    ) -> list[dict[str, Any]]:
        model = small_model(CONFIG) if model is None else model
        return Trainer(model, CONFIG, recipe, photos, known_squares, TrainingOptions(out, **options)).run()

    return run


def stopping_after(last: int) -> Callable[[GenusNet, int], None]:
    def stop(_: GenusNet, epoch: int) -> None:
        if epoch == last:
            raise KeyboardInterrupt

    return stop


def history_of(folder: Path) -> list[dict[str, str]]:
    """history.csv without the column that may differ between equal runs."""
    with (folder / "history.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def values_of(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


@pytest.fixture(scope="module")
def finished(train: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "small"
    train(SMALL, out)
    return out


def test_history_has_a_row_an_epoch_and_the_checkpoint_answers_its_genera_and_the_other_ones(finished: Path) -> None:
    rows = history_of(finished)
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert [row["phase"] for row in rows] == ["head", "head", "fine-tuning", "fine-tuning"]
    assert all(float(row["train_loss"]) > 0 for row in rows)
    model, config = load_checkpoint(finished)
    assert (config.genera, config.other_genera) == (("red", "brown"), ("blue",))
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 3)


@pytest.mark.parametrize("stops_after", [1, 2, 3])
def test_an_interrupted_run_goes_on_as_if_nothing_had_happened_with_more_readers_too(
    finished: Path, train: Train, tmp_path: Path, stops_after: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(SMALL, tmp_path, after_epoch=stopping_after(stops_after), workers=3)
    train(SMALL, tmp_path, resume=True)
    assert history_of(tmp_path) == history_of(finished)
    assert (tmp_path / "model.safetensors").read_bytes() == (finished / "model.safetensors").read_bytes()


def test_a_frozen_phase_after_fine_tuning_is_resumed_with_the_tuned_backbone(
    train: Train, known_squares: TrainingPhotos, tmp_path: Path
) -> None:
    recipe = replace(SMALL, half=True, phases=(replace(TUNE, epochs=1), HEAD))
    train(recipe, tmp_path / "whole", known_squares)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "parts", known_squares, after_epoch=stopping_after(2))
    train(recipe, tmp_path / "parts", known_squares, resume=True)
    assert history_of(tmp_path / "parts") == history_of(tmp_path / "whole")


def test_a_run_is_not_overwritten_nor_resumed_as_another(finished: Path, train: Train) -> None:
    with pytest.raises(TrainingError, match="already holds a training run"):
        train(SMALL, finished)
    with pytest.raises(TrainingError, match="can't be resumed"):
        train(SMALL, finished, resume=True, seed=1)


def test_a_damaged_state_is_told(train: Train, tmp_path: Path) -> None:
    train(HEAD_ONLY, tmp_path)
    state = tmp_path / "training" / "state.json"
    state.write_text(state.read_text().replace('"epoch": 2, "best"', '"epoch": 1, "best"'))
    with pytest.raises(TrainingError, match="can't be resumed"):
        train(HEAD_ONLY, tmp_path, resume=True)


def test_a_photo_that_is_gone_is_named(train: Train, squares: TrainingPhotos, tmp_path: Path) -> None:
    gone = replace(squares, paths=[*squares.paths[:-1], tmp_path / "gone.png"])
    with pytest.raises(DatasetError, match=r"gone\.png can't be read any more: There is no such file. Run prepare"):
        train(SMALL, tmp_path / "out", gone, workers=2)


def test_a_frozen_phase_leaves_the_backbone_as_it_was_and_passes_it_once_per_view(
    train: Train, known_squares: TrainingPhotos, tmp_path: Path
) -> None:
    model = small_model(CONFIG)
    before = values_of(model.backbone)
    seen: list[int] = []
    model.backbone.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
    train(replace(SMALL, phases=(replace(HEAD, epochs=6),)), tmp_path, known_squares, model)
    assert sum(seen) == len(known_squares) * (SMALL.views + 1)
    assert all(torch.equal(before[key], value) for key, value in model.backbone.state_dict().items())


def test_fine_tuning_changes_the_backbone_and_its_mean_is_what_is_kept(train: Train, tmp_path: Path) -> None:
    model = small_model(CONFIG)
    before = values_of(model.backbone)
    train(replace(SMALL, phases=(replace(TUNE, epochs=1, ema=0.9),)), tmp_path, model=model)
    kept, _ = load_checkpoint(tmp_path)
    name = "conv_stem.weight"
    trained, averaged = (network.backbone.state_dict()[name] for network in (model, kept))
    assert not torch.equal(before[name], trained)
    assert (averaged - before[name]).norm() < (trained - before[name]).norm()


def test_a_loss_that_is_no_number_ends_with_a_sentence_and_keeps_the_checkpoint(train: Train, tmp_path: Path) -> None:
    def poison(model: GenusNet, epoch: int) -> None:
        torch.nn.init.constant_(model.head[1].weight, float("nan"))

    with pytest.raises(TrainingError, match="not a number any more in epoch 2"):
        train(HEAD_ONLY, tmp_path, after_epoch=poison)
    load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "error", [torch.cuda.OutOfMemoryError("CUDA out of memory"), RuntimeError("not enough memory")]
)
def test_exhausted_memory_ends_with_a_sentence(
    error: Exception, train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "cached_features", Mock(side_effect=error))
    with pytest.raises(TrainingError, match="--set batch=4"):
        train(HEAD_ONLY, tmp_path)


def test_training_stops_early_when_validation_no_longer_improves(train: Train, tmp_path: Path) -> None:
    still = replace(HEAD, epochs=30, learning_rate=0.0, patience=3)
    assert len(train(replace(SMALL, phases=(still,)), tmp_path)) == 4


def test_a_continuing_phase_shares_one_cosine(train: Train, known_squares: TrainingPhotos, tmp_path: Path) -> None:
    second = replace(HEAD, name="weighted", continues=True, class_weighted=True, label_smoothing=0.1)
    rows = train(replace(SMALL, phases=(HEAD, second)), tmp_path, known_squares)
    rates = [row["learning_rate"] for row in rows]
    assert rates == sorted(rates, reverse=True)
    assert [row["phase"] for row in rows] == ["head", "head", "weighted", "weighted"]
    found = stages(replace(SMALL, phases=(HEAD, second, TUNE)))
    assert [(stage.begins, stage.ends) for stage in found] == [(0, 4), (4, 6)]


@pytest.mark.parametrize("recipe", [with_epochs(NOTEBOOK, [1, 1]), with_epochs(SMALL, [1, 1])], ids=lambda r: r.name)
def test_a_transformer_is_trained_by_the_same_recipes(
    recipe: Recipe, known_squares: TrainingPhotos, tmp_path: Path
) -> None:
    config = replace(CONFIG, backbone="test_vit", other_genera=())
    recipe = replace(recipe, train_px=64, views=1)
    model = small_model(config)
    before = model.backbone.state_dict()["blocks.0.attn.qkv.weight"].clone()
    rows = Trainer(model, config, recipe, known_squares, known_squares, TrainingOptions(tmp_path)).run()
    assert len(rows) == 2
    learned = not torch.equal(before, model.backbone.state_dict()["blocks.0.attn.qkv.weight"])
    assert learned == (recipe.name == "small")
    load_checkpoint(tmp_path)
