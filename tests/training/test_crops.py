"""Copies of a photo in another source: cut, mirrored, recoloured; and none where two photos only look alike."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from mushroom.training.crops import copied_pairs, thumbnail


def scene(seed: int) -> Image.Image:
    """A picture with corners at several scales, as a photo has."""
    random = np.random.default_rng(seed)
    photo = Image.new("RGB", (320, 240), tuple(random.integers(0, 255, 3).tolist()))
    draw = ImageDraw.Draw(photo)
    for number in range(150):
        x, y, width, height = random.integers((0, 0, 4, 4), (320, 240, *([120, 90] if number < 40 else [30, 30])))
        shape = draw.ellipse if number % 2 else draw.rectangle
        box = (x - width // 2, y - height // 2, x + width // 2, y + height // 2)
        shape(box, tuple(random.integers(0, 255, 3).tolist()))
    return photo


@pytest.mark.parametrize(
    "change",
    [
        lambda photo: photo.crop((0, 0, 282, 211)),
        lambda photo: photo.crop((38, 29, 282, 211)),
        ImageOps.mirror,
        lambda photo: ImageOps.mirror(photo.crop((38, 29, 320, 240))),
        lambda photo: ImageEnhance.Color(ImageEnhance.Brightness(photo).enhance(1.2)).enhance(0.2),
    ],
    ids=["corner", "centre", "mirrored", "mirrored corner", "recoloured"],
)
def test_a_changed_copy_in_another_source_is_found(tmp_path: Path, change: object) -> None:
    photos = [scene(seed) for seed in range(6)]
    photos.append(change(photos[2]).resize((256, 192)))
    paths = [tmp_path / f"{number}.jpg" for number in range(len(photos))]
    for photo, path in zip(photos, paths, strict=True):
        photo.save(path, quality=90)
    thumbnails = np.stack([thumbnail(np.asarray(photo)) for photo in photos])
    assert copied_pairs(thumbnails, paths, [*"abcdef", "g"]).tolist() == [[2, 6]]
    assert len(copied_pairs(thumbnails, paths, [*"abcdef", "c"])) == 0
