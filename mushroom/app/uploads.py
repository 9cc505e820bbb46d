"""The upload area: files dropped or chosen, and the camera. What was given becomes the photos of this session."""

import html
from collections.abc import Sequence
from typing import Any

import streamlit as st

from mushroom.app import server, url_state
from mushroom.app.subject import Subject, read_uploads, show_upload

PHOTO_TYPES = "JPEG, PNG, WebP, HEIC, TIFF, BMP or GIF"


def show() -> None:
    """The area, and under it why a file could not be taken."""
    if own_window := server.uploads_need_own_window():
        st.info(
            f"Your browser lets no photo be sent from inside this page. [Open Mushroom by itself]({own_window}) to try "
            "one of yours; the drawings work here, too.",
            icon=":material/open_in_new:",
        )
    with st.container(horizontal=True, vertical_alignment="bottom", key="upload"):
        files = st.file_uploader(
            f"Drop one photo or many ({PHOTO_TYPES})",
            accept_multiple_files=True,
            key="uploads",
            on_change=_mark,
            args=("uploads_changed",),
        )
        camera = st.popover("Camera", icon=":material/photo_camera:", key="camera_panel", on_change="rerun")
    snapshot = None
    if camera.open:
        # The browser asks for the camera as soon as this is drawn: only where the visitor opened it.
        with camera:
            snapshot = st.camera_input("Take a photo", key="camera", on_change=_mark, args=("snapshot_changed",))
    if st.session_state.pop("uploads_changed", False) and files:
        _take(files)
    if st.session_state.pop("snapshot_changed", False) and snapshot is not None:
        _take([snapshot])
    for refusal in st.session_state.get("refused", ()):
        title, reason = html.escape(refusal.title), html.escape(refusal.reason)
        st.html(f'<p class="refused" role="alert"><b>{title}</b>: {reason}</p>')


def _mark(flag: str) -> None:
    st.session_state[flag] = True


def _take(files: Sequence[Any]) -> None:
    subjects, refused = read_uploads(files)
    st.session_state["refused"] = refused
    st.session_state["table"] = subjects
    start_anew()
    show_upload(subjects[0] if len(subjects) == 1 else None)


def start_anew() -> None:
    """Another photo starts with its own genus and no comparison; layer and method stay as they were."""
    url_state.choose("genus", None)
    url_state.choose("against", None)
    st.session_state["table_round"] = st.session_state.get("table_round", 0) + 1


def open_one(subject: Subject) -> None:
    """Look at one of the photos that came together."""
    start_anew()
    show_upload(subject)
