"""Methods: values known by hand."""

from fractions import Fraction

import pytest
import torch
from networks import FEATURES, GRADIENT, Toy, assert_same_maps, toy
from torch import Tensor

from mushroom.errors import ExplanationError
from mushroom.explain.gradcam import heatmaps
from mushroom.explain.layers import find_layers
from mushroom.explain.methods import METHODS, eigen_cam, methods_for, normalise, why_not
from mushroom.model import create_backbone

# --- A network whose heatmaps are known by hand -------------------------------------------------------------


def toy_map(method: str, **options: int) -> Tensor:
    only_channel_one = torch.stack([torch.full((2, 2), mean) for mean in (0.0, 2.0, 0.0)])
    net = toy(GRADIENT, only_channel_one)
    return heatmaps(net, FEATURES[None], ["activate"], 0, method, **options).maps["activate"][0]


def test_toy_layers_are_the_activations_after_convolutions() -> None:
    assert [layer.name for layer in find_layers(toy(GRADIENT), 2)] == ["activate"]


@pytest.mark.parametrize(
    ("method", "options", "expected"),
    [
        # A channel's mean gradient at all its places: 1 * first + 2 * second - 1 * third = [[1, 8], [0, -3]]
        ("gradcam", {}, [[1 / 8, 1], [0, 0]]),
        # [[2 + 2, -8], [3 - 7, 0]]: the place that Grad-CAM finds hottest lowered the score.
        ("hirescam", {}, [[1, 0], [0, 0]]),
        # What speaks against is left out: [[2 + 2, 0], [3, 0]]
        ("layercam", {}, [[1, 0], [3 / 4, 0]]),
        # Active places count for more: weights (2 + 3) / 3, -8 / 4 and (2 - 7) / 5 give [[7/3, -8], [2/3, -3]].
        ("xgradcam", {}, [[1, 0], [2 / 7, 0]]),
        # Without the second channel, the other class's only one: [[2 - 1, 0], [1 - 1, -3]]
        ("contrastive", {"against": 1}, [[1, 0], [0, 0]]),
    ],
)
def test_a_methods_heatmap_is_the_one_worked_out_by_hand(
    method: str, options: dict[str, int], expected: list[list[float]]
) -> None:
    torch.testing.assert_close(toy_map(method, **options), torch.tensor(expected, dtype=torch.float32))


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
    for features in (values, values[:, :, :2, :2]):
        first = torch.linalg.svd(features.flatten(2).transpose(1, 2).double(), full_matrices=False)
        # Non-negative features have a first singular vector of one sign.
        expected = (first.U[..., 0] * first.S[..., :1]).abs().view(2, *features.shape[2:]).float()
        torch.testing.assert_close(eigen_cam(features), expected)


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


# --- From evidence to heatmap -------------------------------------------------------------------------------


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


# --- What makes sense where ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_a_method_works_in_a_transformer_or_says_why_it_does_not(method: str) -> None:
    torch.manual_seed(0)
    net = create_backbone("vit_tiny_patch16_224", 32).eval()
    reason = why_not(method, tokens=True)
    assert why_not(method, tokens=False) is None
    assert (method in methods_for(find_layers(net, 32))) is (reason is None)
    if reason is None:
        found = heatmaps(net, torch.randn(1, 3, 32, 32), ["blocks.1"], 3, method)
        assert found.maps["blocks.1"].isfinite().all()
        assert found.maps["blocks.1"].shape == (1, 2, 2)
        return
    with pytest.raises(ExplanationError, match="makes no sense in a transformer: it divides by"):
        heatmaps(net, torch.randn(1, 3, 32, 32), ["blocks.1"], 3, method)
