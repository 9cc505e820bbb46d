"""Each method against pytorch-grad-cam and torch-cam: the same heatmaps, to within 1e-4.

Both peers stretch what they found (by minimum and maximum, with a small constant), and one of them enlarges
it: that comes after the part that matters here. So their raw evidence at feature-map size goes through our
``normalise``. Everything runs in float64, where the order of a sum makes no difference that could be seen.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

pytest.importorskip("pytorch_grad_cam", reason="grad-cam is installed for tests only")
pytest.importorskip("torchcam", reason="torchcam is installed for tests only")

import pytorch_grad_cam as grad_cam_package
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget, FinerWeightedTarget
from torchcam import methods as torch_cam

from mushroom.explain.gradcam import heatmaps, masked_logits
from mushroom.explain.layers import find_layers
from mushroom.explain.methods import normalise, score_cam
from mushroom.model import GenusNet, build_head, create_backbone, notebook_head_widths

MIDDLE_BLOCKS = {
    "resnet26": "layer3.1",
    "convnext_atto": "stages.2.blocks.4",
    "tf_efficientnet_lite0": "blocks.3.1",
}
HEIGHT_PX, WIDTH_PX = 64, 96
TARGETS, AGAINST = [1, 4], [5, 3]
"""The networks find positive evidence for these at nearly every layer."""

MANY = 1e6
"""A factor that takes a peer's small constant out of play where all else is in proportion."""

NEXT_TO_NOTHING = 1e-30

Evidence = dict[str, Tensor]
"""By layer, (B, h, w)."""


@pytest.fixture(params=MIDDLE_BLOCKS)
def network(request: pytest.FixtureRequest) -> str:
    return request.param


@cache
def genus_net(network: str) -> GenusNet:
    torch.manual_seed(0)
    backbone = create_backbone(network)
    # New networks leave their blocks' own part out (zero or tiny factors): here it must matter.
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
        if isinstance(getattr(module, "gamma", None), nn.Parameter):
            nn.init.uniform_(module.gamma, 0.1, 1)
    widths = notebook_head_widths(backbone.num_features)
    return GenusNet(backbone, build_head(backbone.num_features, widths, (0.3, 0.2), 9)).double().eval()


