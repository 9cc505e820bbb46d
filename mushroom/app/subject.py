"""The photo that the pages speak of: a visitor's own, a test photo or one of the project's drawings.

A session keeps the bytes it was given, never the decoded photo: twenty visitors with twelve-megapixel photos
would fill the memory. The photo is decoded again for each pass through the network. Nothing of a visitor's
own photo is kept outside that visitor's session.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal
from weakref import WeakSet

import streamlit as st
from PIL import Image
from streamlit.runtime.uploaded_file_manager import UploadedFile

from mushroom.app import components, prepared_photos, server, url_state
from mushroom.app.layout import note
from mushroom.assets import DRAWINGS

VIEW_PX = 640
"""Longest side of a photo as the pages show it."""

VIEWS = "views"
"""Key of the session: pictures made of several uploads, which go when they go."""

THUMBNAIL_PX = 120
"""Longest side of a photo in the table of many."""

PHOTOS_AT_ONCE = 50
SESSION_BYTES = 60 * 1024**2
"""What one session may hold of uploaded photos; more is refused with a sentence."""

SERVER_BYTES = 600 * 1024**2
"""What all sessions together may hold of them: with the networks it stays within the design's 1.5 GB."""

GONE = (
    "The photo that this link is about was a visitor's own and is not here: photos stay in the session that they were "
    "given to. If it was yours, the connection was lost meanwhile: give it again."
)

SEVERAL_GONE = (
    "The photos that this link is about were a visitor's own and are not here: photos stay in the session that they "
    "were given to. If they were yours, the connection was lost meanwhile: give them again."
)


@dataclass(frozen=True)
class Subject:
    """A photo that can be read again. ``sha256`` is of its pixels; ``true_genus`` is known for test
    photos; ``thumbnail`` is an address that carries a small picture, where many photos came together.
    ``crop`` is the part of it that the network is asked about, None for all of it."""

    origin: Literal["upload", "drawing", "test"]
    title: str
    source: bytes | Path
    sha256: str
    true_genus: str | None = None
    thumbnail: str = ""
    crop: components.Rectangle | None = None

    def read_whole(self) -> Image.Image:
        """The photo, RGB, upright, in full size. Raises PhotoError where a file is gone or damaged."""
        from mushroom.photos import read_photo, read_photo_file

        return read_photo(self.source) if isinstance(self.source, bytes) else read_photo_file(self.source)

    def read(self) -> Image.Image:
        """The part of the photo that the network is asked about. Raises PhotoError as ``read_whole``."""
        photo = self.read_whole()
        return photo if self.crop is None else photo.crop(self.crop.box(photo.size))

    @property
    def key(self) -> str:
        """Tells the pixels that the network is asked about from all others."""
        return self.sha256 if self.crop is None else f"{self.sha256}:{self.crop.text}"

    @property
    def name(self) -> str:
        """A name of an upload for links, which says nothing of the photo to others."""
        return hashlib.sha256(f"{self.title}:{self.sha256}".encode("utf-8", "surrogatepass")).hexdigest()[:12]


@dataclass(frozen=True)
class Refusal:
    """Why files could not be used, in a sentence, and their names."""

    reason: str
    titles: tuple[str, ...]


_all_uploads: WeakSet[Subject] = WeakSet()
"""The uploads of all sessions; one that ends takes its own out."""


def preview(subject: Subject) -> Image.Image:
    """The whole photo no larger than the pages show it; the last one is remembered in this session.

    It belongs to the session: whoever draws on it draws on a copy.
    """
    remembered = st.session_state.get("preview")
    if remembered is None or remembered[0] != subject.sha256:
        remembered = (subject.sha256, server.run_queued(lambda: shrunk(subject.read_whole(), VIEW_PX)))
        st.session_state["preview"] = remembered
    return remembered[1]


