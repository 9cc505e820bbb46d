"""Pictures a visitor can touch: the film strip to choose a layer from, the photo to drag a rectangle on.

Both are small inline components; all they send back is a name or four numbers, which are checked.
"""

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import streamlit as st
from PIL import Image

JPEG_QUALITY = 85


def jpeg(picture: Image.Image) -> bytes:
    """The picture as JPEG bytes."""
    return _encoded(picture, "JPEG", quality=JPEG_QUALITY)


def png(picture: Image.Image) -> bytes:
    """The picture as PNG bytes, for downloads."""
    return _encoded(picture, "PNG")


def data_url(picture: Image.Image) -> str:
    """The picture as an address that carries it, for components and tables."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg(picture)).decode("ascii")


def _encoded(picture: Image.Image, form: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


# --- Film strip ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Frame:
    """One picture of the strip: ``name`` is what is chosen, ``label`` and ``caption`` what is read."""

    name: str
    label: str
    caption: str
    address: str


_film_strip = st.components.v2.component(
    "mushroom_film_strip",
    html="""
<div class="film"><button class="play" type="button"></button><div class="strip" role="radiogroup"
  aria-label="Heatmaps from early to late layers"></div></div>
""",
    css="""
.film { display: flex; align-items: center; gap: .3rem; }
.film .strip { flex: 1; min-width: 0; }
.play { all: unset; box-sizing: border-box; flex: 0 0 auto; width: 2.75rem; height: 2.75rem; border-radius: 50%;
  text-align: center; cursor: pointer; font-size: 1.05rem; color: var(--st-text-color);
  border: 1px solid var(--st-border-color); }
.play:hover { background: var(--st-secondary-background-color); }
.play:focus-visible { outline: 3px solid var(--st-primary-color); }
.strip { display: flex; gap: .7rem; overflow-x: auto; padding: .35rem .35rem .7rem; scroll-snap-type: x proximity;
  font-family: var(--st-font); color: var(--st-text-color); }
.strip button { all: unset; box-sizing: border-box; flex: 0 0 auto; width: 7.25rem; cursor: pointer;
  scroll-snap-align: center; border-radius: .5rem; padding: .3rem; border: 2px solid transparent; }
.strip button:hover { background: var(--st-secondary-background-color); }
.strip button[aria-checked=true] { border-color: var(--st-primary-color);
  background: var(--st-secondary-background-color); }
.strip button:focus-visible { outline: 3px solid var(--st-primary-color); outline-offset: 1px; }
.strip img { display: block; width: 100%; height: 6rem; object-fit: cover; border-radius: .35rem; }
.strip b, .strip span { display: block; line-height: 1.3; }
.strip b { font-size: .78rem; font-weight: 600; margin-top: .35rem; }
.strip span { font-size: .74rem; opacity: .9; }
""",
    js="""
