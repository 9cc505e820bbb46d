"""The loss with photos of any other genus, layer-wise rates, and the cosine."""

import pytest
import timm
import torch
from networks import small_model
from torch.nn import functional

from mushroom.model import GenusNet
from mushroom.training.data import ANY_OTHER
from mushroom.training.optimisation import (
    cosine_factor,
    genus_loss,
    make_optimizer,
    new_accelerator,
    quickest_precision,
)
from mushroom.training.recipes import DEFAULT, NOTEBOOK, RECIPES, Phase


def test_without_others_the_loss_is_the_smoothed_cross_entropy() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(5, 4), torch.tensor([0, 1, 2, 3, 0])
    expected = functional.cross_entropy(logits, labels, label_smoothing=0.1)
    torch.testing.assert_close(genus_loss(logits, labels, 4, 0.1), expected)
    weights = torch.tensor([1.0, 2.0, 0.5, 1.0])
    expected = functional.cross_entropy(logits, labels, weight=weights, label_smoothing=0.1)
    torch.testing.assert_close(genus_loss(logits, labels, 4, 0.1, weights), expected)


def test_a_photo_of_any_other_asks_for_the_others_together() -> None:
    logits = torch.tensor([[1.0, 0.0, 2.0, 3.0]])
    output = logits.softmax(1)[0]
    loss = genus_loss(logits, torch.tensor([ANY_OTHER]), genera=2)
    assert float(loss) == pytest.approx(-float(torch.log(output[2] + output[3])))
    named = genus_loss(logits, torch.tensor([3]), genera=2)
    assert float(named) == pytest.approx(-float(torch.log(output[3])))


@pytest.mark.parametrize(
    ("backbone", "early", "late"),
    [
        ("mobilenetv3_small_050", "conv_stem.weight", "conv_head.weight"),
        ("vit_tiny_patch16_224", "patch_embed.proj.weight", "blocks.11.mlp.fc2.weight"),
        ("swin_tiny_patch4_window7_224", "patch_embed.proj.weight", "layers.3.blocks.1.mlp.fc2.weight"),
    ],
)
def test_early_layers_learn_slower_than_late_ones_and_the_head_fastest(backbone: str, early: str, late: str) -> None:
    network = timm.create_model(backbone, num_classes=0)
    model = GenusNet(network, torch.nn.Sequential(torch.nn.Linear(8, 2)))
    tune = DEFAULT.phases[1]
    optimizer = make_optimizer(model, tune, DEFAULT)
    rate = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert len(rate) == len(list(model.parameters()))
    parameters = dict(network.named_parameters())
    assert rate[id(parameters[early])] < rate[id(parameters[late])] <= tune.learning_rate
    assert rate[id(model.head[0].weight)] == pytest.approx(tune.learning_rate * tune.head_factor)


def test_a_frozen_phase_moves_the_head_alone() -> None:
    model = small_model()
    optimizer = make_optimizer(model, NOTEBOOK.phases[0], NOTEBOOK)
    assert isinstance(optimizer, torch.optim.Adam)
    moved = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert moved == {id(p) for p in model.head.parameters()}


def test_cosine_rises_then_falls_to_zero() -> None:
    factors = [cosine_factor(step, 100) for step in range(101)]
    peak = factors.index(max(factors))
    assert 0 < peak < 10
    assert factors[:peak] == sorted(factors[:peak])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)
    assert factors[-1] == pytest.approx(0, abs=1e-6)


def test_the_notebooks_recipe_is_the_notebooks() -> None:
    assert NOTEBOOK.phases == (
        Phase("cross-entropy", 80, True, 1e-3, 1e-5),
        Phase("weighted", 20, True, 1e-3, 1e-5, continues=True, class_weighted=True, label_smoothing=0.1),
    )
    assert (NOTEBOOK.batch, NOTEBOOK.input_px, NOTEBOOK.notebook_head, NOTEBOOK.background) == (32, 299, True, 0)
    assert set(RECIPES) == {"default", "linear-probe", "notebook"}


@pytest.mark.parametrize(
    ("has_accelerator", "computes", "launched", "expected"),
    [(False, True, None, "bf16"), (False, False, None, None), (True, True, None, None), (False, True, "no", None)],
    ids=["a processor with bfloat16", "one without", "a GPU", "accelerate's launcher was told"],
)
def test_only_a_processor_that_computes_in_bfloat16_learns_in_it(
    has_accelerator: bool,
    computes: bool,
    launched: str | None,
    expected: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION", raising=False)
    if launched:
        monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", launched)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: has_accelerator)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: computes)
    assert quickest_precision() == expected


def test_a_run_computes_as_it_is_asked_to_whatever_ran_before_it() -> None:
    assert [new_accelerator(precision).mixed_precision for precision in ("bf16", "no", "bf16")] == [
        "bf16",
        "no",
        "bf16",
    ]
