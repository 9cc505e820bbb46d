"""Training on small synthetic photos: phases, feature cache, resuming, early stop, accidents."""

import csv
from dataclasses import replace
from pathlib import Path

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


def run(
    recipe: Recipe,
    photos: TrainingPhotos,
    known: TrainingPhotos,
    out: Path,
    model: GenusNet | None = None,
    **options: object,
) -> list[dict[str, object]]:
    model = small_model(CONFIG) if model is None else model
    return Trainer(model, CONFIG, recipe, photos, known, TrainingOptions(out, **options)).run()  # type: ignore[arg-type]


def history_of(folder: Path) -> list[dict[str, str]]:
    """history.csv without the column that may differ between equal runs."""
    with (folder / "history.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def finished(squares: TrainingPhotos, known_squares: TrainingPhotos, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "small"
    run(SMALL, squares, known_squares, out)
    return out


def test_history_has_a_row_an_epoch_with_its_phase(finished: Path) -> None:
    rows = history_of(finished)
    assert [(row["epoch"], row["phase"]) for row in rows] == [
        ("1", "head"),
        ("2", "head"),
        ("3", "fine-tuning"),
        ("4", "fine-tuning"),
    ]
    assert all(float(row["train_loss"]) > 0 for row in rows)


def test_the_checkpoint_answers_its_genera_and_the_other_ones(finished: Path) -> None:
    model, config = load_checkpoint(finished)
    assert (config.genera, config.other_genera) == (("red", "brown"), ("blue",))
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 3)


def test_the_same_seed_gives_the_same_history_and_more_readers_change_nothing(
    finished: Path, squares: TrainingPhotos, known_squares: TrainingPhotos, tmp_path: Path
) -> None:
    run(SMALL, squares, known_squares, tmp_path, workers=3)
    assert history_of(tmp_path) == history_of(finished)


@pytest.mark.parametrize("stops_after", [1, 2, 3])
def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(
    finished: Path, squares: TrainingPhotos, known_squares: TrainingPhotos, tmp_path: Path, stops_after: int
) -> None:
    def interrupt(_: GenusNet, epoch: int) -> None:
        if epoch == stops_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(SMALL, squares, known_squares, tmp_path, after_epoch=interrupt)
    run(SMALL, squares, known_squares, tmp_path, resume=True)
    assert history_of(tmp_path) == history_of(finished)
    assert (tmp_path / "model.safetensors").read_bytes() == (finished / "model.safetensors").read_bytes()


