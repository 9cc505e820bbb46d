"""A linear layer on features, by hand and as a recipe."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from networks import small_model
from training_squares import CONFIG, chosen, labelled

from mushroom.checkpoint import load_checkpoint
from mushroom.training.data import TrainingPhotos
from mushroom.training.probe import UNLEARNED, fit_head, fit_linear, train_probe
from mushroom.training.recipes import LINEAR_PROBE
from mushroom.training.trainer import TrainingOptions

CORNERS = {"red": 0, "brown": 1, "blue": 2, "unnamed": 2}


def clouds(names: list[str], spread: float = 0.3) -> np.ndarray:
    """Features that scatter around a corner for each name; unnamed photos lie where blue ones do."""
    random = np.random.default_rng(0)
    return 2 * np.eye(4)[[CORNERS[name] for name in names]] + spread * random.normal(size=(len(names), 4))


def test_a_linear_layer_separates_what_can_be_separated_and_knows_what_it_did_not_learn() -> None:
    names = ["red"] * 40 + ["brown"] * 40
    labels = np.array([CORNERS[name] for name in names])
    weight, bias = fit_linear(clouds(names), labels, np.ones(80), 4)
    logits = clouds(names) @ weight.T + bias
    assert (logits.argmax(1) == labels).all()
    assert (logits[:, 2:] == UNLEARNED).all()


def test_photos_of_any_other_teach_the_other_that_they_resemble() -> None:
    names = ["red"] * 30 + ["brown"] * 30 + ["blue"] * 10 + ["unnamed"] * 30
    photos = labelled(names)
    weight, bias = fit_head(clouds(names), photos, replace(LINEAR_PROBE, background=0.4), 4)
    logits = clouds(names) @ weight.T + bias
    assert (logits[60:].argmax(1) == 2).all()
    assert (logits[:60].argmax(1) < 2).all()
    # Without any other genus that has a name, all of them are the one other.
    weight, bias = fit_head(clouds(names[:60] + names[70:]), labelled(names[:60] + names[70:]), LINEAR_PROBE, 3)
    assert ((clouds(names[70:]) @ weight.T + bias).argmax(1) == 2).all()


def test_a_rare_genus_is_answered_more_often_when_logits_are_adjusted() -> None:
    names = ["red"] * 300 + ["brown"] * 12
    values = clouds(names, 1.5)
    recipe = replace(LINEAR_PROBE, balance=0.0, logit_adjustment=0.0)
    plain, adjusted = (
        fit_head(values, labelled(names), replace(recipe, logit_adjustment=strength), 2) for strength in (0.0, 1.0)
    )
    answered = [((values @ weight.T + bias).argmax(1) == 1).sum() for weight, bias in (plain, adjusted)]
    assert answered[1] > answered[0]


def test_the_recipe_leaves_a_checkpoint_like_any_other(
    squares: TrainingPhotos, known_squares: TrainingPhotos, tmp_path: Path
) -> None:
    model = small_model(CONFIG)
    before = {key: value.clone() for key, value in model.backbone.state_dict().items()}
    recipe = replace(LINEAR_PROBE, input_px=64)
    rows = train_probe(model, CONFIG, recipe, squares, known_squares, TrainingOptions(tmp_path))
    assert [row["phase"] for row in rows] == ["linear-probe"]
    assert rows[0]["validation_accuracy"] > 0.9
    loaded, found = load_checkpoint(tmp_path)
    assert found == CONFIG
    after = loaded.backbone.state_dict()
    # Stored in 16 bits.
    assert all(torch.equal(value.half().float(), after[k]) for k, value in before.items() if value.is_floating_point())
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 2


def test_two_genera_without_others_are_enough(known_squares: TrainingPhotos, tmp_path: Path) -> None:
    config = replace(CONFIG, other_genera=())
    some = chosen(known_squares, np.arange(24))
    train_probe(small_model(config), config, LINEAR_PROBE, some, some, TrainingOptions(tmp_path))
    model, _ = load_checkpoint(tmp_path)
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 2)
