"""Synthetic photos for tests: blotches of one colour a genus."""

from pathlib import Path

import numpy as np
from PIL import Image

PAINTED = {"Amanita": (200, 40, 40), "Boletus": (120, 80, 30), "Lactarius": (230, 150, 60), "Suillus": (200, 190, 60)}
"""Genera that get painted photos, and the colour of each."""

ARCHIVE_PHOTOS = 101
"""How many files the archive of tests has: some batches and a rest."""


def paint_photos(folder: Path, colour: tuple[int, int, int], count: int) -> None:
    """Write ``count`` different blotches of about one colour into ``folder``."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(sum(colour))
    for index in range(count):
        coarse = np.clip(np.array(colour) + random.integers(-70, 70, (6, 8, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(coarse).resize((96, 72), Image.Resampling.BICUBIC).save(folder / f"{index}.jpg")