def test_a_frozen_phase_after_fine_tuning_is_resumed_with_the_tuned_backbone(
    known_squares: TrainingPhotos, tmp_path: Path
) -> None:
    recipe = replace(SMALL, half=True, phases=(replace(TUNE, epochs=1), replace(HEAD, epochs=2)))

    def interrupt(_: GenusNet, epoch: int) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    run(recipe, known_squares, known_squares, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(recipe, known_squares, known_squares, tmp_path / "parts", after_epoch=interrupt)
    run(recipe, known_squares, known_squares, tmp_path / "parts", resume=True)
    assert history_of(tmp_path / "parts") == history_of(tmp_path / "whole")


def test_a_run_is_not_overwritten_nor_resumed_as_another(
    finished: Path, squares: TrainingPhotos, known_squares: TrainingPhotos
) -> None:
    with pytest.raises(TrainingError, match="already holds a training run"):
        run(SMALL, squares, known_squares, finished)
    with pytest.raises(TrainingError, match="can't be resumed"):
        run(SMALL, squares, known_squares, finished, resume=True, seed=1)


def test_a_damaged_state_is_told(squares: TrainingPhotos, known_squares: TrainingPhotos, tmp_path: Path) -> None:
    run(replace(SMALL, phases=(HEAD,)), squares, known_squares, tmp_path)
    (tmp_path / "training" / "state.json").write_text(
        (tmp_path / "training" / "state.json").read_text().replace('"epoch": 2, "best"', '"epoch": 1, "best"')
    )
    with pytest.raises(TrainingError, match="can't be resumed"):
        run(replace(SMALL, phases=(HEAD,)), squares, known_squares, tmp_path, resume=True)


def test_a_folder_that_is_a_file_is_told(
    squares: TrainingPhotos, known_squares: TrainingPhotos, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "inside"):
        with pytest.raises(TrainingError, match="is a file"):
            run(SMALL, squares, known_squares, out)


def test_a_photo_that_is_gone_is_named(squares: TrainingPhotos, known_squares: TrainingPhotos, tmp_path: Path) -> None:
    gone = replace(squares, paths=[*squares.paths[:-1], tmp_path / "gone.png"])
    with pytest.raises(DatasetError, match=r"gone\.png can't be read any more: There is no such file. Run prepare"):
        run(SMALL, gone, known_squares, tmp_path / "out", workers=2)


def test_a_frozen_phase_leaves_the_backbone_as_it_was(known_squares: TrainingPhotos, tmp_path: Path) -> None:
    model = small_model(CONFIG)
    before = {key: value.clone() for key, value in model.backbone.state_dict().items()}
    run(replace(SMALL, phases=(HEAD,)), known_squares, known_squares, tmp_path, model)
    assert all(torch.equal(before[key], value) for key, value in model.backbone.state_dict().items())


def test_frozen_photos_pass_the_backbone_once_per_view(known_squares: TrainingPhotos, tmp_path: Path) -> None:
    model = small_model(CONFIG)
    seen: list[int] = []
    model.backbone.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
    run(replace(SMALL, phases=(replace(HEAD, epochs=6),)), known_squares, known_squares, tmp_path, model)
    assert sum(seen) == len(known_squares) * (SMALL.views + 1)


def test_fine_tuning_changes_the_backbone_and_its_mean_is_what_is_kept(
    squares: TrainingPhotos, known_squares: TrainingPhotos, tmp_path: Path
) -> None:
    model = small_model(CONFIG)
    before = {key: value.clone() for key, value in model.backbone.state_dict().items()}
    run(replace(SMALL, phases=(replace(TUNE, epochs=1, ema=0.9),)), squares, known_squares, tmp_path, model)
    kept, _ = load_checkpoint(tmp_path)
    name = "conv_stem.weight"
    trained, averaged = (network.backbone.state_dict()[name] for network in (model, kept))
    assert not torch.equal(before[name], trained)
    assert (averaged - before[name]).norm() < (trained - before[name]).norm()


def test_a_loss_that_is_no_number_ends_with_a_sentence_and_keeps_the_checkpoint(
    known_squares: TrainingPhotos, tmp_path: Path
) -> None:
    def poison(model: GenusNet, epoch: int) -> None:
        torch.nn.init.constant_(model.head[1].weight, float("nan"))

    with pytest.raises(TrainingError, match="not a number any more in epoch 2"):
        run(replace(SMALL, phases=(HEAD,)), known_squares, known_squares, tmp_path, after_epoch=poison)
    load_checkpoint(tmp_path)


def test_exhausted_memory_ends_with_a_sentence(
    known_squares: TrainingPhotos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(trainer, "cached_features", exhausted)
    with pytest.raises(TrainingError, match="--batch 4"):
        run(replace(SMALL, phases=(HEAD,)), known_squares, known_squares, tmp_path)


def test_training_stops_early_when_validation_no_longer_improves(known_squares: TrainingPhotos, tmp_path: Path) -> None:
    still = replace(HEAD, epochs=30, learning_rate=0.0, patience=3)
    assert len(run(replace(SMALL, phases=(still,)), known_squares, known_squares, tmp_path)) == 4


def test_a_continuing_phase_shares_one_cosine(known_squares: TrainingPhotos, tmp_path: Path) -> None:
    second = replace(HEAD, name="weighted", continues=True, class_weighted=True, label_smoothing=0.1)
    rows = run(replace(SMALL, phases=(HEAD, second)), known_squares, known_squares, tmp_path)
    rates = [float(str(row["learning_rate"])) for row in rows]
    assert rates == sorted(rates, reverse=True)
    assert [row["phase"] for row in rows] == ["head", "head", "weighted", "weighted"]
    assert [(stage.begins, stage.ends) for stage in stages(replace(SMALL, phases=(HEAD, second, TUNE)))] == [
        (0, 4),
        (4, 6),
    ]


@pytest.mark.parametrize("recipe", [with_epochs(NOTEBOOK, [1, 1]), with_epochs(SMALL, [1, 1])], ids=lambda r: r.name)
def test_a_transformer_is_trained_by_the_same_recipes(
    recipe: Recipe, known_squares: TrainingPhotos, tmp_path: Path
) -> None:
    config = replace(CONFIG, backbone="vit_tiny_patch16_224", other_genera=())
    recipe = replace(recipe, train_px=64, views=1)
    model = small_model(config)
    before = model.backbone.state_dict()["blocks.0.attn.qkv.weight"].clone()
    rows = Trainer(model, config, recipe, known_squares, known_squares, TrainingOptions(tmp_path)).run()
    assert len(rows) == 2
    learned = not torch.equal(before, model.backbone.state_dict()["blocks.0.attn.qkv.weight"])
    assert learned == (recipe.name == "small")
    load_checkpoint(tmp_path)
