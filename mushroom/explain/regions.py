"""Where on the photo a heatmap is hot: the heatmap at the photo's size, and its hottest places."""

import cv2
import numpy as np


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
