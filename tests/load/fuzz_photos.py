"""Damaged files for the photo reader: ``python tests/load/fuzz_photos.py 20000 [--seed 0]``.

Small valid files of every format are mutated, seeded by the input's number. Each must end in a photo or in a
PhotoError with a sentence, never in another exception, within bounded time and memory. They run in a process of
their own, so that a crash of a native decoder is seen too.
"""

import argparse
import io
import multiprocessing
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from mushroom.errors import PhotoError
from mushroom.photos import FORMATS, HEIF, MAX_SIDE_PX, read_photo

SLOWEST_S = 5.0
MAX_GROWTH_MB = 1024
CHUNK = 500


def seeds() -> list[tuple[str, bytes]]:
    """Small valid files: every format that can be written here, in several colour modes."""
    noise = np.random.default_rng(0).integers(0, 255, (24, 32, 3)).astype(np.uint8)
    picture = Image.fromarray(noise)
    modes = {
        "JPEG": ("RGB", "L", "CMYK"),
        "PNG": ("RGB", "RGBA", "L", "LA", "P", "1", "I;16"),
        "WEBP": ("RGB", "RGBA"),
        "TIFF": ("RGB", "RGBA", "L", "CMYK", "LAB", "F", "1", "P"),
        "BMP": ("RGB", "L", "P"),
        "GIF": ("P",),
        "AVIF": ("RGB", "RGBA"),
        "HEIF": ("RGB",) if HEIF else (),
    }
    files = []
    for form in FORMATS:
        for mode in modes[form]:
            converted = (
                Image.fromarray(noise[..., 0].astype(np.uint16) * 256) if mode == "I;16" else picture.convert(mode)
            )
            buffer = io.BytesIO()
            converted.save(buffer, form)
            files.append((form, buffer.getvalue()))
    animated = io.BytesIO()
    picture.save(animated, "GIF", save_all=True, append_images=[picture.rotate(90, expand=True)])
    return [*files, ("GIF", animated.getvalue())]


def _flip_bits(data: bytearray, chance: random.Random) -> bytearray:
    for _ in range(chance.randint(1, 24)):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return data


def _overwrite(data: bytearray, chance: random.Random) -> bytearray:
    start = chance.randrange(len(data))
    for index in range(start, min(len(data), start + chance.randint(1, 16))):
        data[index] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
    return data


def _break_header(data: bytearray, chance: random.Random) -> bytearray:
    """Sizes and types stand in the first bytes."""
    start = chance.randrange(min(len(data), 64))
    data[start : start + 4] = chance.choice((b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\0\1\0\0"))
    return data


def _truncate(data: bytearray, chance: random.Random) -> bytearray:
    return data[: chance.randrange(len(data))]


def _repeat(data: bytearray, chance: random.Random) -> bytearray:
    start = chance.randrange(len(data))
    return data[:start] + data[start : start + 64] * chance.randint(1, 200) + data[start:]


MUTATIONS: tuple[Callable[[bytearray, random.Random], bytearray], ...] = (
    _flip_bits,
    _overwrite,
    _break_header,
    _truncate,
    _repeat,
)


def damaged(number: int, seed: int, files: list[tuple[str, bytes]]) -> tuple[str, bytes]:
    """Format and bytes of input ``number``: always the same for the same seed."""
    chance = random.Random(f"{seed}:{number}")
    form, whole = chance.choice(files)
    data = bytearray(whole)
    for _ in range(chance.randint(1, 3)):
        if len(data) < 2:
            break
        data = chance.choice(MUTATIONS)(data, chance)
    if chance.random() < 0.1:
        data += chance.choice(files)[1]
    return form, bytes(data)


def outcome(data: bytes) -> str:
    """``photo``, ``refused``, or what is wrong."""
    try:
        photo = read_photo(data)
    except PhotoError as error:
        sentence = str(error)
        return "refused" if sentence.endswith(".") and "\n" not in sentence else f"no sentence: {sentence!r}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    if photo.mode != "RGB" or max(photo.size) > MAX_SIDE_PX or min(photo.size) < 1:
        return f"not a photo within limits: {photo.mode} {photo.size}"
    return "photo"


def run_chunk(task: tuple[int, int, int]) -> tuple[Counter[tuple[str, str]], list[str], float, float]:
    """Inputs ``start`` to ``end``: counts by format and outcome, violations, slowest seconds, peak memory in MB."""
    start, end, seed = task
    files = seeds()
    counts: Counter[tuple[str, str]] = Counter()
    violations, slowest = [], 0.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for number in range(start, end):
        form, data = damaged(number, seed, files)
        began = time.perf_counter()
        what = outcome(data)
        took = time.perf_counter() - began
        slowest = max(slowest, took)
        counts[form, what if what in ("photo", "refused") else "violation"] += 1
        if what not in ("photo", "refused"):
            violations.append(f"input {number} of seed {seed} ({form}): {what}")
        if took > SLOWEST_S:
            violations.append(f"input {number} of seed {seed} ({form}): took {took:.1f} s")
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
    if growth > MAX_GROWTH_MB:
        violations.append(f"inputs {start} to {end} of seed {seed}: memory grew by {growth:.0f} MB")
    return counts, violations, slowest, growth


def main() -> int:
    """Run and print; 1 on any violation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    tasks = [(start, min(start + CHUNK, args.count), args.seed) for start in range(0, args.count, CHUNK)]
    counts: Counter[tuple[str, str]] = Counter()
    violations: list[str] = []
    slowest = growth = 0.0
    began = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(2, maxtasksperchild=4) as pool:
        waiting = [(task, pool.apply_async(run_chunk, (task,))) for task in tasks]
        for task, result in waiting:
            try:
                found, wrong, slow, grew = result.get(timeout=CHUNK * SLOWEST_S)
            except multiprocessing.TimeoutError:
                violations.append(f"inputs {task[0]} to {task[1]} of seed {args.seed}: crashed or hung")
                break
            counts += found
            violations += wrong
            slowest, growth = max(slowest, slow), max(growth, grew)
    print(f"{counts.total()} inputs in {time.perf_counter() - began:.0f} s, seed {args.seed}")
    for form in FORMATS:
        print(f"  {form:<5} {counts[form, 'photo']:>6} photos {counts[form, 'refused']:>6} refused")
    print(f"slowest {slowest:.2f} s, memory grew by at most {growth:.0f} MB, {len(violations)} violations")
    print("\n".join(violations[:20]))
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
