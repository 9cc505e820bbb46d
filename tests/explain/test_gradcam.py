"""Heatmaps: layers found, values known by hand, and a network that nobody can tell was looked at."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn

from mushroom.errors import ExplanationError
from mushroom.explain.gradcam import LayerHeatmaps, heatmaps, heatmaps_of_every_class
from mushroom.explain.layers import Layer, default_layer, find_layers, unwrapped
from mushroom.explain.methods import METHODS, eigen_cam, normalise
from mushroom.model import GenusNet, build_head, create_backbone

INPUT_PX = 64
BACKBONE = "test_efficientnet"
"""timm's networks for tests: whole architectures of a hundred thousand parameters."""

BACKWARD_METHODS = [key for key, method in METHODS.items() if method.needs == "gradient"]


def genus_net(name: str = BACKBONE) -> GenusNet:
    torch.manual_seed(0)
    backbone = create_backbone(name)
    return GenusNet(backbone, build_head(backbone.num_features, (16,), (0.3,), 9)).eval()


def photos(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, 3, INPUT_PX, INPUT_PX, generator=torch.Generator().manual_seed(seed))


def layer_names(model: nn.Module) -> list[str]:
    return [layer.name for layer in find_layers(model, INPUT_PX)]


@pytest.fixture(scope="module")
def model() -> GenusNet:
    return genus_net().requires_grad_(False)


# --- Layers -------------------------------------------------------------------------------------------------

STAGE_ENDS = {
    "resnet50": ["act1", "layer1", "layer2", "layer3", "layer4"],
    "convnext_tiny": ["stages.0", "stages.1", "stages.2", "stages.3"],
    "tf_efficientnet_lite2": ["blocks.0", "blocks.1", "blocks.2", "blocks.4", "blocks.6"],
    "tf_efficientnetv2_b0": ["blocks.0", "blocks.1", "blocks.2", "blocks.4", "blocks.5"],
    "densenet121": [
        "features.norm0",
        "features.denseblock1",
        "features.denseblock2",
        "features.denseblock3",
        "features.norm5",
    ],
    "inception_v3": ["Conv2d_2b_3x3", "Conv2d_4a_3x3", "Mixed_5d", "Mixed_6e", "Mixed_7c"],
    "alexnet": ["features.1", "features.4", "features.11"],
}

BLOCKS_IN_THE_MIDDLE = {
    "resnet50": ["layer3.0", "layer3.1", "layer3.2", "layer3.3", "layer3.4"],
    "convnext_tiny": [f"stages.2.blocks.{index}" for index in range(8)],
    "tf_efficientnet_lite2": [f"blocks.3.{index}" for index in range(4)],
    "tf_efficientnetv2_b0": [f"blocks.4.{index}" for index in range(4)],
    "densenet121": ["features.denseblock4"],
    "inception_v3": ["Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d"],
    "alexnet": ["features.7", "features.9"],
}


def meta_layers(name: str, input_px: int) -> tuple[Layer, ...]:
    with torch.device("meta"):
        backbone = create_backbone(name)
    return find_layers(backbone, input_px)


@pytest.mark.parametrize("name", STAGE_ENDS)
def test_stage_ends_and_the_blocks_between_them_are_found(name: str) -> None:
    layers = meta_layers(name, 224)
    names = [layer.name for layer in layers]
    assert [layer.name for layer in layers if layer.stage_end] == STAGE_ENDS[name]
    between = BLOCKS_IN_THE_MIDDLE[name]
    start = names.index(between[0])
    assert names[start : start + len(between)] == between
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", STAGE_ENDS)
def test_layers_go_from_early_to_late_and_from_fine_to_coarse(name: str) -> None:
    layers = meta_layers(name, 224)
    assert [layer.stage for layer in layers] == sorted(layer.stage for layer in layers)
    assert [layer.height for layer in layers] == sorted((layer.height for layer in layers), reverse=True)
    assert layers[0].label.startswith("early")
    assert layers[-1].label == "late: whole parts"


