"""Draw the specimens that the app shows to who has no photo at hand: ``python assets/drawings/draw.py``.

Plates in the manner of a picture book, plainly drawings. Everything is laid out on a canvas of 1 x 1 and drawn at
twice the size, so that edges come out smooth; the same script gives the same pictures.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

FOLDER = Path(__file__).resolve().parent
SIDE_PX = 640
SCALE = 2
CANVAS = SIDE_PX * SCALE

Colour = tuple[int, int, int]
Point = tuple[float, float]


@dataclass(frozen=True)
class Specimen:
    """How one kind is drawn. Lengths are shares of the canvas; ``dome`` is the cap's height over its half width."""

    name: str
    cap: Colour
    rim: Colour
    stem: Colour
    under: Colour
    dome: float
    cap_width: float
    stem_width: float
    warts: int = 0
    ring: bool = False
    bulb: float = 1.25
    pores: bool = False
    rings_of_colour: bool = False
    slimy: bool = False
    net: bool = False
    funnel: bool = False
    cone: bool = False
    milk: bool = False
    meadow: bool = False
    peel: bool = False
    gills: int = 130


SPECIMENS = (
    Specimen("Fly_agaric", (196, 40, 32), (226, 92, 48), (244, 238, 222), (238, 230, 208), 0.62, 0.46, 0.085,
             warts=46, ring=True, bulb=1.9),
    Specimen("Penny_bun", (128, 78, 42), (176, 124, 74), (226, 206, 170), (214, 200, 132), 0.66, 0.44, 0.15,
             bulb=1.55, pores=True, net=True),
    Specimen("Brittlegill", (178, 36, 48), (206, 84, 82), (250, 246, 240), (250, 240, 216), 0.36, 0.46, 0.115,
             funnel=True, peel=True, bulb=1.0),
    Specimen("Milkcap", (212, 120, 52), (236, 172, 104), (226, 158, 98), (240, 172, 100), 0.3, 0.48, 0.1,
             rings_of_colour=True, funnel=True, milk=True, bulb=0.85),
    Specimen("Slippery_jack", (122, 66, 28), (168, 108, 46), (240, 226, 168), (236, 208, 84), 0.52, 0.42, 0.1,
             ring=True, pores=True, slimy=True, bulb=1.0),
    Specimen("Waxcap", (226, 52, 22), (250, 160, 40), (250, 178, 56), (252, 206, 110), 0.86, 0.3, 0.06,
             slimy=True, cone=True, meadow=True, gills=44, bulb=0.9),
)  # fmt: skip


def draw(specimen: Specimen) -> Image.Image:
    """The plate of one specimen: a large one, and a small one behind it."""
    random = np.random.default_rng(sum(map(ord, specimen.name)))
    plate = meadow(random) if specimen.meadow else background(random)
    mushroom(plate, specimen, (0.72, 0.84), 0.5, random)
    mushroom(plate, specimen, (0.42, 0.93), 1.0, random)
    grass(plate, random)
    plate = ImageChops.multiply(plate, vignette())
    return plate.resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)


# --- The place ----------------------------------------------------------------------------------------------


def background(random: np.random.Generator) -> Image.Image:
    """A forest out of focus above, moss and leaf litter below."""
    heights = np.linspace(0, 1, CANVAS)[:, None, None]
    top, middle, ground = (np.array(c, float) for c in ((196, 205, 170), (126, 146, 104), (74, 84, 48)))
    sky = np.where(
        heights < 0.72, top + (middle - top) * heights / 0.72, middle + (ground - middle) * (heights - 0.72) / 0.28
    )
    plate = Image.fromarray(np.broadcast_to(sky, (CANVAS, CANVAS, 3)).astype(np.uint8).copy())
    pen = ImageDraw.Draw(plate)
    for _ in range(9):
        x, width = random.uniform(0, 1), random.uniform(0.02, 0.07)
        shade = int(random.uniform(60, 110))
        pen.rectangle([px((x, 0)), px((x + width, 0.74))], fill=(shade, shade + 8, shade - 18))
    for _ in range(60):
        centre, radius = (random.uniform(0, 1), random.uniform(0, 0.6)), random.uniform(0.01, 0.06)
        light = np.array((206, 214, 160)) + random.integers(-30, 30, 3)
        pen.circle(px(centre), radius * CANVAS, fill=rgb(light))
    plate = plate.filter(ImageFilter.GaussianBlur(CANVAS * 0.022))
    litter(plate, random)
    return plate


