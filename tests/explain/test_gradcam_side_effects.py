"""Heatmaps leave a network as they found it, whatever happens, and any thread may ask."""

import threading
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import pytest
import torch
from networks import assert_same_maps, genus_net, layer_names, photos, snapshot
from torch import Tensor, nn

from mushroom.errors import ExplanationError
from mushroom.explain.gradcam import heatmaps
from mushroom.explain.methods import METHODS
from mushroom.model import GenusNet

# --- A network that nobody can tell was looked at -----------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_a_frozen_and_an_unfrozen_network_give_the_same_and_are_left_as_found(method: str) -> None:
    found = []
    for learns in (False, True):
        net = genus_net().requires_grad_(learns)
        before = snapshot(net)
        found.append(heatmaps(net, photos(2), ["blocks.1", "blocks.4"], method=method))
        assert snapshot(net) == before
    assert_same_maps(found[0].maps, found[1].maps)


def test_gradients_that_training_had_collected_are_left_alone() -> None:
    net = genus_net()
    net(photos(1)).sum().backward()
    before = [value.grad.clone() for value in net.parameters()]  # type: ignore[union-attr]
    heatmaps(net, photos(1), layer_names(net))
    assert all(value.grad.equal(kept) for value, kept in zip(net.parameters(), before, strict=True))  # type: ignore[union-attr]


class BrokenHead(nn.Module):
    def __init__(self, *, forwards: bool) -> None:
        super().__init__()
        self.forwards = forwards

    def forward(self, features: Tensor) -> Tensor:
        if self.forwards:
            raise RuntimeError("the forward pass broke")
        features.register_hook(Mock(side_effect=RuntimeError("the backward pass broke")))
        return features[:, :9]


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
        assert torch.is_inference_mode_enabled()
    assert_same_maps(found.maps, expected)


def test_the_photos_themselves_are_left_alone(model: GenusNet) -> None:
    images = photos(2)
    heatmaps(model, images, layer_names(model))
    assert images.equal(photos(2))
    assert not images.requires_grad


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
