"""Covering, deleting, inserting and shuffling on a network whose answers are known by hand."""

import copy
import math

import numpy as np
import pytest
import torch
from networks import genus_net, photos
from PIL import Image
from torch import Tensor, nn

from mushroom.explain import faithfulness
from mushroom.explain.faithfulness import (
    CHANGED_BELOW,
    PATCHES,
    STEPS,
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


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


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


def test_a_curve_starts_with_the_photo_and_ends_without_it_or_the_other_way_round() -> None:
    net, photo = CapFinder(), red_photo()
    deletion = deletion_curves(net, photo, TARGET, RIGHT)[0]
    insertion = insertion_curves(net, photo, TARGET, RIGHT)[0]
    blurred = net(blur(photo)).softmax(1)[0, 0]
    assert len(deletion) == len(insertion) == STEPS + 1
    torch.testing.assert_close(torch.stack([deletion[0], deletion[-1]]), torch.tensor([sigmoid(4), 0.5]))
    torch.testing.assert_close(torch.stack([insertion[0], insertion[-1]]), torch.tensor([blurred, sigmoid(4)]))


def test_inserting_the_cap_first_makes_the_confidence_rise_at_once() -> None:
    curve = insertion_curves(CapFinder(), red_photo(), TARGET, RIGHT)[0]
    torch.testing.assert_close(curve[2:], torch.full((STEPS - 1,), sigmoid(4)))
    assert curve[0] < curve[1] < curve[2]


def test_curves_of_several_heatmaps_of_one_photo_are_those_of_each() -> None:
    maps = torch.cat([RIGHT, WRONG, quarter_map(0, 1)])
    photo = red_photo()
    together = deletion_curves(CapFinder(), photo, torch.zeros(3, dtype=torch.long), maps)
    alone = [deletion_curves(CapFinder(), photo, TARGET, one[None]) for one in maps]
    torch.testing.assert_close(together, torch.cat(alone))


def test_curves_follow_each_photos_own_target() -> None:
    photos = red_photo().expand(2, -1, -1, -1)
    curves = deletion_curves(CapFinder(), photos, torch.tensor([0, 1]), RIGHT.expand(2, -1, -1))
    torch.testing.assert_close(curves[0], 1 - curves[1])


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


def test_showing_only_what_matters_loses_nothing() -> None:
    # As large as the photo, so that nothing is smoothed at the cap's edge.
    exact = RIGHT.repeat_interleave(2, 1).repeat_interleave(2, 2)
    drop, increased = confidence_change(CapFinder(), red_photo(), TARGET, exact)
    assert drop.tolist() == [0]
    assert increased.tolist() == [False]


def test_showing_only_what_does_not_matter_loses_what_the_network_had() -> None:
    drop, increased = confidence_change(CapFinder(), red_photo(), TARGET, torch.zeros(1, 2, 2))
    assert drop.item() == pytest.approx((sigmoid(4) - 0.5) / sigmoid(4))
    assert increased.tolist() == [False]


def test_hiding_what_speaks_against_increases_confidence() -> None:
    # Class 1 is likelier the less red there is.
    drop, increased = confidence_change(CapFinder(), red_photo(), torch.tensor([1]), WRONG)
    assert drop.tolist() == [0]
    assert increased.tolist() == [True]


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


def test_a_shuffled_head_leaves_the_network_untouched(model: GenusNet) -> None:
    before = copy.deepcopy(model.state_dict())
    modes = [module.training for module in model.modules()]
    expected = model(photos(1))
    shuffled = shuffled_head(model, seed=0)
    shuffled(photos(1))
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert model(photos(1)).equal(expected)
    assert not any(module.training for module in shuffled.modules())


def test_a_shuffled_head_has_the_same_numbers_in_another_order(model: GenusNet) -> None:
    shuffled = shuffled_head(model, seed=0)
    learned, other = model.head[-1].weight, shuffled.head[-1].weight  # type: ignore[index, union-attr]
    assert not learned.equal(other)
    assert learned.flatten().sort().values.equal(other.flatten().sort().values)
    assert shuffled.backbone is model.backbone


def test_the_seed_decides_how_a_head_is_shuffled(model: GenusNet) -> None:
    one, same, other = (shuffled_head(model, seed)(photos(1)) for seed in (1, 1, 2))
    assert one.equal(same)
    assert not one.equal(other)


def test_another_head_changes_heatmaps_that_ask_for_the_genus_and_not_eigen_cam(model: GenusNet) -> None:
    shuffled = shuffled_head(model, seed=0)
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
    table = faithfulness_table(model, photos(2), two_layers(model))
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


def test_the_table_is_the_same_every_time(model: GenusNet) -> None:
    one, other = (
        faithfulness_table(model, photos(2), two_layers(model), methods=["gradcam", "hirescam"], seed=3)
        for _ in range(2)
    )
    assert one == other


def test_the_tables_rows_are_averages_over_photos(model: GenusNet) -> None:
    layers = two_layers(model)[1:]
    both = faithfulness_table(model, photos(2), layers, methods=["layercam"])["rows"][0]
    singles = [faithfulness_table(model, photo[None], layers, methods=["layercam"])["rows"][0] for photo in photos(2)]
    for name in ("deletion", "insertion", "average_drop", "increase"):
        assert both[name] == pytest.approx(sum(row[name] for row in singles) / 2)


def test_the_table_asks_about_the_targets_given(model: GenusNet) -> None:
    options = {"layers": two_layers(model)[1:], "methods": ["layercam"]}
    predicted = model(photos(2)).argmax(1)
    expected = faithfulness_table(model, photos(2), **options)
    assert faithfulness_table(model, photos(2), targets=predicted, **options) == expected
    assert faithfulness_table(model, photos(2), targets=(predicted + 1) % 9, **options) != expected


def test_score_cam_of_two_heads_at_once_is_that_of_each(model: GenusNet) -> None:
    shuffled = shuffled_head(model, seed=0)
    found = faithfulness._with_and_without(model, shuffled, photos(1), ["blocks.0"], 5, "scorecam")
    for net, maps in zip((model, shuffled), found, strict=True):
        expected = heatmaps(net, photos(1), ["blocks.0"], 5, "scorecam").maps["blocks.0"][0]
        torch.testing.assert_close(maps["blocks.0"], expected, atol=1e-4, rtol=0)


def row(layer: str, insertion: float, deletion: float, correlation: float | None) -> dict[str, object]:
    return {
        "layer": layer,
        "method": "gradcam",
        "insertion": insertion,
        "deletion": deletion,
        "randomisation_correlation": correlation,
    }


def test_the_most_faithful_has_the_largest_insertion_minus_deletion() -> None:
    rows = [row("a", 0.9, 0.5, 0.0), row("b", 0.8, 0.1, 0.0), row("c", 0.6, 0.05, 0.0)]
    assert most_faithful(rows) == {"layer": "b", "method": "gradcam"}


def test_what_does_not_change_with_the_head_is_never_the_most_faithful() -> None:
    rows = [row("a", 0.9, 0.1, CHANGED_BELOW), row("b", 0.9, 0.2, None), row("c", 0.4, 0.3, -0.2)]
    assert most_faithful(rows) == {"layer": "c", "method": "gradcam"}
    assert most_faithful(rows[:2]) is None
    assert most_faithful([]) is None


def test_measuring_learns_nothing_and_leaves_nothing() -> None:
    net = genus_net()
    before = copy.deepcopy(net.state_dict())
    layers = find_layers(net, 64)[-1:]
    faithfulness_table(net, photos(1), layers, methods=["gradcam", "contrastive"])
    assert all(value.equal(before[name]) for name, value in net.state_dict().items())
    assert all(value.grad is None and value.requires_grad for value in net.parameters())
    assert not any(module._forward_hooks or module.training for module in net.modules())
