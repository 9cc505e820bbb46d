"""Photos a second through ``streaming.answers``, files and all, against the network alone on ready tensors.

``python tests/bench/predict.py``: the same photos, batches and network; rounds of both in turn, medians of the rounds.
"""

import itertools
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "support")]

from painted import PAINTED, paint_photos  # noqa: E402

from mushroom.classifier import BATCH, Classifier  # noqa: E402
from mushroom.photos import read_photo_file  # noqa: E402
from mushroom.streaming import answers, photo_files  # noqa: E402

PHOTOS = 8 * BATCH
ROUNDS = 7
WANTED = 0.9


def photos(painted: Path) -> list[str]:
    """Real photos where this machine has them, painted ones elsewhere."""
    real = Path(os.environ.get("MUSHROOM_DATA", REPOSITORY / ".." / "shared" / "mushrooms"))
    if not real.is_dir():
        print("No real photos here (MUSHROOM_DATA): painted ones instead.")
        for genus, colour in PAINTED.items():
            paint_photos(painted / genus, colour, PHOTOS // len(PAINTED))
        real = painted
    return list(itertools.islice(photo_files(str(real)), PHOTOS))


def seconds_bare(classifier: Classifier, batches: list[torch.Tensor]) -> float:
    """The network on tensors that are there already."""
    began = time.perf_counter()
    for batch in batches:
        classifier.predict_images(batch)
    return time.perf_counter() - began


def seconds_streamed(classifier: Classifier, files: list[str]) -> float:
    """From files to answers."""
    began = time.perf_counter()
    told = sum(1 for _ in answers(classifier, files))
    assert told == len(files)
    return time.perf_counter() - began


def main() -> int:
    """Print both and their ratio."""
    classifier = Classifier.load()
    with tempfile.TemporaryDirectory() as folder:
        files = photos(Path(folder))
        batches = [
            classifier.to_images([read_photo_file(Path(file)) for file in files[start : start + BATCH]])
            for start in range(0, len(files), BATCH)
        ]
        seconds_bare(classifier, batches[:2])
        seconds_streamed(classifier, files[: 2 * BATCH])
        rounds = [(seconds_bare(classifier, batches), seconds_streamed(classifier, files)) for _ in range(ROUNDS)]
    bare, streamed = (statistics.median(seconds) for seconds in zip(*rounds, strict=True))
    ratio = statistics.median(one / other for one, other in rounds)
    print(f"{len(files)} photos, batches of {BATCH}, {classifier.config.name}, {torch.get_num_threads()} threads")
    print(f"network alone        {len(files) / bare:7.1f} photos a second")
    print(f"files to answers     {len(files) / streamed:7.1f} photos a second")
    print(f"ratio                {ratio:7.3f}   wanted {WANTED}: {'kept' if ratio >= WANTED else 'MISSED'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