@pytest.mark.parametrize("name", [*STAGE_ENDS, "resnetv2_50_stem_norm"])
def test_every_layer_found_gives_a_heatmap_of_the_size_it_promised(name: str) -> None:
    torch.manual_seed(0)
    # Inception's and AlexNet's unpadded layers leave nothing of a smaller photo.
    input_px = {"inception_v3": 107, "alexnet": 64}.get(name, 48)
    backbone = create_backbone(name).eval()
    layers = find_layers(backbone, input_px)
    image = torch.randn(1, 3, input_px, input_px)
    found = heatmaps(backbone, image, [layer.name for layer in layers], 0)
    for layer in layers:
        assert found.maps[layer.name].shape == (1, layer.height, layer.width), layer.name


@pytest.mark.parametrize(
    ("name", "layer"), [("resnet50", "layer4.2.conv3"), ("convnext_base", "stages.3.blocks.2.conv_dw")]
)
def test_the_notebooks_networks_start_at_the_notebooks_layer(name: str, layer: str) -> None:
    layers = meta_layers(name, 224)
    assert default_layer(layers).name == layer
    assert [found.name for found in layers if found.last_convolution] == [layer]


@pytest.mark.parametrize("name", ["convnext_tiny", "tf_efficientnetv2_b0", "alexnet"])
def test_other_networks_start_at_the_end_of_the_last_stage(name: str) -> None:
    assert default_layer(meta_layers(name, 224)).name == STAGE_ENDS[name][-1]


def test_layers_of_a_genus_net_are_named_as_its_backbone_names_them(model: GenusNet) -> None:
    assert find_layers(model, INPUT_PX) == find_layers(model.backbone, INPUT_PX)


def test_layers_are_found_for_each_input_size(model: GenusNet) -> None:
    assert find_layers(model, 128)[0].height == 2 * find_layers(model, 64)[0].height
    assert find_layers(model, 64) is find_layers(model, 64)


def test_layers_are_found_in_inference_mode() -> None:
    with torch.inference_mode():
        found = find_layers(genus_net(), INPUT_PX)
    assert found == find_layers(genus_net(), INPUT_PX)


def test_looking_for_layers_leaves_a_network_in_training_as_it_was() -> None:
    net = genus_net().train()
    before = snapshot(net)
    find_layers(net, INPUT_PX)
    assert snapshot(net) == before


def test_a_network_without_feature_maps_says_so() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * INPUT_PX**2, 9))
    with pytest.raises(ExplanationError, match="no two-dimensional feature maps"):
        find_layers(flat, INPUT_PX)


# --- A network whose heatmaps are known by hand -------------------------------------------------------------

FEATURES = torch.tensor([[[2.0, 0.0], [1.0, 0.0]], [[0.0, 4.0], [0.0, 0.0]], [[1.0, 0.0], [1.0, 3.0]]])
GRADIENT = torch.tensor([[[1.0, 1.0], [3.0, -1.0]], [[4.0, -2.0], [2.0, 4.0]], [[2.0, 1.0], [-7.0, 0.0]]])
"""Of the first logit by the features; its means over places are 1, 2 and -1."""


class Toy(nn.Module):
    """The photo is its own feature map (through ``see``), and each logit a weighted sum of all its values."""

    def __init__(self, gradients: Tensor) -> None:
        super().__init__()
        self.see = nn.Conv2d(3, 3, 1, bias=False)
        self.activate = nn.ReLU()
        self.classify = nn.Linear(gradients[0].numel(), len(gradients), bias=False)
        self.see.weight.data = torch.eye(3)[:, :, None, None]
        self.classify.weight.data = gradients.flatten(1)

    def forward(self, images: Tensor) -> Tensor:
        return self.classify(self.activate(self.see(images)).flatten(1))


def toy(*gradients: Tensor) -> Toy:
    return Toy(torch.stack(gradients)).eval()


def toy_map(method: str, **options: int) -> Tensor:
    only_channel_one = torch.stack([torch.full((2, 2), mean) for mean in (0.0, 2.0, 0.0)])
    net = toy(GRADIENT, only_channel_one)
    return heatmaps(net, FEATURES[None], ["activate"], 0, method, **options).maps["activate"][0]


