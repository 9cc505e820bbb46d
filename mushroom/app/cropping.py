"""Asking about a part of the photo: a square drawn by mouse, finger or keys, or one suggested by the heatmap."""

from dataclasses import asdict
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

_square = st.components.v2.component(
    "mushroom_square",
    html='<div class="crop"><img alt=""><div class="box"></div></div><p class="how"></p>',
    css="""
.crop { position: relative; display: inline-block; max-width: 100%; touch-action: none; cursor: crosshair;
  user-select: none; line-height: 0; border-radius: .6rem; overflow: hidden; }
.crop:focus-visible { outline: 3px solid var(--st-primary-color); outline-offset: 2px; }
.crop img { max-width: 100%; max-height: 20rem; pointer-events: none; }
.crop .box { position: absolute; box-sizing: border-box; border: 2px solid #fff; outline: 2px solid #111;
  box-shadow: 0 0 0 100rem rgba(0, 0, 0, .5); pointer-events: none; }
.how { font: .82rem/1.35 var(--st-font); color: var(--st-text-color); margin: .35rem 0 0; }
""",
    js="""
export default function ({ data, parentElement, setTriggerValue }) {
  const stage = parentElement.querySelector('.crop')
  const box = parentElement.querySelector('.box')
  const img = parentElement.querySelector('img')
  if (img.src !== data.address) img.src = data.address
  parentElement.querySelector('.how').textContent = data.how
  stage.tabIndex = 0
  stage.setAttribute('role', 'group')
  stage.setAttribute('aria-label', data.label)
  // Left, top and side in pixels of the photo as it is shown: what is square there is square in the photo.
  let square = null
  const area = () => stage.getBoundingClientRect()
  const put = () => {
    box.style.display = square ? '' : 'none'
    if (!square) return
    const [left, top, side] = square
    Object.assign(box.style, { left: left + 'px', top: top + 'px', width: side + 'px', height: side + 'px' })
  }
  const given = () => {
    const { width, height } = area(), r = data.rectangle
    square = r && [r.left * width / 100, r.top * height / 100, (r.right - r.left) * width / 100]
    put()
  }
  if (img.complete) given(); else img.onload = given
  const fit = (left, top, side) => {
    const { width, height } = area()
    side = Math.max(.1 * Math.min(width, height), Math.min(side, width, height))
    square = [Math.max(0, Math.min(left, width - side)), Math.max(0, Math.min(top, height - side)), side]
    put()
  }
  const send = () => {
    const { width, height } = area(), [left, top, side] = square
    const percent = (value, whole) => Math.max(0, Math.min(100, Math.round(100 * value / whole)))
    setTriggerValue('drawn', [percent(left, width), percent(top, height),
                              percent(left + side, width), percent(top + side, height)])
  }
  let start = null
  const at = (event) => [event.clientX - area().left, event.clientY - area().top]
  stage.onpointerdown = (event) => { start = at(event); stage.setPointerCapture(event.pointerId) }
  stage.onpointermove = (event) => {
    if (!start) return
    const [x, y] = at(event), side = Math.max(Math.abs(x - start[0]), Math.abs(y - start[1]))
    fit(x < start[0] ? start[0] - side : start[0], y < start[1] ? start[1] - side : start[1], side)
  }
  stage.onpointerup = (event) => {
    if (!start) return
    const [x, y] = at(event), moved = Math.hypot(x - start[0], y - start[1])
    start = null
    if (moved < 8) given(); else send()
  }
  stage.onpointercancel = () => { start = null; given() }
  stage.onkeydown = (event) => {
    const { width, height } = area(), step = .04 * Math.min(width, height)
    const [left, top, side] = square || [width * .2, height * .2, Math.min(width, height) * .6]
    const act = {
      ArrowLeft: () => fit(left - step, top, side), ArrowRight: () => fit(left + step, top, side),
      ArrowUp: () => fit(left, top - step, side), ArrowDown: () => fit(left, top + step, side),
      '+': () => fit(left - step / 2, top - step / 2, side + step),
      '-': () => fit(left + step / 2, top + step / 2, side - step),
      Enter: () => square && send(),
    }[event.key]
    if (!act) return
    event.preventDefault()
    act()
  }
}
""",
)


def show_button(
    subject: Subject, photo: Image.Image, explanation: "Explanation", layer: "Layer", classifier: "Classifier"
) -> None:
    """The button, and behind it the photo to draw a square on, what the network sees, and the way back."""
    # Drawn when it is pressed: its picture is as heavy as the page's own.
    with (place := st.popover("Cut to the mushroom", icon=":material/crop:", key="cut", on_change="rerun")):
        if not place.open:
            return
        _square(
            data={
                "address": components.data_url(photo),
                "label": "The photo: drag a square round the mushroom, or move it with the arrow keys",
                "how": "Drag a square round the mushroom. Keys: arrows move it, + and − change its size, Enter asks.",
                "rectangle": asdict(subject.crop) if subject.crop else None,
            },
            key="crop_stage",
            on_drawn_change=_drawn,
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
            components.jpeg(seen_part(subject, photo).resize((side, side), Image.Resampling.BICUBIC)),
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


def seen_part(subject: Subject, photo: Image.Image) -> Image.Image:
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


def _drawn() -> None:
    if rectangle := checked_rectangle(st.session_state["crop_stage"].drawn):
        _choose(rectangle)


def _choose(rectangle: Rectangle | None) -> None:
    """Ask about another part; the genus looked at goes back to the answer's own."""
    url_state.choose("crop", rectangle.text if rectangle else None)
    url_state.choose("genus", None)
    url_state.choose("against", None)
