"""Training on small synthetic photos: phases, cache, resuming, early stop, accidents, and the whole road."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mushroom.checkpoint import load_checkpoint
from mushroom.dataset import OTHER_FUNGUS
from mushroom.errors import TrainingError
from mushroom.genera import GENERA
from mushroom.model import GenusNet, ModelConfig, build_model
from mushroom.training import trainer
from mushroom.training.probe import probe_logits
from mushroom.training.recipes import DEFAULT, NOTEBOOK, Phase, Recipe, strong_augmentation
from mushroom.training.trainer import (
    BACKGROUND,
    UNLABELLED,
    TrainingPhotos,
    augmented,
    class_weights,
    cosine_factor,
    draw_weights,
    epoch_length,
    make_optimizer,
    scored_genera,
    taught,
    train,
    with_more,
)

REPOSITORY = Path(__file__).resolve().parent.parent.parent
CONFIG = ModelConfig(name="small", backbone="mobilenetv3_small_050", input_px=64, head_dropouts=(0.1,))
HEAD = Phase("head", epochs=2, frozen=True, learning_rate=5e-3, weight_decay=0.0)
TUNE = Phase("fine-tuning", epochs=2, frozen=False, learning_rate=1e-3, weight_decay=0.01, layer_decay=0.8)
SMALL = Recipe(
    name="small",
    input_px=64,
    train_px=64,
    notebook_head=False,
    augmentation="strong",
    batch=8,
    views=2,
    phases=(HEAD, replace(TUNE, mix=0.5, ema=0.9, label_smoothing=0.1)),
    balance=0.5,
    background=0.2,
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> TrainingPhotos:
    """Twelve flat coloured squares of each of two genera, and six of background."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    paths, labels = [], []
    for label, colour, count in ((1, (200, 40, 40), 12), (2, (120, 90, 30), 12), (BACKGROUND, (40, 60, 200), 6)):
        for index in range(count):
            noise = random.integers(-30, 30, (70, 80, 3))
            paths.append(folder / f"{label}-{index}.png")
            Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)).save(paths[-1])
            labels.append(label)
    return TrainingPhotos(paths, np.array(labels))


@pytest.fixture(scope="module")
def known(photos: TrainingPhotos) -> TrainingPhotos:
    return TrainingPhotos(photos.paths[:24], photos.labels[:24])


def small_model() -> GenusNet:
    torch.manual_seed(0)
    return build_model(CONFIG)


def history_of(folder: Path) -> list[dict[str, str]]:
    """history.csv without the column that may differ between equal runs."""
    with (folder / "history.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def finished(photos: TrainingPhotos, known: TrainingPhotos, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "small"
    train(small_model(), CONFIG, SMALL, photos, known, out)
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


def test_the_checkpoint_that_training_leaves_can_be_loaded(finished: Path) -> None:
    model, config = load_checkpoint(finished)
    assert config.genera == GENERA
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 9)


def test_the_same_seed_gives_the_same_history(
    finished: Path, photos: TrainingPhotos, known: TrainingPhotos, tmp_path: Path
) -> None:
    train(small_model(), CONFIG, SMALL, photos, known, tmp_path / "again")
    assert history_of(tmp_path / "again") == history_of(finished)


@pytest.mark.parametrize("last", [1, 3])
def test_an_interrupted_run_resumes_to_the_history_it_would_have_had(
    finished: Path, photos: TrainingPhotos, known: TrainingPhotos, tmp_path: Path, last: int
) -> None:
    def interrupt(_: GenusNet, epoch: int) -> None:
        if epoch == last:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(small_model(), CONFIG, SMALL, photos, known, tmp_path, after_epoch=interrupt)
    assert len(history_of(tmp_path)) == last
    train(small_model(), CONFIG, SMALL, photos, known, tmp_path, resume=True)
    assert history_of(tmp_path) == history_of(finished)