def test_toy_layers_are_the_activations_after_convolutions() -> None:
    assert [layer.name for layer in find_layers(toy(GRADIENT), 2)] == ["activate"]


def test_grad_cam_lends_a_channels_mean_gradient_to_all_its_places() -> None:
    # 1 * first + 2 * second - 1 * third channel = [[1, 8], [0, -3]]
    torch.testing.assert_close(toy_map("gradcam"), torch.tensor([[1 / 8, 1], [0, 0]]))


def test_hires_cam_gives_credit_only_where_it_is_due() -> None:
    # [[2 + 2, -8], [3 - 7, 0]]: the place that Grad-CAM finds hottest lowered the score.
    torch.testing.assert_close(toy_map("hirescam"), torch.tensor([[1.0, 0], [0, 0]]))


def test_layer_cam_leaves_out_what_speaks_against() -> None:
    # [[2 + 2, 0], [3, 0]]
    torch.testing.assert_close(toy_map("layercam"), torch.tensor([[1, 0], [3 / 4, 0]]))


def test_xgrad_cam_weighs_gradients_by_how_active_their_places_are() -> None:
    # Weights (2 + 3) / 3, -8 / 4 and (2 - 7) / 5 give [[7/3, -8], [2/3, -3]].
    torch.testing.assert_close(toy_map("xgradcam"), torch.tensor([[1, 0], [2 / 7, 0]]))


def test_grad_cam_plus_plus_shares_credit_between_places() -> None:
    # Sum over places of relu(g) / (2 + S g), where S, the channels' sums, are 3, 4 and 5.
    first = Fraction(1, 5) + Fraction(1, 5) + Fraction(3, 11)
    second = Fraction(4, 18) + Fraction(2, 10) + Fraction(4, 18)
    third = Fraction(2, 12) + Fraction(1, 7)
    evidence = [[2 * first + third, 4 * second], [first + third, 3 * third]]
    hottest = max(max(row) for row in evidence)
    expected = torch.tensor([[float(value / hottest) for value in row] for row in evidence])
    torch.testing.assert_close(toy_map("gradcam++"), expected)


def test_score_cam_weighs_channels_by_what_the_photo_scores_through_them() -> None:
    # Places contribute [[4, -8], [-4, 0]] to the score; the masks are the channels over 2, 4 and 3.
    scores = torch.tensor([4 - 0.5 * 4, -8, 4 / 3 - 4 / 3])
    first, second, third = scores.softmax(0).tolist()
    evidence = torch.tensor([[2 * first + third, 4 * second], [first + third, 3 * third]])
    torch.testing.assert_close(toy_map("scorecam"), evidence / evidence.max())


def test_eigen_cam_of_channels_that_agree_is_what_they_agree_on() -> None:
    shared = torch.tensor([[0.5, 2.0], [0.0, 1.0]])
    features = torch.stack([shared, -2 * shared, 3 * shared])
    found = heatmaps(toy(GRADIENT), features[None], ["see"], 0, "eigencam")
    torch.testing.assert_close(found.maps["see"][0], shared / 2)


def test_eigen_cam_is_the_same_through_either_gram_matrix() -> None:
    values = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(0)).abs()
    matrix = values.flatten(2).transpose(1, 2).double()
    first = torch.linalg.svd(matrix, full_matrices=False)
    # Non-negative features have a first singular vector of one sign.
    expected = (first.U[..., 0] * first.S[..., :1]).abs().view(2, 3, 4).float()
    torch.testing.assert_close(eigen_cam(values), expected)
    few_places = values[:, :, :2, :2]
    matrix = few_places.flatten(2).transpose(1, 2).double()
    first = torch.linalg.svd(matrix, full_matrices=False)
    torch.testing.assert_close(eigen_cam(few_places), (first.U[..., 0] * first.S[..., :1]).abs().view(2, 2, 2).float())


def test_the_contrastive_method_leaves_out_what_both_classes_share() -> None:
    # Without the second channel, the other class's only one: [[2 - 1, 0], [1 - 1, -3]].
    torch.testing.assert_close(toy_map("contrastive", against=1), torch.tensor([[1.0, 0], [0, 0]]))


