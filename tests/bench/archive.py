"""Time and memory of ``predict`` over 100 to 100,000 files, as a table and as a figure for docs/.

``python tests/bench/archive.py [FILES ...]``: archives are folders of links to fifty painted photos of 96 x 72 pixels,
answered by a small network that has learned nothing: what counts is that time is a straight line and memory a flat one,
and neither depends on what is on the photos. The largest archive is watched while it is answered: that is the figure.
"""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from all_benches import REPOSITORY
from networks import untrained_checkpoint
from painted import paint_photos

ARCHIVES = (100, 1_000, 10_000, 100_000)
DIFFERENT_PHOTOS = 50
FIGURE = REPOSITORY / "docs" / "archive.svg"
LOOK_EVERY_S = 1.0
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Run:
    """A run over an archive: files, seconds, and the most memory it had at once in MB.

    ``moments`` on the way: seconds since its start, photos in its table, its memory in MB.
    """

    files: int
    seconds: float
    peak_megabytes: float
    moments: list[tuple[float, int, float]]


def link(folder: Path, photos: list[Path], count: int) -> Path:
    """A folder of ``count`` links to few photos."""
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:06}.jpg").symlink_to(photos[number % len(photos)])
    return folder


def run(archive: Path, checkpoint: Path, files: int) -> Run:
    """Answer an archive with the command, and watch."""
    table = archive.with_suffix(".csv")
    command = [sys.executable, "-m", "mushroom", "predict", str(archive), "--csv", str(table)]
    began = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--checkpoint", str(checkpoint), "--device", "cpu"],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    moments = []
    rows = read = 0
    while True:
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        if table.is_file():
            with table.open("rb") as file:
                file.seek(read)
                part = file.read()
            read, rows = read + len(part), rows + part.count(b"\n")
        resident = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * PAGE / 1e6
        moments.append((time.perf_counter() - began, max(0, rows - 1), resident))
        time.sleep(LOOK_EVERY_S)
    if status:
        raise SystemExit(f"predict ended with {status}")
    return Run(files, time.perf_counter() - began, usage.ru_maxrss * 1024 / 1e6, moments)


def figure(largest: Run) -> str:
    """An SVG of the largest archive's moments: photos answered and memory, both over time."""
    width, height, left, top, wide, high = 720, 330, 70, 50, 560, 220
    most = max(100.0, 1.25 * largest.peak_megabytes)
    bottom, right = top + high, left + wide

    def line(moments: list[tuple[float, float]], of: float) -> str:
        return " ".join(
            f"{left + wide * seconds / largest.seconds:.1f},{top + high * (1 - value / of):.1f}"
            for seconds, value in moments
        )

    photos = line([(seconds, answered) for seconds, answered, _ in largest.moments], largest.files)
    memory = line([(seconds, megabytes) for seconds, _, megabytes in largest.moments], most)
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" font-family="sans-serif"
font-size="13">
<title>predict over {largest.files:,} files: photos answered and memory over time</title>
<style>
rect {{ fill: #fbfaf6 }} text {{ fill: #262320 }} .axis {{ stroke: #8a847a; fill: none }}
.photos {{ stroke: #2f6b4f }} .memory {{ fill: #a8480b }} polyline {{ fill: none !important; stroke-width: 2.5 }}
polyline.memory {{ stroke: #a8480b; stroke-dasharray: 7 4 }}
</style>
<rect width="{width}" height="{height}" rx="8"/>
<path class="axis" d="M{left},{top} V{bottom} H{right} V{top}"/>
<polyline class="photos" points="{photos}"/>
<polyline class="memory" points="{memory}"/>
<text x="{left}" y="28">Photos answered (of {largest.files:,})</text>
<text class="memory" x="{right}" y="28" text-anchor="end">Memory in MB (at most {largest.peak_megabytes:.0f})</text>
<text x="{left - 8}" y="{bottom}" text-anchor="end">0</text>
<text x="{left - 8}" y="{top + 5}" text-anchor="end">{largest.files:,}</text>
<text class="memory" x="{right + 8}" y="{bottom}">0</text>
<text class="memory" x="{right + 8}" y="{top + 5}">{most:.0f}</text>
<text x="{left}" y="{bottom + 22}">0 s</text>
<text x="{right}" y="{bottom + 22}" text-anchor="end">{largest.seconds:.0f} s</text>
<text x="{left}" y="{height - 12}">Links to {DIFFERENT_PHOTOS} painted photos of 96 x 72 pixels; a small network
that has learned nothing.</text>
</svg>
"""


def main(archives: tuple[int, ...]) -> int:
    """Print a row an archive, and write the figure of the largest."""
    print(f"{'files':>9} {'seconds':>9} {'photos/s':>9} {'peak MB':>9}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paint_photos(folder / "painted", (200, 40, 40), DIFFERENT_PHOTOS)
        photos = sorted((folder / "painted").iterdir())
        checkpoint = untrained_checkpoint(folder / "small")
        for count in archives:
            each = run(link(folder / str(count), photos, count), checkpoint, count)
            rate = each.files / each.seconds
            print(f"{each.files:9,} {each.seconds:9.1f} {rate:9.0f} {each.peak_megabytes:9.0f}", flush=True)
    FIGURE.write_text(figure(each))
    print(f"The largest over time: {FIGURE.relative_to(REPOSITORY)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(tuple(map(int, sys.argv[1:])) or ARCHIVES))
