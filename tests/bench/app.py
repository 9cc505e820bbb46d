"""The app's budgets, measured through a real browser: ``python tests/bench/app.py``.

"Server" is from the browser's message on the websocket until the server's last one in answer; "seen" is until the
browser shows it, and browser and server share this machine's processors.
Start to first page, photo dropped to heatmaps on the page, another layer, another genus, and the server's memory
with twenty sessions that each dropped a photo. Medians of several goes after a warm-up.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from all_benches import seconds, verdict, write_photos
from app_server import start_app, stop_app
from playwright.sync_api import Browser, Page, WebSocket, sync_playwright

GOES = 7
SESSIONS = 20
PHOTO_SIZE = (1600, 1200)
WAIT_MS = 60_000
DROP_ZONE = '[data-testid="stFileUploaderDropzone"] input[type=file]'

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


def opened(page: Page, address: str) -> "Wire":
    """The app's first page, ready for a photo."""
    wire = Wire(page)
    page.goto(address, timeout=WAIT_MS)
    page.locator(DROP_ZONE).wait_for(state="attached")
    page.get_by_role("button", name="Fly agaric", exact=True).wait_for(timeout=WAIT_MS)
    return wire


def wait_for_picture(page: Page, old: str = "") -> None:
    """Until another picture than the one at the address ``old`` is seen beside an answer."""
    page.wait_for_function(
        """old => { const img = document.querySelector('.st-key-picture img')
                    return img && img.complete && img.naturalWidth && img.src !== old
                           && document.querySelector('.answer') }""",
        arg=old,
        timeout=WAIT_MS,
        polling=10,
    )


def drop(page: Page, photo: Path) -> None:
    """Give the page a photo and wait until answer, picture and film strip are there."""
    old = page.locator(".answer").count() and page.locator(".st-key-picture img").get_attribute("src")
    page.locator(DROP_ZONE).set_input_files(photo)
    wait_for_picture(page, f"{page.url.split('?')[0].rstrip('/')}{old}" if old else "")
    page.get_by_role("radio").last.wait_for(timeout=WAIT_MS)


class Wire:
    """When the messages of a page's websocket went out and came in; the page must not have been opened yet."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.sent: list[float] = []
        self.received: list[float] = []
        page.on("websocket", self.listen)

    def listen(self, socket: WebSocket) -> None:
        socket.on("framesent", lambda _: self.sent.append(time.perf_counter()))
        socket.on("framereceived", lambda _: self.received.append(time.perf_counter()))

    def timed(self, action: Callable[[], None]) -> tuple[float, float]:
        """Seconds that the server took for ``action``, and until it was seen."""
        self.sent.clear()
        self.received.clear()
        seen = seconds(action)
        self.page.wait_for_timeout(SETTLED_MS)
        return self.received[-1] - self.sent[0], seen


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
    wait_for_picture(page)
    seen = time.perf_counter() - began
    context.close()
    return read, seen


def measure(browser: Browser, folder: Path) -> tuple[dict[str, float], float, float]:
    """Seconds by what was measured, and the server's memory in MB with one and with all sessions."""
    first, *photos = write_photos(folder / "photos", 1 + GOES + SESSIONS, PHOTO_SIZE)
    began = time.perf_counter()
    server, address = start_app(folder / "log.txt", {})
    try:
        page = browser.new_page()
        wire = opened(page, address)
        first_page = time.perf_counter() - began

        drop(page, first)
        drops = []
        for photo in photos[:GOES]:
            fresh = browser.new_page()
            fresh_wire = opened(fresh, address)
            fresh.wait_for_timeout(SETTLED_MS)
            drops.append(fresh_wire.timed(partial(drop, fresh, photo)))
            fresh.close()

        slider = page.get_by_role("slider", name="Layer, from early to late")
        move = change_picture(page, lambda: slider.press("ArrowLeft"))
        layers = [wire.timed(move) for _ in range(GOES + 1)][1:]
        picks = [change_picture(page, partial(choose_genus, page, number)) for number in range(1, GOES + 1)]
        genera = [wire.timed(pick) for pick in picks]
        one = memory_mb(server.pid)

        for photo in photos[GOES:]:
            each = browser.new_context().new_page()
            opened(each, address)
            drop(each, photo)
        every = memory_mb(server.pid)
        slow = throttled(browser, address)
    finally:
        stop_app(server)
    medians = [np.median(pairs, axis=0) for pairs in (drops, layers, genera)]
    return dict(zip(BUDGETS, (first_page, *np.concatenate(medians), *slow), strict=True)), one, every


def main() -> int:
    """Print the figures beside their budgets."""
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        measured, one, every = measure(browser, Path(folder))
        browser.close()
    for what, took in measured.items():
        budget = BUDGETS[what]
        output = "" if budget is None else f"   budget {budget:.2f} s: {verdict(took <= budget)}"
        print(f"{what:<54} {took:6.2f} s{output}")
    print(f"{'server memory, one session':<54} {one:6.0f} MB")
    print(f"{f'server memory, {SESSIONS} sessions':<54} {every:6.0f} MB  budget 1536 MB: {verdict(every <= 1536)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
