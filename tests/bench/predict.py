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
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from all_benches import by_turns, ratio, seconds, some_photos, verdict
from engines import ENGINES, PEERS, NotHere
from networks import untrained_checkpoint
from painted import PAINTED
from PIL import Image

from mushroom.classifier import BATCH, Classifier
from mushroom.model import ModelConfig
from mushroom.onnx_file import network_bytes
from mushroom.photos import read_photo, read_photo_file, to_tensor
from mushroom.streaming import answers

Made = TypeVar("Made")

PHOTOS = 500
TIMED = 4 * BATCH
"""Photos that a round takes the time of; all are compared."""

ROUNDS = 3
SAME = 1e-3
WANTED = 2.5
OTHERS = ("resnet50.tv2_in1k", "vit_small_patch16_224")
LARGE_PX = 2400
"""The longer side that photos are enlarged to where decoding at a fraction is measured."""


def compare(checkpoint: Path | None, files: Sequence[str]) -> None:
    """Print the table of one network; the ratio that is wanted where the network is the one that ships."""
    classifier = Classifier.load(checkpoint)
    batches = [
        classifier.to_images([read_photo_file(Path(file)) for file in files[start : start + BATCH]])
        for start in range(0, len(files), BATCH)
    ]
    engines = built(ENGINES, classifier.folder)
    peers = built(PEERS, classifier.folder)
    logits = {name: np.concatenate([forward(batch) for batch in batches]) for name, forward in engines.items()}
    timed = files[:TIMED]

    def network_alone(forward: Callable[[torch.Tensor], np.ndarray]) -> float:
        return seconds(lambda: [forward(batch) for batch in batches[: TIMED // BATCH]])

    def files_to_answers(forward: Callable[[torch.Tensor], np.ndarray]) -> float:
        classifier.forward_images = forward
        return seconds(lambda: list(answers(classifier, timed)))

    alone = by_turns({name: partial(network_alone, forward) for name, forward in engines.items()}, ROUNDS)
    streamed = by_turns(
        {name: partial(files_to_answers, forward) for name, forward in engines.items()}
        | {name: partial(seconds, partial(loop, timed)) for name, loop in peers.items()},
        ROUNDS,
    )
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
        best = ratio(streamed["torch"], streamed["ONNX Runtime"])
        print(
            f"wanted of predict, from files: {WANTED} times torch; ONNX Runtime {best:.2f}: {verdict(best >= WANTED)}"
        )
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


def cell(times: dict[str, list[float]], name: str, photos: int) -> str:
    """Photos a second and the ratio to torch; empty where it was not measured."""
    if name not in times:
        return " " * 22
    return f"{photos / statistics.median(times[name]):12.1f}/s x {ratio(times['torch'], times[name]):5.2f}"


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
        files = some_photos(numbers[0] if numbers else PHOTOS, folder / "painted")
        if "--reduced" in arguments:
            reduced(files)
            return 0
        compare(None, files)
        for backbone in OTHERS:
            config = ModelConfig(name=backbone, backbone=backbone, input_px=224, genera=tuple(PAINTED))
            compare(untrained_checkpoint(folder / backbone, config), files[:TIMED])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
