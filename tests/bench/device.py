"""Photos a second of answers and heatmaps on each device, and whether the answers agree with the processor's.

``python tests/bench/device.py [CHECKPOINT] [--device cuda cpu] [--photos 512]``: photos are drawn here, so that no
others are needed; the checkpoint is the default one without. Ways take turns in each round, and what is told are
medians. Each way is first run once, unmeasured: libraries choose their algorithms then.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPOSITORY))

from mushroom.classifier import Classifier, choose_device  # noqa: E402
from mushroom.explain.gradcam import heatmaps  # noqa: E402
from mushroom.explain.similarity import rank_correlation  # noqa: E402
from mushroom.streaming import answers, photo_files  # noqa: E402

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
    channels_last: bool = False

    def context(self, device: torch.device) -> AbstractContextManager[object]:
        """Within it the network computes this way."""
        return torch.autocast(device.type, self.dtype) if self.dtype else nullcontext()


PRECISIONS = (
    Precision("float32"),
    Precision("float32, channels last", None, True),
    Precision("float16", torch.float16),
    Precision("float16, channels last", torch.float16, True),
    Precision("bfloat16", torch.bfloat16),
    Precision("bfloat16, channels last", torch.bfloat16, True),
)


def precisions(device: torch.device) -> list[Precision]:
    """Those that the device computes in itself: to imitate one takes minutes."""
    if device.type != "cpu":
        return list(PRECISIONS)
    has_bf16 = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return [each for each in PRECISIONS if each.dtype is None or (each.dtype == torch.bfloat16 and has_bf16)]


def drawn_photos(folder: Path, count: int) -> list[str]:
    """Files of ``count`` photos of 1024 x 768: a cap over a stem on noise, each in other colours."""
    random = np.random.default_rng(0)
    noise = random.normal(0, 25, (768, 1024, 3))
    rows, columns = np.mgrid[0:768, 0:1024]
    for index in range(count):
        ground, cap, stem = random.integers(20, 235, (3, 3))
        picture = np.clip(ground + noise, 0, 255)
        across, down, wide = random.integers(300, 720), random.integers(200, 360), random.integers(90, 260)
        picture[(abs(columns - across) < wide / 4) & (rows > down) & (rows < down + 2 * wide)] = stem
        inside = ((columns - across) / wide) ** 2 + ((rows - down) / (0.6 * wide)) ** 2 < 1
        picture[inside & (rows < down + wide / 4)] = cap
        Image.fromarray(picture.astype(np.uint8)).save(folder / f"{index:05}.jpg", quality=90)
    return list(photo_files(str(folder)))


def rate(work: Callable[[], object], count: int, device: torch.device) -> float:
    """Photos a second of ``work``, which does ``count`` of them."""
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return count / (time.perf_counter() - started)


def network_pass(classifier: Classifier, precision: Precision, images: torch.Tensor, batch: int) -> torch.Tensor:
    """Logits of images that are on the device already: what the network alone can do."""
    rows = []
    with torch.inference_mode(), precision.context(classifier.device):
        for part in images.split(batch):
            rows.append(classifier.model(part).float())
    return torch.cat(rows)


def heatmap_pass(
    classifier: Classifier, precision: Precision, layers: Sequence[str], images: torch.Tensor, batch: int
) -> dict[str, torch.Tensor]:
    """Grad-CAM of all ``layers``, float32 (n, h, w) each, from one forward and one backward pass a batch."""
    found = []
    with precision.context(classifier.device):
        for part in images.split(batch):
            found.append(heatmaps(classifier.model, part, layers, answers=len(classifier.genera)).maps)
    return {name: torch.cat([maps[name] for maps in found]) for name in layers}


def agreement(classifier: Classifier, found: np.ndarray, expected: np.ndarray) -> str:
    """How logits differ from the processor's: the genus, and the probabilities."""
    mine, theirs = classifier.read_logits(found), classifier.read_logits(expected)
    same = sum(one.genus == other.genus for one, other in zip(mine, theirs, strict=True))
    turned = sum(one.unknown == other.unknown for one, other in zip(mine, theirs, strict=True))
    furthest = max(
        abs(one.probabilities[name] - other.probabilities[name])
        for one, other in zip(mine, theirs, strict=True)
        for name in one.probabilities
    )
    return f"same genus {same} of {len(mine)}, same 'none of these' {turned}, probabilities within {furthest:.5f}"


