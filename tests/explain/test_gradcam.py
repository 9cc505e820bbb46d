"""Heatmaps: what comes out, from how many passes, and how a wrong question is answered."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import Mock

import pytest
import torch
from networks import FEATURES, GRADIENT, INPUT_PX, Toy, assert_same_maps, genus_net, layer_names, photos, toy
from torch import Tensor, nn

from mushroom.errors import ExplanationError
from mushroom.explain.gradcam import LayerHeatmaps, heatmaps
from mushroom.explain.layers import find_layers, unwrapped
from mushroom.explain.methods import METHODS
from mushroom.model import GenusNet

BACKWARD_METHODS = [key for key, method in METHODS.items() if method.needs == "gradient"]


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


def test_layers_come_in_any_order_or_alone_and_come_to_the_same(model: GenusNet) -> None:
    names = layer_names(model)
    together = heatmaps(model, photos(1), names).maps
    for asked in (names[::-1], *([name] for name in names)):
        assert_same_maps(
            heatmaps(model, photos(1), asked).maps, {name: together[name] for name in names if name in asked}
        )


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
def test_a_black_photo_through_a_network_without_biases_gets_zeros_and_an_even_one_no_nan(method: str) -> None:
    net = toy(GRADIENT, -GRADIENT)
    assert_empty(heatmaps(net, torch.zeros(2, 3, 2, 2), ["see"], 0, method))
    assert heatmaps(net, torch.ones(1, 3, 2, 2), ["see"], 0, method).maps["see"].isfinite().all()


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


def test_all_layers_cost_one_forward_pass_and_one_backward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    net = genus_net()
    calls: list[str] = []
    gradients = Mock(wraps=torch.autograd.grad)
    collects = AssertionError("backward() collects gradients in the parameters")
    monkeypatch.setattr(torch.autograd, "grad", gradients)
    monkeypatch.setattr(torch.Tensor, "backward", Mock(side_effect=collects))
    layers = layer_names(net)
    with watched(net, lambda name, output: calls.append(name)):
        heatmaps(net, photos(1), layers)
    assert len(calls) == len(set(calls))
    assert [len(call.args[1]) for call in gradients.call_args_list] == [len(layers)]


def test_the_graph_starts_at_the_first_layer_asked_for() -> None:
    net = genus_net()
    in_graph: dict[str, bool] = {}
    with watched(net.backbone, lambda name, output: in_graph.update({name: output.requires_grad})):
        heatmaps(net, photos(1), ["blocks.4", "blocks.2"])
    assert not any(in_graph[name] for name in ("conv_stem", "blocks.0", "blocks.1", "blocks.2.0.bn2"))
    assert all(in_graph[name] for name in ("blocks.3", "blocks.4", "conv_head"))


def test_eigen_cam_builds_no_graph(model: GenusNet) -> None:
    in_graph: list[bool] = []
    with watched(model, lambda name, output: in_graph.append(output.requires_grad)):
        heatmaps(model, photos(1), ["blocks.2"], method="eigencam")
    assert not any(in_graph)


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


def test_a_layer_that_the_network_has_but_does_not_run_is_named() -> None:
    net = toy(GRADIENT, -GRADIENT)
    net.unused = nn.ReLU().eval()
    with pytest.raises(ExplanationError, match="layer unused was not reached"):
        heatmaps(net, FEATURES[None], ["see", "unused"])


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
