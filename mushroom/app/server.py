"""What the process that serves all visitors does: hold its memory together, keep uploads off the disk, queue work."""

import ctypes
import functools
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import streamlit as st

SPACE_HOST_VARIABLE = "SPACE_HOST"
"""The Hub sets it in a Space: the host name of the app itself."""

M_ARENA_MAX = -8
MEMORY_HEAPS = 2
"""glibc's name for how many heaps there may be, and how many there shall be."""

UPLOAD_COOKIE = "_streamlit_xsrf"
"""Streamlit's; an upload is taken only from a browser that sends it."""


def prepare_process() -> None:
    """What must hold before the first visitor's photo comes; called in every run, and done once."""
    keep_memory_together()
    keep_uploads_in_memory()


@functools.cache
def keep_memory_together() -> None:
    """Have glibc serve all threads from few heaps; elsewhere there is nothing to do.

    Streamlit makes a thread for every run, and glibc a heap for nearly every thread: with twenty visitors, hundreds
    of megabytes would lie in them unused.
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        library.mallopt(M_ARENA_MAX, MEMORY_HEAPS)


def keep_uploads_in_memory() -> None:
    """Stop the web server from writing uploads to temporary files.

    Starlette spools every upload above 1 MiB to disk while it arrives; a visitor's photo must never reach it.
    The upload limit of .streamlit/config.toml bounds what is held instead.
    """
    from starlette.formparsers import MultiPartParser

    MultiPartParser.spool_max_size = 2 * upload_limit_mb() * 1024**2


def uploads_need_own_window() -> str | None:
    """The hosted app's own address where this visitor's uploads would be refused, else None.

    The Hub shows a Space inside a page of its own. A browser that keeps cookies from what is inside other sites'
    pages then has none to show with an upload, and the protection against forged uploads turns it away.
    """
    host = os.environ.get(SPACE_HOST_VARIABLE)
    return f"https://{host}" if host and UPLOAD_COOKIE not in st.context.cookies else None


def upload_limit_mb() -> int:
    """The largest file a visitor may send, in MB."""
    return int(st.get_option("server.maxUploadSize"))


# --- Work that takes a processor ----------------------------------------------------------------------------

T = TypeVar("T")

_workers = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="mushroom")


def run_queued(work: Callable[[], T]) -> T:
    """What ``work`` gives. Decoding photos and passing them through networks waits here, first come first served.

    More at once than there are processors would only fill the memory and make everyone wait for the slowest. And
    Streamlit makes a thread for every run: torch would make a crew of threads for each of those.
    """
    return _workers.submit(work).result()
