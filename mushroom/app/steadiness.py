"""Is the answer steady? The photo flipped, turned, cut, darkened, compressed: how many copies get the same answer."""

import html
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st
from PIL import Image, ImageEnhance, ImageOps

from mushroom.app import components, predictions, url_state
from mushroom.app.subject import Subject, shrunk
from mushroom.texts import percent, third_answer

if TYPE_CHECKING:
    from mushroom.classifier import Classifier, Prediction

COPY_PX = 150
"""Longest side of a copy on the page."""


def _turned(photo: Image.Image, degrees: float) -> Image.Image:
    """Turned, and cut so that no corner is empty."""
    turned = photo.rotate(degrees, Image.Resampling.BICUBIC)
    return _cut(turned, 0.78)


def _cut(photo: Image.Image, share: float) -> Image.Image:
    width, height = photo.size
    left, top = round(width * (1 - share) / 2), round(height * (1 - share) / 2)
    return photo.crop((left, top, width - left, height - top))


def _compressed(photo: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "flipped": ImageOps.mirror,
    "turned left": lambda photo: _turned(photo, 12),
    "turned right": lambda photo: _turned(photo, -12),
    "cut closer": lambda photo: _cut(photo, 0.8),
    "darker": lambda photo: ImageEnhance.Brightness(photo).enhance(0.55),
    "brighter": lambda photo: ImageEnhance.Brightness(photo).enhance(1.45),
    "paler": lambda photo: ImageEnhance.Color(photo).enhance(0.4),
    "compressed": lambda photo: _compressed(photo, 12),
}
"""What is done to the photo, by what it is called: what another photographer, hour or telephone might have done."""


@dataclass(frozen=True)
class Steadiness:
    """Of ``count`` copies, ``same`` got the photo's own answer."""

    same: int
    count: int

    @property
    def sentence(self) -> str:
        """What that means, for people."""
        how_many = f"**{self.same} of {self.count}** copies get the same answer"
        if self.same == self.count:
            return f"{how_many}: it does not hang on how this photo was taken. It may be wrong all the same."
        if self.same >= 0.7 * self.count:
            return f"{how_many}: mostly steady. Look at the copies that get another one."
        return f"{how_many}: it hangs on how the photo was taken. Take another photo before you believe it."


def steadiness(prediction: "Prediction", copies: "dict[str, Prediction]") -> Steadiness:
    """How many of the copies get the answer of the photo itself; turned away is an answer, too."""
    return Steadiness(sum(copy.answer == prediction.answer for copy in copies.values()), len(copies))


def show(subject: Subject, photo: Image.Image, prediction: "Prediction", classifier: "Classifier") -> None:
    """The button, and when it was pressed the copies with their answers. ``photo`` is what the network saw."""
    st.caption("The same photo as another hour, hand or telephone might have taken it: does the answer stay?")
    count = str(len(COPIES))
    if url_state.choice("copies", [count], None, what="number of copies") is None:
        ask = partial(url_state.choose, "copies", count)
        st.button("Ask about eight copies", icon=":material/filter:", on_click=ask)
        return
    with st.spinner("Asking …"):
        copies = {name: predictions.predict_copy(classifier, subject, name, made) for name, made in COPIES.items()}
    st.markdown(steadiness(prediction, copies).sentence)
    small = shrunk(photo, 2 * COPY_PX)
    with st.container(horizontal=True, gap="small", key="copies"):
        for name, copy in copies.items():
            says = copy.answer or third_answer(len(classifier.genera))
            mark = "=" if copy.answer == prediction.answer else "≠"
            with st.container(width=COPY_PX, gap="xxsmall"):
                st.image(components.jpeg(COPIES[name](small)), width="stretch", alt=f"The photo, {name}")
                st.html(f'<p class="copy"><b>{mark} {html.escape(says)}</b>{name}, {percent(copy.confidence)}</p>')
