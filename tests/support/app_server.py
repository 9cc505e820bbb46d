"""The app as a process of its own, for tests and benches that visit it over the network."""

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

REPOSITORY = Path(__file__).resolve().parent.parent.parent
STREAMLIT = (sys.executable, "-m", "streamlit", "run", "app.py")
START_SECONDS = 60
STOP_SECONDS = 60


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def start_app(
    log: Path,
    environment: dict[str, str],
    *,
    command: Sequence[str] = STREAMLIT,
    folder: Path = REPOSITORY,
    **process_options: Any,
) -> tuple[subprocess.Popen[bytes], str]:
    """``streamlit run app.py`` in ``folder`` on a free loopback port, answering; the process and its address.

    What it prints goes to ``log`` through a pipe: the process itself has no file open to write to.
    """
    port = free_port()
    process = subprocess.Popen(
        [*command, "--server.port", str(port), "--server.address", "127.0.0.1", "--server.headless", "true"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **environment},
        **process_options,
    )
    log.touch()
    threading.Thread(target=_keep, args=(process.stdout, log), daemon=True).start()
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
    process.wait()
    raise RuntimeError(f"the app did not start: {log.read_text(errors='replace')[-2000:]}")


def _keep(output: IO[bytes], log: Path) -> None:
    with log.open("wb", buffering=0) as file:
        for line in output:
            file.write(line)


def stop_app(process: "subprocess.Popen[bytes]") -> None:
    """End the server that ``start_app`` began."""
    process.terminate()
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
