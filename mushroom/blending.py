"""A fine-tuned network that keeps part of what its backbone came with.

Fine-tuning makes a network better on photos like those it learned from, and can make it worse on photos from
elsewhere. Between a backbone's weights before and after lie networks that are good at both (Wortsman et al. 2022,
"Robust fine-tuning of zero-shot models"). Theirs blend the head as well; a genus head has no weights from before, so
here a linear layer is fitted anew to what the blended backbone makes of the photos.
"""

import torch
from torch import nn

from mushroom.model import GenusNet, ModelConfig, build_model
from mushroom.probe import linear_layer
from mushroom.recipes import Recipe
from mushroom.training import TrainingPhotos, plain_logits


def blend(
    start: nn.Module, tuned: GenusNet, config: ModelConfig, photos: TrainingPhotos, recipe: Recipe, workers: int
) -> GenusNet:
    """The network of ``config`` whose backbone is ``recipe.tuned_share`` of ``tuned``'s and else ``start``.

    ``start`` is the backbone that ``tuned`` was fine-tuned from; ``photos`` are what the head is fitted to. The head
    is one linear layer, so ``config.head_widths`` must be empty. In eval mode, without gradients.
    """
    network = build_model(config)
    before, after = start.state_dict(), tuned.backbone.state_dict()
    network.backbone.load_state_dict({key: _between(before[key], after[key], recipe.tuned_share) for key in before})
    layer = linear_layer(plain_logits(network.backbone, photos, config, workers).numpy(), photos.labels, recipe)
    network.head[-1].load_state_dict(
        {"weight": torch.tensor(layer.weight).float(), "bias": torch.tensor(layer.bias).float()}
    )
    return network.eval().requires_grad_(False)


def _between(before: torch.Tensor, after: torch.Tensor, share: float) -> torch.Tensor:
    return torch.lerp(before, after, share) if before.is_floating_point() else after
