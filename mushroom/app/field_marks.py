"""Field marks of the nine genera as a line drawing with labels: what to look for, and where.

Each genus is a few parameters; the drawing is SVG, so that it is sharp on paper, follows the theme's text colour and
can be read by a screen reader.
"""

import math
import textwrap
from dataclasses import dataclass
from html import escape
from typing import Literal

WIDTH, HEIGHT = 520, 330
MIDDLE = 260
RIM = 150
"""Height of the cap's rim, and the foot of the stem below it."""
FOOT = 292


@dataclass(frozen=True)
class Plate:
    """How one genus is drawn, in CSS colours and canvas points, and the labels of its marks by where they point."""

    cap: str
    under: str
    stem: str
    height: int
    half_width: int
    stem_half: int
    labels: tuple[tuple[str, str], ...]
    pores: bool = False
    gills: int = 34
    warts: bool = False
    zones: bool = False
    shine: bool = False
    funnel: bool = False
    veil: Literal["", "ring", "cobweb"] = ""
    net: bool = False
    dots: bool = False
    base: Literal["", "bulb", "sac"] = ""
    milk: bool = False


PLATES = {
    "Agaricus": Plate("#e9e2d4", "#c98d86", "#efe9dc", 80, 105, 19, (
        ("cap", "cap white to brown"), ("under", "gills pink, then chocolate"), ("free", "gills free of the stem"),
        ("veil", "ring"), ("base", "no sac at the base")), veil="ring"),
    "Amanita": Plate("#c9402f", "#f2ecdd", "#f2ecdd", 74, 112, 17, (
        ("cap", "warts or patches"), ("under", "gills white"), ("veil", "skirt-like ring"),
        ("base", "bulb or sac: dig it out")), warts=True, veil="ring", base="sac"),
    "Boletus": Plate("#8a5a33", "#d8cf8c", "#e0cfa8", 84, 110, 36, (
        ("cap", "bun-shaped, dry"), ("under", "pores, not gills"), ("stem", "raised net near the top"),
        ("base", "thick, bulging stem")), pores=True, net=True, base="bulb"),
    "Cortinarius": Plate("#a0662f", "#a5683c", "#cfae86", 70, 100, 18, (
        ("cap", "brown, ochre or violet"), ("under", "gills rust brown in the end"),
        ("veil", "cobweb between cap and stem"), ("base", "rusty threads on the stem")), veil="cobweb", base="bulb"),
    "Entoloma": Plate("#8d8a86", "#e0a79b", "#c6c1b8", 62, 100, 14, (
        ("cap", "grey, brown or blue, silky"), ("under", "gills salmon pink"), ("stem", "streaky, without a ring"),
        ("base", "no sac"))),
    "Hygrocybe": Plate("#dd4a22", "#f0b04a", "#f0a63c", 84, 78, 11, (
        ("cap", "bright, moist or slimy"), ("under", "thick waxy gills, far apart"), ("stem", "no ring"),
        ("base", "in mossy grassland")), gills=16, shine=True),
    "Lactarius": Plate("#d08a4a", "#ecc08a", "#dfae7a", 34, 116, 19, (
        ("cap", "rings of colour, often a funnel"), ("under", "milk where gills are cut"),
        ("free", "gills run down the stem"), ("stem", "snaps like chalk")), zones=True, funnel=True, milk=True),
    "Russula": Plate("#9c3550", "#f5efdc", "#f7f2e8", 46, 114, 21, (
        ("cap", "any colour, skin peels"), ("under", "brittle, white to ochre, no milk"),
        ("stem", "snaps like chalk, no ring"), ("base", "no sac")), gills=40),
    "Suillus": Plate("#a9702c", "#e2c552", "#eddca0", 66, 104, 21, (
        ("cap", "slimy, peels off"), ("under", "yellow pores, often angular"), ("veil", "often a ring"),
        ("stem", "dots on the stem"), ("base", "always near conifers")), pores=True, shine=True, veil="ring",
        dots=True),
}  # fmt: skip


