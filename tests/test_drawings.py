"""The project's own drawings: there, plain, and made by the script beside them."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mushroom.photos import read_photo_file

FOLDER = Path(__file__).resolve().parent.parent / "assets" / "drawings"
PICTURES = sorted(FOLDER.glob("*.png"))


def test_there_are_six_drawings() -> None:
    assert len(PICTURES) == 6


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_a_drawing_is_a_small_square_without_metadata(path: Path) -> None:
    assert path.stat().st_size < 350_000
    assert read_photo_file(path).size == (640, 640)
    with Image.open(path) as picture:
        assert not picture.getexif()
        assert not set(picture.info) - {"transparency"}


def test_the_script_draws_the_picture_that_ships(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("draw", FOLDER / "draw.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["draw"] = script
    spec.loader.exec_module(script)
    specimen = script.SPECIMENS[-1]
    script.write(specimen, tmp_path)
    drawn = np.asarray(read_photo_file(tmp_path / f"{specimen.name}.png"), float)
    shipped = np.asarray(read_photo_file(FOLDER / f"{specimen.name}.png"), float)
    # Other versions of the drawing library may round an edge differently.
    assert np.abs(drawn - shipped).mean() < 2