def meadow(random: np.random.Generator) -> Image.Image:
    """Short grass and moss up to a bright sky: where waxcaps grow."""
    heights = np.linspace(0, 1, CANVAS)[:, None, None]
    sky, far, near = (np.array(c, float) for c in ((206, 220, 226), (150, 178, 96), (70, 104, 40)))
    ground = far + (near - far) * (heights - 0.45) / 0.55
    tone = np.where(heights < 0.45, sky + (far - sky) * (heights / 0.45) ** 3, ground)
    plate = Image.fromarray(np.broadcast_to(tone, (CANVAS, CANVAS, 3)).astype(np.uint8).copy())
    plate = plate.filter(ImageFilter.GaussianBlur(CANVAS * 0.02))
    pen = ImageDraw.Draw(plate)
    for depth in np.sort(random.uniform(0, 1, 2600)):
        x, foot, height = random.uniform(-0.02, 1.02), 0.6 + 0.42 * depth, 0.02 + 0.06 * depth
        bend = random.uniform(-0.03, 0.03)
        green = np.array((86, 128, 44)) + random.integers(-30, 30, 3) - int(24 * (1 - depth))
        blade = bezier((x, foot), (x, foot - height / 2), (x + bend, foot - height))
        pen.line([px(p) for p in blade], fill=rgb(green), width=2 + int(3 * depth))
    return plate


def litter(plate: Image.Image, random: np.random.Generator) -> None:
    """Leaves and moss on the ground, smaller and paler farther away."""
    palette = ((122, 86, 44), (154, 112, 58), (96, 72, 40), (88, 104, 52), (104, 122, 60), (70, 86, 44))
    for depth in np.sort(random.uniform(0, 1, 520)):
        x, y = random.uniform(-0.05, 1.05), 0.72 + 0.3 * depth
        size, tilt = 0.012 + 0.035 * depth, random.uniform(0, np.pi)
        base = np.array(palette[random.integers(len(palette))]) + random.integers(-16, 16, 3)
        leaf = [
            (x + size * (np.cos(a) * np.cos(tilt) - 0.4 * np.sin(a) * np.sin(tilt)), y + 0.5 * size * np.sin(a + tilt))
            for a in np.linspace(0, 2 * np.pi, 14)
        ]
        fill(plate, leaf, rgb(base))


def grass(plate: Image.Image, random: np.random.Generator) -> None:
    """Blades in front, bent by the wind."""
    for _ in range(120):
        x, height, bend = random.uniform(0, 1), random.uniform(0.03, 0.13), random.uniform(-0.05, 0.05)
        green = np.array((92, 122, 54)) + random.integers(-28, 28, 3)
        left = bezier((x, 1.01), (x, 1 - height / 2), (x + bend, 1 - height))
        right = bezier((x + bend, 1 - height), (x + 0.004, 1 - height / 2), (x + 0.007, 1.01))
        fill(plate, [*left, *right], rgb(green))


def vignette() -> Image.Image:
    """Darker towards the corners, as a lamp would light a plate."""
    across, down = np.meshgrid(*(np.linspace(-1, 1, CANVAS),) * 2)
    light = 255 * (1 - 0.28 * np.clip(np.hypot(across, down) - 0.55, 0, 1))
    return Image.fromarray(np.repeat(light[..., None], 3, 2).astype(np.uint8))


# --- The mushroom -------------------------------------------------------------------------------------------


def mushroom(plate: Image.Image, kind: Specimen, foot: Point, size: float, random: np.random.Generator) -> None:
    """One mushroom standing on ``foot``; ``size`` 1 is the large one."""
    half, stem_half = kind.cap_width * size * 0.62, kind.stem_width * size * 0.62
    x, y = foot
    rim_y = y - (0.40 if kind.stem_width < 0.14 else 0.34) * size
    top_y = rim_y - kind.dome * half
    shadow(plate, (x + 0.05 * size, y), half * 0.95)
    stem(plate, kind, x, rim_y, y, stem_half, random)
    underside(plate, kind, (x, rim_y), half)
    if kind.ring:
        skirt(plate, kind, (x, rim_y + 0.09 * size), stem_half * 1.5, size)
    cap(plate, kind, (x, rim_y), half, top_y, random)


