"""Where on the photo a heatmap is hot: the heatmap at the photo's size, and its hottest places."""

import cv2
import numpy as np

SUGGESTED_PERCENT = 15
SUGGESTED_MARGIN = 0.1
MINOR_HEAT = 0.25
"""A suggested part encloses the hottest 15 % of the photo, and a tenth of its own side around them; but a hot
place with less than a quarter of the strongest one's heat, far away in a corner say, does not widen it."""


def upsample(heatmap: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A heatmap (h, w) at ``size`` (width, height) in pixels: float32 (height, width).

    Bilinear. Each cell's value stands at the centre of the area that the cell covers, so nothing shifts by half a
    cell, and no value leaves the range of the heatmap's own.
    """
    return cv2.resize(np.asarray(heatmap, np.float32), size, interpolation=cv2.INTER_LINEAR)


def hottest_mask(heatmap: np.ndarray, percent: float, size: tuple[int, int]) -> np.ndarray:
    """Bool (height, width): the hottest ``percent`` (0 to 100) of a photo of ``size`` (width, height).

    Places without evidence (heat 0 or less) are never among them: the mask is smaller than asked for where the hot
    places are, and empty where the heatmap is. Places as hot as the last one taken are taken too.
    """
    enlarged = upsample(heatmap, size)
    count = round(enlarged.size * percent / 100)
    if count == 0:
        return np.zeros(enlarged.shape, bool)
    coldest_taken = np.partition(enlarged, enlarged.size - count, axis=None)[enlarged.size - count]
    return (enlarged >= coldest_taken) & (enlarged > 0)


def hottest_regions(heatmap: np.ndarray, percent: float, size: tuple[int, int]) -> list[dict[str, float]]:
    """The connected parts of the hottest ``percent`` of a photo of ``size``, the largest first.

    Each with ``left``, ``top``, ``right`` and ``bottom`` in percent of the photo, the ``share`` of the photo's area
    that it covers and the mean of the ``heat`` in it, both 0 to 1.
    """
    width, height = size
    _, statistics, heats = _parts(heatmap, percent, size)
    found = [
        {
            "left": round(100 * left / width, 1),
            "top": round(100 * top / height, 1),
            "right": round(100 * (left + across) / width, 1),
            "bottom": round(100 * (top + down) / height, 1),
            "share": round(area / (width * height), 4),
            "heat": round(heat / area, 3),
        }
        for (left, top, across, down, area), heat in zip(statistics[1:].tolist(), heats[1:].tolist(), strict=True)
    ]
    return sorted(found, key=lambda region: -region["share"])


def _parts(heatmap: np.ndarray, percent: float, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The connected parts of the hottest ``percent``, from 1 on, and what is left as part 0: the part of each pixel
    (height, width), left, top, width, height and area of each part (n, 5), and the sum of its heat (n,).
    """
    mask = hottest_mask(heatmap, percent, size)
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    # In one go: early layers have hundreds of hot specks.
    heats = np.bincount(labels[mask], upsample(heatmap, size)[mask], minlength=count)
    return labels, statistics, heats


def shares_of_evidence(evidence: np.ndarray) -> tuple[float, float]:
    """How much of all evidence is positive and how much negative, 0 to 1; both 0 where there is none."""
    total = float(np.abs(evidence).sum())
    if not total > 0:
        return 0.0, 0.0
    positive = float(evidence[evidence > 0].sum()) / total
    return positive, 1 - positive


def suggested_square(heatmap: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """A square, in pixels (left, top, right, bottom) of a photo of ``size``, round its hottest places, with a margin.

    None where the heatmap (h, w) is empty, or where the square would be nearly the whole photo.
    """
    labels, _, heat = _parts(heatmap, SUGGESTED_PERCENT, size)
    if not labels.any():
        return None
    rows, columns = np.nonzero(np.isin(labels, np.flatnonzero(heat >= MINOR_HEAT * heat.max())))
    width, height = size
    side = min(round((1 + 2 * SUGGESTED_MARGIN) * int(max(np.ptp(rows), np.ptp(columns)) + 1)), width, height)
    if side >= 0.95 * max(width, height):
        return None
    left = round(float(np.clip((columns.min() + columns.max() + 1 - side) / 2, 0, width - side)))
    top = round(float(np.clip((rows.min() + rows.max() + 1 - side) / 2, 0, height - side)))
    return left, top, left + side, top + side
