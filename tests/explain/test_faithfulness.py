"""Covering, deleting, inserting and shuffling on a network whose answers are known by hand."""

import copy

import numpy as np
import pytest
import torch
from networks import genus_net, photos
from PIL import Image
from scipy.special import expit as sigmoid
from torch import Tensor, nn

from mushroom.explain import faithfulness
from mushroom.explain.faithfulness import (
    CHANGED_BELOW,
    PATCHES,
    STEPS,
    UnderHeads,
    area_under,
    blur,
    confidence_change,
    cover,
    deletion_curves,
    faithfulness_table,
    insertion_curves,
    measure,
    most_faithful,
    shuffled_head,
)
from mushroom.explain.gradcam import heatmaps
from mushroom.explain.layers import Layer, find_layers
from mushroom.explain.methods import METHODS
from mushroom.explain.similarity import rank_correlation
from mushroom.model import GenusNet

SIDE_PX = 2 * PATCHES


class CapFinder(nn.Module):
    """Logits (2 x mean of red in the top left quarter, 0): class 0 is told by its red cap, nothing else."""

    def forward(self, images: Tensor) -> Tensor:
        half = SIDE_PX // 2
        redness = 2 * images[:, 0, :half, :half].mean((1, 2))
        return torch.stack([redness, torch.zeros_like(redness)], 1)


