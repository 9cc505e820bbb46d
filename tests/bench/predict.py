"""Photos a second by engine, for the network alone and from files to answers, and the ratio to torch as it comes.

``python tests/bench/predict.py [PHOTOS]``: the same photos, batches and weights for the network that ships, a
ResNet-50 and a ViT-S (these two with random weights: they are there for their speed). Engines take turns in each
round, and what is told are medians over the rounds. An engine counts only if its logits are within ``SAME`` of
torch's and every photo has the same genus. Beside them what else a user would take: timm's inference script and
pybioclip's prediction loop, with the same network.

``python tests/bench/predict.py --reduced [PHOTOS]``: what decoding JPEGs at a fraction of their size changes.
``archive.py`` beside it has time and memory over large archives.
"""

import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "support")]

from engines import ENGINES, PEERS, NotHere  # noqa: E402
from painted import PAINTED, paint_photos  # noqa: E402

from mushroom.checkpoint import save_checkpoint  # noqa: E402
from mushroom.classifier import BATCH, Classifier  # noqa: E402
from mushroom.model import ModelConfig, build_model  # noqa: E402
from mushroom.onnx_file import network_bytes  # noqa: E402
from mushroom.photos import read_photo, read_photo_file, to_tensor  # noqa: E402
from mushroom.streaming import answers, photo_files  # noqa: E402

Made = TypeVar("Made")

PHOTOS = 500
TIMED = 4 * BATCH
"""Photos that a round takes the time of; all are compared."""

ROUNDS = 3
SAME = 1e-3
WANTED = 2.5
OTHERS = ("resnet50.tv2_in1k", "vit_small_patch16_224")
OTHERS_PHOTOS = TIMED
LARGE_PX = 2400
"""The longer side that photos are enlarged to where decoding at a fraction is measured."""


