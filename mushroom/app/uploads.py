"""The upload area: files dropped or chosen, and the camera. What was given becomes the photos of this session.

The uploader is a new one after every photo: what a visitor looks at is told by the page alone, and no file's name
stays in the area when its photo has gone, or when another is shown.
"""

import html
from collections.abc import Sequence

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from mushroom.app import server
from mushroom.app.subject import Refusal, Subject, close, keep_uploads, read_uploads, show

PHOTO_TYPES = "JPEG, PNG, WebP, HEIC, TIFF, BMP or GIF"
LOST = "No photo arrived: the connection was lost meanwhile, or the file was taken back. Give it once more."
NAMES_TOLD = 3
"""Of files that could not be used for one reason, so many are named."""


def show_area() -> None:
    """The area."""
    if own_window := server.uploads_need_own_window():
        st.info(
            f"Your browser lets no photo be sent from inside this page. [Open Mushroom by itself]({own_window}) to try "
            "one of yours; the drawings work here, too.",
            icon=":material/open_in_new:",
        )
    given = st.session_state.setdefault("given", 0)
    with st.container(horizontal=True, vertical_alignment="bottom", key="upload"):
        st.file_uploader(
            f"Drop one photo or many ({PHOTO_TYPES}, each at most {server.upload_limit_mb()} MB)",
            accept_multiple_files=True,
            key=f"uploads:{given}",
            on_change=_files_came,
            args=(f"uploads:{given}",),
        )
        if st.button("Camera", icon=":material/photo_camera:"):
            _camera(given)


@st.dialog("Take a photo")
def _camera(given: int) -> None:
    """A window of its own, which fits a phone, and closes when there is a photo.

    The browser asks for the camera as soon as this is drawn: only where the visitor opened it.
    """
    if "files_came" in st.session_state:
        st.rerun()
    with st.container(key="camera-box"):
        st.camera_input(
            "Hold the mushroom so that its gills or pores are seen, too",
            key=f"camera:{given}",
            resolution="1080p",
            on_change=_files_came,
            args=(f"camera:{given}",),
        )


def take_in() -> None:
    """Read the files that came with this run, if any; what the visitor sees from here on is them."""
    files = st.session_state.pop("files_came", None)
    if files is None:
        return
    subjects, refused = read_uploads(files)
    st.session_state["refused"] = refused
    if not files:
        st.session_state["refused"] = [Refusal(LOST, ())]
    elif subjects or not refused:
        keep_uploads(subjects)
        show(upload=subjects[0].name if len(subjects) == 1 else None)
        new_table()


def show_refusals() -> None:
    """Why files could not be used: a sentence a reason, however many files it is about."""
    for refusal in st.session_state.get("refused", ()):
        st.html(f'<p class="refused" role="alert">{refusal_html(refusal)}</p>')


def refusal_html(refusal: Refusal) -> str:
    """The sentence, with the names of its files before it; names are a stranger's and stay text."""
    names = [html.escape(title) for title in refusal.titles[:NAMES_TOLD]]
    if not names:
        return html.escape(refusal.reason)
    more = len(refusal.titles) - len(names)
    whose = ", ".join(f"<b>{name}</b>" for name in names) + (f" and {more} more files" if more else "")
    return f"{whose}: {html.escape(refusal.reason)}"


def forget_refusals() -> None:
    """What could not be used is told once: not beside another photo, and not on another page."""
    st.session_state.pop("refused", None)


def start_again() -> None:
    """Put the visitor's photos away, as if none had been given."""
    forget_refusals()
    keep_uploads(())
    close()


def back_to_table() -> None:
    """Leave the photo for the table of all that were given together."""
    forget_refusals()
    close()
    new_table()


def open_one(subject: Subject) -> None:
    """Look at one of the photos that came together."""
    forget_refusals()
    show(upload=subject.name)


def new_table() -> None:
    """The table of photos begins without a row chosen."""
    st.session_state["table_round"] = st.session_state.get("table_round", 0) + 1


def _files_came(key: str) -> None:
    value = st.session_state[key]
    files: Sequence[UploadedFile] = value if isinstance(value, list) else [value] if value is not None else []
    st.session_state["files_came"] = list(files)
    st.session_state["given"] = st.session_state.get("given", 0) + 1
