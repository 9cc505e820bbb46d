"""What moves a network: the loss, the optimizer's groups, the learning rate's course, and the arithmetic."""

import math
import os
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from timm.optim import param_groups_layer_decay
from torch.nn import functional

from mushroom.model import GenusNet
from mushroom.training.recipes import Phase, Recipe

WARMUP_SHARE = 0.08


def genus_loss(
    logits: torch.Tensor,
    labels: torch.Tensor,
    genera: int,
    smoothing: float = 0.0,
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean cross-entropy of logits (n, classes) and labels (n,), smoothed over all classes.

    The first ``genera`` classes are genera, the rest others. A photo labelled ANY_OTHER asks for any of the others:
    its probability is the sum of theirs. ``weights`` (classes,) only where every photo has a label.
    """
    if weights is not None:
        return functional.cross_entropy(logits, labels, weight=weights, label_smoothing=smoothing)
    log_probabilities = logits.log_softmax(1)
    log_likelihood = log_probabilities.gather(1, labels.clamp(min=0)[:, None])[:, 0]
    if genera < logits.shape[1]:
        log_likelihood = torch.where(labels >= 0, log_likelihood, log_probabilities[:, genera:].logsumexp(1))
    return -((1 - smoothing) * log_likelihood + smoothing * log_probabilities.mean(1)).mean()


def make_optimizer(model: GenusNet, phase: Phase, recipe: Recipe) -> torch.optim.Optimizer:
    """Adam over what the phase trains, each group at its peak learning rate.

    Layers of the backbone learn the slower the further they are from the head (Clark et al. 2020, as timm
    groups them); a backbone that timm can't group learns at one rate.
    """
    rate = phase.learning_rate
    groups: list[dict[str, Any]] = [{"params": list(model.head.parameters()), "lr": rate * phase.head_factor}]
    if not phase.frozen and hasattr(model.backbone, "group_matcher"):
        layered = param_groups_layer_decay(
            model.backbone, weight_decay=phase.weight_decay, layer_decay=phase.layer_decay
        )
        groups += [{"lr": rate * group.pop("lr_scale"), **group} for group in layered]
    elif not phase.frozen:
        groups.append({"params": list(model.backbone.parameters()), "lr": rate * phase.layer_decay})
    kind = torch.optim.AdamW if recipe.adam_decoupled else torch.optim.Adam
    return kind(groups, lr=rate, weight_decay=phase.weight_decay)


def cosine_factor(step: int, total: int) -> float:
    """Share of the peak learning rate at ``step`` of ``total``: a short rise, then half a cosine to zero."""
    rise = max(1, int(total * WARMUP_SHARE))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, total - rise))))


def quickest_precision() -> str | None:
    """``bf16`` on a CPU that computes in it; None elsewhere, and where accelerate's launcher was told a precision.

    On such a processor an epoch takes about half of the time, and its history differs by no more than by another seed:
    tests/bench/training_before.py and docs/training.md.
    """
    if "ACCELERATE_MIXED_PRECISION" in os.environ or torch.accelerator.is_available():
        return None
    return "bf16" if torch.cpu._is_avx512_bf16_supported() else None


def new_accelerator(precision: str | None) -> Accelerator:
    """One that computes in ``precision``, whatever an earlier run in this process computed in."""
    AcceleratorState._reset_state()
    return Accelerator(mixed_precision=precision)


def repeat_exactly() -> None:
    """Choose, on a GPU, algorithms that give the same numbers every time; CPUs do so anyway."""
    # cuBLAS reads this when it starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
