"""The project's own drawings: there, plain, and made by the script beside them."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mushroom.photos import read_photo_file

FOLDER = Path(__file__).resolve().parent.parent / "assets" / "drawings"
PICTURES = sorted(FOLDER.glob("*.png"))


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_a_drawing_is_a_small_square_without_metadata(path: Path) -> None:
    assert path.stat().st_size < 350_000
    assert read_photo_file(path).size == (640, 640)
    with Image.open(path) as picture:
        assert not picture.getexif()
        assert not set(picture.info) - {"transparency"}


def test_the_script_draws_the_picture_that_ships(tmp_path: Path) -> None:
    script = runpy.run_path(str(FOLDER / "draw.py"))
    names = [specimen.name for specimen in script["SPECIMENS"]]
    assert sorted(names) == [path.stem for path in PICTURES]
    script["write"](script["SPECIMENS"][-1], tmp_path)
    drawn = np.asarray(read_photo_file(tmp_path / f"{names[-1]}.png"), float)
    shipped = np.asarray(read_photo_file(FOLDER / f"{names[-1]}.png"), float)
    # Other versions of the drawing library may round an edge differently.
    assert np.abs(drawn - shipped).mean() < 2
