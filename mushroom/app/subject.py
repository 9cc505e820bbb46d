"""The photo that the pages speak of: a visitor's own, a test photo or one of the project's drawings.

A session keeps the bytes it was given, never the decoded photo: twenty visitors with twelve-megapixel photos
would fill the memory. The photo is decoded again for each pass through the network. Nothing of a visitor's
own photo is kept outside that visitor's session.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import streamlit as st
from PIL import Image
from streamlit.runtime.uploaded_file_manager import UploadedFile

from mushroom.app import components, layout, prepared_photos, server, url_state
from mushroom.assets import DRAWINGS

if TYPE_CHECKING:
    pass


VIEW_PX = 640
"""Longest side of a photo as the pages show it."""

THUMBNAIL_PX = 120
"""Longest side of a photo in the table of many."""

PHOTOS_AT_ONCE = 50
SESSION_BYTES = 100 * 1024**2
"""What one session may hold of uploaded photos; more is refused with a sentence."""


@dataclass(frozen=True)
class Subject:
    """A photo that can be read again. ``sha256`` is of its pixels; ``true_genus`` is known for test
    photos; ``thumbnail`` is an address that carries a small picture, where many photos came together."""

    origin: Literal["upload", "drawing", "test"]
    title: str
    source: bytes | Path
    sha256: str
    true_genus: str | None = None
    thumbnail: str = ""

    def read(self) -> Image.Image:
        """The photo, RGB, upright, in full size. Raises PhotoError where a file is gone or damaged."""
        from mushroom.photos import read_photo, read_photo_file

        return read_photo(self.source) if isinstance(self.source, bytes) else read_photo_file(self.source)


@dataclass(frozen=True)
class Refusal:
    """A file that could not be taken, and the sentence that says why."""

    title: str
    reason: str


def preview(subject: Subject) -> Image.Image:
    """The photo no larger than the pages show it; the last one is remembered in this session."""
    remembered = st.session_state.get("view")
    if remembered is None or remembered[0] != subject.sha256:
        remembered = (subject.sha256, server.run_queued(lambda: shrunk(subject.read(), VIEW_PX)))
        st.session_state["view"] = remembered
    return remembered[1]


def shrunk(photo: Image.Image, longest_px: int) -> Image.Image:
    """The photo with its longest side at most ``longest_px``."""
    smaller = photo.copy() if max(photo.size) <= longest_px else photo
    smaller.thumbnail((longest_px, longest_px), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return smaller


# --- Which one ----------------------------------------------------------------------------------------------


def current_subject() -> Subject | None:
    """The photo that the URL names, else the visitor's own that was opened last, else None.

    Notes where the URL names a photo that is not here or can't be read.
    """
    drawing = url_state.choice("drawing", list(drawings()), None, what="drawing")
    photo = (
        url_state.choice("photo", list(prepared_photos.test_genera()), None, what="test photo")
        if _wants_test_photo()
        else None
    )
    if photo is None and drawing is None:
        return st.session_state.get("upload")
    # It brings torch, seconds of it: whoever only opens the app should not wait.
    from mushroom.errors import PhotoError

    try:
        if photo is not None:
            return _from_file(
                "test", photo, prepared_photos.test_photo_path(photo), prepared_photos.test_genera()[photo]
            )
        if drawing is not None:
            return _from_file("drawing", drawing, drawings()[drawing], None)
    except PhotoError as error:
        layout.note(str(error))
        show_upload(None)
    return st.session_state.get("upload")


def show_upload(upload: Subject | None) -> None:
    """Look at one of the visitor's own photos, or at none."""
    st.session_state["upload"] = upload
    url_state.choose("photo", None)
    url_state.choose("drawing", None)


def show_drawing(name: str) -> None:
    """Look at a drawing."""
    show_upload(None)
    url_state.choose("drawing", name)


def show_test_photo(photo: str) -> None:
    """Look at a photo of the test split, named as in the manifest."""
    show_upload(None)
    url_state.choose("photo", photo)


def _wants_test_photo() -> bool:
    return "photo" in st.query_params or st.session_state.get("choice:photo") is not None


def _from_file(origin: Literal["drawing", "test"], title: str, path: Path, genus: str | None) -> Subject:
    remembered = st.session_state.get("file_subject")
    if remembered is None or remembered.source != path:
        from mushroom.photos import photo_hash, read_photo_file

        photo = read_photo_file(path)
        remembered = Subject(origin, title, path, photo_hash(photo), genus)
        st.session_state["file_subject"] = remembered
        st.session_state["view"] = (remembered.sha256, shrunk(photo, VIEW_PX))
    return remembered


# --- The visitor's own --------------------------------------------------------------------------------------


def read_uploads(files: Sequence[UploadedFile]) -> tuple[list[Subject], list[Refusal]]:
    """Read uploaded files, with a progress bar where there are many; each that can't be taken is refused."""
    from mushroom.errors import PhotoError

    subjects: list[Subject] = []
    refused: list[Refusal] = []
    read_bytes = 0
    progress = st.progress(0.0, text="Reading your photos …") if len(files) > 3 else None
    for number, file in enumerate(files):
        data = file.getvalue()
        if number >= PHOTOS_AT_ONCE:
            refused.append(Refusal(file.name, f"Only {PHOTOS_AT_ONCE} photos can be taken at once."))
        elif read_bytes + len(data) > SESSION_BYTES:
            limit_mb = SESSION_BYTES // 1024**2
            refused.append(Refusal(file.name, f"Together these photos are larger than {limit_mb} MB."))
        else:
            try:
                sha256, shown = server.run_queued(
                    partial(_hash_and_small, data, VIEW_PX if len(files) == 1 else THUMBNAIL_PX)
                )
            except PhotoError as error:
                refused.append(Refusal(file.name, str(error)))
            else:
                read_bytes += len(data)
                thumbnail = components.data_url(shown) if len(files) > 1 else ""
                subjects.append(Subject("upload", file.name, data, sha256, thumbnail=thumbnail))
                if len(files) == 1:
                    st.session_state["view"] = (sha256, shown)
        if progress:
            progress.progress((number + 1) / len(files), text=f"Reading your photos … {number + 1} of {len(files)}")
    if progress:
        progress.empty()
    return subjects, refused


def _hash_and_small(data: bytes, longest_px: int) -> tuple[str, Image.Image]:
    """The hash of the photo in ``data``, and the photo no larger than ``longest_px``; PhotoError where it is none."""
    from mushroom.photos import photo_hash, read_photo

    photo = read_photo(data)
    return photo_hash(photo), shrunk(photo, longest_px)


# --- Those on this machine ----------------------------------------------------------------------------------


@st.cache_data(show_spinner=False)
def drawings() -> dict[str, Path]:
    """The project's drawings by name."""
    return {path.stem: path for path in sorted(DRAWINGS.glob("*.png"))}