class ShiftedToy(Toy):
    """Adds to what ``see`` handed out and cuts it off, in place or on copies."""

    def __init__(self, gradients: Tensor, *, in_place: bool) -> None:
        super().__init__(gradients)
        self.in_place = in_place

    def forward(self, images: Tensor) -> Tensor:
        seen = self.see(images)
        if self.in_place:
            seen += 0.5
            seen.relu_()
        else:
            seen = (seen + 0.5).relu()
        return self.classify(seen.flatten(1))


@pytest.mark.parametrize("method", METHODS)
def test_what_comes_next_may_work_in_place(method: str) -> None:
    gradients = torch.stack([GRADIENT, -GRADIENT])
    found, expected = (
        heatmaps(ShiftedToy(gradients, in_place=in_place).eval(), FEATURES[None] - 1, ["see"], 0, method)
        for in_place in (True, False)
    )
    assert_same_maps(found.maps, expected.maps)


# --- What comes out -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_heatmaps_are_float32_in_0_to_1_at_feature_map_size(model: GenusNet, method: str) -> None:
    layers = find_layers(model, INPUT_PX)
    found = heatmaps(model, photos(2), [layer.name for layer in layers], method=method)
    assert list(found.maps) == [layer.name for layer in layers]
    for layer in layers:
        maps = found.maps[layer.name]
        assert maps.dtype == torch.float32
        assert maps.shape == (2, layer.height, layer.width)
        assert not maps.requires_grad
        assert maps.min() >= 0
        highest = maps.amax((1, 2))
        torch.testing.assert_close(highest, found.has_evidence[layer.name].float())
    assert found.logits.shape == (2, 9)
    assert not found.logits.requires_grad


def test_layers_come_in_any_order_and_come_to_the_same(model: GenusNet) -> None:
    names = layer_names(model)
    forwards, backwards = (heatmaps(model, photos(1), order).maps for order in (names, names[::-1]))
    assert_same_maps(forwards, {name: backwards[name] for name in forwards})


def test_one_layer_alone_is_the_same_as_among_all(model: GenusNet) -> None:
    together = heatmaps(model, photos(1), layer_names(model)).maps
    for name in together:
        alone = heatmaps(model, photos(1), [name]).maps
        assert_same_maps(alone, {name: together[name]})


def test_the_target_is_the_predicted_class_unless_one_is_named(model: GenusNet) -> None:
    images = photos(4)
    predicted = model(images).argmax(1)
    found = heatmaps(model, images, ["blocks.3"])
    assert found.targets.equal(predicted)
    assert found.against is None
    assert_same_maps(found.maps, heatmaps(model, images, ["blocks.3"], predicted).maps)
    assert heatmaps(model, images, ["blocks.3"], 5).targets.tolist() == [5, 5, 5, 5]
    assert heatmaps(model, images, ["blocks.3"], [3, 1, 4, 1]).targets.tolist() == [3, 1, 4, 1]


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_gives_what_its_photos_give_one_by_one(model: GenusNet, method: str) -> None:
    images, targets, layers = photos(3), [2, 7, 0], ["blocks.1", "blocks.4"]
    batch = heatmaps(model, images, layers, targets, method)
    for index, target in enumerate(targets):
        single = heatmaps(model, images[index : index + 1], layers, target, method)
        assert_same_maps({name: maps[index : index + 1] for name, maps in batch.maps.items()}, single.maps)


@pytest.mark.parametrize("method", METHODS)
def test_every_class_at_once_gives_what_nine_calls_give(model: GenusNet, method: str) -> None:
    layers = ["blocks.1", "blocks.4"]
    found = heatmaps_of_every_class(model, photos(1), layers, method)
    assert found.targets.tolist() == list(range(9))
    assert found.logits.shape == (1, 9)
    for target in range(9):
        single = heatmaps(model, photos(1), layers, target, method)
        assert_same_maps({name: maps[target : target + 1] for name, maps in found.maps.items()}, single.maps)
        if single.against is not None:
            assert found.against is not None
            assert found.against[target] == single.against[0]


