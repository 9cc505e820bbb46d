"""What every test may ask for: the real photos where they are, synthetic ones everywhere."""

import csv
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from painted import ARCHIVE_PHOTOS, PAINTED, paint_photos

if TYPE_CHECKING:
    from commands import Run

    from mushroom.dataset import Prepared

# pytest-xdist has a worker for each core: torch's own threads would only get into each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def mushroom_data() -> Path:
    """Folder of real photos, one folder a genus; skips where this machine has none."""
    folder = Path(os.environ.get("MUSHROOM_DATA", REPOSITORY / ".." / "shared" / "mushrooms")).resolve()
    if not (folder / "Amanita").is_dir():
        pytest.skip(f"no real photos at {folder} (set MUSHROOM_DATA)")
    return folder


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> "Prepared":
    """Twelve painted photos of each of four genera, prepared; a module may have some of its own."""
    from mushroom.training.prepare import prepare

    root = tmp_path_factory.mktemp("painted")
    for genus, colour in PAINTED.items():
        paint_photos(root / "photos" / genus, colour, 12)
    return prepare(str(root / "photos"), root / "prepared", progress=False)


@pytest.fixture(scope="session")
def painted_app(prepared: "Prepared") -> dict[str, str]:
    """Environment for the app: the default network, evaluated on painted photos that this machine has.

    The network has learned nothing of blotches, so that right and wrong answers are both of no matter: what the
    pages do with them is what is tested.
    """
    from mushroom.checkpoint import DEFAULT_MODEL, SHIPPED_CHECKPOINTS
    from mushroom.evaluation.evaluate import evaluate

    checkpoint = prepared.folder.parent / "models" / DEFAULT_MODEL
    shutil.copytree(SHIPPED_CHECKPOINTS / DEFAULT_MODEL, checkpoint, ignore=shutil.ignore_patterns("training"))
    evaluate(checkpoint, prepared)
    return {"MUSHROOM_PREPARED": str(prepared.folder), "MUSHROOM_CHECKPOINTS": str(checkpoint.parent)}


@pytest.fixture
def test_photo(painted_app: dict[str, str]) -> str:
    """The first painted photo of the test split, as the manifest names it."""
    with Path(painted_app["MUSHROOM_PREPARED"], "manifest.csv").open() as file:
        return next(row["photo"] for row in csv.DictReader(file) if row["split"] == "test")


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network that has learned nothing."""
    from networks import untrained_checkpoint

    return untrained_checkpoint(tmp_path_factory.mktemp("checkpoint") / "small")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> "Run":
    """Runs a command of ``mushroom`` or ``train.py`` by its words: exit status, and what it printed."""
    from commands import Ran, status_of

    return lambda *words: Ran(status_of(*words), *capsys.readouterr())


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Painted photos in folders, and among them a file that is none."""
    folder = tmp_path_factory.mktemp("archive")
    paint_photos(folder / "a" / "deep", (200, 40, 40), ARCHIVE_PHOTOS // 2)
    paint_photos(folder / "b", (40, 200, 40), ARCHIVE_PHOTOS - ARCHIVE_PHOTOS // 2 - 1)
    (folder / "b" / "50 not a photo.jpg").write_bytes(b"no")
    return folder
