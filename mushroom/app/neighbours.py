"""The photos that the network learned from and that look most alike to it: nearest by its own features."""

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from mushroom.app import gallery, prepared_photos, server
from mushroom.app.subject import Subject
from mushroom.errors import PhotoError

if TYPE_CHECKING:
    from mushroom.classifier import Classifier
    from mushroom.dataset import Prepared

COUNT = 5
BATCH = 16
"""Photos that are looked at in one turn: other visitors' come in between."""

CARD_PX = 150

STYLE = """
<style>
.st-key-neighbours img { border-radius: .5rem; aspect-ratio: 1; object-fit: cover; }
.neighbour { margin: 0; font-size: .82rem; line-height: 1.3; overflow-wrap: anywhere; }
.neighbour b, .neighbour span { display: block; }
</style>
"""


@dataclass(frozen=True)
class Neighbour:
    """A photo of the train split, as its row of the manifest says, and its likeness: cosine, -1 to 1."""

    photo: str
    genus: str
    source: str
    likeness: float


def show(subject: Subject, classifier: "Classifier") -> None:
    """The nearest five, or what it takes to see them."""
    st.html(STYLE)
    prepared = prepared_photos.prepared()
    if prepared is None:
        st.info(
            "The photos that it learned from are not on this machine. Prepare them with `python train.py "
            "prepare FOLDER --out data/prepared`, and start the app again.",
            icon=":material/info:",
        )
        return
    if classifier.config.data_fingerprint != prepared.fingerprint:
        st.caption("The photos on this machine are not quite those that this network learned from.")
    count = int((prepared.manifest["split"] == "train").sum())
    if st.session_state.get("neighbours_of") != classifier.identity:
        st.caption(f"For this the network looks once at the {count:,} photos it learned from: a minute a thousand.")
        st.button("Look for the nearest", icon=":material/image_search:", on_click=_ask, args=(classifier.identity,))
        return
    bar = st.progress(0.0, text="Looking at the photos it learned from …")
    photos, features = learned_features(classifier, prepared, lambda share: bar.progress(share))
    bar.empty()
    try:
        [own] = server.run_queued(lambda: classifier.features([subject.read()]))
    except PhotoError as error:
        st.error(str(error))
        return
    st.caption("Of all photos that it learned from, these look most like yours to the network.")
    with st.container(horizontal=True, gap="small", key="neighbours"):
        for neighbour in nearest(own, features, photos, COUNT):
            with st.container(width=CARD_PX, gap="xxsmall"):
                path = prepared.photo_path({"photo": neighbour.photo})
                st.image(gallery.thumbnail(str(path)), width="stretch", alt=f"Photo of {neighbour.genus}")
                st.html(
                    f'<p class="neighbour"><b><em>{html.escape(neighbour.genus)}</em></b>'
                    f"<span>likeness {neighbour.likeness:.2f}</span><span>{html.escape(neighbour.source)}</span></p>"
                )


def nearest(own: np.ndarray, features: np.ndarray, photos: Sequence[dict[str, str]], count: int) -> list[Neighbour]:
    """The ``count`` rows of ``photos`` whose ``features`` (n, d) point most in the direction of ``own`` (d,)."""
    likeness = _unit(features) @ _unit(own[None])[0]
    order = np.argsort(-likeness, kind="stable")[:count]
    return [
        Neighbour(photos[row]["photo"], photos[row]["genus"], photos[row].get("source", ""), float(likeness[row]))
        for row in order
    ]


def learned_features(
    classifier: "Classifier", prepared: "Prepared", on_progress: Callable[[float], object]
) -> tuple[list[dict[str, str]], np.ndarray]:
    """The rows of the train split that can be read, and the network's features of each (n, d); remembered."""
    remembered = _remembered(classifier.identity, prepared.fingerprint)
    if not remembered:
        remembered.append(_looked_at(classifier, prepared, on_progress))
    return remembered[0]


@st.cache_resource(max_entries=2, show_spinner=False)
def _remembered(identity: str, fingerprint: str) -> list[tuple[list[dict[str, str]], np.ndarray]]:
    """A place for what was found: a cached function itself can't draw how far it is."""
    return []


def _looked_at(
    classifier: "Classifier", prepared: "Prepared", on_progress: Callable[[float], object]
) -> tuple[list[dict[str, str]], np.ndarray]:
    columns = [name for name in ("photo", "genus", "source") if name in prepared.manifest]
    table = prepared.manifest[prepared.manifest["split"] == "train"][columns].fillna("")
    rows: list[dict[str, str]] = table.to_dict("records")
    photos: list[dict[str, str]] = []
    features = []
    for start in range(0, len(rows), BATCH):
        read, found = server.run_queued(partial(_batch_features, classifier, prepared, rows[start : start + BATCH]))
        photos += read
        features.append(found)
        on_progress(min((start + BATCH) / len(rows), 1.0))
    return photos, np.concatenate(features)


def _batch_features(
    classifier: "Classifier", prepared: "Prepared", rows: Sequence[dict[str, str]]
) -> tuple[list[dict[str, str]], np.ndarray]:
    from mushroom.photos import read_photo_file

    read, pictures = [], []
    for row in rows:
        try:
            pictures.append(read_photo_file(prepared.photo_path(row)))
        except PhotoError:
            # A photo that has gone since is no neighbour; the page Browse says that photos are missing.
            continue
        read.append(row)
    return read, classifier.features(pictures)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _ask(identity: str) -> None:
    st.session_state["neighbours_of"] = identity