def drawing(name: str) -> str | None:
    """The labelled drawing of a genus as an SVG element; None for a name that nothing is known of."""
    plate = PLATES.get(name)
    if plate is None:
        return None
    description = ", ".join(text for _, text in plate.labels)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Drawing of {name}: {escape(description)}" '
        'style="width:100%;max-width:34rem;color:inherit" stroke-linecap="round" stroke-linejoin="round">',
        *_base(plate),
        *_stem(plate),
        *_underside(plate),
        *_veil(plate),
        *_cap(plate),
        *_labels(plate),
        "</svg>",
    ]
    return "".join(parts)


INK = 'stroke="#3b2f26" stroke-width="1.6"'
THIN = 'stroke="#3b2f26" stroke-width=".8" fill="none" opacity=".75"'


def _cap(plate: Plate) -> list[str]:
    half, top = plate.half_width, RIM - plate.height
    left, right = MIDDLE - half, MIDDLE + half
    dip = 16 if plate.funnel else 0
    crown = (
        f"M{left},{RIM} C{left - 4},{top + 8} {MIDDLE - half * 0.55},{top} {MIDDLE},{top + dip} "
        f"C{MIDDLE + half * 0.55},{top} {right + 4},{top + 8} {right},{RIM} "
        f"Q{MIDDLE},{RIM + 22} {left},{RIM} Z"
    )
    parts = [f'<path d="{crown}" fill="{plate.cap}" {INK}/>']
    if plate.zones:
        parts += [
            f'<ellipse cx="{MIDDLE}" cy="{RIM - plate.height * 0.42:.0f}" rx="{half * share:.0f}" '
            f'ry="{plate.height * share * 0.36:.0f}" {THIN}/>'
            for share in (0.82, 0.58, 0.34)
        ]
    if plate.warts:
        parts += [
            f'<circle cx="{MIDDLE + half * across:.0f}" cy="{RIM - plate.height * up:.0f}" r="{size}" fill="#f6efdd" '
            'stroke="#3b2f26" stroke-width=".7"/>'
            for across, up, size in _WARTS
        ]
    if plate.shine:
        parts.append(
            f'<path d="M{MIDDLE - half * 0.55:.0f},{RIM - plate.height * 0.62:.0f} q{half * 0.25:.0f},-16 '
            f'{half * 0.5:.0f},-17" stroke="#fff" stroke-width="6" fill="none" opacity=".65"/>'
        )
    return parts


_WARTS = (
    (-0.72, 0.28, 5), (-0.5, 0.58, 6), (-0.34, 0.26, 5), (-0.18, 0.76, 6), (-0.06, 0.42, 5), (0.12, 0.62, 6),
    (0.22, 0.24, 5), (0.34, 0.8, 5), (0.44, 0.48, 6), (0.62, 0.26, 5), (0.68, 0.52, 4), (-0.02, 0.92, 5),
)  # fmt: skip


def _underside(plate: Plate) -> list[str]:
    half = plate.half_width * 0.97
    parts = [f'<ellipse cx="{MIDDLE}" cy="{RIM + 2}" rx="{half:.0f}" ry="21" fill="{plate.under}" {INK}/>']
    if plate.pores:
        for ring in (0.35, 0.55, 0.75, 0.92):
            count = int(44 * ring)
            for angle in (2 * math.pi * step / count for step in range(count)):
                x, y = MIDDLE + half * ring * math.cos(angle), RIM + 4 + 18 * ring * math.sin(angle)
                parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.5" fill="#3b2f26" opacity=".6"/>')
    else:
        parts += [
            f'<path d="M{MIDDLE + plate.stem_half * math.cos(angle):.1f},{RIM + 4 + 4 * math.sin(angle):.1f} '
            f'L{MIDDLE + half * math.cos(angle):.1f},{RIM + 2 + 20 * math.sin(angle):.1f}" {THIN}/>'
            for angle in (math.pi * step / plate.gills for step in range(plate.gills + 1))
        ]
    if plate.milk:
        parts += [
            f'<path d="M{x},{RIM + 22} q-5,9 0,12 q5,-3 0,-12" fill="#fff" {INK}/>' for x in (MIDDLE + 52, MIDDLE + 68)
        ]
    # The stem goes up into it.
    top = f"M{MIDDLE - plate.stem_half},{RIM + 24} v-16 q{plate.stem_half},-8 {2 * plate.stem_half},0 v16"
    return [*parts, f'<path d="{top}" fill="{plate.stem}" stroke="none"/>']