def stem(
    plate: Image.Image, kind: Specimen, x: float, top: float, foot: float, half: float, random: np.random.Generator
) -> None:
    """A stem with its bulb, fibres and, for some, a net."""
    bulb = half * kind.bulb
    middle = (top + foot) / 2
    outline = [
        *bezier((x - half, top), (x - half, middle), (x - bulb, foot - 0.03)),
        *bezier((x - bulb, foot - 0.03), (x, foot + 0.05), (x + bulb, foot - 0.03)),
        *bezier((x + bulb, foot - 0.03), (x + half, middle), (x + half, top)),
    ]
    texture = Image.new("L", plate.size, 128)
    pen = ImageDraw.Draw(texture)
    for _ in range(90):
        at, tone = random.uniform(-bulb, bulb), int(random.uniform(100, 150))
        start = random.uniform(top, foot)
        pen.line([px((x + at, start)), px((x + at * 1.1, start + random.uniform(0.03, 0.1)))], fill=tone, width=3)
    if kind.net:
        for step in np.linspace(-1, 1, 9):
            pen.line([px((x + step * half, top)), px((x + (step + 0.9) * half, middle))], fill=166, width=4)
            pen.line([px((x + step * half, top)), px((x + (step - 0.9) * half, middle))], fill=166, width=4)
    texture = texture.filter(ImageFilter.GaussianBlur(2))
    shaded(plate, outline, kind.stem, (x - half * 0.4, middle), max(2.4 * bulb, foot - top), texture)


def underside(plate: Image.Image, kind: Specimen, centre: Point, half: float) -> None:
    """Gills as lines that run to the stem, or pores as dots."""
    x, y = centre
    depth = half * 0.3
    # Its far half is behind the cap, and a cap that is sunken would show it.
    outline = [(across, max(down, y)) for across, down in ellipse(centre, half * 0.97, depth)]
    texture = Image.new("L", plate.size, 128)
    pen = ImageDraw.Draw(texture)
    angles = np.linspace(0, 2 * np.pi, kind.gills)
    if kind.pores:
        for ring in np.linspace(0.1, 1, 16):
            for angle in angles[:: 2 if ring > 0.5 else 4]:
                dot = px((x + ring * half * np.cos(angle), y + ring * depth * np.sin(angle)))
                pen.circle(dot, 0.0016 * CANVAS, fill=96)
    else:
        for angle in angles:
            end = (x + half * np.cos(angle), y + depth * np.sin(angle))
            pen.line([px((x, y)), px(end)], fill=92, width=3 if kind.gills > 100 else 7)
    shaded(plate, outline, kind.under, (x, y + depth), half * 1.2, texture)
    if kind.milk:
        for across in (-0.46, -0.3, 0.28, 0.42, 0.55):
            drop(plate, (x + across * half, y + depth * np.sqrt(1 - across**2) * 0.94), half * 0.035)


def drop(plate: Image.Image, top: Point, size: float) -> None:
    """A drop of white milk hanging from the gills."""
    x, y = top
    outline = both_sides(x, bezier((x, y - size), (x - size * 1.3, y + size * 1.6), (x, y + size * 2)))
    fill(plate, [(a + 0.003, b + 0.003) for a, b in outline], (150, 96, 50))
    fill(plate, outline, (252, 250, 244))


