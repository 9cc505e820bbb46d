"""Crops, mirrored and recoloured copies of one photo: proposed by perceptual hashes of windows, proved by geometry.

A hash of a whole photo finds copies that show the same frame. For crops, the hashes of windows of each photo are
compared with those of whole photos, and a pair counts only where OpenCV finds one similarity transform (scale,
turn, shift) that carries many of one photo's keypoints (ORB, Rublee et al. 2011) onto the other's. Hashes and
keypoints look at lightness alone, so that colours may differ.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from scipy.fft import dctn

THUMBNAIL_PX = 64
HASH_PX = 32
WINDOW_SIDES = (1.0, 0.88, 0.76, 0.64)
CANDIDATE_BITS = 9
"""Of 64; more proposes thousands of pairs that only share a round cap in the middle."""

KEYPOINTS = 600
KEYPOINT_PX = 384
INLIERS = 18
INLIER_SHARE = 0.35
REPROJECTION_PX = 4.0


def thumbnail(photo: np.ndarray) -> np.ndarray:
    """Lightness of ``photo`` (height, width, 3) uint8, squashed to THUMBNAIL_PX."""
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA)


def copied_pairs(thumbnails: np.ndarray, paths: Sequence[Path], sources: Sequence[str]) -> np.ndarray:
    """Pairs (n, 2) of row numbers of photos of different ``sources`` of which one is cut from the other.

    ``thumbnails``: (photos, THUMBNAIL_PX, THUMBNAIL_PX) uint8; ``paths`` are read for the pairs that hashes propose.
    """
    _, number = np.unique(np.array(sources, dtype=str), return_inverse=True)
    proposed: dict[tuple[int, int], bool] = {}
    whole = _hashes(thumbnails)
    for mirrored in (False, True):
        pictures = thumbnails[:, :, ::-1] if mirrored else thumbnails
        for window in _windows(pictures):
            for one, hashed in enumerate(_hashes(window)):
                near = np.flatnonzero(np.bitwise_count(whole ^ hashed) <= CANDIDATE_BITS)
                for other in near[number[near] != number[one]]:
                    proposed.setdefault((min(one, int(other)), max(one, int(other))), mirrored)
    found = [pair for pair, mirrored in proposed.items() if _same_scene(paths[pair[0]], paths[pair[1]], mirrored)]
    return np.array(sorted(found), int).reshape(-1, 2)


def _windows(pictures: np.ndarray) -> Iterator[np.ndarray]:
    """Each picture whole, then cut to smaller squares at corners and centre."""
    for share in WINDOW_SIDES:
        side = round(THUMBNAIL_PX * share)
        rest = THUMBNAIL_PX - side
        for top, left in {(0, 0), (0, rest), (rest, 0), (rest, rest), (rest // 2, rest // 2)}:
            yield pictures[:, top : top + side, left : left + side]


def _hashes(pictures: np.ndarray) -> np.ndarray:
    """A perceptual hash of 64 bits of each picture (n, height, width): signs of low frequencies against the median."""
    shrunk = [cv2.resize(p, (HASH_PX, HASH_PX), interpolation=cv2.INTER_AREA) for p in np.ascontiguousarray(pictures)]
    small = np.stack(shrunk)
    low = dctn(small.astype(np.float32), axes=(1, 2))[:, :8, :8].reshape(len(small), 64)
    bits = low > np.median(low, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def _same_scene(one: Path, other: Path, mirrored: bool) -> bool:
    """Does one similarity transform carry enough keypoints of one photo onto the other's?"""
    orb = cv2.ORB.create(KEYPOINTS)
    first, second = _grey(one), _grey(other)
    if first is None or second is None:
        return False
    if mirrored:
        first = np.ascontiguousarray(first[:, ::-1])
    points, described = orb.detectAndCompute(first, None)
    other_points, other_described = orb.detectAndCompute(second, None)
    if described is None or other_described is None:
        return False
    matches = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(described, other_described)
    if len(matches) < INLIERS:
        return False
    here = np.array([points[match.queryIdx].pt for match in matches], np.float32)
    there = np.array([other_points[match.trainIdx].pt for match in matches], np.float32)
    transform, inliers = cv2.estimateAffinePartial2D(here, there, ransacReprojThreshold=REPROJECTION_PX)
    if transform is None:
        return False
    scale = float(np.hypot(transform[0, 0], transform[1, 0]))
    number = int(inliers.sum())
    return 0.3 < scale < 3.3 and number >= INLIERS and number >= INLIER_SHARE * len(matches)


def _grey(path: Path) -> np.ndarray | None:
    data = np.frombuffer(path.read_bytes(), np.uint8)
    grey = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    if grey is None:
        return None
    factor = KEYPOINT_PX / max(grey.shape)
    return cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA) if factor != 1 else grey
