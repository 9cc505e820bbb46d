"""``streamlit run app.py`` as a process of its own, for tests and benches that use a browser."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60


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