def test_a_run_is_not_overwritten_or_resumed_as_another(
    finished: Path, photos: TrainingPhotos, known: TrainingPhotos
) -> None:
    with pytest.raises(TrainingError, match="--resume"):
        train(small_model(), CONFIG, SMALL, photos, known, finished)
    with pytest.raises(TrainingError, match="can't be resumed"):
        train(small_model(), CONFIG, SMALL, photos, known, finished, resume=True, seed=1)


def test_a_frozen_phase_leaves_the_backbone_as_it_was(known: TrainingPhotos, tmp_path: Path) -> None:
    model = small_model()
    before = {key: value.clone() for key, value in model.backbone.state_dict().items()}
    train(model, CONFIG, replace(SMALL, phases=(HEAD,)), known, known, tmp_path)
    assert all(torch.equal(before[key], value) for key, value in model.backbone.state_dict().items())


def test_frozen_photos_pass_the_backbone_once_per_view(
    known: TrainingPhotos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small_model()
    seen = []
    model.backbone.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
    train(model, CONFIG, replace(SMALL, phases=(replace(HEAD, epochs=6),)), known, known, tmp_path)
    assert sum(seen) == len(known) * (SMALL.views + 1)


HELD = replace(SMALL, phases=(HEAD, replace(TUNE, epochs=4, ema=0.9, frozen_stages=2, kept_views=2)))


def test_held_stages_see_each_view_once_and_what_follows_learns(
    photos: TrainingPhotos, known: TrainingPhotos, tmp_path: Path
) -> None:
    model = small_model()
    before = {key: value.clone() for key, value in model.backbone.state_dict().items()}
    kept: trainer.KeptMaps = {}
    train(model, CONFIG, HELD, photos, known, tmp_path, kept=kept)
    assert len(kept) == 2 * len(photos) + len(known)
    last = str(model.backbone.feature_info[1]["module"])  # type: ignore[union-attr, index]
    names = list(before)
    boundary = max(index for index, name in enumerate(names) if name.startswith(f"{last}."))
    after = model.backbone.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in names[: boundary + 1])
    assert any(not torch.equal(before[name], after[name]) for name in names[boundary + 1 :])


