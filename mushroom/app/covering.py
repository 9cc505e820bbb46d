"""Cover and see: a part of the photo is blurred, the hottest one or a rectangle, and the network is asked again.

What is covered is one choice of the link: a percentage of the photo, the hottest part, or four numbers, a rectangle.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from PIL import Image

from mushroom.app import components, predictions, url_state
from mushroom.app.components import Rectangle, rectangle_from_text
from mushroom.app.subject import Subject
from mushroom.app.viewer import chosen_layer
from mushroom.texts import percent, third_answer

if TYPE_CHECKING:
    from mushroom.classifier import Classifier, Explanation, Prediction

HOTTEST_PART, OWN_RECTANGLE = "The hottest part", "A rectangle of your own"
PERCENTAGES = [str(number) for number in range(5, 61, 5)]
DEFAULT_PERCENT = "20"
FIRST_RECTANGLE = Rectangle(35, 35, 65, 65)

Masking = Callable[[Image.Image], np.ndarray]
"""Gives the part of a photo to cover: bool (height, width)."""


def show(subject: Subject, view: Image.Image, explanation: "Explanation", classifier: "Classifier") -> None:
    """The covered part and what covering does. ``view`` is the part of the photo that the network saw."""
    from mushroom.app import figures
    from mushroom.explain.faithfulness import cover

    st.caption("Blur a part of the photo and see whether the answer stays.")
    asked, rectangle = chosen()
    part = OWN_RECTANGLE if rectangle else HOTTEST_PART
    if st.session_state.get("covered_part") != part:
        st.session_state["covered_part"] = part
    st.segmented_control(
        "Cover",
        (HOTTEST_PART, OWN_RECTANGLE),
        required=True,
        key="covered_part",
        on_change=_another_part,
        args=(asked, rectangle),
    )
    left, right = st.columns(2, gap="large")
    with left:
        covered = _dragged(view, rectangle) if rectangle else _hottest(explanation, classifier, asked)
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
            alt=change(before, after),
        )
        st.markdown(change(before, after))
    with left:
        hidden = mask(view)
        st.image(components.jpeg(cover(view, hidden)), width="stretch", alt="The photo, the covered part blurred")
        st.caption(f"This is what the network was given: {percent(hidden.mean())} of the photo is blurred.")


def chosen() -> tuple[int, Rectangle | None]:
    """The percentage of the photo to cover, and the rectangle that is covered instead, if any: from the link."""
    rectangle = rectangle_from_text(st.query_params.get("cover") or url_state.chosen("cover") or "")
    allowed = [*PERCENTAGES, *([rectangle.text] if rectangle else [])]
    value = str(url_state.choice("cover", allowed, DEFAULT_PERCENT, what="covered part"))
    return (int(DEFAULT_PERCENT), rectangle) if rectangle and value == rectangle.text else (int(value), None)


def _another_part(asked: int, rectangle: Rectangle | None) -> None:
    """Change between the hottest part and a rectangle, each as it was left."""
    part = st.session_state["covered_part"]
    # A browser reports a control that has just appeared as empty, now and then.
    if part is None:
        return
    before = st.session_state.setdefault("covered_before", {HOTTEST_PART: None, OWN_RECTANGLE: FIRST_RECTANGLE.text})
    before[OWN_RECTANGLE if rectangle else HOTTEST_PART] = rectangle.text if rectangle else str(asked)
    url_state.choose("cover", before[part])


def _hottest(explanation: "Explanation", classifier: "Classifier", asked: int) -> tuple[str, Masking] | None:
    from mushroom.explain.regions import hottest_mask

    layer = chosen_layer(explanation)
    st.slider("Cover the hottest part of the photo", 5, 60, step=5, format="%d %%", **url_state.widget("cover", asked))
    if not explanation.has_evidence[layer.name]:
        return None
    heatmap = explanation.heatmaps[layer.name]
    name = f"hottest:{explanation.genus}:{explanation.method}:{layer.name}:{asked}"
    return name, lambda photo: hottest_mask(heatmap, asked, photo.size)


def _dragged(view: Image.Image, rectangle: Rectangle) -> tuple[str, Masking]:
    for key, value in (("across", (rectangle.left, rectangle.right)), ("down", (rectangle.top, rectangle.bottom))):
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
    return f"rectangle:{rectangle.text}", partial(rectangle_mask, rectangle)


def _draw(rectangle: Rectangle) -> None:
    url_state.choose("cover", rectangle.text)


def _slide() -> None:
    (left, right), (top, bottom) = st.session_state["across"], st.session_state["down"]
    # Both ends at the edge is no rectangle: it keeps one percent.
    left, top = min(left, 99), min(top, 99)
    _draw(Rectangle(left, top, max(right, left + 1), max(bottom, top + 1)))


def rectangle_mask(rectangle: Rectangle, photo: Image.Image) -> np.ndarray:
    """Bool (height, width) of the photo: true inside the rectangle."""
    left, top, right, bottom = rectangle.box(photo.size)
    mask = np.zeros(photo.size[::-1], bool)
    mask[top:bottom, left:right] = True
    return mask


def change(before: "Prediction", after: "Prediction") -> str:
    """What covering did, and what that means, in one or two sentences."""
    was, now = before.probabilities[before.genus], after.probabilities[before.genus]
    moved = f"*{before.genus}* goes from **{percent(was)}** to **{percent(now)}**"
    if after.answer == before.answer:
        return (
            f"{moved}; the answer stays the same: the rest of the photo is enough for it. The covered part may have "
            "counted all the same, where several parts each are enough."
        )
    if after.answer is None:
        return f"{moved}; the network would now say: {third_answer(len(after.probabilities))}."
    return f"{moved}; the network would now say *{after.answer}* ({percent(after.confidence)})."
