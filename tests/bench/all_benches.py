"""What all benches share: photos, times by turns, their ratios, and earlier commits of this project.

Imported first: it makes this project and ``tests/support`` importable.
"""

import io
import os
import statistics
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image
from torch import Tensor

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "support")]

from painted import PAINTED, paint_photos  # noqa: E402

from mushroom.explain.similarity import rank_correlation  # noqa: E402
from mushroom.streaming import photo_files  # noqa: E402

Way = TypeVar("Way")


def seconds(work: Callable[[], object]) -> float:
    """Of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def by_turns(ways: Mapping[Way, Callable[[], float]], rounds: int) -> dict[Way, list[float]]:
    """What each way tells in each round, after one that warms up.

    Each goes first in turn: what a way leaves in the caches, the next one meets.
    """
    names = list(ways)
    for name in names:
        ways[name]()
    measured: dict[Way, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            measured[name].append(ways[name]())
    return measured


def ratio(times: Sequence[float], others: Sequence[float]) -> float:
    """Median of the rounds' ratios: a machine's speed drifts more than the ways differ."""
    return statistics.median(one / other for one, other in zip(times, others, strict=False))


def verdict(kept: bool) -> str:
    """Of a budget."""
    return "kept" if kept else "MISSED"


def likeness(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """Rank correlation of heatmaps (photos, height, width) with those that are expected, layer by layer."""
    pairs = [
        pair for name, maps in expected.items() for pair in zip(found[name].cpu().numpy(), maps.numpy(), strict=False)
    ]
    values = [value for value in (rank_correlation(*pair) for pair in pairs) if not np.isnan(value)]
    if not values:
        return "rank correlation: none"
    return f"rank correlation: median {statistics.median(values):.4f}, lowest {min(values):.4f}"


def real_photos() -> list[str]:
    """Where this machine has any (MUSHROOM_DATA)."""
    folder = Path(os.environ.get("MUSHROOM_DATA", REPOSITORY / ".." / "shared" / "mushrooms")).resolve()
    return list(photo_files(str(folder))) if folder.is_dir() else []


def some_photos(count: int, painted: Path) -> list[str]:
    """Real photos where this machine has them, painted ones elsewhere."""
    files = real_photos()
    if not files:
        print("No real photos here (MUSHROOM_DATA): painted ones instead.")
        for genus, colour in PAINTED.items():
            paint_photos(painted / genus, colour, -(-count // len(PAINTED)))
        files = list(photo_files(str(painted)))
    return files[:: max(1, len(files) // count)][:count]


def write_photos(folder: Path, count: int, size: tuple[int, int], grain: float = 0) -> list[Path]:
    """Different JPEGs of blotches; with noise of the standard deviation ``grain``, as slow to decode as a camera's."""
    random = np.random.default_rng(0)
    noise = random.normal(0, grain, (*size[::-1], 3))
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number:05}.jpg" for number in range(count)]
    for path in paths:
        coarse = Image.fromarray(random.integers(0, 256, (32, 43, 3), dtype=np.uint8))
        photo = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC)) + noise
        Image.fromarray(photo.clip(0, 255).astype(np.uint8)).save(path, quality=90)
    return paths


def earlier_tree(commit: str, folder: Path) -> Path:
    """This project as it was at a commit, unpacked into ``folder``."""
    archive = subprocess.run(["git", "archive", commit], cwd=REPOSITORY, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as earlier:
        earlier.extractall(folder, filter="data")
    return folder


def run_in(tree: Path, script: str, *arguments: object) -> str:
    """What a Python script prints that finds the project of ``tree``."""
    command = [sys.executable, "-W", "ignore", "-c", script, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(tree)}
    return subprocess.run(command, cwd=tree, env=environment, check=True, capture_output=True, text=True).stdout