def test_kept_maps_spare_the_next_run_every_photo(
    photos: TrainingPhotos, known: TrainingPhotos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: trainer.KeptMaps = {}
    train(small_model(), CONFIG, HELD, photos, known, tmp_path / "first", kept=kept)

    def unread(path: Path) -> Image.Image:
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr(trainer, "read_photo_file", unread)
    train(small_model(), CONFIG, HELD, photos, known, tmp_path / "second", kept=kept)
    assert history_of(tmp_path / "second") == history_of(tmp_path / "first")


def test_a_network_that_looks_past_its_held_stages_is_not_trained_on_their_maps(
    known: TrainingPhotos, tmp_path: Path
) -> None:
    model = small_model()
    model.backbone.register_forward_hook(lambda _module, given, answer: answer + given[0].mean())
    with pytest.raises(TrainingError, match="without kept views"):
        train(model, CONFIG, HELD, known, known, tmp_path)


def test_a_loss_that_is_no_number_ends_with_a_sentence_and_keeps_the_checkpoint(
    known: TrainingPhotos, tmp_path: Path
) -> None:
    def poison(model: GenusNet, epoch: int) -> None:
        torch.nn.init.constant_(model.head[1].weight, float("nan"))

    with pytest.raises(TrainingError, match="not a number any more in epoch 2"):
        train(small_model(), CONFIG, replace(SMALL, phases=(HEAD,)), known, known, tmp_path, after_epoch=poison)
    load_checkpoint(tmp_path)


def test_exhausted_memory_ends_with_a_sentence(
    known: TrainingPhotos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(trainer, "cache_features", exhausted)
    with pytest.raises(TrainingError, match="--batch 4"):
        train(small_model(), CONFIG, replace(SMALL, phases=(HEAD,)), known, known, tmp_path)


def test_training_stops_early_when_validation_no_longer_improves(known: TrainingPhotos, tmp_path: Path) -> None:
    still = replace(HEAD, epochs=30, learning_rate=0.0, patience=3)
    rows = train(small_model(), CONFIG, replace(SMALL, phases=(still,)), known, known, tmp_path)
    assert len(rows) == 4


def test_a_continuing_phase_shares_one_cosine(known: TrainingPhotos, tmp_path: Path) -> None:
    second = replace(HEAD, name="weighted", continues=True, class_weighted=True, label_smoothing=0.1)
    rows = train(small_model(), CONFIG, replace(SMALL, phases=(HEAD, second)), known, known, tmp_path)
    rates = [row["learning_rate"] for row in rows]
    assert rates == sorted(rates, reverse=True)
    assert [row["phase"] for row in rows] == ["head", "head", "weighted", "weighted"]


def test_cosine_rises_then_falls_to_zero() -> None:
    factors = [cosine_factor(step, 100) for step in range(101)]
    peak = factors.index(max(factors))
    assert 0 < peak < 10
    assert factors[:peak] == sorted(factors[:peak])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)
    assert factors[-1] == pytest.approx(0, abs=1e-6)


def test_class_weights_are_inverse_to_counts_and_average_to_one() -> None:
    labels = np.array([0] * 30 + [1] * 10)
    weights = class_weights(labels, 9)
    assert weights[1] / weights[0] == pytest.approx(3.0)
    assert weights[torch.from_numpy(labels)].mean() == pytest.approx(1.0)
    assert weights[2] == 0


def test_rare_genera_are_drawn_more_often_and_the_background_has_its_share() -> None:
    labels = np.array([0] * 100 + [1] * 4 + [BACKGROUND] * 50)
    weights = draw_weights(labels, replace(SMALL, balance=0.5, background=0.2))
    assert weights[100] / weights[0] == pytest.approx(5.0)
    assert weights[104:].sum() / weights.sum() == pytest.approx(0.2)
    assert epoch_length(labels, replace(SMALL, background=0.2)) == 130


def test_a_lone_photo_is_not_drawn_without_end() -> None:
    labels = np.array([0] * 99 + [1])
    alike = draw_weights(labels, replace(SMALL, balance=1, most_draws=0))
    assert alike[99] / alike[0] == pytest.approx(99)
    limited = draw_weights(labels, replace(SMALL, balance=1, most_draws=8))
    assert limited[99] / limited.sum() * 100 == pytest.approx(8)


def test_few_photos_from_elsewhere_weigh_more_and_a_genus_keeps_its_share() -> None:
    labels = np.array([0] * 17 + [1] * 10)
    sources = np.array(["a"] * 16 + ["b"] + ["a"] * 10)
    even = replace(SMALL, balance=0, source_balance=0.5)
    weights = draw_weights(labels, even, sources)
    assert weights[16] / weights[0] == pytest.approx(4.0)
    assert weights[:17].sum() / weights.sum() == pytest.approx(17 / 27)
    assert np.ptp(draw_weights(labels, even)) == 0
    assert np.ptp(draw_weights(labels, replace(even, source_balance=0.0), sources)) == 0


def test_a_head_that_expects_genera_alike_no_longer_favours_the_common_one() -> None:
    network = small_model()
    before = network.head[-1].bias.detach().clone()
    photos = TrainingPhotos([Path("nowhere")] * 100, np.array([0] * 80 + [1] * 20))
    recipe = replace(SMALL, balance=0, background=0, alike=1.0)
    trainer.expect_alike(network, photos, recipe)
    shift = (network.head[-1].bias - before).detach().numpy()
    assert shift[1] - shift[0] == pytest.approx(np.log(4), abs=1e-5)
    assert 0.8 * shift[0] + 0.2 * shift[1] == pytest.approx(0, abs=1e-5)
    trainer.expect_alike(network, photos, replace(recipe, alike=0.0))
    assert (network.head[-1].bias - before).detach().numpy() == pytest.approx(shift, abs=1e-6)


def test_unlabelled_photos_have_their_share_beside_the_background() -> None:
    labels = np.array([0] * 60 + [BACKGROUND] * 50 + [UNLABELLED] * 30)
    recipe = replace(SMALL, background=0.1, unlabelled=0.3)
    weights = draw_weights(labels, recipe)
    assert weights[labels == UNLABELLED].sum() / weights.sum() == pytest.approx(0.3)
    assert weights[labels == BACKGROUND].sum() / weights.sum() == pytest.approx(0.1)
    assert epoch_length(labels, recipe) == 100


def test_photos_from_elsewhere_join_those_at_hand_with_the_names_that_somebody_gave_them() -> None:
    own = TrainingPhotos(
        [Path("a"), Path("b")], np.array([3, BACKGROUND]), None, np.array([7, 9]), np.array(["x", "y"])
    )
    more = [Path("c"), Path("d"), Path("e")]
    joined = with_more(own, more, {Path("d"): "Boletus", Path("e"): OTHER_FUNGUS, Path("elsewhere"): "Russula"})
    assert joined.paths == [*own.paths, *more]
    assert joined.labels.tolist() == [3, BACKGROUND, UNLABELLED, GENERA.index("Boletus"), BACKGROUND]
    assert len({joined.number(index) for index in range(5)}) == 5
    assert joined.sources is not None
    assert len(set(joined.sources)) == 3
    assert with_more(own, [], {}).labels.tolist() == own.labels.tolist()


SURE = torch.tensor([0.0, 3.0] + [-20.0] * 7)
"""The logits of a teacher that answers every photo alike."""


def test_targets_mix_the_teachers_answer_with_the_label_and_are_all_its_own_without_one(photos: TrainingPhotos) -> None:
    chosen = TrainingPhotos([photos.paths[0]] * 3, np.array([2, BACKGROUND, UNLABELLED]))
    targets = taught(chosen, SURE.repeat(3, 1), 0.5).targets
    assert targets is not None
    answer = torch.cat([SURE, torch.zeros(1)]).softmax(0).numpy()
    assert targets[2] == pytest.approx(answer, abs=1e-6)
    assert targets[0] == pytest.approx(0.5 * answer + 0.5 * np.eye(10)[2], abs=1e-6)
    assert targets[1] == pytest.approx(0.5 * answer + 0.5 * np.eye(10)[9], abs=1e-6)


def test_a_student_learns_from_photos_without_labels_what_its_teacher_says(
    photos: TrainingPhotos, known: TrainingPhotos, tmp_path: Path
) -> None:
    unlabelled = TrainingPhotos(photos.paths, np.where(photos.labels < BACKGROUND, photos.labels, UNLABELLED))
    recipe = replace(SMALL, unlabelled=0.5, background=0.0, phases=(replace(TUNE, epochs=6),))
    pupils = taught(unlabelled, SURE.repeat(len(unlabelled), 1), 1.0)
    train(small_model(), CONFIG, recipe, pupils, known, tmp_path)
    rows = history_of(tmp_path)
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    finished, _ = load_checkpoint(tmp_path)
    # Where labels say otherwise for half of them, the teacher alone is believed.
    assert finished(torch.zeros(1, 3, 64, 64)).argmax() == 1


def test_a_run_is_resumed_with_its_teacher_on_another_machine_and_with_no_other(
    known: TrainingPhotos, tmp_path: Path
) -> None:
    recipe = replace(SMALL, phases=(replace(HEAD, epochs=1),))

    def resumed(logits: torch.Tensor, resume: bool = True) -> None:
        pupils = taught(known, logits.repeat(len(known), 1), 0.5)
        train(small_model(), CONFIG, recipe, pupils, known, tmp_path, resume=resume)

    resumed(SURE, resume=False)
    resumed(SURE + 1e-4 * torch.linspace(-1, 1, len(SURE)))
    with pytest.raises(TrainingError, match="teacher"):
        resumed(SURE.roll(1))


def test_what_teachers_say_of_two_photos_is_mixed_as_the_photos_are(
    known: TrainingPhotos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    plain = torch.nn.functional.cross_entropy

    def listening(logits: torch.Tensor, targets: torch.Tensor, **options: object) -> torch.Tensor:
        seen.append(targets)
        return plain(logits, targets, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(trainer.functional, "cross_entropy", listening)
    pupils = replace(known, targets=np.eye(10, dtype=np.float32)[known.labels])
    train(small_model(), CONFIG, replace(SMALL, phases=(replace(TUNE, epochs=1, mix=1.0),)), pupils, known, tmp_path)
    mixed = torch.cat([targets for targets in seen if targets.dim() == 2])
    assert torch.allclose(mixed.sum(dim=1), torch.ones(len(mixed)))
    assert ((mixed > 0.01) & (mixed < 0.99)).any()


class Colours(torch.nn.Module):
    """A backbone whose features are a picture's mean colours; it counts what it sees."""

    seen = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen += len(images)
        return images.mean(dim=(2, 3))


def test_a_linear_layer_names_the_photos_that_nobody_named_and_sees_each_once(known: TrainingPhotos) -> None:
    unnamed = np.arange(len(known)) % 3 == 0
    chosen = replace(known, labels=np.where(unnamed, UNLABELLED, known.labels))
    backbone, seen = Colours(), {}
    logits = probe_logits(backbone, CONFIG, chosen, SMALL, seen, 0)
    assert (logits.argmax(dim=1).numpy() == known.labels).all()
    again = probe_logits(backbone, CONFIG, chosen, SMALL, seen, 0)
    assert torch.equal(again, logits)
    assert backbone.seen == len(known)


def test_held_stages_stay_exactly_as_they_were_while_the_rest_learns(known: TrainingPhotos, tmp_path: Path) -> None:
    model = small_model()
    before = {key: value.clone() for key, value in model.backbone.state_dict().items()}
    train(model, CONFIG, replace(SMALL, phases=(replace(TUNE, epochs=1, frozen_stages=3),)), known, known, tmp_path)
    changed = {key for key, value in model.backbone.state_dict().items() if not torch.equal(before[key], value)}
    last = model.backbone.feature_info[2]["module"]
    order = [name for name, _ in model.backbone.named_modules()]
    end = max(index for index, name in enumerate(order) if name == last or name.startswith(f"{last}."))
    held = {name for name in order[: end + 1] if name}
    owner = {key: key.rpartition(".")[0] for key in before}
    assert not [key for key in changed if owner[key] in held]
    assert [key for key in changed if owner[key] not in held]


def test_a_genus_with_one_validation_photo_does_not_decide() -> None:
    assert scored_genera(np.array([0] * 25 + [1] * 6)) == [0]
    assert scored_genera(np.array([0, 1])) == [0, 1]


def test_early_layers_learn_slower_than_late_ones() -> None:
    model = small_model()
    optimizer = make_optimizer(model, TUNE, SMALL)
    rate = {id(p): g["peak_learning_rate"] for g in optimizer.param_groups for p in g["params"]}
    assert len(rate) == len(list(model.parameters()))
    assert rate[id(model.backbone.conv_stem.weight)] < rate[id(model.backbone.conv_head.weight)]
    assert rate[id(model.head[1].weight)] == TUNE.learning_rate


def test_views_depend_on_their_seed_alone() -> None:
    photo = Image.effect_noise((80, 60), 90).convert("RGB")
    augment = strong_augmentation(32)
    state = torch.get_rng_state()
    first = augmented(photo, augment, 7)
    torch.rand(5)
    assert torch.equal(first, augmented(photo, augment, 7))
    assert not torch.equal(first, augmented(photo, augment, 8))
    torch.set_rng_state(state)


def test_the_notebooks_recipe_is_the_notebooks() -> None:
    first, second = NOTEBOOK.phases
    assert (first.epochs, second.epochs, NOTEBOOK.batch, NOTEBOOK.input_px) == (80, 20, 32, 299)
    assert first.frozen
    assert second.frozen
    assert (first.learning_rate, first.weight_decay) == (1e-3, 1e-5)
    assert second.continues
    assert second.class_weighted
    assert second.label_smoothing == 0.1
    assert NOTEBOOK.notebook_head
    assert DEFAULT.name == "default"
