"""Views of photos: size, kind, and what each step does."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mushroom.training import augmentation
from mushroom.training.augmentation import AUGMENTATIONS


def picture(height: int = 60, width: int = 80) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(AUGMENTATIONS)), st.integers(1, 90), st.integers(1, 90), st.integers(0, 2**32))
def test_every_view_of_every_picture_is_a_square_of_8_bits(name: str, height: int, width: int, seed: int) -> None:
    view = AUGMENTATIONS[name](picture(height, width), 32, np.random.default_rng(seed))
    assert (view.shape, view.dtype) == ((32, 32, 3), np.uint8)


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS))
def test_a_view_leaves_the_picture_and_global_randomness_alone(name: str) -> None:
    original = picture()
    before, state = original.copy(), np.random.get_state()[1].copy()  # type: ignore[index]
    for seed in range(20):
        AUGMENTATIONS[name](original, 32, np.random.default_rng(seed))
    assert np.array_equal(original, before)
    assert np.array_equal(np.random.get_state()[1], state)  # type: ignore[index]


def test_colours_keep_their_order_through_compression() -> None:
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 220
    decoded = augmentation.recompressed(red, 90)
    assert decoded[..., 0].mean() > 200
    assert decoded[..., 2].mean() < 20


def test_a_picture_is_turned_about_its_centre() -> None:
    point = np.zeros((33, 33, 3), np.uint8)
    point[16, 16] = 255
    assert augmentation.rotated(point, 90, cv2.BORDER_CONSTANT)[16, 16, 0] > 200
    side = np.zeros((33, 33, 3), np.uint8)
    side[16, 26] = 255
    assert augmentation.rotated(side, 90, cv2.BORDER_CONSTANT)[6, 16, 0] > 200


def test_a_crop_keeps_between_three_tenths_and_all_of_the_photo() -> None:
    shares = [
        augmentation.random_crop(picture(), np.random.default_rng(seed)).size / picture().size for seed in range(200)
    ]
    assert min(shares) > 0.29
    assert max(shares) <= 1
    assert np.ptp(shares) > 0.5


def test_a_box_is_erased() -> None:
    changed = (augmentation.erased(picture(), np.random.default_rng(1)) != picture()).any(axis=2)
    assert 0.01 < changed.mean() < 0.25
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    assert changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean() > 0.95