def test_what_speaks_for_one_genus_against_another_speaks_against_it_the_other_way_round(
    model: GenusNet,
) -> None:
    layers = layer_names(model)
    one = heatmaps(model, photos(1), layers, 3, "contrastive", against=6)
    other = heatmaps(model, photos(1), layers, 6, "contrastive", against=3)
    for name in layers:
        assert ((one.maps[name] > 0) ^ (other.maps[name] > 0)).all(), name


def test_the_contrastive_method_argues_against_the_strongest_other_class(model: GenusNet) -> None:
    found = heatmaps(model, photos(3), ["blocks.4"], method="contrastive")
    assert found.against is not None
    ranked = found.logits.argsort(1, descending=True)
    assert found.targets.equal(ranked[:, 0])
    assert found.against.equal(ranked[:, 1])
    given = heatmaps(model, photos(3), ["blocks.4"], method="contrastive", against=ranked[:, 1])
    assert_same_maps(found.maps, given.maps)


# --- No evidence --------------------------------------------------------------------------------------------


def assert_empty(found: LayerHeatmaps) -> None:
    for name, maps in found.maps.items():
        assert not maps.any(), name
        assert not found.has_evidence[name].any(), name


@pytest.mark.parametrize("method", BACKWARD_METHODS)
def test_a_class_that_nothing_speaks_for_gets_zeros_and_is_said_to_have_no_evidence(method: str) -> None:
    net = toy(-GRADIENT.abs(), torch.zeros_like(GRADIENT))
    assert_empty(heatmaps(net, FEATURES[None], ["see", "activate"], 0, method))


@pytest.mark.parametrize("method", METHODS)
def test_a_black_photo_through_a_network_without_biases_gets_zeros(method: str) -> None:
    assert_empty(heatmaps(toy(GRADIENT, -GRADIENT), torch.zeros(2, 3, 2, 2), ["see"], 0, method))


@pytest.mark.parametrize("method", METHODS)
def test_features_of_one_value_never_give_nan(method: str) -> None:
    found = heatmaps(toy(GRADIENT, -GRADIENT), torch.ones(1, 3, 2, 2), ["see"], 0, method)
    assert found.maps["see"].isfinite().all()


def test_channels_that_cancel_to_zero_get_no_weight_from_xgrad_cam() -> None:
    features = torch.tensor([[[1.0, -1.0], [0.0, 0.0]]] * 3)
    assert_empty(heatmaps(toy(GRADIENT, -GRADIENT), features[None], ["see"], 0, "xgradcam"))


def test_a_layer_without_a_say_in_the_answer_has_no_evidence() -> None:
    class Bystander(Toy):
        def forward(self, images: Tensor) -> Tensor:
            self.activate(images)
            return self.classify(self.see(images).flatten(1))

    net = Bystander(torch.stack([GRADIENT, -GRADIENT])).eval()
    found = heatmaps(net, FEATURES[None], ["activate", "see"], 0)
    assert found.has_evidence["see"].all()
    assert not found.has_evidence["activate"].any()


def test_evidence_that_is_not_finite_becomes_zeros() -> None:
    evidence = torch.ones(4, 2, 2)
    evidence[0, 0, 0] = torch.nan
    evidence[1, 1, 1] = torch.inf
    evidence[2, 0, 1] = -torch.inf
    maps, has_evidence = normalise(evidence)
    assert has_evidence.tolist() == [False, False, False, True]
    assert maps[:3].sum() == 0
    assert maps[3].eq(1).all()


def test_evidence_of_any_size_is_stretched_to_1() -> None:
    maps, has_evidence = normalise(torch.tensor([[[1e-30, -1.0]], [[1e30, 5e29]]]))
    assert has_evidence.all()
    torch.testing.assert_close(maps, torch.tensor([[[1.0, 0.0]], [[1.0, 0.5]]]))


# --- A network that nobody can tell was looked at -----------------------------------------------------------


