"""Methods as their papers have them, on every layout of feature maps, against pytorch-grad-cam and torch-cam.

The transforms of tokens and channels-last maps are written here as the peers' own guides write them, from what is
known of each architecture, and not with ours. What is compared, and how, stands in ``peers``.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from peers import (
    AGAINST,
    CLASS_TARGETS,
    MIDDLE_BLOCKS,
    SIZE_PX,
    TARGETS,
    assert_same_heatmaps,
    from_grad_cam,
    from_torch_cam,
    grad_cam_package,
    model_targets,
    our_maps,
    torch_cam,
)
from torch import Tensor


@dataclass(frozen=True)
class Case:
    """A network, how a peer's guide folds its tokens, and the size of the photos that it is shown."""

    name: str
    reshape: Callable[[Tensor], Tensor] | None = None
    size_px: tuple[int, int] = SIZE_PX


def folding(prefix: int) -> Callable[[Tensor], Tensor]:
    def reshape_transform(tensor: Tensor) -> Tensor:
        result = tensor[:, prefix:, :].reshape(tensor.size(0), 4, 6, tensor.size(2))
        return result.transpose(2, 3).transpose(1, 2)

    return reshape_transform


def channels_to_the_front(tensor: Tensor) -> Tensor:
    return tensor.transpose(2, 3).transpose(1, 2)


CASES = [
    *map(Case, MIDDLE_BLOCKS),
    Case("hrnet_w18_small"),
    Case("vit_tiny_patch16_224", folding(1)),
    Case("deit_tiny_distilled_patch16_224", folding(2)),
    Case("vit_small_patch14_reg4_dinov2", folding(5), (56, 84)),
    Case("swin_tiny_patch4_window7_224", channels_to_the_front),
]


@pytest.fixture(params=CASES, ids=lambda case: case.name, scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


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
    targets = CLASS_TARGETS
    if method == "contrastive":
        # With a single reference its average over references, weighted by probability, is this reference.
        pairs = zip(TARGETS, AGAINST, strict=True)
        targets = [model_targets.FinerWeightedTarget(target, [other], alpha=1) for target, other in pairs]
    theirs = from_grad_cam(peer, case.name, targets, case.size_px, reshape_transform=case.reshape)
    assert_same_heatmaps(our_maps(case.name, method, case.size_px), theirs)


@pytest.mark.parametrize(
    ("method", "peer"),
    [("gradcam", torch_cam.GradCAM), ("layercam", torch_cam.LayerCAM), ("contrastive", torch_cam.FinerCAM)],
)
def test_heatmaps_match_torch_cam(case: Case, method: str, peer: type) -> None:
    options: dict[str, object] = {"reshape_transform": case.reshape}
    references = []
    if method == "contrastive":
        # It takes off 0.6 of the mean of three references unless told otherwise.
        options["gamma"] = 1
        references = [[[other] for other in AGAINST]]
    theirs = from_torch_cam(peer, case.name, *references, size_px=case.size_px, options=options)
    assert_same_heatmaps(our_maps(case.name, method, case.size_px), theirs)
