"""Heatmaps on the photo: nothing shifts, and what counts as hot is what was asked for."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch.nn import functional

from mushroom.explain import regions
from mushroom.explain.regions import hottest_mask, upsample

heatmaps = arrays.arrays(
    np.float32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.floats(-1, 1, width=32)
)
sizes = st.tuples(st.integers(1, 60), st.integers(1, 60))
shares = st.floats(0, 100)


def centre_of_mass(values: np.ndarray) -> tuple[float, float]:
    rows, columns = np.indices(values.shape) + 0.5
    return float((rows * values).sum() / values.sum()), float((columns * values).sum() / values.sum())


def one_hot_cell(row: int, column: int, height: int = 5, width: int = 7) -> np.ndarray:
    heatmap = np.zeros((height, width), np.float32)
    heatmap[row, column] = 1
    return heatmap


# --- At the photo's size ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("row", "column"), [(1, 1), (2, 3), (3, 5)])
@pytest.mark.parametrize("scale", [32, 33])
def test_a_hot_cell_stays_over_the_area_it_covers(row: int, column: int, scale: int) -> None:
    enlarged = upsample(one_hot_cell(row, column), (7 * scale, 5 * scale))
    assert enlarged.shape == (5 * scale, 7 * scale)
    # Half a cell would be 16 pixels.
    assert centre_of_mass(enlarged) == pytest.approx(((row + 0.5) * scale, (column + 0.5) * scale), abs=0.05)


def test_it_is_the_bilinear_interpolation_of_the_field() -> None:
    heatmap = np.random.default_rng(0).random((7, 9), np.float32)
    expected = functional.interpolate(
        torch.from_numpy(heatmap)[None, None], (224, 300), mode="bilinear", align_corners=False
    )[0, 0]
    np.testing.assert_allclose(upsample(heatmap, (300, 224)), expected, atol=1e-4)


# --- The hottest places -------------------------------------------------------------------------------------


def test_one_hot_cell_of_49_and_60_percent_cover_what_is_hot_and_no_more() -> None:
    # Bilinear heat of one cell reaches half a cell further on each side: 2 x 2 cells of 7 x 7, less the last row
    # and column, which are exactly cold.
    mask = hottest_mask(one_hot_cell(3, 3, 7, 7), 60, (700, 700))
    assert mask.mean() == pytest.approx(4 / 49, abs=0.001)
    assert mask[300:400, 300:400].all()
    assert not mask[:250].any()


@pytest.mark.parametrize("percent", [0, 1, 25, 50, 99, 100])
def test_the_mask_takes_the_share_of_the_area_that_was_asked_for(percent: float) -> None:
    heatmap = np.random.default_rng(0).random((7, 7), np.float32) + 0.01
    mask = hottest_mask(heatmap, percent, (50, 40))
    assert mask.shape == (40, 50)
    assert mask.dtype == bool
    assert mask.mean() == pytest.approx(percent / 100, abs=0.01)


def test_places_as_hot_as_the_last_one_taken_are_taken_too() -> None:
    heatmap = np.array([[1.0, 0.5], [0.5, 0.5]])
    assert hottest_mask(heatmap, 50, (2, 2)).all()
    assert hottest_mask(heatmap, 25, (2, 2)).tolist() == [[True, False], [False, False]]


# --- Parts of the photo -------------------------------------------------------------------------------------


def test_hot_regions_are_told_apart_the_largest_first_with_the_numbers_of_their_cells() -> None:
    # At the heatmap's own size nothing is interpolated.
    heatmap = np.zeros((20, 30), np.float32)
    heatmap[1:3, 20:23] = 0.25
    heatmap[4:6, 10:15], heatmap[6:8, 10:15] = 1, 0.5
    larger, smaller = regions.hottest_regions(heatmap, 50, (30, 20))
    assert larger == {"left": 33.3, "top": 20.0, "right": 50.0, "bottom": 40.0, "share": 0.0333, "heat": 0.75}
    assert smaller == {"left": 66.7, "top": 5.0, "right": 76.7, "bottom": 15.0, "share": 0.01, "heat": 0.25}
    assert regions.hottest_regions(np.zeros((4, 4), np.float32), 20, (50, 50)) == []


def test_shares_of_evidence_of_both_signs() -> None:
    assert regions.shares_of_evidence(np.array([[3.0, -1.0], [0.0, 0.0]])) == (0.75, 0.25)
    assert regions.shares_of_evidence(np.zeros((2, 2))) == (0.0, 0.0)


def test_a_suggested_square_holds_the_hot_place() -> None:
    heatmap = np.zeros((20, 20), np.float32)
    heatmap[12:15, 4:7] = 1
    square = regions.suggested_square(heatmap, (400, 300))
    assert square is not None
    left, top, right, bottom = square
    assert left <= 80 < 140 <= right
    assert top <= 180 < 225 <= bottom
    assert regions.suggested_square(np.zeros((4, 4), np.float32), (40, 30)) is None
    assert regions.suggested_square(np.ones((4, 4), np.float32), (40, 40)) is None


def test_a_weak_place_far_away_does_not_widen_the_suggestion_and_a_strong_one_does() -> None:
    heatmap = np.zeros((30, 40), np.float32)
    heatmap[12:18, 10:16] = 1
    alone = regions.suggested_square(heatmap, (400, 300))
    heatmap[0:2, 36:38] = 0.9
    assert regions.suggested_square(heatmap, (400, 300)) == alone
    heatmap[0:6, 33:39] = 0.9
    wide = regions.suggested_square(heatmap, (400, 300))
    assert alone is not None
    assert wide is None or wide[2] - wide[0] > 2 * (alone[2] - alone[0])


# --- Whatever the heatmap -----------------------------------------------------------------------------------


@given(heatmaps, shares, shares, sizes)
@settings(deadline=None)
def test_a_mask_is_of_the_photos_size_and_takes_the_hottest_places_alone(
    heatmap: np.ndarray, percent: float, other: float, size: tuple[int, int]
) -> None:
    mask, enlarged = hottest_mask(heatmap, percent, size), upsample(heatmap, size)
    assert (mask.dtype, mask.shape) == (bool, size[::-1])
    asked = round(mask.size * percent / 100)
    assert mask.sum() >= min(asked, (enlarged > 0).sum())
    assert not mask[enlarged <= 0].any()
    assert not mask.any() or mask.all() or enlarged[mask].min() > enlarged[~mask].max()
    smaller, larger = (hottest_mask(heatmap, each, size) for each in sorted((percent, other)))
    assert not (smaller & ~larger).any()


@given(heatmaps, shares, sizes)
@settings(deadline=None)
def test_regions_cover_the_mask_and_lie_on_the_photo(
    heatmap: np.ndarray, percent: float, size: tuple[int, int]
) -> None:
    found = regions.hottest_regions(heatmap, percent, size)
    assert sum(region["share"] for region in found) == pytest.approx(
        hottest_mask(heatmap, percent, size).mean(), abs=1e-4 * max(len(found), 1)
    )
    for region in found:
        assert 0 <= region["left"] < region["right"] <= 100
        assert 0 <= region["top"] < region["bottom"] <= 100
        assert 0 <= region["heat"] <= 1


@given(heatmaps, sizes)
@settings(deadline=None)
def test_a_suggested_part_is_a_square_on_the_photo(heatmap: np.ndarray, size: tuple[int, int]) -> None:
    square = regions.suggested_square(heatmap, size)
    if square is not None:
        left, top, right, bottom = square
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]
        assert right - left == bottom - top
