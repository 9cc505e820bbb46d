"""A real server and a real Chromium for the browser tests.

The server is ``streamlit run app.py`` on a free loopback port, with the default network and painted photos.
Chromium is the machine's own, or the one that ``playwright install chromium`` fetched: tests install nothing.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from app_server import start_app, stop_app

WAIT_MS = 60_000
FLAGS = (
    *("--no-sandbox", "--disable-dev-shm-usage"),
    # A camera that films a test picture, and nobody is asked for it.
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
)
NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium for the whole session; each test opens its own context. Without one the test is skipped."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = next(filter(None, map(shutil.which, NAMES)), playwright.chromium.executable_path)
        if not Path(found).is_file():
            pytest.skip("no Chromium on this machine: apt-get install chromium, or playwright install chromium")
        opened = playwright.chromium.launch(executable_path=found, args=[*FLAGS])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def address(painted_app: dict[str, str], tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Iterator[str]:
    """The address of a running app."""
    process, address = start_app(tmp_path_factory.mktemp("app") / "log.txt", painted_app)
    yield address
    stop_app(process)


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page of a desktop browser; an exception box on it fails the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    opened = context.new_page()
    opened.set_default_timeout(WAIT_MS)
    yield opened
    assert opened.locator('[data-testid="stException"]').count() == 0
    context.close()
