"""Heatmaps become pictures: laid over the photo, alone or as a film strip of all layers."""

from collections.abc import Mapping

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mushroom.explain.regions import hottest_mask, upsample

COLOUR_MAPS: Mapping[str, int] = {"even": cv2.COLORMAP_INFERNO, "jet": cv2.COLORMAP_JET}
"""Colour maps by name: ``even`` is perceptually even, so that twice as hot looks twice as hot and survives
colour blindness and a grey printer; ``jet`` is the look of the notebook that this project grew from."""

DEFAULT_COLOURS = "even"
DEFAULT_OPACITY = 0.5
NOTEBOOK_COLOURS = "jet"
NOTEBOOK_OPACITY = 0.3

FRAME_PX = 200
FRAMES_IN_A_ROW = 6
GAP_PX = 12
CAPTION_PX = 13
FOR, AGAINST = (230, 126, 20), (40, 110, 200)
"""Orange and blue, RGB: apart for colour-blind readers."""

STRONGEST_OPACITY = 0.85
"""How opaque the strongest evidence is where both signs are shown."""

OUTLINE_SHARE = 400
"""An outline is as wide as the photo's longer side divided by this: seen alike on a thumbnail and a large photo."""

PAPER = "white"
INK = "#222222"


def overlay(
    photo: Image.Image,
    heatmap: np.ndarray,
    opacity: float = DEFAULT_OPACITY,
    colours: str = DEFAULT_COLOURS,
) -> Image.Image:
    """The RGB ``photo`` with the heatmap (h, w), in [0, 1], laid over it at ``opacity``; same size as the
    photo.

    Raises ValueError for an opacity outside [0, 1] or an unknown colour map.
    """
    if not 0 <= opacity <= 1:
        raise ValueError(f"The opacity must be from 0 to 1, not {opacity}.")
    levels = np.round(upsample(heatmap, photo.size).clip(0, 1) * 255).astype(np.uint8)
    coloured = cv2.applyColorMap(levels, colour_table(colours)[:, None])
    return Image.fromarray(cv2.addWeighted(np.asarray(photo), 1 - opacity, coloured, opacity, 0))


def in_two_colours(photo: Image.Image, evidence: np.ndarray, only: np.ndarray | None = None) -> Image.Image:
    """The photo, greyed, under evidence (h, w) of any scale: orange where it is positive, blue where it is negative.

    The stronger, the less of the photo shows through. Nothing is coloured outside ``only``, bool (height, width),
    where it is given.
    """
    strongest = float(np.abs(evidence).max())
    enlarged = upsample(np.nan_to_num(evidence / strongest if strongest > 0 else evidence), photo.size)
    paper = np.asarray(photo.convert("L").convert("RGB"), np.float32)
    colour = np.where((enlarged > 0)[..., None], np.array(FOR, np.float32), np.array(AGAINST, np.float32))
    share = STRONGEST_OPACITY * np.abs(enlarged) * (1 if only is None else only)
    return Image.fromarray(cv2.blendLinear(paper, colour, 1 - share, share).round().clip(0, 255).astype(np.uint8))


def outlined(photo: Image.Image, heatmap: np.ndarray, percent: float) -> Image.Image:
    """The photo with white outlines, edged in black, round the hottest ``percent`` under the heatmap (h, w)."""
    drawn = np.array(photo)
    mask = hottest_mask(heatmap, percent, photo.size).astype(np.uint8)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    line_px = max(1, round(max(photo.size) / OUTLINE_SHARE))
    cv2.drawContours(drawn, outlines, -1, (0, 0, 0), 3 * line_px, cv2.LINE_AA)
    cv2.drawContours(drawn, outlines, -1, (255, 255, 255), line_px, cv2.LINE_AA)
    return Image.fromarray(drawn)


def film_strip(
    photo: Image.Image,
    heatmaps: Mapping[str, np.ndarray],
    opacity: float = DEFAULT_OPACITY,
    colours: str = DEFAULT_COLOURS,
    captions: Mapping[str, str] | None = None,
) -> Image.Image:
    """One picture of the photo under each of ``heatmaps`` (by layer name, early to late), in rows.

    Under each frame stands its caption, by layer name, or else the layer's name.
    """
    frame = photo.copy()
    frame.thumbnail((FRAME_PX, FRAME_PX), Image.Resampling.BICUBIC)
    columns = min(len(heatmaps), FRAMES_IN_A_ROW)
    rows = -(-len(heatmaps) // FRAMES_IN_A_ROW)
    font = ImageFont.load_default(CAPTION_PX)
    column_px, row_px = FRAME_PX + GAP_PX, frame.height + 2 * CAPTION_PX + GAP_PX
    strip = Image.new("RGB", (columns * column_px + GAP_PX, rows * row_px + GAP_PX), PAPER)
    pen = ImageDraw.Draw(strip)
    for number, (name, heatmap) in enumerate(heatmaps.items()):
        row, column = divmod(number, FRAMES_IN_A_ROW)
        left, top = GAP_PX + column * column_px, GAP_PX + row * row_px
        strip.paste(overlay(frame, heatmap, opacity, colours), (left + (FRAME_PX - frame.width) // 2, top))
        caption = _fitted((captions or {}).get(name, name), font)
        place = (left + FRAME_PX / 2, top + frame.height + CAPTION_PX / 2)
        pen.text(place, caption, INK, font, anchor="ma")
    return strip


def colour_table(colours: str) -> np.ndarray:
    """The RGB colours of a colour map, cold to hot: uint8 (256, 3)."""
    if colours not in COLOUR_MAPS:
        raise ValueError(f"There is no colour map {colours!r}: choose from {', '.join(COLOUR_MAPS)}.")
    blue_green_red = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], COLOUR_MAPS[colours])
    return np.ascontiguousarray(blue_green_red[:, 0, ::-1])


def css_colours(colours: str, count: int = 9) -> list[str]:
    """``count`` evenly spaced colours of a colour map, cold to hot, as CSS writes them (``#rrggbb``)."""
    chosen = colour_table(colours)[np.linspace(0, 255, count).round().astype(int)]
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in chosen.tolist()]


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The end of ``text``, as much as fits under a frame: layer names differ at their ends."""
    while font.getlength(text) > FRAME_PX and len(text) > 1:
        text = "…" + text.lstrip("…")[1:]
    return text
