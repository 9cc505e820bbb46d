"""Fine-tuned networks averaged, with part of what their backbone came with.

Fine-tuning makes a network better on photos like those it learned from, and can make it worse on photos from
elsewhere. Between a backbone's weights before and after lie networks that are good at both (Wortsman et al. 2022,
"Robust fine-tuning of zero-shot models"), and between several that were fine-tuned from the same start lie networks
better than each (Wortsman et al. 2022, "Model soups"): these are averaged whole, heads as well. A genus head has no
weights from before, so where the start is blended in, a linear layer is fitted anew to what the blended backbone makes
of the photos.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from mushroom.model import GenusNet, ModelConfig, build_model
from mushroom.training.probe import linear_layer
from mushroom.training.recipes import Recipe
from mushroom.training.trainer import TrainingPhotos, plain_logits

HEAD_BALANCE = 1.0
"""The new head learns every genus alike: of a source left out it then finds the genera that were mostly its own."""


def average(tuned: Sequence[GenusNet], config: ModelConfig) -> GenusNet:
    """The network of ``config`` whose every tensor is the mean of those of ``tuned``, which are built alike.

    All of ``tuned`` must have been fine-tuned from the same start: between others lie networks worse than any of them.
    In eval mode, without gradients.
    """
    network = build_model(config)
    states = [each.state_dict() for each in tuned]
    network.load_state_dict({key: _mean([state[key] for state in states]) for key in states[0]})
    return network.eval().requires_grad_(False)


def blend(
    start: nn.Module,
    tuned: Sequence[GenusNet],
    config: ModelConfig,
    photos: TrainingPhotos,
    recipe: Recipe,
    workers: int,
) -> GenusNet:
    """The network of ``config`` whose backbone is ``recipe.tuned_share`` of the mean of ``tuned``, else ``start``.

    ``start`` is the backbone that all of ``tuned`` were fine-tuned from; ``photos`` are what the head is fitted to. The
    head is one linear layer, so ``config.head_widths`` must be empty. In eval mode, without gradients.
    """
    network = build_model(config)
    before, after = start.state_dict(), [each.backbone.state_dict() for each in tuned]
    network.backbone.load_state_dict(
        {key: _between(before[key], [each[key] for each in after], recipe.tuned_share) for key in before}
    )
    features = plain_logits(network.backbone, photos, config, workers).numpy()
    layer = linear_layer(features, photos.labels, replace(recipe, balance=HEAD_BALANCE), photos.sources)
    network.head[-1].load_state_dict(
        {"weight": torch.tensor(layer.weight).float(), "bias": torch.tensor(layer.bias).float()}
    )
    return network.eval().requires_grad_(False)


def _between(before: torch.Tensor, after: Sequence[torch.Tensor], share: float) -> torch.Tensor:
    if not before.is_floating_point():
        return before
    return torch.lerp(before, _mean([each.to(before.dtype) for each in after]), share)


def _mean(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    if not tensors[0].is_floating_point():
        return tensors[0]
    return torch.stack(list(tensors)).mean(dim=0)