def red_photo() -> Tensor:
    photo = torch.zeros(1, 3, SIDE_PX, SIDE_PX)
    photo[:, 0, : SIDE_PX // 2, : SIDE_PX // 2] = 2
    return photo


def quarter_map(row: int, column: int) -> Tensor:
    """Heat on one quarter, in as many cells as there are patches."""
    heat = torch.zeros(1, PATCHES, PATCHES)
    half = PATCHES // 2
    heat[:, row * half : (row + 1) * half, column * half : (column + 1) * half] = 1
    return heat


RIGHT, WRONG = quarter_map(0, 0), quarter_map(1, 1)
TARGET = torch.tensor([0])


# --- Deletion and insertion ---------------------------------------------------------------------------------


def test_deleting_the_cap_first_makes_the_confidence_fall_at_once() -> None:
    # An eighth of the photo is half of the cap; after a quarter nothing of it is left.
    expected = [sigmoid(4), None, *[0.5] * (STEPS - 1)]
    curve = deletion_curves(CapFinder(), red_photo(), TARGET, RIGHT)[0].tolist()
    # 24 or 25 of the cap's 49 patches go in the first step.
    expected[1] = sigmoid(4 * (1 - round(PATCHES**2 / STEPS) / 49))
    assert curve == pytest.approx(expected)


def test_deleting_the_cap_last_keeps_the_confidence_up() -> None:
    last_of_all = 1 - RIGHT
    curve = deletion_curves(CapFinder(), red_photo(), TARGET, last_of_all)[0].tolist()
    assert curve[: STEPS * 3 // 4 + 1] == pytest.approx([sigmoid(4)] * (STEPS * 3 // 4 + 1))
    assert curve[-1] == pytest.approx(0.5)


def test_inserting_the_cap_first_makes_the_confidence_rise_at_once_from_that_of_the_blurred_photo() -> None:
    curve = insertion_curves(CapFinder(), red_photo(), TARGET, RIGHT)[0]
    torch.testing.assert_close(curve[2:], torch.full((STEPS - 1,), sigmoid(4)))
    assert curve[0] < curve[1] < curve[2]
    torch.testing.assert_close(curve[0], CapFinder()(blur(red_photo())).softmax(1)[0, 0])


def test_curves_of_several_heatmaps_of_one_photo_are_those_of_each_for_its_own_target() -> None:
    maps, targets = torch.cat([RIGHT, WRONG, quarter_map(0, 1)]), torch.tensor([0, 1, 0])
    photo = red_photo()
    together = deletion_curves(CapFinder(), photo, targets, maps)
    alone = [deletion_curves(CapFinder(), photo, targets[i : i + 1], maps[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(together, torch.cat(alone))


def test_patches_without_a_difference_go_in_an_order_that_is_scattered_and_always_the_same() -> None:
    empty = torch.zeros(1, PATCHES, PATCHES)
    curve = deletion_curves(CapFinder(), red_photo(), TARGET, empty)[0]
    assert curve.equal(deletion_curves(CapFinder(), red_photo(), TARGET, empty)[0])
    # From the top left corner on, the cap would be gone at half; scattered, half of it is still there.
    left = -torch.log(1 / curve[STEPS // 2] - 1) / 4
    assert 0.3 < float(left) < 0.7


def test_a_heatmap_of_any_size_takes_whole_patches() -> None:
    fine = RIGHT.repeat_interleave(4, 1).repeat_interleave(4, 2)
    coarse = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
    expected = deletion_curves(CapFinder(), red_photo(), TARGET, RIGHT)
    torch.testing.assert_close(deletion_curves(CapFinder(), red_photo(), TARGET, fine), expected)
    area = area_under(deletion_curves(CapFinder(), red_photo(), TARGET, coarse))
    assert area == pytest.approx(float(area_under(expected)), abs=0.05)


@pytest.mark.parametrize(
    ("curve", "area"), [([1.0, 1.0], 1), ([0.0, 1.0], 0.5), ([1.0, 0.5, 0.0, 0.0, 0.0], 0.25), ([0.0] * 5, 0)]
)
def test_area_is_that_under_straight_lines_between_points(curve: list[float], area: float) -> None:
    assert area_under(torch.tensor([curve])) == pytest.approx(area)


# --- Average drop and increase ------------------------------------------------------------------------------


# As large as the photo, so that nothing is smoothed at the cap's edge.
EXACT = RIGHT.repeat_interleave(2, 1).repeat_interleave(2, 2)


@pytest.mark.parametrize(
    ("target", "shown", "lost", "grew"),
    # Class 1 is likelier the less red there is.
    [(0, EXACT, 0, False), (0, 0 * EXACT, 1 - 0.5 / sigmoid(4), False), (1, WRONG, 0, True)],
    ids=["all that matters", "nothing", "all but what speaks against"],
)
def test_showing_only_the_hot_places_loses_what_the_others_were_worth(
    target: int, shown: Tensor, lost: float, grew: bool
) -> None:
    drop, increased = confidence_change(CapFinder(), red_photo(), torch.tensor([target]), shown)
    assert (drop.item(), increased.item()) == (pytest.approx(lost), grew)


def test_a_right_heatmap_measures_better_than_chance_and_a_wrong_one_worse() -> None:
    noise = torch.rand(16, 7, 7, generator=torch.Generator().manual_seed(0))
    right, wrong, *chance = measure(
        CapFinder(), red_photo()[0], 0, torch.cat([resized(RIGHT), resized(1 - RIGHT), noise])
    )
    assert right.deletion < min(one.deletion for one in chance)
    assert right.insertion > max(one.insertion for one in chance)
    assert right.average_drop < min(one.average_drop for one in chance)
    assert wrong.deletion > max(one.deletion for one in chance)
    assert wrong.insertion < max(one.insertion for one in chance)
    assert wrong.average_drop > max(one.average_drop for one in chance)


def resized(heat: Tensor) -> Tensor:
    return nn.functional.adaptive_avg_pool2d(heat, 7)


# --- Covering ------------------------------------------------------------------------------------------


def test_cover_blurs_the_masked_places_only() -> None:
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8))
    mask = np.zeros((60, 90), bool)
    mask[10:30, 20:80] = True
    before, covered = np.asarray(photo), np.asarray(cover(photo, mask))
    assert (covered[~mask] == before[~mask]).all()
    assert covered[mask].std() < 0.2 * before[mask].std()
    assert covered[mask].mean() == pytest.approx(127.5, abs=8)


def test_what_is_blurred_is_the_same_for_a_large_photo_as_for_a_small_one() -> None:
    coarse = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8))
    small, large = (coarse.resize((width, width * 3 // 4), Image.Resampling.BICUBIC) for width in (200, 1600))
    covered = [cover(photo, np.ones(photo.size[::-1], bool)).resize((40, 30)) for photo in (small, large)]
    assert np.abs(np.asarray(covered[0], int) - np.asarray(covered[1], int)).max() <= 6


def test_blur_keeps_an_even_photo_even_and_the_mean_of_any() -> None:
    even = torch.full((1, 3, 20, 30), 0.7)
    torch.testing.assert_close(blur(even), even)
    photo = torch.zeros(1, 3, 63, 63)
    photo[..., 31, 31] = 1
    blurred = blur(photo)
    torch.testing.assert_close(blurred.sum((2, 3)), photo.sum((2, 3)))
    torch.testing.assert_close(blurred, blurred.flip(2))
    torch.testing.assert_close(blurred, blurred.transpose(2, 3))
    assert blurred.amax() == blurred[0, 0, 31, 31]


# --- The randomisation check --------------------------------------------------------------------------------


def test_a_shuffled_head_has_the_learned_numbers_in_another_order_which_the_seed_decides(model: GenusNet) -> None:
    before = copy.deepcopy(model.state_dict())
    learned = model.head[-1].weight  # type: ignore[index, union-attr]
    one, same, other = (shuffled_head(model.head, seed)[-1].weight for seed in (1, 1, 2))  # type: ignore[index]
    assert one.equal(same)
    assert not one.equal(other)
    assert not one.equal(learned)
    assert one.flatten().sort().values.equal(learned.flatten().sort().values)
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())


def test_another_head_changes_heatmaps_that_ask_for_the_genus_and_not_eigen_cam(model: GenusNet) -> None:
    shuffled = UnderHeads(model.backbone, shuffled_head(model.head, seed=0))
    for method, changes in (("layercam", True), ("eigencam", False)):
        one, other = (heatmaps(net, photos(1), ["blocks.2"], 3, method).maps["blocks.2"] for net in (model, shuffled))
        assert (rank_correlation(one[0].numpy(), other[0].numpy()) < 0.99) is changes


def test_an_empty_heatmap_has_nothing_to_lose_and_one_that_becomes_empty_has_lost_all() -> None:
    heat, empty = torch.rand(3, 3), torch.zeros(3, 3)
    assert faithfulness._correlation(empty, heat) is None
    assert faithfulness._correlation(heat, empty) == 0
    assert faithfulness._correlation(heat, heat**3) == pytest.approx(1)


# --- The table ----------------------------------------------------------------------------------------------


def two_layers(model: GenusNet) -> tuple[Layer, ...]:
    return tuple(layer for layer in find_layers(model, 64) if layer.name in ("blocks.2", "blocks.4"))


def test_the_table_has_a_row_for_every_layer_and_method(model: GenusNet) -> None:
    table = faithfulness_table(model, photos(2), two_layers(model), torch.tensor([2, 7]), list(METHODS), seed=0)
    assert [(row["layer"], row["method"]) for row in table["rows"]] == [
        (layer, method) for layer in ("blocks.2", "blocks.4") for method in METHODS
    ]
    measures = ("deletion", "insertion", "average_drop", "increase")
    for row in [*table["rows"], table["chance"]]:
        assert all(0 <= row[name] <= 1 for name in measures)
    for row in table["rows"]:
        assert set(row) == {"method", "layer", "stage", *measures, "randomisation_correlation"}
        correlation = row["randomisation_correlation"]
        assert correlation is None or -1 <= correlation <= 1
    assert {row["stage"] for row in table["rows"] if row["layer"] == "blocks.4"} == {4}
    assert set(table["chance"]) == set(measures)
    assert table["best"] == most_faithful(table["rows"])


def test_the_tables_rows_are_averages_over_photos_of_what_is_asked_and_always_the_same(model: GenusNet) -> None:
    def table(images: Tensor, targets: Tensor) -> dict:
        return faithfulness_table(model, images, two_layers(model)[1:], targets, ["layercam"], seed=3)

    images, targets = photos(2), torch.tensor([2, 7])
    both = table(images, targets)
    assert table(images, targets) == both
    assert table(images, targets + 1) != both
    singles = [table(images[i : i + 1], targets[i : i + 1])["rows"][0] for i in range(2)]
    for name in ("deletion", "insertion", "average_drop", "increase"):
        assert both["rows"][0][name] == pytest.approx(sum(row[name] for row in singles) / 2)


def test_score_cam_of_two_heads_at_once_is_that_of_each(model: GenusNet) -> None:
    shuffled = shuffled_head(model.head, seed=0)
    found = faithfulness._with_and_without(model, shuffled, photos(1), ["blocks.0"], 5, "scorecam")["blocks.0"]
    for net, heat in zip((model, UnderHeads(model.backbone, shuffled)), found, strict=True):
        expected = heatmaps(net, photos(1), ["blocks.0"], 5, "scorecam").maps["blocks.0"][0]
        torch.testing.assert_close(heat, expected, atol=1e-4, rtol=0)


def row(layer: str, insertion: float, deletion: float, correlation: float | None) -> dict[str, object]:
    measured = {"insertion": insertion, "deletion": deletion, "randomisation_correlation": correlation}
    return {"layer": layer, "method": "gradcam", **measured}


def test_the_most_faithful_has_the_largest_insertion_minus_deletion_of_what_changes_with_the_head() -> None:
    rows = [row("a", 0.9, 0.5, 0.0), row("b", 0.8, 0.1, 0.0), row("c", 0.6, 0.05, 0.0)]
    assert most_faithful(rows) == {"layer": "b", "method": "gradcam"}
    rows = [row("a", 0.9, 0.1, CHANGED_BELOW), row("b", 0.9, 0.2, None), row("c", 0.4, 0.3, -0.2)]
    assert most_faithful(rows) == {"layer": "c", "method": "gradcam"}
    assert most_faithful(rows[:2]) is None
    assert most_faithful([]) is None


def test_measuring_learns_nothing_and_leaves_nothing() -> None:
    net = genus_net()
    before = copy.deepcopy(net.state_dict())
    layers = find_layers(net, 64)[-1:]
    faithfulness_table(net, photos(1), layers, torch.tensor([3]), ["gradcam", "contrastive"], seed=0)
    assert all(value.equal(before[name]) for name, value in net.state_dict().items())
    assert all(value.grad is None and value.requires_grad for value in net.parameters())
    assert not any(module._forward_hooks or module.training for module in net.modules())