def cap(plate: Image.Image, kind: Specimen, rim: Point, half: float, top_y: float, random: np.random.Generator) -> None:
    """The cap: a dome over a rim that curves towards the eye."""
    x, y = rim
    lip = y + half * 0.12
    outline = [
        *crown(kind, rim, half, top_y),
        *bezier((x + half, y), (x + half * 0.7, lip), (x, lip)),
        *bezier((x, lip), (x - half * 0.7, lip), (x - half, y)),
    ]
    texture = Image.effect_noise(plate.size, 26).filter(ImageFilter.GaussianBlur(5))
    texture = Image.new("L", plate.size, 128) if kind.slimy else texture.point(lambda v: 128 + (v - 128) * 2)
    pen = ImageDraw.Draw(texture)
    middle = (x, top_y + (y - top_y) * 0.42)
    if kind.rings_of_colour:
        for ring in np.linspace(0.92, 0.2, 6):
            points = ellipse(middle, half * ring, (y - top_y) * 0.46 * ring)
            pen.line([px(p) for p in points], fill=70, width=15)
        texture = texture.filter(ImageFilter.GaussianBlur(5))
    if kind.funnel:
        hollow = Image.new("L", plate.size, 0)
        fill(hollow, ellipse(middle, half * 0.5, (y - top_y) * 0.3), 70)
        texture = ImageChops.subtract(texture, hollow.filter(ImageFilter.GaussianBlur(CANVAS * half * 0.12)))
    if kind.cone:
        for angle in np.linspace(-0.9, 0.9, 38):
            foot = (x + half * angle, y + half * 0.1 * np.sqrt(1 - angle**2))
            pen.line([px(foot), px((x + half * angle * 0.72, y - (y - top_y) * 0.3))], fill=104, width=4)
        texture = texture.filter(ImageFilter.GaussianBlur(2))
    light = (x - half * 0.35, top_y + (y - top_y) * 0.25)
    shaded(plate, outline, kind.cap, light, half * 1.5, texture, edge=kind.rim)
    shine(plate, outline, light, half * (0.34 if kind.slimy else 0.24), 0.75 if kind.slimy else 0.28)
    if kind.peel:
        peel(plate, rim, half, lip)
    for _ in range(kind.warts):
        wart(plate, x, y, half, top_y, random)


def crown(kind: Specimen, rim: Point, half: float, top_y: float) -> list[Point]:
    """The upper edge of a cap from its left rim to its right one: a dome, a cone, or sunken in the middle."""
    x, y = rim
    if kind.cone:
        left = bezier((x - half, y), (x - half * 0.62, top_y + (y - top_y) * 0.12), (x, top_y))
    elif kind.funnel:
        sunken = top_y + (y - top_y) * 0.2
        left = [
            *bezier((x - half, y), (x - half, top_y), (x - half * 0.5, top_y)),
            *bezier((x - half * 0.5, top_y), (x - half * 0.2, sunken), (x, sunken)),
        ]
    else:
        left = bezier((x - half, y), (x - half * 1.02, top_y), (x, top_y))
    return both_sides(x, left)


def peel(plate: Image.Image, rim: Point, half: float, lip: float) -> None:
    """A strip of skin pulled off the cap's edge, white flesh under it."""
    x, y = rim
    low, high = (x + half * 0.36, lip - half * 0.02), (x + half * 0.66, y - half * 0.16)
    bare = [
        *bezier(low, (x + half * 0.56, y - half * 0.1), high),
        *bezier(high, (x + half * 0.8, y), (x + half * 0.62, lip - half * 0.06)),
    ]
    fill(plate, bare, (250, 236, 226))


def wart(plate: Image.Image, x: float, y: float, half: float, top_y: float, random: np.random.Generator) -> None:
    """A flake of the veil, flatter towards the cap's edge."""
    across, up = random.uniform(-0.86, 0.86), random.uniform(0.02, 0.94)
    place = (x + across * half * np.sqrt(1 - (up * 0.94) ** 2), y - up * (y - top_y) * np.sqrt(1 - across**2 * 0.5))
    size = half * random.uniform(0.03, 0.075)
    angles = np.linspace(0, 2 * np.pi, 11)[:-1]
    reach = random.uniform(0.7, 1.2, (10, 2)) * (size, size * 0.7)
    outline = place + reach * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    fill(plate, np.add(outline, (0.003, 0.004)), (120, 22, 20))
    fill(plate, outline, (248, 240, 222))


def skirt(plate: Image.Image, kind: Specimen, centre: Point, half: float, size: float) -> None:
    """The ring on the stem."""
    x, y = centre
    outline = [
        *bezier((x - half * 0.8, y - 0.02 * size), (x - half, y + 0.01 * size), (x - half * 1.15, y + 0.045 * size)),
        *bezier((x - half * 1.15, y + 0.045 * size), (x, y + 0.075 * size), (x + half * 1.15, y + 0.045 * size)),
        *bezier((x + half * 1.15, y + 0.045 * size), (x + half, y + 0.01 * size), (x + half * 0.8, y - 0.02 * size)),
    ]
    shaded(plate, outline, kind.stem, (x - half * 0.4, y), half * 2, Image.new("L", plate.size, 124))