def snapshot(net: nn.Module) -> list[tuple[object, ...]]:
    """All that a heatmap might leave behind, for comparing."""
    modules = [
        (
            name,
            module.training,
            *(len(hooks) for hooks in (module._forward_hooks, module._forward_pre_hooks)),
            *(len(hooks) for hooks in (module._backward_hooks, module._backward_pre_hooks)),
            sorted(vars(module)),
        )
        for name, module in net.named_modules()
    ]
    parameters = [
        (name, value.requires_grad, value.grad is None, value.is_leaf, value._version)
        for name, value in [*net.named_parameters(), *net.named_buffers()]
    ]
    return [*modules, *parameters]


@pytest.mark.parametrize("method", METHODS)
def test_a_frozen_and_an_unfrozen_network_give_the_same_and_are_left_as_found(method: str) -> None:
    found = []
    for learns in (False, True):
        net = genus_net().requires_grad_(learns)
        before = snapshot(net)
        found.append(heatmaps(net, photos(2), layer_names(net), method=method))
        heatmaps_of_every_class(net, photos(1), ["blocks.4"], method)
        assert snapshot(net) == before
    assert_same_maps(found[0].maps, found[1].maps)


def test_gradients_that_training_had_collected_are_left_alone() -> None:
    net = genus_net()
    net(photos(1)).sum().backward()
    before = {name: value.grad.clone() for name, value in net.named_parameters() if value.grad is not None}
    heatmaps(net, photos(1), layer_names(net))
    for name, value in net.named_parameters():
        if name in before:
            assert value.grad is not None
            assert value.grad.equal(before[name])


class Failing(torch.autograd.Function):
    @staticmethod
    def forward(context: object, values: Tensor) -> Tensor:
        return values.clone()

    @staticmethod
    def backward(context: object, gradient: Tensor) -> Tensor:
        raise RuntimeError("the backward pass broke")


class BrokenHead(nn.Module):
    def __init__(self, *, forwards: bool) -> None:
        super().__init__()
        self.forwards = forwards

    def forward(self, features: Tensor) -> Tensor:
        if self.forwards:
            raise RuntimeError("the forward pass broke")
        return Failing.apply(features)[:, :9]


@pytest.mark.parametrize("forwards", [True, False])
def test_a_pass_that_breaks_leaves_the_network_as_found(forwards: bool) -> None:
    net = genus_net()
    net.head = BrokenHead(forwards=forwards).eval()
    before = snapshot(net)
    with pytest.raises(RuntimeError, match="pass broke"):
        heatmaps(net, photos(1), layer_names(net), 0)
    assert snapshot(net) == before
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(("layers", "target"), [(["blocks.1", "blocks.99"], 0), (["blocks.1"], 9)])
def test_a_wrong_question_leaves_the_network_as_found(layers: list[str], target: int) -> None:
    net = genus_net()
    before = snapshot(net)
    with pytest.raises(ExplanationError):
        heatmaps(net, photos(1), layers, target)
    assert snapshot(net) == before


@pytest.mark.parametrize("enabled", [True, False])
def test_the_callers_gradient_mode_is_left_as_found(model: GenusNet, enabled: bool) -> None:
    with torch.set_grad_enabled(enabled):
        found = heatmaps(model, photos(1), ["blocks.1"])
        assert torch.is_grad_enabled() is enabled
    assert found.has_evidence["blocks.1"].all()


@pytest.mark.parametrize("method", METHODS)
def test_it_works_in_inference_mode_with_photos_made_there(model: GenusNet, method: str) -> None:
    expected = heatmaps(model, photos(1), ["blocks.1"], 3, method).maps
    with torch.inference_mode():
        images, targets = photos(1), torch.tensor([3])
        found = heatmaps(model, images, ["blocks.1"], targets, method)
        every = heatmaps_of_every_class(model, images, ["blocks.1"], method)
        assert torch.is_inference_mode_enabled()
    assert_same_maps(found.maps, expected)
    assert_same_maps({"blocks.1": every.maps["blocks.1"][3:4]}, expected)


def test_the_photos_themselves_are_left_alone(model: GenusNet) -> None:
    images = photos(2)
    heatmaps(model, images, layer_names(model))
    assert images.equal(photos(2))
    assert not images.requires_grad