def likeness(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> str:
    """Rank correlation of heatmaps with float32's on the processor."""
    pairs = [
        pair for name, maps in expected.items() for pair in zip(found[name].cpu().numpy(), maps.numpy(), strict=False)
    ]
    values = [value for value in (rank_correlation(*pair) for pair in pairs) if not np.isnan(value)]
    return f"rank correlation: median {statistics.median(values):.4f}, lowest {min(values):.4f}" if values else "empty"


def by_turns(ways: dict[str, Callable[[], object]], count: int, device: torch.device) -> dict[str, float]:
    """Photos a second of each way: medians over rounds in which they take turns."""
    for way in ways.values():
        way()
    measured: dict[str, list[float]] = {title: [] for title in ways}
    for _ in range(ROUNDS):
        for title, way in ways.items():
            measured[title].append(rate(way, count, device))
    return {title: statistics.median(rates) for title, rates in measured.items()}


def measure(checkpoint: str | None, name: str, files: Sequence[str]) -> None:
    """Print what one device does."""
    reference = Classifier.load(checkpoint)
    device = choose_device(name)
    files = files if device.type != "cpu" else files[:CPU_PHOTOS]
    images = torch.cat([tensors(reference, files[at : at + 64]) for at in range(0, len(files), 64)])
    expected = reference.image_logits(images)
    layers = [layer.name for layer in reference.layers if layer.stage_end]
    plain = Precision("float32")
    expected_maps = heatmap_pass(reference, plain, layers, images[:COMPARED], 4)
    title = torch.cuda.get_device_name() if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"\n{device.type} ({title}), {reference.config.name}, {reference.config.input_px} px, {len(files)} photos")

    print("files to answers, as predict does it")
    for batch in BATCHES[device.type]:
        classifier = Classifier.load(checkpoint, device=name, batch=batch)
        seen = by_turns({"predict": lambda c=classifier: list(answers(c, files))}, len(files), device)
        told = np.concatenate([classifier.image_logits(part) for part in images.split(batch)])
        print(f"  batch {batch:>4}: {seen['predict']:9.1f} photos/s | {agreement(classifier, told, expected)}")

    chosen = precisions(device)
    loaded = {precision: precise(checkpoint, name, precision) for precision in chosen}
    on_device = {precision: there(images, device, precision) for precision in chosen}
    print("the network alone")
    for batch in BATCHES[device.type]:
        ways = {p.title: partial(network_pass, loaded[p], p, on_device[p], batch) for p in chosen}
        rates = by_turns(ways, len(files), device)
        for way, work in ways.items():
            told = agreement(reference, work().cpu().numpy(), expected)
            print(f"  batch {batch:>4}, {way:<24}: {rates[way]:9.1f} photos/s | {told}", flush=True)
    explained = {precision: moved[:HEATMAP_PHOTOS] for precision, moved in on_device.items()}
    print(f"heatmaps of {len(layers)} stages, the network's part of explain")
    for batch in HEATMAP_BATCHES[device.type]:
        ways = {p.title: partial(heatmap_pass, loaded[p], p, layers, explained[p], batch) for p in chosen}
        rates = by_turns(ways, len(explained[plain]), device)
        for way, work in ways.items():
            print(
                f"  batch {batch:>4}, {way:<24}: {rates[way]:9.1f} photos/s | {likeness(work(), expected_maps)}",
                flush=True,
            )


def tensors(classifier: Classifier, files: Sequence[str]) -> torch.Tensor:
    return classifier.to_images([Image.open(file).convert("RGB") for file in files])


def precise(checkpoint: str | None, device: str, precision: Precision) -> Classifier:
    classifier = Classifier.load(checkpoint, device=device)
    if precision.channels_last:
        classifier.model.to(memory_format=torch.channels_last)
    return classifier


def there(images: torch.Tensor, device: torch.device, precision: Precision) -> torch.Tensor:
    moved = images.to(device)
    return moved.to(memory_format=torch.channels_last) if precision.channels_last else moved


def main() -> None:
    present = [name for name in ("cuda", "mps") if choose_device("auto").type == name]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint", nargs="?", help="checkpoint folder; the default one without")
    parser.add_argument("--device", nargs="+", default=[*present, "cpu"], help="devices to measure")
    parser.add_argument("--photos", type=int, default=512)
    options = parser.parse_args()
    print(f"torch {torch.__version__}, {os.cpu_count()} cores, medians of {ROUNDS} rounds")
    with tempfile.TemporaryDirectory() as folder:
        files = drawn_photos(Path(folder), options.photos)
        for name in options.device:
            measure(options.checkpoint, name, files)


if __name__ == "__main__":
    main()
