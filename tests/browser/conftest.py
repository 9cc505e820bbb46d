"""A real server and a real Chromium for the browser tests.

The server is ``streamlit run app.py`` on a free loopback port, with the default network and painted photos.
Chromium is Debian's; where it is absent and can be installed, it is.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60
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


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def start_app(log: Path, environment: dict[str, str]) -> tuple[subprocess.Popen[bytes], str]:
    """``streamlit run app.py`` on a free loopback port, answering; returns the process and its address."""
    port = free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "streamlit", "run", "app.py"),
                *("--server.port", str(port), "--server.address", "127.0.0.1", "--server.headless", "true"),
            ],
            cwd=REPOSITORY,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
        )
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return process, address
        except (urllib.error.URLError, OSError):
            # Polling a server that is starting is what this loop is for.
            time.sleep(0.1)
    process.kill()
    raise RuntimeError(f"the app did not start: {log.read_text(errors='replace')[-2000:]}")


def stop_app(process: "subprocess.Popen[bytes]") -> None:
    """End the server that ``start_app`` began."""
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


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