# --- One forward pass, one backward pass --------------------------------------------------------------------


@contextmanager
def watched(net: nn.Module, seen: Callable[[str, Tensor], None]) -> Iterator[None]:
    """Tell of every module's output."""

    def watching(name: str) -> Callable[..., None]:
        return lambda module, args, output: seen(name, output)

    handles = [module.register_forward_hook(watching(name), always_call=True) for name, module in net.named_modules()]
    yield
    for handle in handles:
        handle.remove()


@pytest.mark.parametrize(("every_class", "backward_passes"), [(False, 1), (True, 9)])
def test_all_layers_cost_one_forward_pass_and_one_backward_pass_for_each_target(
    monkeypatch: pytest.MonkeyPatch, every_class: bool, backward_passes: int
) -> None:
    net = genus_net()
    calls: list[str] = []
    gradient_calls: list[int] = []
    original = torch.autograd.grad

    def counting(outputs: Tensor, inputs: list[Tensor], *args: Tensor, **options: bool) -> tuple[Tensor, ...]:
        gradient_calls.append(len(inputs))
        return original(outputs, inputs, *args, **options)

    def forbidden(*args: object, **options: object) -> None:
        raise AssertionError("backward() collects gradients in the parameters")

    monkeypatch.setattr(torch.autograd, "grad", counting)
    monkeypatch.setattr(torch.Tensor, "backward", forbidden)
    layers = layer_names(net)
    with watched(net, lambda name, output: calls.append(name)):
        (heatmaps_of_every_class if every_class else heatmaps)(net, photos(1), layers)
    assert len(calls) == len(set(calls))
    assert gradient_calls == [len(layers)] * backward_passes


def test_the_graph_starts_at_the_first_layer_asked_for() -> None:
    net = genus_net()
    in_graph: dict[str, bool] = {}
    with watched(net.backbone, lambda name, output: in_graph.update({name: output.requires_grad})):
        heatmaps(net, photos(1), ["blocks.4", "blocks.2"])
    assert not any(in_graph[name] for name in ("conv_stem", "blocks.0", "blocks.1", "blocks.2.0.bn2"))
    assert all(in_graph[name] for name in ("blocks.3", "blocks.4", "conv_head"))


def test_eigen_cam_builds_no_graph() -> None:
    net = genus_net()
    in_graph: list[bool] = []
    with watched(net, lambda name, output: in_graph.append(output.requires_grad)):
        heatmaps(net, photos(1), ["blocks.2"], method="eigencam")
    assert not any(in_graph)


# --- Threads ------------------------------------------------------------------------------------------------


def test_eight_threads_on_one_network_get_what_one_gets() -> None:
    net = genus_net()
    before = snapshot(net)
    names = layer_names(net)
    methods = [method for method in METHODS if method != "scorecam"]
    questions = [(photos(1, seed), names[seed % 3 :: 2], seed % 9, methods[seed % len(methods)]) for seed in range(48)]
    expected = [heatmaps(net, *question).maps for question in questions]
    start = threading.Barrier(8)

    def ask(first: int) -> list[dict[str, Tensor]]:
        start.wait(timeout=60)
        return [heatmaps(net, *question).maps for question in questions[first::8]]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    for first, found in enumerate(answers):
        for one, other in zip(found, expected[first::8], strict=True):
            assert_same_maps(one, other)
    assert snapshot(net) == before


def test_a_prediction_in_another_thread_meanwhile_is_a_plain_prediction() -> None:
    net = genus_net()
    image = photos(1, seed=1)
    with torch.inference_mode():
        expected = net(image)
    answers: list[Tensor] = []

    def predict() -> None:
        with torch.inference_mode():
            answers.append(net(image))

    def meanwhile(module: nn.Module, args: object) -> None:
        handle.remove()
        other = threading.Thread(target=predict)
        other.start()
        other.join(timeout=60)

    handle = net.head.register_forward_pre_hook(meanwhile)
    found = heatmaps(net, photos(1), layer_names(net))
    assert len(answers) == 1
    torch.testing.assert_close(answers[0], expected)
    assert answers[0].is_inference()
    assert_same_maps(found.maps, heatmaps(net, photos(1), layer_names(net)).maps)


