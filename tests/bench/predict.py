"""Photos a second by engine, for the network alone and from files to answers, and the ratio to torch as it comes.

``python tests/bench/predict.py [PHOTOS]``: the same photos, batches and weights; engines take turns in each round, and
what is told are medians over the rounds. An engine counts only if its logits are within ``SAME`` of torch's and every
photo has the same genus. ``python tests/bench/predict.py --archive``: time and memory of ``predict`` over more and more
files, which are links to few photos.
"""

import itertools
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "support")]

from painted import PAINTED, paint_photos  # noqa: E402

from mushroom.classifier import BATCH, Classifier  # noqa: E402
from mushroom.engine import speed_up  # noqa: E402
from mushroom.photos import read_photo_file  # noqa: E402
from mushroom.streaming import answers, photo_files  # noqa: E402

ROUNDS = 5
SAME = 1e-3
WANTED = 2.5
ARCHIVES = (100, 1000, 10_000)

Forward = Callable[[torch.Tensor], np.ndarray]


def photos(painted: Path, count: int) -> list[str]:
    """Real photos where this machine has them, painted ones elsewhere."""
    real = Path(os.environ.get("MUSHROOM_DATA", REPOSITORY / ".." / "shared" / "mushrooms"))
    if not real.is_dir():
        print("No real photos here (MUSHROOM_DATA): painted ones instead.")
        for genus, colour in PAINTED.items():
            paint_photos(painted / genus, colour, count // len(PAINTED))
        real = painted
    every = list(photo_files(str(real)))
    return every[:: max(1, len(every) // count)][:count]


def engines(classifier: Classifier) -> dict[str, Forward]:
    """Ways to get a batch's logits."""
    last = Classifier.load(classifier.folder)
    last.model.to(memory_format=torch.channels_last)
    found: dict[str, Forward] = {
        "torch": Classifier.load(classifier.folder).image_logits,
        "torch, channels last": lambda images: last.image_logits(images.to(memory_format=torch.channels_last)),
    }
    fast = Classifier.load(classifier.folder)
    reason = speed_up(fast, many=True)
    if reason:
        print(reason)
    else:
        found["ONNX Runtime"] = fast.image_logits
    try:
        found["OpenVINO"] = openvino(classifier)
    except ImportError:
        print("OpenVINO is not installed here.")
    return found


def openvino(classifier: Classifier) -> Forward:
    """The exported network in OpenVINO, in float32."""
    from openvino import Core

    from mushroom.onnx_file import network_bytes

    core = Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    network = core.compile_model(core.read_model(network_bytes(classifier)), "CPU", settings)
    return lambda images: network(images.numpy())[0]


def main() -> int:
    """Print both tables."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 8 * BATCH
    classifier = Classifier.load()
    with tempfile.TemporaryDirectory() as folder:
        files = photos(Path(folder), count)
        batches = [
            classifier.to_images([read_photo_file(Path(file)) for file in files[start : start + BATCH]])
            for start in range(0, len(files), BATCH)
        ]
        every = engines(classifier)
        expected = np.concatenate([every["torch"](batch) for batch in batches])
        print(f"{len(files)} photos, batches of {BATCH}, {classifier.config.name}, {torch.get_num_threads()} threads")
        alone: dict[str, list[float]] = {name: [] for name in every}
        streamed: dict[str, list[float]] = {name: [] for name in every}
        for _ in range(ROUNDS):
            for name, forward in every.items():
                began = time.perf_counter()
                for batch in batches:
                    forward(batch)
                alone[name].append(time.perf_counter() - began)
                classifier.forward_images = forward
                began = time.perf_counter()
                assert sum(1 for _ in answers(classifier, files)) == len(files)
                streamed[name].append(time.perf_counter() - began)
        print(f"{'':22}{'network alone':>22}{'files to answers':>26}{'largest difference':>22}  same genus")
        for name, forward in every.items():
            logits = np.concatenate([forward(batch) for batch in batches])
            off, same = np.abs(logits - expected).max(), (logits.argmax(1) == expected.argmax(1)).mean()
            cells = "".join(
                f"{len(files) / statistics.median(times[name]):14.1f}/s x {ratio(times, name):5.2f}"
                for times in (alone, streamed)
            )
            output = "" if off <= SAME and same == 1 else "  NOT THE SAME ANSWERS"
            print(f"{name:22}{cells}{off:22.1e}  {same:.3f}{output}")
    best = max(ratio(streamed, name) for name in every)
    print(f"wanted from files: {WANTED} times torch; best {best:.2f}: {'kept' if best >= WANTED else 'MISSED'}")
    return 0


def ratio(times: dict[str, list[float]], name: str) -> float:
    """How many times as quick as torch, median of the rounds."""
    return statistics.median(one / other for one, other in zip(times["torch"], times[name], strict=True))


def archive() -> int:
    """Print seconds and peak memory of the command over archives of links."""
    with tempfile.TemporaryDirectory() as folder:
        few = photos(Path(folder) / "painted", 50)
        for count in ARCHIVES:
            links = Path(folder) / str(count)
            links.mkdir()
            for number, photo in zip(range(count), itertools.cycle(few), strict=False):
                (links / f"{number:06}{Path(photo).suffix}").symlink_to(photo)
            command = [sys.executable, "-m", "mushroom", "predict", str(links), "--csv", f"{folder}/{count}.csv"]
            began = time.perf_counter()
            subprocess.run(command, check=True, cwd=REPOSITORY, capture_output=True)
            took = time.perf_counter() - began
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            print(f"{count:8,} files {took:8.1f} s {count / took:8.1f} photos a second, at most {peak:6.0f} MB so far")
    return 0


if __name__ == "__main__":
    sys.exit(archive() if "--archive" in sys.argv else main())
