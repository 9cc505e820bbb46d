"""The photos that the network learned from and that look most alike to it: nearest by its own features."""

import html
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from mushroom.app import gallery, prepared_photos, server
from mushroom.app.subject import Subject
from mushroom.errors import CheckpointError, PhotoError

if TYPE_CHECKING:
    from mushroom.classifier import Classifier
    from mushroom.dataset import Prepared
    from mushroom.evaluation.neighbours import NeighbourIndex

COUNT = 5
CARD_PX = 150


def show(subject: Subject, classifier: "Classifier") -> None:
    """The nearest five, or what it takes to see them."""
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
        asked = partial(st.session_state.update, neighbours_of=classifier.identity)
        st.caption(f"For this the network looks once at the {count:,} photos it learned from: a minute a thousand.")
        st.button("Look for the nearest", icon=":material/image_search:", on_click=asked)
        return
    bar = st.progress(0.0, text="Looking at the photos it learned from …")
    try:
        index = learned_index(classifier, prepared, lambda share: bar.progress(share))
        bar.empty()
        [own] = server.run_queued(lambda: classifier.features([subject.read()]))
    except (CheckpointError, PhotoError) as error:
        st.error(str(error))
        return
    st.caption("Of all photos that it learned from, these look most like yours to the network.")
    with st.container(horizontal=True, gap="small", key="neighbours"):
        for neighbour in index.nearest(own, COUNT):
            with st.container(width=CARD_PX, gap="xxsmall"):
                st.image(gallery.thumbnail(str(neighbour.path)), width="stretch", alt=f"Photo of {neighbour.genus}")
                st.html(
                    f'<p class="neighbour"><b><em>{html.escape(neighbour.genus)}</em></b>'
                    f"<span>likeness {neighbour.similarity:.2f}</span><span>{html.escape(neighbour.source)}</span></p>"
                )


def learned_index(
    classifier: "Classifier", prepared: "Prepared", on_progress: Callable[[float], object]
) -> "NeighbourIndex":
    """The network's features of the photos it learned from: as they were kept, or looked at now; remembered."""
    from mushroom.evaluation.neighbours import build_index, load_index

    remembered = _remembered(classifier.identity, prepared.fingerprint)
    if not remembered:
        saved = load_index(classifier, prepared)
        remembered.append(saved or build_index(classifier, prepared, run=server.run_queued, on_progress=on_progress))
    return remembered[0]


@st.cache_resource(max_entries=2, show_spinner=False)
def _remembered(identity: str, fingerprint: str) -> "list[NeighbourIndex]":
    """A place for what was found: a cached function itself can't draw how far it is."""
    return []
