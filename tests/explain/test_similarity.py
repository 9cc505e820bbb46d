"""How alike heatmaps are, on cases computed by hand."""

import numpy as np
import pytest

from mushroom.explain.similarity import GRID_PX, on_grid, overlap, rank_correlation


def test_rank_correlation_asks_for_the_order_only() -> None:
    heat = np.random.default_rng(0).random((5, 6))
    assert rank_correlation(heat, heat**3) == pytest.approx(1)
    assert rank_correlation(heat, 1 - heat) == pytest.approx(-1)


def test_rank_correlation_of_three_places_of_which_two_change_is_a_half() -> None:
    # 1 - 6 (0 + 1 + 1) / (3 (9 - 1))
    assert rank_correlation(np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 3.0, 2.0]])) == pytest.approx(0.5)


def test_ties_share_their_mean_rank() -> None:
    # Ranks 1.5, 1.5, 3 against 1, 2, 3: covariance 0.75, deviations sqrt(0.75) and 1.
    assert rank_correlation(np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 2.0])) == pytest.approx(0.75**0.5)


def test_what_is_the_same_everywhere_ranks_nothing() -> None:
    heat, flat = np.random.default_rng(0).random((3, 3)), np.full((3, 3), 0.5)
    assert np.isnan(rank_correlation(heat, flat))
    assert np.isnan(rank_correlation(flat, heat))


def test_overlap_is_the_shared_part_of_the_hottest_fifths() -> None:
    one, other = np.zeros(20), np.zeros(20)
    one[[0, 1, 2, 3]] = [4, 3, 2, 1]
    other[[1, 2, 10, 11]] = [1, 2, 3, 4]
    # Two places of six.
    assert overlap(one, other) == pytest.approx(1 / 3)


def test_equal_heatmaps_overlap_wholly_and_opposite_ones_not_at_all() -> None:
    slope = on_grid(np.linspace(0, 1, 49, dtype=np.float32).reshape(7, 7))
    assert slope.shape == (GRID_PX, GRID_PX)
    assert (overlap(slope, slope), overlap(slope, 1 - slope)) == (1.0, 0.0)