def _stem(plate: Plate) -> list[str]:
    half, foot = plate.stem_half, plate.stem_half * (1.7 if plate.base == "bulb" else 1.15)
    outline = (
        f"M{MIDDLE - half},{RIM + 4} "
        f"C{MIDDLE - half},{RIM + 70} {MIDDLE - foot},{FOOT - 60} {MIDDLE - foot},{FOOT - 14} "
        f"Q{MIDDLE},{FOOT + 12} {MIDDLE + foot},{FOOT - 14} "
        f"C{MIDDLE + foot},{FOOT - 60} {MIDDLE + half},{RIM + 70} {MIDDLE + half},{RIM + 4} Z"
    )
    parts = [f'<path d="{outline}" fill="{plate.stem}" {INK}/>']
    if plate.net:
        for step in range(-3, 4):
            x = MIDDLE + step * half / 3.4
            for lean in (9, -9):
                parts.append(f'<path d="M{x:.0f},{RIM + 26} l{lean},22 l{-lean},22" {THIN}/>')
    if plate.dots:
        parts += [
            f'<circle cx="{MIDDLE + (step * 7 % 29) - 14}" cy="{RIM + 34 + step * 9}" r="1.6" fill="#6b3f1d"/>'
            for step in range(11)
        ]
    return parts


def _veil(plate: Plate) -> list[str]:
    half = plate.stem_half
    if plate.veil == "ring":
        skirt = (
            f"M{MIDDLE - half - 1},{RIM + 44} q{half + 1},7 {2 * half + 2},0 l9,24 "
            f"q-{half + 10},15 -{2 * half + 20},0 Z"
        )
        return [f'<path d="{skirt}" fill="{plate.stem}" {INK}/>']
    if plate.veil == "cobweb":
        reach = plate.half_width * 0.8
        return [
            f'<path d="M{MIDDLE + side * reach * share:.0f},{RIM + 16} Q{MIDDLE + side * reach * 0.5:.0f},{RIM + 42} '
            f'{MIDDLE + side * half},{RIM + 52 + 8 * share:.0f}" {THIN}/>'
            for side in (-1, 1)
            for share in (0.5, 0.65, 0.8, 0.95)
        ]
    return []


def _base(plate: Plate) -> list[str]:
    if plate.base != "sac":
        return []
    foot = plate.stem_half * 2
    sac = (
        f"M{MIDDLE - foot},{FOOT - 40} C{MIDDLE - foot - 8},{FOOT + 22} {MIDDLE + foot + 8},{FOOT + 22} "
        f"{MIDDLE + foot},{FOOT - 40} l-9,8 l-9,-6 l-8,7 h-18 l-8,-7 l-8,6 Z"
    )
    return [f'<path d="{sac}" fill="#e6dcc4" {INK}/>']


def _labels(plate: Plate) -> list[str]:
    """Text at the sides, in turn right and left, each with a line to what it tells of."""
    points = {
        "cap": (plate.half_width * 0.62, RIM - plate.height * 0.55),
        "under": (plate.half_width * 0.72, RIM + 13),
        "free": (plate.stem_half + 3, RIM + 20),
        "veil": (plate.stem_half + 6, RIM + 58),
        "stem": (plate.stem_half, RIM + 88),
        "base": (plate.stem_half, FOOT - 10),
    }
    parts = []
    for number, (part, text) in enumerate(plate.labels):
        side = 1 if number % 2 == 0 else -1
        across, down = points[part]
        edge = MIDDLE + side * 138
        height = down + (8 if part in ("under", "free") else 0)
        anchor = "start" if side > 0 else "end"
        parts.append(
            f'<path d="M{MIDDLE + side * across:.0f},{down:.0f} L{edge},{height:.0f}" stroke="currentColor" '
            'stroke-width="1" fill="none"/>'
        )
        lines = textwrap.wrap(text, 17, break_long_words=False, break_on_hyphens=False)
        first = height + 4 - 7 * (len(lines) - 1)
        parts += [
            f'<text x="{edge + side * 4}" y="{first + 14 * line:.0f}" text-anchor="{anchor}" font-size="12" '
            f'fill="currentColor">{escape(words)}</text>'
            for line, words in enumerate(lines)
        ]
    return parts