export default function ({ data, parentElement, setTriggerValue }) {
  const strip = parentElement.querySelector('.strip')
  while (strip.children.length > data.frames.length) strip.lastChild.remove()
  while (strip.children.length < data.frames.length) {
    const button = document.createElement('button')
    button.append(document.createElement('img'), document.createElement('b'), document.createElement('span'))
    button.setAttribute('role', 'radio')
    strip.append(button)
  }
  const choose = (index, playing = false) => {
    mark(index)
    if (!playing) strip.children[index].focus({ preventScroll: true })
    setTriggerValue('chosen', data.frames[index].name)
  }
  // The next picture comes when the last one has been answered, and not before a visitor has seen it.
  const play = parentElement.querySelector('.play')
  const still = () => {
    clearTimeout(parentElement.timer)
    parentElement.at = null
    play.textContent = '▶'
    play.setAttribute('aria-label', 'Play through the layers')
  }
  const step = () => {
    const at = parentElement.at
    if (at === null || at >= data.frames.length) return still()
    parentElement.at = at + 1
    parentElement.timer = setTimeout(still, 5000)
    choose(at, true)
  }
  play.onclick = () => {
    if (parentElement.at != null) return still()
    parentElement.at = 0
    play.textContent = '❚❚'
    play.setAttribute('aria-label', 'Stop')
    step()
  }
  if (parentElement.at == null) still()
  else { clearTimeout(parentElement.timer); parentElement.timer = setTimeout(step, 900) }
  const mark = (chosen) => data.frames.forEach((_, index) => {
    const button = strip.children[index]
    button.setAttribute('aria-checked', index === chosen)
    button.tabIndex = index === chosen ? 0 : -1
  })
  data.frames.forEach((frame, index) => {
    const button = strip.children[index]
    const [img, b, span] = button.children
    if (img.src !== frame.address) img.src = frame.address
    img.alt = ''
    b.textContent = frame.label
    span.textContent = frame.caption
    // Whoever chooses a picture looks at it: the next ones do not run over it.
    button.onclick = () => { still(); choose(index) }
    button.onkeydown = (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key]
      if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); still(); choose(index) }
      if (!step) return
      event.preventDefault()
      still()
      choose(Math.max(0, Math.min(data.frames.length - 1, index + step)))
    }
  })
  const chosen = data.frames.findIndex((frame) => frame.name === data.chosen)
  mark(Math.max(0, chosen))
  const button = strip.children[chosen]
  const left = button && button.offsetLeft - strip.offsetLeft - strip.clientWidth / 2 + 60
  if (button) strip.scrollTo({ behavior: parentElement.at == null ? 'auto' : 'smooth', left })
}
""",
)


def film_strip(frames: Sequence[Frame], chosen: str, on_choose: Callable[[str], None]) -> None:
    """A strip of pictures, one of them chosen by a click or the arrow keys; ``on_choose`` gets its name."""
    names = {frame.name for frame in frames}

    def chosen_changed() -> None:
        name = st.session_state["film_strip"].chosen
        if name in names:
            on_choose(name)

    _film_strip(
        data={"chosen": chosen, "frames": [asdict(frame) for frame in frames]},
        key="film_strip",
        on_chosen_change=chosen_changed,
    )


# --- Rectangle ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rectangle:
    """Part of a photo, in percent of its width and height from the left and the top."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def text(self) -> str:
        """The four numbers as a link holds them; ``rectangle_from_text`` reads them."""
        return f"{self.left}-{self.top}-{self.right}-{self.bottom}"

    def box(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Left, top, right and bottom in pixels of a photo of ``size`` (width, height); at least one pixel."""
        width, height = size
        left, top = self.left * width // 100, self.top * height // 100
        return left, top, max(-(-self.right * width // 100), left + 1), max(-(-self.bottom * height // 100), top + 1)


def rectangle_from_text(text: str) -> Rectangle | None:
    """What ``Rectangle.text`` gave, or None: it comes from a link."""
    numbers = text.split("-")
    # Python refuses to make a number of thousands of digits.
    if not all(number.isdecimal() and len(number) <= 3 for number in numbers):
        return None
    rectangle = checked_rectangle([int(number) for number in numbers])
    return rectangle if rectangle and rectangle.text == text else None


_stage = st.components.v2.component(
    "mushroom_stage",
    html='<div class="stage"><img alt=""><div class="box"></div></div><p class="how"></p>',
    css="""
.stage { position: relative; display: inline-block; max-width: 100%; touch-action: none; cursor: crosshair;
  user-select: none; line-height: 0; }
.stage img { max-width: 100%; max-height: 24rem; border-radius: .6rem; pointer-events: none; }
.box { position: absolute; border: 2px solid #fff; outline: 2px solid #111; border-radius: 3px;
  background: rgba(0, 0, 0, .45); pointer-events: none; box-sizing: border-box; }
.crop { border-radius: .6rem; overflow: hidden; }
.crop:focus-visible { outline: 3px solid var(--st-primary-color); outline-offset: 2px; }
.crop img { max-height: 20rem; border-radius: 0; }
.crop .box { border-radius: 0; background: none; box-shadow: 0 0 0 100rem rgba(0, 0, 0, .5); }
.how { font: .82rem/1.35 var(--st-font); color: var(--st-text-color); margin: .35rem 0 0; }
.how:empty { display: none; }
""",
    js="""
export default function ({ data, parentElement, setTriggerValue }) {
  const stage = parentElement.querySelector('.stage')
  const [img, box] = stage.children
  if (img.src !== data.address) img.src = data.address
  parentElement.querySelector('.how').textContent = data.how
  stage.classList.toggle('crop', data.square)
  if (data.square) {
    stage.tabIndex = 0
    stage.setAttribute('role', 'group')
    stage.setAttribute('aria-label', data.label)
  } else img.alt = data.label
  // Left, top, width and height in pixels of the photo as it is shown: what is square there is square in the photo.
  let part = null
  const area = () => stage.getBoundingClientRect()
  const within = (value, most) => Math.max(0, Math.min(value, most))
  const put = (drawn) => {
    part = drawn
    box.style.display = part ? '' : 'none'
    if (!part) return
    const { width, height } = area(), percents = part.map((value, index) => 100 * value / (index % 2 ? height : width))
    for (const side of ['left', 'top', 'width', 'height']) box.style[side] = percents.shift() + '%'
  }
  const given = () => {
    const { width, height } = area(), r = data.rectangle
    put(r && [r.left * width / 100, r.top * height / 100,
              (r.right - r.left) * width / 100, (r.bottom - r.top) * height / 100])
  }
  if (img.complete) given(); else img.onload = given
  const fit = (left, top, side) => {
    const { width, height } = area()
    side = Math.max(.1 * Math.min(width, height), Math.min(side, width, height))
    put([within(left, width - side), within(top, height - side), side, side])
  }
  const corners = () => {
    const { width, height } = area(), [left, top, across, down] = part
    const percent = (value, whole) => within(Math.round(100 * value / whole), 100)
    return [percent(left, width), percent(top, height), percent(left + across, width), percent(top + down, height)]
  }
  const send = () => setTriggerValue('drawn', corners())
  let start = null
  const at = (event) => [event.clientX - area().left, event.clientY - area().top]
  stage.onpointerdown = (event) => { start = at(event); stage.setPointerCapture(event.pointerId) }
  stage.onpointermove = (event) => {
    if (!start) return
    const { width, height } = area(), [x, y] = at(event), [x0, y0] = start
    if (data.square) {
      const side = Math.max(Math.abs(x - x0), Math.abs(y - y0))
      return fit(x < x0 ? x0 - side : x0, y < y0 ? y0 - side : y0, side)
    }
    const x1 = within(x, width), y1 = within(y, height)
    put([Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0)])
  }
  stage.onpointerup = (event) => {
    if (!start) return
    stage.onpointermove(event)
    const [x, y] = at(event), moved = Math.hypot(x - start[0], y - start[1]), [left, top, right, bottom] = corners()
    start = null
    if (data.square ? moved < 8 : right - left < 2 || bottom - top < 2) given(); else send()
  }
  stage.onpointercancel = () => { start = null; given() }
  stage.onkeydown = (event) => {
    const { width, height } = area(), step = .04 * Math.min(width, height)
    const [left, top, side] = part || [width * .2, height * .2, Math.min(width, height) * .6]
    const act = {
      ArrowLeft: () => fit(left - step, top, side), ArrowRight: () => fit(left + step, top, side),
      ArrowUp: () => fit(left, top - step, side), ArrowDown: () => fit(left, top + step, side),
      '+': () => fit(left - step / 2, top - step / 2, side + step),
      '-': () => fit(left + step / 2, top + step / 2, side - step),
      Enter: () => part && send(),
    }[event.key]
    if (!act || !data.square) return
    event.preventDefault()
    act()
  }
}
""",
)


def drag_rectangle(
    address: str,
    rectangle: Rectangle | None,
    on_draw: Callable[[Rectangle], None],
    *,
    label: str,
    key: str,
    square: bool = False,
    how: str = "",
) -> None:
    """The picture at ``address`` with a rectangle that can be drawn anew by dragging; ``how`` stands under it.

    A ``square`` can be moved and sized by keys, too.
    """

    def drawn_changed() -> None:
        drawn = checked_rectangle(st.session_state[key].drawn)
        if drawn is not None:
            on_draw(drawn)

    _stage(
        data={
            "address": address,
            "label": label,
            "how": how,
            "square": square,
            "rectangle": asdict(rectangle) if rectangle else None,
        },
        key=key,
        on_drawn_change=drawn_changed,
    )


def checked_rectangle(values: object) -> Rectangle | None:
    """Four whole percentages as a rectangle with an area, or None: they come from a browser."""
    if not isinstance(values, list) or len(values) != 4:
        return None
    if not all(isinstance(value, int | float) and 0 <= value <= 100 for value in values):
        return None
    left, top, right, bottom = (round(value) for value in values)
    return Rectangle(left, top, right, bottom) if left < right and top < bottom else None