@cache
def photos() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    coarse = torch.randn(2, 3, HEIGHT_PX // 8, WIDTH_PX // 8, generator=generator, dtype=torch.float64)
    return functional.interpolate(coarse, (HEIGHT_PX, WIDTH_PX), mode="bicubic")


@cache
def layer_names(network: str) -> tuple[str, ...]:
    """Stage ends and one block in the middle, early to late: the order in which the peers must be asked."""
    with torch.device("meta"):
        layers = find_layers(create_backbone(network), HEIGHT_PX)
    return tuple(layer.name for layer in layers if layer.stage_end or layer.name == MIDDLE_BLOCKS[network])


def modules(network: str, names: Sequence[str]) -> list[nn.Module]:
    return [genus_net(network).backbone.get_submodule(name) for name in names]


def assert_same_heatmaps(ours: Mapping[str, Tensor], theirs: Evidence) -> None:
    assert list(ours) == list(theirs)
    empty = []
    for name, evidence in theirs.items():
        expected, has_evidence = normalise(evidence)
        assert (ours[name] - expected).abs().max() <= 1e-4, name
        empty += [] if has_evidence.any() else [name]
    # At most one: two maps of zeros are no comparison.
    assert len(empty) <= 1, empty


def our_maps(network: str, method: str, names: Sequence[str] = ()) -> dict[str, Tensor]:
    against = AGAINST if method == "contrastive" else None
    names = names or layer_names(network)
    return heatmaps(genus_net(network), photos(), names, TARGETS, method, against).maps


# --- pytorch-grad-cam ---------------------------------------------------------------------------------------


def from_grad_cam(
    peer: type,
    network: str,
    targets: Sequence[Callable[..., Tensor]],
    features: float = 1,
    gradients: float = 1,
) -> Evidence:
    """Its raw evidence, after feature maps and gradients were multiplied by the factors given."""
    names = layer_names(network)
    with peer(genus_net(network), modules(network, names)) as cam:
        cam(photos(), list(targets))
        stored = cam.activations_and_grads
        return {
            name: torch.from_numpy(
                cam.get_cam_image(
                    photos(), module, targets, values.numpy() * features, slopes.numpy() * gradients, False
                )
            )
            for name, module, values, slopes in zip(
                names, cam.target_layers, stored.activations, stored.gradients, strict=True
            )
        }


def class_targets() -> list[Callable[..., Tensor]]:
    return [ClassifierOutputTarget(target) for target in TARGETS]


@pytest.mark.parametrize(
    ("method", "peer"),
    [
        ("gradcam", grad_cam_package.GradCAM),
        ("hirescam", grad_cam_package.HiResCAM),
        ("layercam", grad_cam_package.LayerCAM),
    ],
)
def test_methods_without_small_constants_match_pytorch_grad_cam(network: str, method: str, peer: type) -> None:
    assert_same_heatmaps(our_maps(network, method), from_grad_cam(peer, network, class_targets()))


def test_grad_cam_plus_plus_matches_pytorch_grad_cam(network: str) -> None:
    # It adds 1e-6 to equation 19's denominator 2 g^2 + S g^3. Where gradients g are as small as 1e-3, as they
    # often are, this decides, not the paper. The paper's evidence stays as it is when g grows and the feature
    # map shrinks by one factor; the constant is then small beside the denominator.
    theirs = from_grad_cam(
        grad_cam_package.GradCAMPlusPlus, network, class_targets(), features=1 / MANY, gradients=MANY
    )
    assert_same_heatmaps(our_maps(network, "gradcam++"), theirs)


def test_xgrad_cam_matches_pytorch_grad_cam(network: str) -> None:
    # It adds 1e-7 to the channels' sums, so that they be not zero; larger sums leave it without effect.
    theirs = from_grad_cam(grad_cam_package.XGradCAM, network, class_targets(), features=MANY)
    assert_same_heatmaps(our_maps(network, "xgradcam"), theirs)


def test_the_contrastive_method_matches_pytorch_grad_cams_finer_cam(network: str) -> None:
    # With a single reference its average over references, weighted by probability, is this reference.
    targets = [FinerWeightedTarget(target, [other], alpha=1) for target, other in zip(TARGETS, AGAINST, strict=True)]
    theirs = from_grad_cam(grad_cam_package.GradCAM, network, targets)
    assert_same_heatmaps(our_maps(network, "contrastive"), theirs)


def test_eigen_cam_matches_pytorch_grad_cam(network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The paper takes the first right singular vector of the feature map as it is; the peer of what is left
    # when each channel's mean is taken off. A feature map beside its own negative has means of zero and the
    # same singular vectors. The sign it leaves to chance; ours is that of the strongest place.
    original = np.linalg.svd
    # It asks for all left singular vectors, which take gigabytes at early layers, and drops them.
    monkeypatch.setattr(np.linalg, "svd", lambda matrix, full_matrices: original(matrix, full_matrices=False))
    names = layer_names(network)
    theirs: Evidence = {}
    with grad_cam_package.EigenCAM(genus_net(network), modules(network, names)) as cam:
        for name, values in feature_maps(network, names).items():
            beside = torch.cat([values, -values], 2).numpy()
            both = cam.get_cam_image(photos(), None, None, beside, None, False)
            evidence = torch.from_numpy(both)[:, : values.shape[2]]
            strongest = evidence.flatten(1).gather(1, evidence.flatten(1).abs().argmax(1, keepdim=True))
            theirs[name] = evidence * strongest.sign()[:, :, None]
    assert_same_heatmaps(our_maps(network, "eigencam"), theirs)


# --- torch-cam ----------------------------------------------------------------------------------------------


def from_torch_cam(peer: type, network: str, names: Sequence[str], **options: float | list[int]) -> Evidence:
    with peer(genus_net(network), modules(network, names)) as cam:
        scores = genus_net(network)(photos())
        return dict(zip(names, cam(TARGETS, scores, normalized=False, **options), strict=True))


@pytest.mark.parametrize(("method", "peer"), [("gradcam", torch_cam.GradCAM), ("layercam", torch_cam.LayerCAM)])
def test_methods_without_small_constants_match_torch_cam(network: str, method: str, peer: type) -> None:
    assert_same_heatmaps(our_maps(network, method), from_torch_cam(peer, network, layer_names(network)))


def test_xgrad_cam_matches_torch_cam(network: str) -> None:
    # Like the other peer it adds a small constant to the channels' sums, but lets it be chosen.
    theirs = from_torch_cam(torch_cam.XGradCAM, network, layer_names(network), eps=NEXT_TO_NOTHING)
    assert_same_heatmaps(our_maps(network, "xgradcam"), theirs)


def test_grad_cam_plus_plus_matches_torch_cam_once_its_lost_division_is_made(network: str) -> None:
    # Version 0.5.0 divides a copy (``alpha[mask].div_(...)``) and drops it, so its weights are the sums of
    # relu(g)^3. What is left of equation 19, the numerator, is divided here by the paper's denominator: for
    # this it is asked about every place as if it were a channel of its own, one cell large.
    names = layer_names(network)
    theirs: Evidence = {}
    with torch_cam.GradCAMpp(genus_net(network), modules(network, names)) as cam:
        cam(TARGETS, genus_net(network)(photos()))
        found = list(zip(names, cam.hook_a, cam.hook_g, strict=True))
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


def test_the_contrastive_method_matches_torch_cams_finer_cam(network: str) -> None:
    # It takes off 0.6 of the mean of three references unless told otherwise.
    names = layer_names(network)
    with torch_cam.FinerCAM(genus_net(network), modules(network, names), gamma=1) as cam:
        scores = genus_net(network)(photos())
        references = [[other] for other in AGAINST]
        found = cam(TARGETS, scores, references, normalized=False)
    assert_same_heatmaps(our_maps(network, "contrastive"), dict(zip(names, found, strict=True)))


# --- Score-CAM ----------------------------------------------------------------------------------------------

SCORED_CHANNELS = 8
"""Every channel is a forward pass; a few of them, of one photo, go through all of the arithmetic."""


def feature_maps(network: str, names: Sequence[str]) -> Evidence:
    found: Evidence = {}

    def keeping(name: str) -> Callable[..., None]:
        return lambda module, args, output: found.update({name: output.clone()})

    handles = [
        module.register_forward_hook(keeping(name)) for name, module in zip(names, modules(network, names), strict=True)
    ]
    with torch.no_grad():
        genus_net(network)(photos())
    for handle in handles:
        handle.remove()
    return found


def thinned(network: str) -> Evidence:
    """The first photo's feature maps, of which only some channels are left, evenly spaced."""
    maps = feature_maps(network, layer_names(network))
    return {name: values[:1, :: max(1, values.shape[1] // SCORED_CHANNELS)] for name, values in maps.items()}


def enlarged(values: Tensor) -> Tensor:
    """As the paper enlarges masks, before it stretches them to [0, 1]."""
    return functional.interpolate(values, (HEIGHT_PX, WIDTH_PX), mode="bilinear", align_corners=False)


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
    theirs: Evidence = {}
    with grad_cam_package.ScoreCAM(genus_net(network), []) as cam:
        for name, values in thinned(network).items():
            masks = (enlarged(values) * MANY).numpy()
            weights = torch.from_numpy(cam.get_cam_weights(photos()[:1], None, class_targets()[:1], masks, None))
            theirs[name] = torch.einsum("bc,bchw->bhw", weights.double(), values)
    assert_same_heatmaps(our_score_maps(network), theirs)


def test_score_cam_matches_torch_cam(network: str) -> None:
    # It stretches masks to [0, 1] before it enlarges them, the paper after: enlarging flattens peaks, so its
    # masks end below 1. Given masks of the photo's size it has nothing to enlarge.
    names = layer_names(network)
    theirs: Evidence = {}
    with torch_cam.ScoreCAM(genus_net(network), modules(network, names[-1:])) as cam, torch.no_grad():
        genus_net(network)(photos()[:1])
        for name, values in thinned(network).items():
            cam.hook_a = [enlarged(values) * MANY]
            (weights,) = cam._get_weights(TARGETS[:1])
            theirs[name] = torch.einsum("bc,bchw->bhw", weights, values)
    assert_same_heatmaps(our_score_maps(network), theirs)
