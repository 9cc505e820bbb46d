"""Small coloured squares as training photos."""

import numpy as np
import pytest
from PIL import Image
from training_squares import GENERA, SQUARES, chosen, labelled

from mushroom.training.data import TrainingPhotos


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> TrainingPhotos:
    """Twelve noisy squares of each of two genera, eight of another genus, four of none."""
    folder = tmp_path_factory.mktemp("squares")
    random = np.random.default_rng(0)
    names, paths = [], []
    for name, count in (("red", 12), ("brown", 12), ("blue", 8), ("unnamed", 4)):
        for index in range(count):
            noise = random.integers(-30, 30, (70, 80, 3))
            paths.append(folder / f"{name}-{index}.png")
            Image.fromarray(np.clip(np.array(SQUARES[name]) + noise, 0, 255).astype(np.uint8)).save(paths[-1])
            names.append(name)
    photos = labelled(names)
    return TrainingPhotos(paths, photos.labels, photos.names, photos.sources, GENERA, photos.numbers)


@pytest.fixture(scope="session")
def known_squares(squares: TrainingPhotos) -> TrainingPhotos:
    return chosen(squares, np.flatnonzero(squares.known))