# --- Light and lines ----------------------------------------------------------------------------------------


def shaded(
    plate: Image.Image,
    outline: Sequence[Point],
    colour: Colour,
    light: Point,
    reach: float,
    texture: Image.Image,
    edge: Colour | None = None,
) -> None:
    """Fill ``outline`` with ``colour``, lit at ``light`` and darker within ``reach``; ``texture`` 128 is neutral."""
    down, across = np.mgrid[0:CANVAS, 0:CANVAS] / CANVAS
    distance = np.clip(np.hypot(across - light[0], down - light[1]) / reach, 0, 1)[..., None]
    base = np.array(colour, float)
    rim = np.array(edge or colour, float)
    tone = base + (rim - base) * distance**3
    lit = tone * (1.16 - 0.62 * distance**1.4) + (np.asarray(texture, float)[..., None] - 128) * 0.55
    mask = polygon_mask(outline)
    plate.paste(Image.fromarray(lit.clip(0, 255).astype(np.uint8)), (0, 0), mask)
    line = mask.filter(ImageFilter.GaussianBlur(2)).point(lambda v: 90 if 40 < v < 215 else 0)
    plate.paste(tuple(int(v * 0.42) for v in colour), (0, 0, CANVAS, CANVAS), line.filter(ImageFilter.GaussianBlur(1)))


def shine(plate: Image.Image, outline: Sequence[Point], centre: Point, radius: float, strength: float) -> None:
    """A soft highlight inside ``outline``."""
    glow = polygon_mask(ellipse(centre, radius, radius * 0.42)).filter(ImageFilter.GaussianBlur(CANVAS * radius * 0.22))
    inside = ImageChops.multiply(glow, polygon_mask(outline)).point(lambda v: int(v * strength))
    plate.paste((255, 250, 236), (0, 0, CANVAS, CANVAS), inside)


def shadow(plate: Image.Image, centre: Point, half: float) -> None:
    """What the mushroom takes from the light on the ground."""
    dark = polygon_mask(ellipse(centre, half, half * 0.22)).filter(ImageFilter.GaussianBlur(CANVAS * 0.02))
    plate.paste((22, 26, 14), (0, 0, CANVAS, CANVAS), dark.point(lambda v: int(v * 0.62)))


def polygon_mask(outline: Sequence[Point]) -> Image.Image:
    """White inside ``outline``."""
    mask = Image.new("L", (CANVAS, CANVAS))
    fill(mask, outline, 255)
    return mask


def fill(plate: Image.Image, outline: Iterable[Point], colour: Colour | int) -> None:
    """A plain area inside ``outline``."""
    ImageDraw.Draw(plate).polygon([px(point) for point in outline], fill=colour)


def rgb(values: np.ndarray) -> Colour:
    """Numbers around a colour as one."""
    red, green, blue = (int(value) for value in values.clip(0, 255))
    return red, green, blue


def both_sides(x: float, left: Sequence[Point]) -> list[Point]:
    """An outline's left half, and back along its mirror image on the other side of ``x``."""
    return [*left, *((2 * x - across, down) for across, down in reversed(left))]


def ellipse(centre: Point, wide: float, high: float) -> list[Point]:
    """Points around an ellipse."""
    return [(centre[0] + wide * np.cos(a), centre[1] + high * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 90)]


def bezier(start: Point, control: Point, end: Point) -> list[Point]:
    """Points along a quadratic Bezier curve."""
    return [
        tuple((1 - t) ** 2 * s + 2 * t * (1 - t) * c + t**2 * e for s, c, e in zip(start, control, end, strict=True))
        for t in np.linspace(0, 1, 40)
    ]


def px(point: Point) -> Point:
    """A point of the 1 x 1 canvas in pixels."""
    return point[0] * CANVAS, point[1] * CANVAS


def write(specimen: Specimen, folder: Path) -> None:
    """Draw ``specimen`` into ``folder``, in few enough colours for a small file."""
    palette = draw(specimen).quantize(256, dither=Image.Dither.FLOYDSTEINBERG)
    palette.save(folder / f"{specimen.name}.png", optimize=True)


if __name__ == "__main__":
    for each in SPECIMENS:
        write(each, FOLDER)
