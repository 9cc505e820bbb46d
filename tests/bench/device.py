"""Photos a second of answers and heatmaps on each device, and whether the answers agree with the processor's.

``python tests/bench/device.py [CHECKPOINT] [--device cuda cpu] [--photos 512]``: photos are drawn here, so that no
others are needed; the checkpoint is the default one without. Ways take turns in each round, and what is told are
medians. Each way is first run once, unmeasured: libraries choose their algorithms then.
"""

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from all_benches import by_turns, likeness, seconds, write_photos
from PIL import Image

from mushroom.classifier import Classifier, choose_device
from mushroom.explain.gradcam import heatmaps
from mushroom.streaming import answers

ROUNDS = 3
CPU_PHOTOS = 64
"""The processor is so much slower that fewer photos tell enough."""

BATCHES = {"cuda": (32, 128, 512), "mps": (32, 128), "cpu": (32,)}
HEATMAP_BATCHES = {"cuda": (4, 32, 128), "mps": (4, 32), "cpu": (4,)}
HEATMAP_PHOTOS = 128
COMPARED = 64
"""Photos whose heatmaps are compared with the processor's."""


@dataclass(frozen=True)
class Precision:
    """A way to compute: the number format, and how weights and photos lie in memory."""

    title: str
    dtype: torch.dtype | None = None
    memory_format: torch.memory_format = torch.contiguous_format

    def context(self, device: torch.device) -> AbstractContextManager[object]:
        """Within it the network computes this way."""
        return torch.autocast(device.type, self.dtype) if self.dtype else nullcontext()


PRECISIONS = (
    Precision("float32"),
    Precision("float32, channels last", None, torch.channels_last),
    Precision("float16", torch.float16),
    Precision("float16, channels last", torch.float16, torch.channels_last),
    Precision("bfloat16", torch.bfloat16),
    Precision("bfloat16, channels last", torch.bfloat16, torch.channels_last),
)


def precisions(device: torch.device) -> list[Precision]:
    """Those that the device computes in itself: to imitate one takes minutes."""
    if device.type != "cpu":
        return list(PRECISIONS)
    has_bf16 = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return [each for each in PRECISIONS if each.dtype is None or (each.dtype == torch.bfloat16 and has_bf16)]


def network_pass(classifier: Classifier, precision: Precision, images: torch.Tensor, batch: int) -> torch.Tensor:
    """Logits of images that are on the device already: what the network alone can do."""
    rows = []
    with torch.inference_mode(), precision.context(classifier.device):
        for part in images.split(batch):
            rows.append(classifier.model(part).float())
    return torch.cat(rows)


def heatmap_pass(
    layers: Sequence[str], classifier: Classifier, precision: Precision, images: torch.Tensor, batch: int
) -> dict[str, torch.Tensor]:
    """Grad-CAM of all ``layers``, float32 (n, h, w) each, from one forward and one backward pass a batch."""
    found = []
    with precision.context(classifier.device):
        for part in images.split(batch):
            found.append(heatmaps(classifier.model, part, layers, answers=len(classifier.genera)).maps)
    return {name: torch.cat([maps[name] for maps in found]) for name in layers}


def agreement(classifier: Classifier, expected: np.ndarray, found: torch.Tensor) -> str:
    """How logits differ from the processor's: the genus, and the probabilities."""
    mine, theirs = classifier.read_logits(found.cpu().numpy()), classifier.read_logits(expected)
    same = sum(one.genus == other.genus for one, other in zip(mine, theirs, strict=True))
    turned = sum(one.unknown == other.unknown for one, other in zip(mine, theirs, strict=True))
    furthest = max(
        abs(one.probabilities[name] - other.probabilities[name])
        for one, other in zip(mine, theirs, strict=True)
        for name in one.probabilities
    )
    return f"same genus {same} of {len(mine)}, same 'none of these' {turned}, probabilities within {furthest:.5f}"


def rates(ways: dict[str, Callable[[], object]], count: int, device: torch.device) -> dict[str, float]:
    """Photos a second of each way, which does ``count`` of them: medians."""

    def timed(way: Callable[[], object]) -> float:
        spent = seconds(way)
        return spent + seconds(torch.cuda.synchronize) if device.type == "cuda" else spent

    spent = by_turns({title: partial(timed, way) for title, way in ways.items()}, ROUNDS)
    return {title: count / statistics.median(times) for title, times in spent.items()}


def measure(checkpoint: str | None, name: str, files: Sequence[str]) -> None:
    """Print what one device does."""
    reference = Classifier.load(checkpoint)
    device = choose_device(name)
    files = files if device.type != "cpu" else files[:CPU_PHOTOS]
    opened = (Image.open(file).convert("RGB") for file in files)
    images = torch.cat([reference.to_images([photo]) for photo in opened])
    expected = reference.image_logits(images)
    layers = [layer.name for layer in reference.layers if layer.stage_end]
    expected_maps = heatmap_pass(layers, reference, Precision("float32"), images[:COMPARED], 4)
    title = torch.cuda.get_device_name() if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"\n{device.type} ({title}), {reference.config.name}, {reference.config.input_px} px, {len(files)} photos")

    print("files to answers, as predict does it")
    for batch in BATCHES[device.type]:
        classifier = Classifier.load(checkpoint, device=name, batch=batch)
        [quick] = rates({"predict": lambda c=classifier: list(answers(c, files))}, len(files), device).values()
        found = torch.cat([torch.from_numpy(classifier.image_logits(part)) for part in images.split(batch)])
        print(f"  batch {batch:>4}: {quick:9.1f} photos/s | {agreement(classifier, expected, found)}")

    loaded, on_device = {}, {}
    for precision in precisions(device):
        loaded[precision] = Classifier.load(checkpoint, device=name)
        loaded[precision].model.to(memory_format=precision.memory_format)
        on_device[precision] = images.to(device).to(memory_format=precision.memory_format)

    def table(work: Callable[..., Any], batches: Sequence[int], most: int, compared: Callable[[Any], str]) -> None:
        for batch in batches:
            ways = {p.title: partial(work, loaded[p], p, on_device[p][:most], batch) for p in loaded}
            for way, quick in rates(ways, min(most, len(files)), device).items():
                print(f"  batch {batch:>4}, {way:<24}: {quick:9.1f} photos/s | {compared(ways[way]())}", flush=True)

    print("the network alone")
    table(network_pass, BATCHES[device.type], len(files), partial(agreement, reference, expected))
    print(f"heatmaps of {len(layers)} stages, the network's part of explain")
    table(partial(heatmap_pass, layers), HEATMAP_BATCHES[device.type], HEATMAP_PHOTOS, partial(likeness, expected_maps))


def main() -> None:
    present = [name for name in ("cuda", "mps") if choose_device("auto").type == name]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint", nargs="?", help="checkpoint folder; the default one without")
    parser.add_argument("--device", nargs="+", default=[*present, "cpu"], help="devices to measure")
    parser.add_argument("--photos", type=int, default=512)
    options = parser.parse_args()
    print(f"torch {torch.__version__}, {os.cpu_count()} cores, medians of {ROUNDS} rounds")
    with tempfile.TemporaryDirectory() as folder:
        files = list(map(str, write_photos(Path(folder), options.photos, (1024, 768), grain=25)))
        for name in options.device:
            measure(options.checkpoint, name, files)


if __name__ == "__main__":
    main()
