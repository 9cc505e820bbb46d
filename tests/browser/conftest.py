"""A real server and a real Chromium for the browser tests.

The server is ``streamlit run app.py`` on a free loopback port, with the default network and painted photos.
Chromium is the machine's own, or the one that ``playwright install chromium`` fetched: tests install nothing.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from app_server import start_app, stop_app

WAIT_MS = 120_000
"""The first page of a server loads the network, on a busy machine for minutes."""

FLAGS = (
    *("--no-sandbox", "--disable-dev-shm-usage"),
    # A camera that films a test picture, and nobody is asked for it.
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
)
NAMES = ("chromium", "chromium-browser", "google-chrome")
AGENT = "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36 Mobi"


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium for the whole session; each test opens its own context. Without one the test is skipped."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        found = next(filter(None, map(shutil.which, NAMES)), playwright.chromium.executable_path)
        if not Path(found).is_file():
            pytest.skip("no Chromium on this machine: apt-get install chromium, or playwright install chromium")
        opened = playwright.chromium.launch(executable_path=found, args=[*FLAGS])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def address(painted_app: dict[str, str], tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Iterator[str]:
    """The address of a running app with two networks, of which the second is the first with other surety."""
    root = tmp_path_factory.mktemp("app")
    original = next(Path(painted_app["MUSHROOM_CHECKPOINTS"]).iterdir())
    for name in (original.name, "second"):
        shutil.copytree(original, root / "models" / name)
    config = json.loads((original / "config.json").read_text())
    config["temperature"] *= 4
    (root / "models" / "second" / "config.json").write_text(json.dumps(config))
    process, address = start_app(root / "log.txt", painted_app | {"MUSHROOM_CHECKPOINTS": str(root / "models")})
    yield address
    stop_app(process)


def watched(browser: Any, width: int, height: int, theme: str, **options: Any) -> Iterator[Any]:
    """A page of its own context; an exception box on it, or what goes wrong in its scripts, fails the test."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme, **options)
    opened = context.new_page()
    opened.set_default_timeout(WAIT_MS)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    assert opened.locator('[data-testid="stException"]').count() == 0
    context.close()
    assert errors == []


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A light page of a desktop browser with a camera."""
    yield from watched(browser, 1440, 900, "light", permissions=["camera"])


@pytest.fixture
def dark(browser: Any) -> Iterator[Any]:
    """A dark page of a desktop browser."""
    yield from watched(browser, 1440, 900, "dark")


@pytest.fixture
def phone(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A page of a phone of the size and theme that the test asks for."""
    yield from watched(browser, *request.param, has_touch=True, is_mobile=True, user_agent=AGENT)
