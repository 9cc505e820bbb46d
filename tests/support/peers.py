"""Networks, photos and layers that our heatmaps are compared with those of pytorch-grad-cam and torch-cam on.

Both peers stretch what they found (by minimum and maximum, with a small constant), and one of them enlarges
it: that comes after the part that matters here. So their raw evidence at feature-map size goes through our
``normalise``. Everything runs in float64, where the order of a sum makes no difference that could be seen.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from mushroom.explain.gradcam import heatmaps
from mushroom.explain.layers import find_layers
from mushroom.explain.methods import normalise
from mushroom.model import GenusNet, build_head, create_backbone, feature_count, notebook_head_widths

grad_cam_package = pytest.importorskip("pytorch_grad_cam", reason="grad-cam is installed for tests only")
model_targets = pytest.importorskip("pytorch_grad_cam.utils.model_targets")
torch_cam = pytest.importorskip("torchcam.methods", reason="torchcam is installed for tests only")

MIDDLE_BLOCKS = {
    "resnet26": "layer3.1",
    "convnext_atto": "stages.2.blocks.4",
    "tf_efficientnet_lite0": "blocks.3.1",
}
"""Convolutional networks, and of each a block that is no stage's end."""

SIZE_PX = (64, 96)
"""Height and width."""

TARGETS, AGAINST = [1, 4], [5, 3]
"""The networks find positive evidence for these at nearly every layer."""

CLASS_TARGETS = tuple(map(model_targets.ClassifierOutputTarget, TARGETS))
"""TARGETS as pytorch-grad-cam takes them."""

Evidence = Mapping[str, Tensor]
"""By layer, (B, h, w)."""


@cache
def genus_net(name: str) -> GenusNet:
    torch.manual_seed(0)
    backbone = create_backbone(name)
    # New networks leave their blocks' own part out (zero or tiny factors): here it must matter.
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
        if isinstance(getattr(module, "gamma", None), nn.Parameter):
            nn.init.uniform_(module.gamma, 0.1, 1)
    features = feature_count(backbone)
    return GenusNet(backbone, build_head(features, notebook_head_widths(features), (0.3, 0.2), 9)).double().eval()


@cache
def photos(size_px: tuple[int, int] = SIZE_PX) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    coarse = torch.randn(2, 3, size_px[0] // 8, size_px[1] // 8, generator=generator, dtype=torch.float64)
    return functional.interpolate(coarse, size_px, mode="bicubic")


@cache
def layer_names(name: str) -> tuple[str, ...]:
    """Stage ends and one block in the middle, early to late: the order in which the peers must be asked."""
    layers = find_layers(genus_net(name), 224)
    return tuple(layer.name for layer in layers if layer.stage_end or layer.name == MIDDLE_BLOCKS.get(name))


def modules(name: str) -> list[nn.Module]:
    """The modules of ``layer_names``."""
    return [genus_net(name).backbone.get_submodule(layer) for layer in layer_names(name)]


@cache
def our_maps(name: str, method: str, size_px: tuple[int, int] = SIZE_PX) -> dict[str, Tensor]:
    """Our heatmaps at ``layer_names``."""
    against = AGAINST if method == "contrastive" else None
    return heatmaps(genus_net(name), photos(size_px), layer_names(name), TARGETS, method, against).maps


def from_grad_cam(
    peer: type,
    name: str,
    targets: Sequence[Callable[..., Tensor]] = CLASS_TARGETS,
    size_px: tuple[int, int] = SIZE_PX,
    features: float = 1,
    gradients: float = 1,
    **options: Any,
) -> Evidence:
    """pytorch-grad-cam's raw evidence, after feature maps and gradients were multiplied by the factors given."""
    with peer(genus_net(name), modules(name), **options) as cam:
        cam(photos(size_px), list(targets))
        kept = cam.activations_and_grads
        stored = zip(cam.target_layers, kept.activations, kept.gradients, strict=True)
        evidence = [
            cam.get_cam_image(
                photos(size_px), module, targets, values.numpy() * features, slopes.numpy() * gradients, False
            )
            for module, values, slopes in stored
        ]
    return dict(zip(layer_names(name), map(torch.from_numpy, evidence), strict=True))


def from_torch_cam(
    peer: type,
    name: str,
    *references: list[list[int]],
    size_px: tuple[int, int] = SIZE_PX,
    options: Mapping[str, Any] = {},
    **asked: float,
) -> Evidence:
    """torch-cam's raw evidence; ``options`` are the extractor's, the others are asked of it."""
    with peer(genus_net(name), modules(name), **options) as cam:
        scores = genus_net(name)(photos(size_px))
        return dict(zip(layer_names(name), cam(TARGETS, scores, *references, normalized=False, **asked), strict=True))


def assert_same_heatmaps(ours: Mapping[str, Tensor], theirs: Evidence) -> None:
    """To within 1e-4; at most one of the layers has no evidence: two maps of zeros are no comparison."""
    assert list(ours) == list(theirs)
    empty = []
    for name, evidence in theirs.items():
        expected, has_evidence = normalise(evidence)
        assert (ours[name] - expected).abs().max() <= 1e-4, name
        empty += [] if has_evidence.any() else [name]
    assert len(empty) <= 1, empty