def photo_paths(painted: Path, count: int) -> list[str]:
    """Real photos where this machine has them, painted ones elsewhere."""
    real = Path(os.environ.get("MUSHROOM_DATA", REPOSITORY / ".." / "shared" / "mushrooms"))
    if not real.is_dir():
        print("No real photos here (MUSHROOM_DATA): painted ones instead.")
        for genus, colour in PAINTED.items():
            paint_photos(painted / genus, colour, -(-count // len(PAINTED)))
        real = painted
    every = list(photo_files(str(real)))
    return every[:: max(1, len(every) // count)][:count]


def untrained(folder: Path, backbone: str) -> Path:
    """A checkpoint of a backbone with random weights."""
    torch.manual_seed(0)
    config = ModelConfig(name=backbone, backbone=backbone, input_px=224, genera=("Amanita", "Boletus", "Russula"))
    save_checkpoint(folder / backbone, build_model(config), config)
    return folder / backbone


def compare(checkpoint: Path | None, files: Sequence[str]) -> None:
    """Print the table of one network; the ratio that is wanted where the network is the one that ships."""
    classifier = Classifier.load(checkpoint)
    batches = [
        classifier.to_images([read_photo_file(Path(file)) for file in files[start : start + BATCH]])
        for start in range(0, len(files), BATCH)
    ]
    engines = built(ENGINES, classifier.folder)
    peers = built(PEERS, classifier.folder)
    timed, timed_batches = files[:TIMED], batches[: TIMED // BATCH]
    alone: dict[str, list[float]] = {name: [] for name in engines}
    streamed: dict[str, list[float]] = {name: [] for name in (*engines, *peers)}
    logits = {name: np.concatenate([forward(batch) for batch in batches]) for name, forward in engines.items()}
    for _ in range(ROUNDS):
        for name, forward in engines.items():
            alone[name].append(seconds(lambda forward=forward: [forward(batch) for batch in timed_batches]))
            classifier.forward_images = forward
            streamed[name].append(seconds(lambda: list(answers(classifier, timed))))
        for name, loop in peers.items():
            streamed[name].append(seconds(lambda loop=loop: loop(timed)))
    print(
        f"\n{classifier.config.name}, {classifier.config.input_px} px: {len(timed)} photos timed, {len(files)} "
        f"compared, batches of {BATCH}, {torch.get_num_threads()} threads, medians of {ROUNDS} rounds"
    )
    print(f"{'':28}{'network alone':>22}{'files to answers':>24}{'logits differ by':>18}  same genus")
    expected = logits["torch"]
    for name in (*engines, *peers):
        cells = "".join(cell(times, name, len(timed)) for times in (alone, streamed))
        end = ""
        if name in engines:
            off = float(np.abs(logits[name] - expected).max())
            same = int((logits[name].argmax(1) == expected.argmax(1)).sum())
            fault = "" if off <= SAME and same == len(files) else "  NOT THE SAME ANSWERS"
            end = f"{off:18.1e}  {same} of {len(files)}{fault}"
        print(f"{name:28}{cells}{end}")
    if checkpoint is None and "ONNX Runtime" in engines:
        best = ratio(streamed, "ONNX Runtime")
        told = "kept" if best >= WANTED else "MISSED"
        print(f"wanted of predict, from files: {WANTED} times torch; ONNX Runtime {best:.2f}: {told}")
        spent = seconds(lambda: network_bytes(classifier))
        saved = (statistics.median(streamed["torch"]) - statistics.median(streamed["ONNX Runtime"])) / len(timed)
        print(f"an export takes {spent:.1f} s: it pays off after {spent / saved:.0f} photos (WORTH_EXPORTING)")


def built(makers: dict[str, Callable[[Path], Made]], checkpoint: Path) -> dict[str, Made]:
    """What each maker makes of the checkpoint; where it can't, a sentence is printed."""
    made = {}
    for name, make in makers.items():
        try:
            made[name] = make(checkpoint)
        except NotHere as error:
            print(f"{name}: {error}")
    return made


def seconds(work: Callable[[], object]) -> float:
    """Of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def cell(times: dict[str, list[float]], name: str, photos: int) -> str:
    """Photos a second and the ratio to torch; empty where it was not measured."""
    if name not in times:
        return " " * 22
    return f"{photos / statistics.median(times[name]):12.1f}/s x {ratio(times, name):5.2f}"


def ratio(times: dict[str, list[float]], name: str) -> float:
    """How many times as quick as torch, median of the rounds."""
    return statistics.median(one / other for one, other in zip(times["torch"], times[name], strict=True))


def reduced(files: Sequence[str]) -> None:
    """Print what decoding at a fraction changes: real photos enlarged to what a phone takes, as JPEGs.

    The photo as pages keep it is resized on the way, too. So both are compared with all pixels resized in one step.
    """
    classifier = Classifier.load()
    side = classifier.preprocessing.input_px
    ways: dict[str, Callable[[bytes], Image.Image]] = {
        "all pixels": lambda data: Image.open(io.BytesIO(data)).convert("RGB"),
        "as pages keep it": read_photo,
        "at a fraction": lambda data: read_photo(data, side),
    }
    took = dict.fromkeys(ways, 0.0)
    images: dict[str, list[torch.Tensor]] = {name: [] for name in ways}
    for file in files:
        photo = read_photo_file(Path(file))
        scale = LARGE_PX / max(photo.size)
        large = photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.LANCZOS)
        data = io.BytesIO()
        large.save(data, "JPEG", quality=90)
        for name, read in ways.items():
            began = time.process_time()
            images[name].append(to_tensor(read(data.getvalue()), classifier.preprocessing))
            took[name] += time.process_time() - began
    print(f"{len(files)} JPEGs of {LARGE_PX} px, read and resized to {side} px; logits against those of all pixels")
    expected = genus_logits(classifier, images["all pixels"])
    for name in ways:
        logits = genus_logits(classifier, images[name])
        off = np.abs(logits - expected)
        same = int((logits.argmax(1) == expected.argmax(1)).sum())
        print(
            f"{name:18} {1000 * took[name] / len(files):7.1f} ms of a processor a photo; logits differ by "
            f"{off.mean():.3f} in the mean, {off.max():.3f} at most; {same} of {len(files)} same genus"
        )


def genus_logits(classifier: Classifier, images: Sequence[torch.Tensor]) -> np.ndarray:
    """Logits (n, genera), in batches."""
    parts = [classifier.image_logits(torch.stack(images[i : i + BATCH])) for i in range(0, len(images), BATCH)]
    return np.concatenate(parts)[:, : len(classifier.genera)]


def main(arguments: list[str]) -> int:
    """Print the tables."""
    numbers = [int(each) for each in arguments if each.isdecimal()]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = photo_paths(folder / "painted", numbers[0] if numbers else PHOTOS)
        if "--reduced" in arguments:
            reduced(files)
            return 0
        compare(None, files)
        for backbone in OTHERS:
            compare(untrained(folder, backbone), files[:OTHERS_PHOTOS])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
