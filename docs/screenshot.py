"""The README's picture, docs/app.png: the app with one of its drawn specimens. Wants Chromium and playwright."""

import shutil
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "support")]

from app_server import start_app, stop_app  # noqa: E402
from PIL import Image  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

ADDRESS = "/?drawing=Fly_agaric"
SIZE = {"width": 1280, "height": 860}
COLOURS = 200


def main() -> int:
    """Open the app, look at the drawing, and keep what is seen."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        process, address = start_app(Path(folder) / "log.txt", {})
        try:
            chromium = shutil.which("chromium") or playwright.chromium.executable_path
            page = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"]).new_page(viewport=SIZE)
            page.set_default_timeout(240_000)
            page.goto(address + ADDRESS)
            page.locator(".answer").first.wait_for()
            page.wait_for_timeout(15_000)
            shot = Path(folder) / "app.png"
            page.screenshot(path=shot)
            Image.open(shot).convert("RGB").quantize(COLOURS).save(REPOSITORY / "docs" / "app.png", optimize=True)
        finally:
            stop_app(process)
    return 0


if __name__ == "__main__":
    sys.exit(main())
