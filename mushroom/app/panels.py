"""Questions under the answer: why not another genus, what if a part is covered, what to look for."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import streamlit as st
from PIL import Image

from mushroom.app import (
    corrections,
    covering,
    evidence,
    field_guide,
    heatmap_grid,
    layout,
    neighbours,
    predictions,
    steadiness,
    url_state,
)
from mushroom.app.subject import Subject
from mushroom.app.viewer import chosen_layer

if TYPE_CHECKING:
    from mushroom.classifier import Classifier, Explanation


@st.fragment(key="panels")
def show(subject: Subject, view: Image.Image, explanation: "Explanation", classifier: "Classifier") -> None:
    """Questions under the answer. Only the one that is open is drawn, and only pressing it asks the network.

    ``view`` is the part of the photo that the network saw, as large as the page shows it.
    """
    prediction, rank = explanation.prediction, classifier.config.rank
    panels: dict[str, tuple[str, Callable[[], None]]] = {
        "why-not": (f"Why not another {rank}?", lambda: _why_not(subject, view, explanation, classifier)),
        "cover": ("Cover and see", lambda: covering.show(subject, view, explanation, classifier)),
        "for-against": ("For and against", lambda: evidence.show(subject, view, explanation, classifier)),
        "steady": ("Is it steady?", lambda: steadiness.show(subject, view, prediction, classifier)),
        "nearest": ("Most alike", lambda: neighbours.show(subject, classifier)),
        "about": (f"About this {rank}", lambda: field_guide.show(explanation.genus, rank)),
        "wrong": ("That is wrong", lambda: corrections.show(subject, view, explanation, classifier)),
    }
    names = {title: name for name, (title, _) in panels.items()}
    shown = str(url_state.choice("panel", list(panels), "why-not", what="panel", title=lambda name: panels[name][0]))
    if st.session_state.get("panel_tabs") not in names or layout.arrived():
        st.session_state["panel_tabs"] = panels[shown][0]
    tabs = st.tabs(list(names), key="panel_tabs", on_change=_panel_chosen, args=(names,))
    for tab, (_, draw) in zip(tabs, panels.values(), strict=True):
        if tab.open:
            with tab:
                draw()


def _panel_chosen(names: Mapping[str, str]) -> None:
    if name := names.get(st.session_state["panel_tabs"]):
        url_state.choose("panel", name)


def _why_not(subject: Subject, view: Image.Image, explanation: "Explanation", classifier: "Classifier") -> None:
    genus = explanation.genus
    others = [other for other, _ in predictions.ranked(explanation.prediction) if other != genus]
    against = url_state.choice("against", others, None, what="other genus")
    st.selectbox(
        f"Why {genus}, and not …",
        others,
        index=None,
        placeholder=f"Choose a {classifier.config.rank}",
        width=320,
        **url_state.widget("against", against),
    )
    if against is None:
        st.caption("A second heatmap then shows only what speaks for one of the two and against the other.")
        return
    layer = chosen_layer(explanation)
    pairs = ((genus, against), (against, genus))
    contrasts = [predictions.explain(classifier, subject, *pair, predictions.CONTRASTIVE) for pair in pairs]
    heatmap_grid.show_beside(view, layer.name, contrasts)
    st.caption(f"Layer: {layer.label}.")
