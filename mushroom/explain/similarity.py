"""How alike two heatmaps of one photo are: do they rank its places alike, and do their hottest places overlap?"""

import numpy as np

from mushroom.explain.regions import upsample

GRID_PX = 64
"""Heatmaps of different sizes are compared on a grid of this many points squared."""

HOTTEST_SHARE = 0.2
"""The hottest places of a heatmap are this share of the photo."""


def on_grid(heatmap: np.ndarray) -> np.ndarray:
    """A heatmap (h, w) of any size on the grid: float32 (GRID_PX, GRID_PX)."""
    return upsample(heatmap, (GRID_PX, GRID_PX))


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's rank correlation of two heatmaps of the same size, -1 to 1; ties share their mean rank.

    Not a number where one of them is the same everywhere: it ranks nothing.
    """
    # It takes a second, and most who explain a photo don't compare heatmaps.
    from scipy.stats import spearmanr

    if one.min() == one.max() or other.min() == other.max():
        return float("nan")
    return float(spearmanr(one.ravel(), other.ravel()).statistic)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Shared part of the hottest places of two heatmaps of the same size: intersection over union, 0 to 1.

    Each heatmap gives as many places, ``HOTTEST_SHARE`` of all.
    """
    count = round(HOTTEST_SHARE * one.size)
    hottest = [set(np.argsort(heatmap, axis=None, kind="stable")[-count:].tolist()) for heatmap in (one, other)]
    return len(hottest[0] & hottest[1]) / len(hottest[0] | hottest[1])
