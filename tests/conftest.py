"""What every test may ask for: the real photos where they are, synthetic ones everywhere."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def mushroom_data() -> Path:
    """Folder of real photos, one folder a genus; skips where this machine has none."""
    folder = Path(os.environ.get("MUSHROOM_DATA", REPOSITORY / ".." / "shared" / "mushrooms")).resolve()
    if not (folder / "Amanita").is_dir():
        pytest.skip(f"no real photos at {folder} (set MUSHROOM_DATA)")
    return folder