def shrunk(photo: Image.Image, longest_px: int) -> Image.Image:
    """A copy of the photo with its longest side at most ``longest_px``; the photo itself stays as it is."""
    smaller = photo.copy()
    smaller.thumbnail((longest_px, longest_px), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return smaller


def enlarged(picture: Image.Image, longest_px: int) -> Image.Image:
    """The picture with its longest side at least ``longest_px``."""
    times = longest_px / max(picture.size)
    size = (max(round(picture.width * times), 1), max(round(picture.height * times), 1))
    return picture if times <= 1 else picture.resize(size, Image.Resampling.BICUBIC)


# --- Which one ----------------------------------------------------------------------------------------------


def current_subject() -> Subject | None:
    """The photo that the URL names, with the part of it that the URL names; None where it names none.

    Notes where the URL names a photo that is not here or can't be read.
    """
    subject = _named_subject()
    if subject is None:
        return None
    crop = components.rectangle_from_text(st.query_params.get("crop") or url_state.chosen("crop") or "")
    text = crop.text if crop else None
    url_state.choice("crop", [text] if text else [], None, what="part of the photo")
    return replace(subject, crop=crop) if crop else subject


def _named_subject() -> Subject | None:
    uploads = uploaded()
    drawing = url_state.choice("drawing", list(drawings()), None, what="drawing")
    photo = None
    if "photo" in st.query_params or url_state.chosen("photo") is not None:
        by_link = prepared_photos.photos_by_link()
        photo = by_link.get(url_state.choice("photo", list(by_link), None, what="test photo") or "")
    upload = url_state.choice("upload", list(uploads), None, what="photo", missing=GONE)
    if photo is None and drawing is None:
        return uploads.get(str(upload))
    # It brings torch, seconds of it: whoever only opens the app should not wait.
    from mushroom.errors import PhotoError

    try:
        if photo is not None:
            path = prepared_photos.test_photo_path(photo)
            return _from_file("test", photo, path, prepared_photos.test_genera()[photo])
        return _from_file("drawing", str(drawing), drawings()[str(drawing)], None)
    except PhotoError as error:
        note(str(error))
        close()
    return None


def uploaded() -> dict[str, Subject]:
    """The visitor's own photos by their names in links, in the order they came."""
    return st.session_state.setdefault("uploaded", {})


def keep_uploads(subjects: Sequence[Subject]) -> None:
    """Replace the visitor's own photos by others, or by none."""
    st.session_state["uploaded"] = {subject.name: subject for subject in subjects}
    st.session_state.pop(VIEWS, None)
    url_state.choose("several", None)
    _all_uploads.update(subjects)


def show(*, upload: str | None = None, drawing: str | None = None, photo: str | None = None) -> None:
    """Look at one photo, by its name: whole, and with nothing chosen for it yet but how it is looked at."""
    url_state.choose("upload", upload)
    url_state.choose("drawing", drawing)
    url_state.choose("photo", photo)
    for key in ("crop", "genus", "against", "cover", "copies", "correction"):
        url_state.choose(key, None)


def show_drawing(name: str) -> None:
    """Look at a drawing; a visitor's own photos are put away."""
    keep_uploads(())
    show(drawing=name)


def show_test_photo(photo: str) -> None:
    """Look at a photo of the test split, named as in the manifest; a visitor's own photos are put away."""
    keep_uploads(())
    show(photo=prepared_photos.link_name(photo))


def close() -> None:
    """Look at none."""
    show()


def drawing_subject(name: str) -> Subject:
    """A drawing, with nothing chosen for it. Raises PhotoError where it is damaged."""
    from mushroom.photos import photo_hash, read_photo_file

    path = drawings()[name]
    return Subject("drawing", name, path, photo_hash(read_photo_file(path)))


def _from_file(origin: Literal["drawing", "test"], title: str, path: Path, genus: str | None) -> Subject:
    remembered = st.session_state.get("file_subject")
    if remembered is None or remembered.source != path:
        from mushroom.photos import photo_hash, read_photo_file

        photo = read_photo_file(path)
        remembered = Subject(origin, title, path, photo_hash(photo), genus)
        st.session_state["file_subject"] = remembered
        st.session_state["preview"] = (remembered.sha256, shrunk(photo, VIEW_PX))
    return remembered


# --- The visitor's own --------------------------------------------------------------------------------------


def read_uploads(files: Sequence[UploadedFile]) -> tuple[list[Subject], list[Refusal]]:
    """Read uploaded files, with a progress bar where there are many.

    Those that can't be used come back by the sentence that says why, each sentence once.
    """
    from mushroom.errors import PhotoError

    subjects: list[Subject] = []
    refused: dict[str, list[str]] = {}
    read_bytes = 0
    others_bytes = sum(len(subject.source) for subject in _all_uploads if isinstance(subject.source, bytes))
    progress = st.progress(0.0, text="Reading your photos …") if len(files) > 3 else None
    for number, file in enumerate(files):
        data = file.getvalue()
        try:
            if number >= PHOTOS_AT_ONCE:
                raise PhotoError(f"Only {PHOTOS_AT_ONCE} photos can be answered at once.")
            if read_bytes + len(data) > SESSION_BYTES:
                raise PhotoError(f"Together these photos are larger than {SESSION_BYTES // 1024**2} MB.")
            if others_bytes + read_bytes + len(data) > SERVER_BYTES:
                raise PhotoError("Too many photos are here at the moment: try again in a few minutes.")
            longest_px = VIEW_PX if len(files) == 1 else THUMBNAIL_PX
            sha256, small = server.run_queued(partial(_hash_and_small, data, longest_px))
        except PhotoError as error:
            refused.setdefault(str(error), []).append(file.name)
        else:
            read_bytes += len(data)
            thumbnail = components.data_url(small) if len(files) > 1 else ""
            subjects.append(Subject("upload", file.name, data, sha256, thumbnail=thumbnail))
            if len(files) == 1:
                st.session_state["preview"] = (sha256, small)
        if progress:
            progress.progress((number + 1) / len(files), text=f"Reading your photos … {number + 1} of {len(files)}")
    if progress:
        progress.empty()
    return subjects, [Refusal(reason, tuple(titles)) for reason, titles in refused.items()]


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
