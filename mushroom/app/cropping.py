"""Asking about a part of the photo: a square drawn by mouse, finger or keys, or one suggested by the heatmap."""

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from PIL import Image, ImageDraw

from mushroom.app import components, url_state
from mushroom.app.components import Rectangle, checked_rectangle
from mushroom.app.subject import Subject

if TYPE_CHECKING:
    from mushroom.classifier import Classifier, Explanation
    from mushroom.explain.layers import Layer

OUTSIDE = 0.55
"""What lies outside the part that the network saw is shown this dark."""

PART_PX = 140
"""Width at which the part that the network is asked about is shown."""


def show_button(
    subject: Subject, photo: Image.Image, explanation: "Explanation", layer: "Layer", classifier: "Classifier"
) -> None:
    """The button, and behind it the photo to draw a square on, what the network sees, and the way back."""
    # Drawn when it is pressed: its picture is as heavy as the page's own.
    with (place := st.popover("Cut to the mushroom", icon=":material/crop:", key="cut", on_change="rerun")):
        if not place.open:
            return
        components.drag_rectangle(
            components.data_url(photo),
            subject.crop,
            _choose,
            label="The photo: drag a square round the mushroom, or move it with the arrow keys",
            key="crop_stage",
            square=True,
            how="Drag a square round the mushroom. Keys: arrows move it, + and − change its size, Enter asks.",
        )
        with st.container(horizontal=True):
            whole = subject.crop is None
            st.button("Whole photo", icon=":material/fullscreen:", disabled=whole, on_click=_choose, args=(None,))
            part = suggested(explanation.heatmaps[layer.name], photo.size) if whole else None
            st.button(
                "Suggested part",
                icon=":material/auto_fix_high:",
                disabled=part is None,
                help="A square round the hottest places of this layer's heatmap.",
                on_click=_choose,
                args=(part,),
            )
        side = classifier.preprocessing.input_px
        st.image(
            components.jpeg(network_view(subject, photo).resize((side, side), Image.Resampling.BICUBIC)),
            width=PART_PX,
            alt="What the network sees",
        )
        st.caption(f"This is what the network sees: a square of {side}\u00a0×\u00a0{side} points.")


def suggested(heatmap: np.ndarray, size: tuple[int, int]) -> Rectangle | None:
    """A square round the hottest places of a photo of ``size`` (width, height); None where that is nothing or all."""
    from mushroom.explain.regions import suggested_square

    square = suggested_square(heatmap, size)
    if square is None:
        return None
    width, height = size
    left, top, right, bottom = square
    return checked_rectangle([100 * left / width, 100 * top / height, 100 * right / width, 100 * bottom / height])


def network_view(subject: Subject, photo: Image.Image) -> Image.Image:
    """The part of a preview that the network saw."""
    return photo if subject.crop is None else photo.crop(subject.crop.box(photo.size))


def over_whole(
    photo: Image.Image, heatmap: np.ndarray, crop: Rectangle | None, opacity: float, colours: str
) -> Image.Image:
    """The whole photo, with the heatmap over the part that the network saw, and the rest darker; same size."""
    from mushroom.explain import overlays

    if crop is None:
        return overlays.overlay(photo, heatmap, opacity, colours)
    box = crop.box(photo.size)
    whole = Image.fromarray((np.asarray(photo) * OUTSIDE).astype(np.uint8))
    whole.paste(overlays.overlay(photo.crop(box), heatmap, opacity, colours), box[:2])
    ImageDraw.Draw(whole).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), outline="white", width=2)
    return whole


def _choose(rectangle: Rectangle | None) -> None:
    """Ask about another part; the genus looked at goes back to the answer's own."""
    url_state.choose("crop", rectangle.text if rectangle else None)
    url_state.choose("genus", None)
    url_state.choose("against", None)