# --- Wrong questions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"method": "grad-cam"}, list(METHODS)),
        ({"layers": ["blocks.44"]}, ["no layer 'blocks.44'", "blocks.4"]),
        ({"layers": []}, ["at least one layer"]),
        ({"layers": "blocks.4"}, ["list of names"]),
        ({"targets": 9}, ["from 0 to 8"]),
        ({"targets": [0, -1]}, ["from 0 to 8"]),
        ({"targets": [0, 1, 2]}, ["all 2 photos"]),
        ({"targets": 0.5}, ["all 2 photos"]),
        ({"against": 3}, ["Only contrastive", "gradcam does not"]),
        ({"method": "contrastive", "targets": 3, "against": 3}, ["contrasted with itself", "another one"]),
        ({"method": "contrastive", "against": 12}, ["contrasted class index", "from 0 to 8"]),
        ({"images": torch.zeros(3, 64, 64)}, ["(B, 3, h, w)", "(3, 64, 64)"]),
        ({"images": torch.zeros(0, 3, 64, 64)}, ["(0, 3, 64, 64)"]),
        ({"images": torch.zeros(1, 4, 64, 64)}, ["(1, 4, 64, 64)"]),
        ({"layers": ["global_pool"]}, ["global_pool", "no two-dimensional feature map"]),
    ],
)
def test_a_wrong_question_is_answered_with_the_valid_choices(
    model: GenusNet, options: dict[str, object], names: list[str]
) -> None:
    question: dict[str, object] = {"images": photos(2), "layers": ["blocks.4"], **options}
    with pytest.raises(ExplanationError) as raised:
        heatmaps(model, **question)  # type: ignore[arg-type]
    message = str(raised.value)
    assert message.endswith(".")
    for name in names:
        assert name in message


def test_a_network_in_training_mode_is_refused() -> None:
    net = genus_net()
    net.backbone.blocks[2].train()
    with pytest.raises(ExplanationError, match="training mode"):
        heatmaps(net, photos(1), ["blocks.4"])


def test_every_class_is_asked_of_one_photo_only(model: GenusNet) -> None:
    with pytest.raises(ExplanationError, match="one photo, not 2"):
        heatmaps_of_every_class(model, photos(2), ["blocks.4"])


def test_a_layer_that_the_network_has_but_does_not_run_is_named() -> None:
    net = toy(GRADIENT, -GRADIENT)
    net.unused = nn.ReLU().eval()
    with pytest.raises(ExplanationError, match="layer unused was not reached"):
        heatmaps(net, FEATURES[None], ["see", "unused"])


def assert_same_maps(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert list(found) == list(expected)
    for name, maps in found.items():
        torch.testing.assert_close(maps, expected[name], atol=1e-4, rtol=0, msg=lambda text, n=name: f"{n}: {text}")


# --- Networks that are wrapped ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrapped",
    [
        nn.DataParallel,
        torch.optim.swa_utils.AveragedModel,
        lambda net: nn.DataParallel(torch.optim.swa_utils.AveragedModel(net)),
        lambda net: torch.compile(net, backend="eager"),
    ],
)
def test_a_network_in_a_wrapper_gives_what_it_gives_without(wrapped: Callable[[nn.Module], nn.Module]) -> None:
    net = genus_net()
    layers = find_layers(net, INPUT_PX)
    expected = heatmaps(net, photos(1), [layer.name for layer in layers], 3).maps
    # The wrapper itself is in training mode, as whoever calls eval() on the network before leaves it.
    inside = wrapped(net)
    assert find_layers(inside, INPUT_PX) == layers
    assert_same_maps(heatmaps(inside, photos(1), [layer.name for layer in layers], 3).maps, expected)
    unwrapped(inside).backbone.blocks[2].train()
    with pytest.raises(ExplanationError, match="training mode"):
        heatmaps(inside, photos(1), ["blocks.4"])
