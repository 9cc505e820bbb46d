"""Methods with constants, signs or masks of their own against pytorch-grad-cam and torch-cam: the same heatmaps.

The others are compared in ``test_layout_peers``; what is compared, and how, stands in ``peers``.
"""

from functools import cache

import numpy as np
import pytest
import torch
from peers import (
    CLASS_TARGETS,
    MIDDLE_BLOCKS,
    SIZE_PX,
    TARGETS,
    assert_same_heatmaps,
    from_grad_cam,
    from_torch_cam,
    genus_net,
    grad_cam_package,
    layer_names,
    modules,
    our_maps,
    photos,
    torch_cam,
)
from torch import Tensor
from torch.nn import functional

from mushroom.explain.gradcam import masked_logits
from mushroom.explain.methods import normalise, score_cam

MANY = 1e6
"""A factor that takes a peer's small constant out of play where all else is in proportion."""

NEXT_TO_NOTHING = 1e-30


@pytest.fixture(params=MIDDLE_BLOCKS)
def network(request: pytest.FixtureRequest) -> str:
    return request.param


# --- pytorch-grad-cam ---------------------------------------------------------------------------------------


def test_grad_cam_plus_plus_matches_pytorch_grad_cam(network: str) -> None:
    # It adds 1e-6 to equation 19's denominator 2 g^2 + S g^3. Where gradients g are as small as 1e-3, as they
    # often are, this decides, not the paper. The paper's evidence stays as it is when g grows and the feature
    # map shrinks by one factor; the constant is then small beside the denominator.
    theirs = from_grad_cam(grad_cam_package.GradCAMPlusPlus, network, features=1 / MANY, gradients=MANY)
    assert_same_heatmaps(our_maps(network, "gradcam++"), theirs)


def test_xgrad_cam_matches_pytorch_grad_cam(network: str) -> None:
    # It adds 1e-7 to the channels' sums, so that they be not zero; larger sums leave it without effect.
    theirs = from_grad_cam(grad_cam_package.XGradCAM, network, features=MANY)
    assert_same_heatmaps(our_maps(network, "xgradcam"), theirs)


