"""Transformers, channels-last maps and HRNet against pytorch-grad-cam and torch-cam with a reshape transform.

As for convolutional networks (see ``test_gradcam_peers``) the peers' raw evidence at feature-map size goes through
our ``normalise``, in float64: the same heatmaps, to within 1e-4. The transforms are written here as the peers' own
guides write them, from what is known of each architecture, and not with ours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("pytorch_grad_cam", reason="grad-cam is installed for tests only")
pytest.importorskip("torchcam", reason="torchcam is installed for tests only")

import pytorch_grad_cam as grad_cam_package
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget, FinerWeightedTarget
from torchcam import methods as torch_cam

from mushroom.explain.gradcam import heatmaps
from mushroom.explain.layers import find_layers
from mushroom.explain.methods import normalise
from mushroom.model import GenusNet, build_head, create_backbone, feature_count

TARGETS, AGAINST = [1, 4], [5, 3]


@dataclass(frozen=True)
class Case:
    """A network, the photos it is shown, and how a peer's guide folds its tokens."""

    name: str
    height_px: int
    width_px: int
    reshape: Callable[[Tensor], Tensor] | None


def folding(prefix: int, height: int, width: int) -> Callable[[Tensor], Tensor]:
    def reshape_transform(tensor: Tensor) -> Tensor:
        result = tensor[:, prefix:, :].reshape(tensor.size(0), height, width, tensor.size(2))
        return result.transpose(2, 3).transpose(1, 2)

    return reshape_transform


def channels_to_the_front(tensor: Tensor) -> Tensor:
    return tensor.transpose(2, 3).transpose(1, 2)


CASES = [
    Case("vit_tiny_patch16_224", 64, 96, folding(1, 4, 6)),
    Case("deit_tiny_distilled_patch16_224", 64, 96, folding(2, 4, 6)),
    Case("vit_small_patch14_reg4_dinov2", 56, 84, folding(5, 4, 6)),
    Case("swin_tiny_patch4_window7_224", 64, 96, channels_to_the_front),
    Case("convnext_atto", 64, 96, None),
    Case("hrnet_w18_small", 64, 96, None),
]


@pytest.fixture(params=CASES, ids=lambda case: case.name, scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@cache
def genus_net(name: str) -> GenusNet:
    torch.manual_seed(0)
    backbone = create_backbone(name)
    for module in backbone.modules():
        # New networks leave their blocks' own part out (tiny factors): here it must matter.
        if isinstance(getattr(module, "gamma", None), nn.Parameter):
            nn.init.uniform_(module.gamma, 0.1, 1)
    return GenusNet(backbone, build_head(feature_count(backbone), (), (), 9)).double().eval().requires_grad_(False)


@cache
def photos(case: Case) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    coarse = torch.randn(2, 3, case.height_px // 4, case.width_px // 4, generator=generator, dtype=torch.float64)
    return nn.functional.interpolate(coarse, (case.height_px, case.width_px), mode="bicubic")


@cache
def layer_names(name: str) -> tuple[str, ...]:
    """Stage ends, early to late: the order in which the peers must be asked."""
    return tuple(layer.name for layer in find_layers(genus_net(name), 224) if layer.stage_end)


def modules(case: Case) -> list[nn.Module]:
    return [genus_net(case.name).backbone.get_submodule(name) for name in layer_names(case.name)]


def assert_same_heatmaps(case: Case, method: str, theirs: Sequence[Tensor]) -> None:
    against = AGAINST if method == "contrastive" else None
    names = layer_names(case.name)
    ours = heatmaps(genus_net(case.name), photos(case), names, TARGETS, method, against)
    for name, evidence in zip(names, theirs, strict=True):
        expected, has_evidence = normalise(evidence)
        assert (ours.maps[name] - expected).abs().max() <= 1e-4, name
        assert ours.has_evidence[name].equal(has_evidence), name
    assert any(found.any() for found in ours.has_evidence.values())


def class_targets() -> list[Callable[..., Tensor]]:
    return [ClassifierOutputTarget(target) for target in TARGETS]


@pytest.mark.parametrize(
    ("method", "peer"),
    [
        ("gradcam", grad_cam_package.GradCAM),
        ("hirescam", grad_cam_package.HiResCAM),
        ("layercam", grad_cam_package.LayerCAM),
        ("contrastive", grad_cam_package.GradCAM),
    ],
)
def test_heatmaps_match_pytorch_grad_cam(case: Case, method: str, peer: type) -> None:
    targets = class_targets()
    if method == "contrastive":
        pairs = zip(TARGETS, AGAINST, strict=True)
        targets = [FinerWeightedTarget(target, [other], alpha=1) for target, other in pairs]
    net = genus_net(case.name).requires_grad_(True)
    with peer(net, modules(case), reshape_transform=case.reshape) as cam:
        cam(photos(case), targets)
        stored = cam.activations_and_grads
        theirs = [
            torch.from_numpy(cam.get_cam_image(photos(case), module, targets, values.numpy(), slopes.numpy(), False))
            for module, values, slopes in zip(cam.target_layers, stored.activations, stored.gradients, strict=True)
        ]
    net.requires_grad_(False).zero_grad()
    assert_same_heatmaps(case, method, theirs)


@pytest.mark.parametrize(
    ("method", "peer"),
    [("gradcam", torch_cam.GradCAM), ("layercam", torch_cam.LayerCAM), ("contrastive", torch_cam.FinerCAM)],
)
def test_heatmaps_match_torch_cam(case: Case, method: str, peer: type) -> None:
    net = genus_net(case.name)
    options = {"gamma": 1} if method == "contrastive" else {}
    references = [[[other] for other in AGAINST]] if method == "contrastive" else []
    with peer(net, modules(case), reshape_transform=case.reshape, **options) as cam:
        scores = net(photos(case).clone().requires_grad_())
        theirs = cam(TARGETS, scores, *references, normalized=False)
    assert_same_heatmaps(case, method, theirs)
