"""Questions under the answer: why not another genus, what if a part is covered, what to look for."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from PIL import Image

from mushroom.app import (
    components,
    corrections,
    evidence,
    field_guide,
    layout,
    neighbours,
    predictions,
    steadiness,
    url_state,
)
from mushroom.app.components import Rectangle
from mushroom.app.subject import Subject
from mushroom.app.viewer import chosen_layer
from mushroom.texts import percent, third_answer

if TYPE_CHECKING:
    from mushroom.classifier import Classifier, Explanation, Prediction

COVERED_PARTS = ("The hottest part", "A rectangle of your own")

Masking = Callable[[Image.Image], np.ndarray]
"""Gives the part of a photo to cover: bool (height, width)."""


@st.fragment(key="panels")
def show(subject: Subject, view: Image.Image, explanation: "Explanation", classifier: "Classifier") -> None:
    """Questions under the answer. Only the one that is open is drawn, and only pressing it asks the network.

    ``view`` is the part of the photo that the network saw, as large as the page shows it.
    """
    prediction, rank = explanation.prediction, classifier.config.rank
    draw: dict[str, Callable[[], None]] = {
        "why-not": lambda: _why_not(subject, view, explanation, classifier),
        "cover": lambda: _cover(subject, view, explanation, classifier),
        "for-against": lambda: evidence.show(subject, view, explanation, classifier),
        "steady": lambda: steadiness.show(subject, view, prediction, classifier),
        "alike": lambda: neighbours.show(subject, classifier),
        "about": lambda: field_guide.show(explanation.genus, rank),
        "wrong": lambda: corrections.show(subject, view, explanation, classifier),
    }
    titles = {
        "why-not": f"Why not another {rank}?",
        "cover": "Cover and see",
        "for-against": "For and against",
        "steady": "Is it steady?",
        "alike": "Most alike",
        "about": f"About this {rank}",
        "wrong": "That is wrong",
    }
    shown = str(url_state.choice("panel", list(titles), "why-not", what="panel", title=titles.__getitem__))
    if st.session_state.get("panel_tabs") not in titles.values() or layout.arrived():
        st.session_state["panel_tabs"] = titles[shown]
    tabs = st.tabs(list(titles.values()), key="panel_tabs", on_change=_panel_opened, args=(titles,))
    for tab, name in zip(tabs, titles, strict=True):
        if tab.open:
            with tab:
                draw[name]()


def _panel_opened(titles: Mapping[str, str]) -> None:
    names = {title: name for name, title in titles.items()}
    url_state.choose("panel", names.get(st.session_state["panel_tabs"]))


def _why_not(subject: Subject, view: Image.Image, explanation: "Explanation", classifier: "Classifier") -> None:
    from mushroom.explain import overlays

    genus = explanation.genus
    others = [other for other, _ in predictions.ranked(explanation.prediction) if other != genus]
    against = url_state.choice("against", others, None, what="other genus")
    st.selectbox(
        f"Why {genus}, and not …",
        others,
        index=None,
        placeholder="Choose a genus",
        width=320,
        **url_state.widget("against", against),
    )
    if against is None:
        st.caption("A second heatmap then shows only what speaks for one of the two and against the other.")
        return
    layer = chosen_layer(explanation)
    colours = st.session_state.get("colours", overlays.DEFAULT_COLOURS)
    for column, (one, other) in zip(st.columns(2, gap="large"), ((genus, against), (against, genus)), strict=True):
        contrast = predictions.explain(classifier, subject, one, other, predictions.CONTRASTIVE)
        with column:
            st.markdown(f"**Speaks for *{one}* rather than *{other}***")
            st.image(
                components.jpeg(overlays.overlay(view, contrast.heatmaps[layer.name], 0.5, colours)),
                width="stretch",
                alt=f"Heatmap of what speaks for {one} rather than {other}",
            )
            if not contrast.has_evidence[layer.name]:
                st.caption(f"In this layer nothing speaks for {one} rather than {other}.")
    st.caption(f"Layer: {layer.label}.")


def _cover(subject: Subject, view: Image.Image, explanation: "Explanation", classifier: "Classifier") -> None:
    from mushroom.app import figures
    from mushroom.explain.faithfulness import cover

    st.caption("Blur a part of the photo and see whether the answer stays.")
    part = st.segmented_control(
        "Cover",
        COVERED_PARTS,
        default=COVERED_PARTS[0],
        required=True,
        key="covered_part",
        persist_state="session",
    )
    left, right = st.columns(2, gap="large")
    with left:
        covered = _hottest(explanation, classifier) if part == COVERED_PARTS[0] else _dragged(view)
    with right:
        if covered is None:
            st.info("In this layer nothing speaks for the genus, so there is nothing hot to cover: choose another.")
            return
        name, mask = covered
        after = predictions.cover(classifier, subject, name, mask)
        before = explanation.prediction
        st.plotly_chart(
            figures.bars_before_after(before.probabilities, after.probabilities),
            key="before_after",
            config={"displayModeBar": False},
            alt=_change(before, after),
        )
        st.markdown(_change(before, after))
    with left:
        hidden = mask(view)
        st.image(components.jpeg(cover(view, hidden)), width="stretch", alt="The photo, the covered part blurred")
        st.caption(f"This is what the network was given: {percent(hidden.mean())} of the photo is blurred.")


def _hottest(explanation: "Explanation", classifier: "Classifier") -> tuple[str, Masking] | None:
    from mushroom.explain.regions import hottest_mask

    layer = chosen_layer(explanation)
    asked = st.slider("Cover the hottest part of the photo", 5, 60, 20, 5, format="%d %%", key="hottest_percent")
    if not explanation.has_evidence[layer.name]:
        return None
    heatmap = explanation.heatmaps[layer.name]
    name = f"hottest:{explanation.genus}:{explanation.method}:{layer.name}:{asked}"
    return name, lambda photo: hottest_mask(heatmap, asked, photo.size)


def _dragged(view: Image.Image) -> tuple[str, Masking]:
    rectangle = st.session_state.setdefault("rectangle", Rectangle(35, 35, 65, 65))
    for key, value in (
        ("across", (rectangle.left, rectangle.right)),
        ("down", (rectangle.top, rectangle.bottom)),
    ):
        if st.session_state.get(key) != value:
            st.session_state[key] = value
    components.drag_rectangle(
        components.data_url(view),
        rectangle,
        _draw,
        label="The photo: drag a rectangle over it, or use the two sliders below",
        key="rectangle_stage",
    )
    st.slider("From left to right", 0, 100, format="%d %%", key="across", on_change=_slide)
    st.slider("From top to bottom", 0, 100, format="%d %%", key="down", on_change=_slide)
    return f"rectangle:{rectangle}", partial(rectangle_mask, rectangle)


def _draw(rectangle: Rectangle) -> None:
    st.session_state["rectangle"] = rectangle


def _slide() -> None:
    (left, right), (top, bottom) = st.session_state["across"], st.session_state["down"]
    _draw(Rectangle(left, top, max(right, left + 1), max(bottom, top + 1)))


def rectangle_mask(rectangle: Rectangle, photo: Image.Image) -> np.ndarray:
    """Bool (height, width) of the photo: true inside the rectangle."""
    width, height = photo.size
    mask = np.zeros((height, width), bool)
    rows = slice(rectangle.top * height // 100, -(-rectangle.bottom * height // 100))
    mask[rows, rectangle.left * width // 100 : -(-rectangle.right * width // 100)] = True
    return mask


def _change(before: "Prediction", after: "Prediction") -> str:
    """What covering did, and what that means, in one or two sentences."""
    was, now = before.probabilities[before.genus], after.probabilities[before.genus]
    moved = f"*{before.genus}* goes from **{percent(was)}** to **{percent(now)}**"
    if after.unknown and not before.unknown:
        return f"{moved}; the network would now say: {third_answer(len(after.probabilities))}."
    if (after.unknown, after.genus) != (before.unknown, before.genus):
        return f"{moved}; the network would now say *{after.genus}* ({percent(after.confidence)})."
    return (
        f"{moved}; the answer stays the same: the rest of the photo is enough for it. The covered part may have "
        "counted all the same, where several parts each are enough."
    )