def test_eigen_cam_matches_pytorch_grad_cam(network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The paper takes the first right singular vector of the feature map as it is; the peer of what is left
    # when each channel's mean is taken off. A feature map beside its own negative has means of zero and the
    # same singular vectors. The sign it leaves to chance; ours is that of the strongest place.
    original = np.linalg.svd
    # It asks for all left singular vectors, which take gigabytes at early layers, and drops them.
    monkeypatch.setattr(np.linalg, "svd", lambda matrix, full_matrices: original(matrix, full_matrices=False))
    theirs: dict[str, Tensor] = {}
    with grad_cam_package.EigenCAM(genus_net(network), modules(network)) as cam:
        for name, values in feature_maps(network).items():
            beside = torch.cat([values, -values], 2).numpy()
            both = cam.get_cam_image(photos(), None, None, beside, None, False)
            evidence = torch.from_numpy(both)[:, : values.shape[2]]
            strongest = evidence.flatten(1).gather(1, evidence.flatten(1).abs().argmax(1, keepdim=True))
            theirs[name] = evidence * strongest.sign()[:, :, None]
    assert_same_heatmaps(our_maps(network, "eigencam"), theirs)


# --- torch-cam ----------------------------------------------------------------------------------------------


def test_xgrad_cam_matches_torch_cam(network: str) -> None:
    # Like the other peer it adds a small constant to the channels' sums, but lets it be chosen.
    theirs = from_torch_cam(torch_cam.XGradCAM, network, eps=NEXT_TO_NOTHING)
    assert_same_heatmaps(our_maps(network, "xgradcam"), theirs)


def test_grad_cam_plus_plus_matches_torch_cam_once_its_lost_division_is_made(network: str) -> None:
    # Version 0.5.0 divides a copy (``alpha[mask].div_(...)``) and drops it, so its weights are the sums of
    # relu(g)^3. What is left of equation 19, the numerator, is divided here by the paper's denominator: for
    # this it is asked about every place as if it were a channel of its own, one cell large.
    theirs: dict[str, Tensor] = {}
    with torch_cam.GradCAMpp(genus_net(network), modules(network)) as cam:
        cam(TARGETS, genus_net(network)(photos()))
        found = list(zip(layer_names(network), cam.hook_a, cam.hook_g, strict=True))
        cam._backprop = lambda *args, **options: None
        for name, values, slopes in found:
            cam.hook_a = [values.flatten(1)[..., None, None]]
            cam.hook_g = [slopes.flatten(1)[..., None, None]]
            (numerators,) = cam._get_weights(TARGETS, None)
            torch.testing.assert_close(numerators, slopes.flatten(1).relu() ** 3)
            denominators = 2 * slopes**2 + values.sum((2, 3), keepdim=True) * slopes**3
            of_places = numerators.view_as(slopes) / denominators.where(slopes != 0, 1)
            theirs[name] = torch.einsum("bc,bchw->bhw", of_places.sum((2, 3)), values)
    assert_same_heatmaps(our_maps(network, "gradcam++"), theirs)


# --- Score-CAM ----------------------------------------------------------------------------------------------

SCORED_CHANNELS = 4
"""Every channel is a forward pass; a few of them, of one photo, go through all of the arithmetic."""


@cache
def feature_maps(network: str) -> dict[str, Tensor]:
    with grad_cam_package.GradCAM(genus_net(network), modules(network)) as cam, torch.no_grad():
        cam.activations_and_grads(photos())
        return dict(zip(layer_names(network), cam.activations_and_grads.activations, strict=True))


def thinned(network: str) -> dict[str, Tensor]:
    """The first photo's feature maps, of which only some channels are left, evenly spaced."""
    maps = feature_maps(network)
    return {name: values[:1, :: max(1, values.shape[1] // SCORED_CHANNELS)] for name, values in maps.items()}


def enlarged(values: Tensor) -> Tensor:
    """As the paper enlarges masks, before it stretches them to [0, 1]."""
    return functional.interpolate(values, SIZE_PX, mode="bilinear", align_corners=False)


@cache
def our_score_maps(network: str) -> dict[str, Tensor]:
    maps = {}
    for name, values in thinned(network).items():
        with torch.no_grad():
            scores = masked_logits(genus_net(network), photos()[:1], values)[:, :, TARGETS[0]]
        maps[name] = normalise(score_cam(values, scores.to(values.dtype)))[0]
    return maps


def test_score_cam_matches_pytorch_grad_cam(network: str) -> None:
    # It enlarges masks with their corners aligned, which shifts them by up to half a cell: given masks of the
    # photo's size it has nothing to enlarge. Its 1e-8 beside a mask's range is nothing beside a larger one.
    theirs: dict[str, Tensor] = {}
    with grad_cam_package.ScoreCAM(genus_net(network), []) as cam:
        for name, values in thinned(network).items():
            masks = (enlarged(values) * MANY).numpy()
            weights = torch.from_numpy(cam.get_cam_weights(photos()[:1], None, list(CLASS_TARGETS[:1]), masks, None))
            theirs[name] = torch.einsum("bc,bchw->bhw", weights.double(), values)
    assert_same_heatmaps(our_score_maps(network), theirs)


def test_score_cam_matches_torch_cam(network: str) -> None:
    # It stretches masks to [0, 1] before it enlarges them, the paper after: enlarging flattens peaks, so its
    # masks end below 1. Given masks of the photo's size it has nothing to enlarge.
    theirs: dict[str, Tensor] = {}
    with torch_cam.ScoreCAM(genus_net(network), modules(network)[-1:]) as cam, torch.no_grad():
        genus_net(network)(photos()[:1])
        for name, values in thinned(network).items():
            cam.hook_a = [enlarged(values) * MANY]
            (weights,) = cam._get_weights(TARGETS[:1])
            theirs[name] = torch.einsum("bc,bchw->bhw", weights, values)
    assert_same_heatmaps(our_score_maps(network), theirs)
