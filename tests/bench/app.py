"""The app's budgets, measured through a real browser: ``python tests/bench/app.py``.

"Server" is from the browser's message on the websocket until the server's last one in answer; "seen" is until the
browser shows it, and browser and server share this machine's processors.
Start to first page, photo dropped to heatmaps on the page, another layer, another genus, and the server's memory
with twenty sessions that each dropped a photo. Medians of several goes after a warm-up.
"""

import io
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, WebSocket, sync_playwright

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "support")]

from app_server import start_app, stop_app  # noqa: E402

GOES = 7
SESSIONS = 20
PHOTO_SIZE = (1600, 1200)
WAIT_MS = 60_000

SETTLED_MS = 400
"""The server's last message has come when it has been silent for so long."""

BUDGETS = {
    "start until the first page is usable": 6.0,
    "photo dropped until answer and all heatmaps, server": None,
    "photo dropped until answer and all heatmaps, seen": 1.0,
    "another layer, server": 0.15,
    "another layer, seen": None,
    "another genus, server": None,
    "another genus, seen": None,
    "over 1.6 Mbit/s, cold cache: the answer in words": 8.0,
    "over 1.6 Mbit/s, cold cache: bars and picture": 15.0,
}


def photo(seed: int) -> bytes:
    """A JPEG as a phone might send it, but made of blotches."""
    coarse = np.random.default_rng(seed).integers(0, 255, (30, 40, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize(PHOTO_SIZE, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def drop(page: Page, seed: int) -> None:
    """Give the page a photo and wait until answer, picture and film strip are there."""
    old = page.locator(".answer").count() and page.locator(".st-key-picture img").get_attribute("src")
    page.locator('[data-testid="stFileUploaderDropzone"] input[type=file]').set_input_files(
        [{"name": f"{seed}.jpg", "mimeType": "image/jpeg", "buffer": photo(seed)}]
    )
    page.wait_for_function(
        """old => { const img = document.querySelector('.st-key-picture img')
                    return img && img.complete && img.src !== old && document.querySelector('.answer') }""",
        arg=f"{page.url.split('?')[0].rstrip('/')}{old}" if old else "",
        timeout=WAIT_MS,
        polling=10,
    )
    page.get_by_role("radio").last.wait_for(timeout=WAIT_MS)


@dataclass
class Wire:
    """When the messages of a page's websocket went out and came in."""

    sent: list[float] = field(default_factory=list)
    received: list[float] = field(default_factory=list)


def listen(page: Page) -> Wire:
    """Note the messages of ``page``, which must not have been opened yet."""
    wire = Wire()

    def opened(socket: WebSocket) -> None:
        socket.on("framesent", lambda _: wire.sent.append(time.perf_counter()))
        socket.on("framereceived", lambda _: wire.received.append(time.perf_counter()))

    page.on("websocket", opened)
    return wire


def timed(page: Page, wire: Wire, action: Callable[[], None]) -> tuple[float, float]:
    """Seconds that the server took for ``action``, and until it was seen."""
    wire.sent.clear()
    wire.received.clear()
    began = time.perf_counter()
    action()
    seen = time.perf_counter() - began
    page.wait_for_timeout(SETTLED_MS)
    return wire.received[-1] - wire.sent[0], seen


def medians(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Of the server's seconds and of those until it was seen."""
    server, seen = zip(*pairs, strict=True)
    return statistics.median(server), statistics.median(seen)


SHOWN = """() => {
  const picture = document.querySelector('.st-key-picture img')
  const captions = [...document.querySelectorAll('[data-testid=stCaptionContainer]')]
  const layer = captions.find((caption) => caption.textContent.includes('This layer sees'))
  const roots = [...document.querySelectorAll('*')].map((element) => element.shadowRoot).filter(Boolean)
  const frame = roots.map((root) => root.querySelector('.strip [aria-checked=true]')).find(Boolean)
  return picture && layer && frame && [picture.src, picture.alt, layer.textContent, frame.textContent].join()
}"""
"""What a visitor sees of the chosen layer and genus: two layers may have the same picture and caption."""


def change_picture(page: Page, act: Callable[[], None]) -> Callable[[], None]:
    """``act``, and wait until another layer or genus is shown."""

    def action() -> None:
        old = page.evaluate(SHOWN)
        act()
        page.wait_for_function(
            f"old => {{ const now = ({SHOWN})(); return now && now !== old }}", arg=old, timeout=WAIT_MS, polling=10
        )

    return action


def choose_genus(page: Page, number: int) -> None:
    """Pick the genus at this place of the list under the bars."""
    page.get_by_role("combobox", name="Show the heatmap for").click()
    page.get_by_role("option").nth(number).click()


def memory_mb(pid: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024


def throttled(browser: Browser, address: str) -> tuple[float, float]:
    """Seconds over a slow line with a cold cache until a drawing's answer is read, and until bars and picture are seen.

    1.6 Mbit/s and 150 ms, as Lighthouse's "slow 4G".
    """
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    line = context.new_cdp_session(page)
    line.send("Network.enable")
    bytes_a_second = 1.6e6 / 8
    line.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": 150,
            "downloadThroughput": bytes_a_second,
            "uploadThroughput": bytes_a_second / 2,
        },
    )
    began = time.perf_counter()
    page.goto(f"{address}/?drawing=Fly_agaric", timeout=WAIT_MS, wait_until="commit")
    page.locator(".answer").wait_for(timeout=WAIT_MS)
    read = time.perf_counter() - began
    page.locator(".bars button").first.wait_for(timeout=WAIT_MS)
    page.wait_for_function(
        """() => { const img = document.querySelector('.st-key-picture img')
                   return img && img.complete && img.naturalWidth }""",
        timeout=WAIT_MS,
        polling=20,
    )
    seen = time.perf_counter() - began
    context.close()
    return read, seen


def measure(browser: Browser, log: Path) -> tuple[dict[str, float], float, float]:
    """Seconds by what was measured, and the server's memory in MB with one and with all sessions."""
    began = time.perf_counter()
    server, address = start_app(log, {})
    try:
        page = browser.new_page()
        wire = listen(page)
        page.goto(address, timeout=WAIT_MS)
        page.locator('[data-testid="stFileUploaderDropzone"] input[type=file]').wait_for(state="attached")
        page.get_by_role("button", name="Fly agaric", exact=True).wait_for(timeout=WAIT_MS)
        first_page = time.perf_counter() - began

        drop(page, 0)
        drops = []
        for seed in range(1, GOES + 1):
            fresh = browser.new_page()
            fresh_wire = listen(fresh)
            fresh.goto(address)
            fresh.get_by_role("button", name="Fly agaric", exact=True).wait_for(timeout=WAIT_MS)
            fresh.wait_for_timeout(SETTLED_MS)
            drops.append(timed(fresh, fresh_wire, lambda fresh=fresh, seed=seed: drop(fresh, seed)))
            fresh.close()

        slider = page.get_by_role("slider", name="Layer, from early to late")
        move = change_picture(page, lambda: slider.press("ArrowLeft"))
        layers = [timed(page, wire, move) for _ in range(GOES + 1)][1:]
        pick = [change_picture(page, lambda n=n: choose_genus(page, n)) for n in range(1, GOES + 1)]
        genera = [timed(page, wire, action) for action in pick]
        one = memory_mb(server.pid)

        pages = []
        for seed in range(SESSIONS):
            each = browser.new_context().new_page()
            each.goto(address)
            each.get_by_role("button", name="Fly agaric", exact=True).wait_for(timeout=WAIT_MS)
            drop(each, 100 + seed)
            pages.append(each)
        every = memory_mb(server.pid)
        slow = throttled(browser, address)
    finally:
        stop_app(server)
    measured = (first_page, *medians(drops), *medians(layers), *medians(genera), *slow)
    return dict(zip(BUDGETS, measured, strict=True)), one, every


def main() -> int:
    """Print the figures beside their budgets."""
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        measured, one, every = measure(browser, Path(folder) / "log.txt")
        browser.close()
    for what, seconds in measured.items():
        budget = BUDGETS[what]
        output = "" if budget is None else f"   budget {budget:.2f} s: {'kept' if seconds <= budget else 'MISSED'}"
        print(f"{what:<54} {seconds:6.2f} s{output}")
    print(f"{'server memory, one session':<54} {one:6.0f} MB")
    kept = "kept" if every <= 1536 else "MISSED"
    print(f"{f'server memory, {SESSIONS} sessions':<54} {every:6.0f} MB  budget 1536 MB: {kept}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
