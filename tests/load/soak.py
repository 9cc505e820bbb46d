"""Many visitors at once, for minutes: ``python tests/load/soak.py --minutes 5 --sessions 20``.

Each opens a session of its own over a real websocket and, without ever pausing, drops photos, moves through the
layers and asks for other genera. Every answer, picture and film strip must be the one that a visitor who was alone
got for the same photo before. One more visitor sends the largest photos that are allowed, as fast as they are taken.
"""

import argparse
import io
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from app_server import REPOSITORY, start_app, stop_app
from PIL import Image, ImageFilter
from visitor import GENUS_BOX, LAYER_SLIDER, Run, Visitor

sys.path.insert(0, str(REPOSITORY))

from mushroom.photos import MAX_BYTES, MAX_PIXELS

PHOTOS = 80
"""Different photos that are dropped: with two genera each, more than the app remembers explanations of."""

LAYERS = 3
PHOTO_SIZE = (1600, 1200)
FAIR = 4.0
"""Nobody's median wait may be longer than so many times everybody's."""

LONGEST = 15.0
"""No single wait may be longer than so many times the median of its kind."""

FLAT = 1.05
"""Memory at the end over memory after the first fifth."""

LARGE_SIDE = int(MAX_PIXELS**0.5)


def photo(seed: int, size: tuple[int, int] = PHOTO_SIZE) -> bytes:
    """A JPEG as a phone might send it, but made of blotches."""
    coarse = np.random.default_rng(seed).integers(0, 255, (30, 40, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def largest_photo() -> bytes:
    """As many pixels as are allowed, and about as many bytes: speckled, so that decoding is work."""
    speckles = np.random.default_rng(0).integers(0, 256, (LARGE_SIDE, LARGE_SIDE, 3), dtype=np.uint8)
    picture = Image.fromarray(speckles).filter(ImageFilter.BoxBlur(1))
    for quality in range(95, 5, -10):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        if buffer.tell() <= MAX_BYTES:
            return buffer.getvalue()
    raise AssertionError("no quality is low enough")


Known = dict[tuple[int, str], tuple[str, str, str]]
"""By photo and step, what was shown: headline, film strip and picture, the last two as hashes."""


class Walk:
    """One visitor's way through the app, compared with what was seen there alone, or noted where ``alone``."""

    def __init__(self, address: str, known: Known, *, alone: bool = False) -> None:
        self.visitor = Visitor(address)
        self.visitor.open()
        self.known = known
        self.alone = alone
        self.waits: dict[str, list[float]] = {}
        self.errors: list[str] = []

    def see_photo(self, number: int, data: bytes) -> None:
        """Drop a photo, look at a few layers, ask for another genus, come back to the first."""
        self._step(number, "photo", lambda: self.visitor.drop(f"{number}.jpg", data))
        for kind, label, name, chosen in (
            ("slider", LAYER_SLIDER, "layer", slice(-LAYERS, None)),
            ("selectbox", GENUS_BOX, "genus", slice(1, 2)),
        ):
            found = self.visitor.full.find(kind, label)
            assert found is not None
            for option in found[0].options[chosen]:
                self._step(number, f"{name} {option}", partial(self.visitor.choose, kind, label, option))

    def _step(self, number: int, what: str, act: Callable[[], Run]) -> None:
        began = time.perf_counter()
        run = act()
        shown = (run.headline, run.film_strip, self.visitor.picture(run))
        self.waits.setdefault(what.split()[0], []).append(time.perf_counter() - began)
        if self.alone:
            self.known[number, what] = shown
        elif (expected := self.known.get((number, what))) != shown:
            self.errors.append(f"photo {number}, {what}: {shown} instead of {expected}")


def memory_mb(pid: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024


@dataclass(frozen=True)
class Soaked:
    """What came of it. ``waits`` has each visitor's, by kind, in seconds; ``memory_mb`` was taken all the while."""

    waits: dict[str, list[list[float]]]
    large_waits: list[float]
    errors: list[str]
    memory_mb: list[float]
    networks: list[dict[str, int]]
    log: str

    @property
    def compared(self) -> int:
        """How often something was compared with what was seen alone."""
        return sum(len(waits) for kind in self.waits.values() for waits in kind)

    def median(self, kind: str) -> float:
        """Of everybody's waits."""
        return statistics.median(wait for waits in self.waits[kind] for wait in waits)

    def unfairness(self, kind: str) -> float:
        """The worst visitor's median wait over everybody's."""
        return max(statistics.median(waits) for waits in self.waits[kind]) / self.median(kind)

    def longest(self, kind: str) -> float:
        """The longest single wait over the median."""
        return max(wait for waits in self.waits[kind] for wait in waits) / self.median(kind)

    @property
    def growth(self) -> float:
        """Memory in the last fifth over that in the second fifth."""
        fifth = max(1, len(self.memory_mb) // 5)
        return statistics.median(self.memory_mb[-fifth:]) / statistics.median(self.memory_mb[fifth : 2 * fifth])

    def left_behind(self) -> int:
        """Hooks, modes and gradients left on the networks in memory."""
        return sum(value for network in self.networks for value in network.values())


def soak(sessions: int, seconds: float, folder: Path, *, photos: int = PHOTOS) -> Soaked:
    """Let ``sessions`` visitors walk for ``seconds``, after one has walked alone; logs go to ``folder``."""
    report, log = folder / "networks.json", folder / "log.txt"
    process, address = start_app(
        log, {}, command=(sys.executable, str(REPOSITORY / "tests" / "support" / "inspected_app.py"), str(report))
    )
    known: Known = {}
    memory: list[float] = []
    walks: list[Walk] = []
    large_waits: list[float] = []
    try:
        data = [photo(seed) for seed in range(photos)]
        alone = Walk(address, known, alone=True)
        for number in range(photos):
            alone.see_photo(number, data[number])
        alone.visitor.close()

        walks = [Walk(address, known) for _ in range(sessions)]
        deadline = time.monotonic() + seconds
        over = threading.Event()

        def walk(index: int) -> None:
            chosen = random.Random(index)
            while not over.is_set():
                number = chosen.randrange(photos)
                walks[index].see_photo(number, data[number])

        def send_large() -> None:
            sent = largest_photo()
            with Visitor(address) as visitor:
                visitor.open()
                # Once at least, however slow the machine is.
                while not large_waits or not over.is_set():
                    began = time.perf_counter()
                    assert visitor.drop("large.jpg", sent).headline
                    large_waits.append(time.perf_counter() - began)

        with ThreadPoolExecutor(sessions + 1) as pool:
            walking = [pool.submit(send_large), *(pool.submit(walk, index) for index in range(sessions))]
            while time.monotonic() < deadline and not any(each.done() for each in walking):
                memory.append(memory_mb(process.pid))
                over.wait(min(2.0, seconds / 20))
            over.set()
        failed = [f"{type(error).__name__}: {error}" for each in walking if (error := each.exception())]
    finally:
        for each in walks:
            each.visitor.close()
        stop_app(process)
    kinds = ("photo", "layer", "genus")
    return Soaked(
        waits={kind: [each.waits[kind] for each in walks if kind in each.waits] for kind in kinds},
        large_waits=large_waits,
        errors=failed + [error for each in walks for error in each.errors],
        memory_mb=memory,
        networks=json.loads(report.read_text()) if report.exists() else [],
        log=log.read_text(errors="replace"),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what came of it beside what was asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--sessions", type=int, default=20)
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        soaked = soak(args.sessions, 60 * args.minutes, Path(folder))
    failed = bool(soaked.errors or "Traceback" in soaked.log or soaked.left_behind() or not soaked.networks)
    print(f"{args.sessions} sessions for {args.minutes:g} minutes")
    print(f"answers, pictures and film strips equal to those seen alone: {soaked.compared - len(soaked.errors)}")
    print(f"errors: {len(soaked.errors)}; in the server's log: {'Traceback' in soaked.log}")
    for error in soaked.errors[:5]:
        print(f"  {error}")
    for kind in soaked.waits:
        unfair, longest = soaked.unfairness(kind), soaked.longest(kind)
        failed |= unfair > FAIR or longest > LONGEST
        print(
            f"{kind}: {sum(map(len, soaked.waits[kind]))} times, median wait {soaked.median(kind):.2f} s; the worst "
            f"visitor's median {unfair:.2f} times that (at most {FAIR:g}), the longest wait {longest:.2f} times "
            f"(at most {LONGEST:g})"
        )
    if soaked.large_waits:
        print(f"largest photos: {len(soaked.large_waits)}, median wait {statistics.median(soaked.large_waits):.2f} s")
    first, last = soaked.memory_mb[len(soaked.memory_mb) // 5], soaked.memory_mb[-1]
    failed |= soaked.growth > FLAT
    print(
        f"server memory: {first:.0f} MB after the first fifth, {last:.0f} MB at the end, highest "
        f"{max(soaked.memory_mb):.0f} MB; last fifth over second {soaked.growth:.3f} (at most {FLAT:g})"
    )
    print(f"networks in memory: {len(soaked.networks)}; hooks, modes and gradients left: {soaked.left_behind()}")
    print("FAILED" if failed else "kept")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
