"""The prepared folder on this machine: the photos of the test split, with their true genera."""

import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from mushroom.app.models import LOOK_AGAIN
from mushroom.checkpoint import HUB_PREFIX

if TYPE_CHECKING:
    from mushroom.dataset import Prepared

_log = logging.getLogger(__name__)

PREPARED_VARIABLE = "MUSHROOM_PREPARED"
PREPARED_DEFAULT = Path(__file__).resolve().parent.parent.parent / "data" / "prepared"
"""The folder that ``train.py prepare`` wrote, or ``hf://datasets/user/name``: where the test split's photos are."""


def prepared() -> "Prepared | None":
    """The prepared folder on this machine with its tables; None where there is none or it can't be used."""
    return _found()[0]


def failure() -> str | None:
    """The sentence that says why the prepared folder on this machine can't be used; None where it can, or is none."""
    return _found()[1] or None


def _found() -> "tuple[Prepared | None, str]":
    named = os.environ.get(PREPARED_VARIABLE, str(PREPARED_DEFAULT))
    if named.startswith(HUB_PREFIX):
        folder, failure = _fetched_photos(named)
        if folder is None:
            return None, f"The photos of the test split are not at hand. {failure}"
    else:
        folder = Path(named)
    manifest = folder / "manifest.csv"
    return _prepared(folder, manifest.stat().st_mtime_ns) if manifest.is_file() else (None, "")


@st.cache_resource(ttl=LOOK_AGAIN, max_entries=1, show_spinner="Fetching the photos of the test split …")
def _fetched_photos(address: str) -> tuple[Path | None, str]:
    """The prepared folder of a dataset on the Hub; without one, the sentence that says why."""
    from mushroom.errors import DatasetError, HubError
    from mushroom.hub import fetch_test_photos, parse_address

    try:
        return fetch_test_photos(parse_address(address)), ""
    except (HubError, DatasetError) as error:
        return None, str(error)


def prepared_fingerprint() -> str | None:
    """Fingerprint of the photos on this machine; None where there are none."""
    found = prepared()
    return found.fingerprint if found else None


@st.cache_resource(max_entries=2, show_spinner=False)
def _prepared(folder: Path, changed_ns: int) -> "tuple[Prepared | None, str]":
    """The prepared folder, or nothing and the sentence that says why; what a visitor need not know is logged."""
    from mushroom.dataset import load_prepared
    from mushroom.errors import DatasetError

    try:
        found = load_prepared(folder)
    except DatasetError as error:
        _log.warning("the prepared folder %s can't be used: %s", folder, error)
        return None, f"The prepared photos on this machine can't be used. {error}"
    if not found.root.is_dir():
        _log.warning("the prepared folder %s names photos in %s, which is not there", folder, found.root)
        return None, "The prepared folder on this machine names photos that are not where it says."
    return found, ""


@st.cache_data(max_entries=2, show_spinner=False)
def _test_genera(fingerprint: str, _prepared: "Prepared") -> dict[str, str]:
    table = _prepared.manifest
    test = table[table["split"] == "test"]
    return dict(zip(test["photo"], test["genus"], strict=True))


def test_genera() -> dict[str, str]:
    """True genus of each photo of the test split on this machine, by its name; empty where there is none."""
    found = prepared()
    return _test_genera(found.fingerprint, found) if found else {}


@st.cache_data(max_entries=2, show_spinner=False)
def _links(fingerprint: str, _photos: Sequence[str]) -> dict[str, str]:
    return {link_name(photo): photo for photo in _photos} | {photo: photo for photo in _photos}


def photos_by_link() -> dict[str, str]:
    """The photos of the test split by what links call them: their own names, too, for links that people write."""
    return _links(prepared_fingerprint() or "", list(test_genera()))


def link_name(photo: str) -> str:
    """A photo's name in links that are made here: its own would tell a class the genus, which is its folder's."""
    return hashlib.sha256(photo.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def test_photo_path(photo: str) -> Path:
    """The file of a photo that ``test_genera`` names."""
    found = prepared()
    assert found is not None
    return found.photo_path({"photo": photo})
