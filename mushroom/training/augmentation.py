"""Photos altered at random: what the network sees of them while it learns.

A view is uint8 (size, size, 3), RGB, and depends on the photo and the random generator alone. OpenCV does the
picture work, because on two cores every millisecond here is taken from the network.
"""

from collections.abc import Callable

import cv2
import numpy as np

CROP_AREA = (0.3, 1.0)
CROP_LOG_RATIO = (np.log(0.6), np.log(1.7))
CROP_ATTEMPTS = 10
NOTEBOOK_DEGREES = 15
STRONG_DEGREES = 25
JPEG_QUALITY = (25, 95)
RESCALE = (0.35, 0.9)
BLUR_SIGMA_PX = (0.3, 2.0)
ERASED_AREA = (0.02, 0.2)

Picture = np.ndarray
"""uint8 (height, width, 3), RGB."""


def notebook_view(picture: Picture, size_px: int, random: np.random.Generator) -> Picture:
    """The notebook's: squash, horizontal flip, vertical flip, rotation up to 15 degrees on black."""
    view = resized(picture, size_px, size_px)
    view = flipped(view, random.random() < 0.5, random.random() < 0.5)
    return rotated(view, random.uniform(-NOTEBOOK_DEGREES, NOTEBOOK_DEGREES), cv2.BORDER_CONSTANT)


def strong_view(picture: Picture, size_px: int, random: np.random.Generator) -> Picture:
    """Crop, flip, rotation, colour, blur, the marks of resizing and compression, and a part erased.

    The marks matter most here: each source has its own size and JPEG quality, and a network that can tell the
    source from those would name the genus without looking at the mushroom.
    """
    view = random_crop(picture, random)
    if random.random() < 0.4:
        side = round(size_px * random.uniform(*RESCALE))
        view = resized(view, side, side)
    view = resized(view, size_px, size_px, cv2.INTER_CUBIC if random.random() < 0.5 else cv2.INTER_LINEAR)
    view = flipped(view, random.random() < 0.5, vertical=False)
    if random.random() < 0.3:
        view = rotated(view, random.uniform(-STRONG_DEGREES, STRONG_DEGREES), cv2.BORDER_REFLECT_101)
    if random.random() < 0.8:
        view = recoloured(view, random)
    if random.random() < 0.2:
        view = cv2.GaussianBlur(view, (0, 0), random.uniform(*BLUR_SIGMA_PX))
    if random.random() < 0.5:
        view = recompressed(view, int(random.integers(*JPEG_QUALITY, endpoint=True)))
    return erased(view, random) if random.random() < 0.25 else view


def plain_view(picture: Picture, size_px: int, random: np.random.Generator) -> Picture:
    """The whole photo squashed to the square; nothing is drawn."""
    return resized(picture, size_px, size_px)


def resized(picture: Picture, width: int, height: int, enlarge: int = cv2.INTER_CUBIC) -> Picture:
    """The picture at another size: averaged where it shrinks, interpolated by ``enlarge`` where it grows."""
    shrinks = width < picture.shape[1] and height < picture.shape[0]
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else enlarge)


def random_crop(picture: Picture, random: np.random.Generator) -> Picture:
    """A part of random area and shape; the whole picture where none fits after a few attempts."""
    height, width = picture.shape[:2]
    for _ in range(CROP_ATTEMPTS):
        area = height * width * random.uniform(*CROP_AREA)
        ratio = np.exp(random.uniform(*CROP_LOG_RATIO))
        part_width, part_height = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
        if 0 < part_width <= width and 0 < part_height <= height:
            left = int(random.integers(width - part_width, endpoint=True))
            top = int(random.integers(height - part_height, endpoint=True))
            return picture[top : top + part_height, left : left + part_width]
    return picture


def flipped(picture: Picture, horizontal: bool, vertical: bool) -> Picture:
    """The picture mirrored left to right, top to bottom, or both."""
    return np.ascontiguousarray(picture[:: -1 if vertical else 1, :: -1 if horizontal else 1])


def rotated(picture: Picture, degrees: float, border: int) -> Picture:
    """The picture turned about its centre; what comes in at the corners is OpenCV's ``border``."""
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    return cv2.warpAffine(picture, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=border)


def recoloured(picture: Picture, random: np.random.Generator) -> Picture:
    """Another brightness, contrast, saturation and white balance, each up to 40 or 15 percent off; rarely grey."""
    brightness, contrast, saturation = random.uniform(0.6, 1.4, 3)
    balance = random.uniform(0.85, 1.15, 3)
    grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if random.random() < 0.03:
        saturation = 0.0
    view = cv2.addWeighted(picture, saturation, grey, 1 - saturation, 0)
    middle = float(grey.mean())
    levels = np.arange(256)[:, None] * balance * brightness
    table = (levels - middle * brightness) * contrast + middle * brightness
    return cv2.LUT(view, table.round().clip(0, 255).astype(np.uint8)[None])


def recompressed(picture: Picture, quality: int) -> Picture:
    """The picture after JPEG compression."""
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.ascontiguousarray(decoded[..., ::-1])


def erased(picture: Picture, random: np.random.Generator) -> Picture:
    """The picture with a box of one random colour on it (Zhong et al. 2020, "Random erasing")."""
    height, width = picture.shape[:2]
    share = np.sqrt(random.uniform(*ERASED_AREA))
    ratio = np.exp(random.uniform(-0.7, 0.7))
    box_height = max(1, min(height - 1, round(height * share * ratio)))
    box_width = max(1, min(width - 1, round(width * share / ratio)))
    top, left = int(random.integers(height - box_height)), int(random.integers(width - box_width))
    view = picture.copy()
    view[top : top + box_height, left : left + box_width] = random.integers(0, 256, 3)
    return view


AUGMENTATIONS: dict[str, Callable[[Picture, int, np.random.Generator], Picture]] = {
    "notebook": notebook_view,
    "strong": strong_view,
    "none": plain_view,
}
