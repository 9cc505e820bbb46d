"""A real server and a real Chromium for the browser tests.

The server is ``streamlit run app.py`` on a free loopback port, with the default network and painted photos.
Chromium is Debian's; where it is absent and can be installed, it is.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from app_server import start_app, stop_app

WAIT_MS = 60_000


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium; installed with apt-get where this is root's machine, else the test is skipped."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None and os.geteuid() == 0 and shutil.which("apt-get"):
        installed = subprocess.run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
        if installed.returncode != 0:
            print(f"apt-get could not install chromium: {installed.stderr.strip()[-300:]}")
        path = shutil.which("chromium")
    if path is None:
        reason = "no Chromium on this machine (apt-get install chromium)"
        print(f"browser tests skipped: {reason}")
        pytest.skip(reason)
    return path


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    """A headless Chromium for the whole session; each test opens its own context."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def address(painted_app: dict[str, str], tmp_path_factory: pytest.TempPathFactory, chromium: str) -> Iterator[str]:
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
