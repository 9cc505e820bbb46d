"""Bytes that nobody trusts become an RGB photo; a photo becomes what the network takes, and back.

Nothing else reads photos: whatever a stranger sends ends in a photo or in a ``PhotoError`` with a sentence.
"""

import hashlib
import io
import math
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageChops, ImageCms, ImageOps

from mushroom.errors import PhotoError

try:
    from pillow_heif import register_heif_opener
except ImportError:
    HEIF = False
else:
    register_heif_opener()
    HEIF = True

MAX_BYTES = 25 * 1024**2
MAX_PIXELS = 60_000_000
MAX_SIDE_PX = 1600
"""Larger photos are reduced to this: no network here looks closer, and a page shows no more."""

NEEDED_TIMES = 2
"""How many times what will be seen of a photo is kept of it. See tests/bench/predict.py for what it changes."""

MAX_ASPECT = 20
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", *(("HEIF", "AVIF") if HEIF else ("AVIF",)))
PHOTO_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".png", ".apng", ".webp", ".tif", ".tiff", ".bmp", ".dib", ".gif"}
    | {".heic", ".heif", ".hif", ".avif"}
)
SYSTEM_NAMES = frozenset(
    {"__macosx", ".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "lost+found"}
    | {".spotlight-v100", ".trashes", ".fseventsd", ".temporaryitems", "system volume information"}
)
"""What macOS, Windows, Linux and network drives leave in folders, in small letters."""

APPLE_DOUBLE = "._"
"""macOS writes ``._a.jpg`` beside ``a.jpg`` on foreign disks: the rest of its attributes, and no photo."""

MAX_PNG_PROFILE_BYTES = 1024**2
"""Larger colour profiles of a PNG are left aside, as Pillow would refuse the whole file."""

JPEG_START, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
PNG_START = b"\x89PNG\r\n\x1a\n"

NOT_A_PHOTO = "This file is not a photo that can be read here: use JPEG, PNG, WebP, HEIC, TIFF, BMP or GIF."
TRUNCATED = "This photo is damaged or cut off: save or send it again."
TOO_LARGE = f"This file is larger than {MAX_BYTES // 1024**2} MB: send a smaller photo."
TOO_MANY_PIXELS = f"This photo has more than {MAX_PIXELS // 10**6} million pixels: send a smaller one."


@dataclass(frozen=True)
class Preprocessing:
    """How a photo becomes a tensor: side of the square in pixels; mean and std per RGB channel of [0, 1]."""

    input_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def is_photo_name(name: str) -> bool:
    """Whether a file's name ends like a photo's, whatever its capitals."""
    return Path(name).suffix.lower() in PHOTO_SUFFIXES


def is_system_name(name: str) -> bool:
    """Whether a file or folder of this name was left by a system and holds nobody's photos."""
    return name.startswith(APPLE_DOUBLE) or name.lower() in SYSTEM_NAMES


def read_photo(data: bytes, needed_px: int | None = None) -> Image.Image:
    """The photo in ``data``: RGB, upright, colours in sRGB, at most ``MAX_SIDE_PX`` on a side.

    The format is told by content, never by name; limits are checked before anything is decoded or allocated; of
    an animation the first frame counts; transparent pictures lie on white. With ``needed_px``, the side of the square
    that is all that will be seen of it, a JPEG may come smaller, at least ``NEEDED_TIMES`` that on both sides. Raises
    PhotoError with a sentence.
    """
    if not data:
        raise PhotoError("This file is empty.")
    if len(data) > MAX_BYTES:
        raise PhotoError(TOO_LARGE)
    try:
        return _finished(_decoded_or_mended(data, needed_px))
    except PhotoError:
        raise
    except Image.UnidentifiedImageError as error:
        raise PhotoError(NOT_A_PHOTO) from error
    except (Image.DecompressionBombError, MemoryError) as error:
        raise PhotoError(TOO_MANY_PIXELS) from error
    # Decoders raise whatever they like on damaged files: anything from OSError to IndexError means the same here.
    except Exception as error:
        raise PhotoError(TRUNCATED) from error


def read_photo_file(path: Path, needed_px: int | None = None) -> Image.Image:
    """``read_photo`` of a file on this machine, which is not read when it is too large. Names no path in errors."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise PhotoError(TOO_LARGE)
        return read_photo(path.read_bytes(), needed_px)
    except FileNotFoundError as error:
        raise PhotoError("There is no such file.") from error
    except OSError as error:
        raise PhotoError("This file can't be read.") from error


def to_tensor(photo: Image.Image, preprocessing: Preprocessing) -> torch.Tensor:
    """An RGB photo as float32 (3, input_px, input_px), normalised.

    The whole photo is squashed to the square, so that a heatmap always covers the whole photo.
    """
    side = preprocessing.input_px
    picture = (photo if photo.mode == "RGB" else photo.convert("RGB")).resize((side, side), Image.Resampling.BICUBIC)
    # A channel after the other, and in place: with the three channels innermost numpy takes four times as long.
    values = np.ascontiguousarray(np.asarray(picture).transpose(2, 0, 1)).astype(np.float32)
    values /= 255
    values -= np.array(preprocessing.mean, np.float32)[:, None, None]
    values /= np.array(preprocessing.std, np.float32)[:, None, None]
    return torch.from_numpy(values)


def photo_hash(photo: Image.Image) -> str:
    """SHA-256 of a photo's size and pixels: the same picture has the same hash, whatever file it came in."""
    return hashlib.sha256(struct.pack("<II", *photo.size) + photo.tobytes()).hexdigest()


def _decoded_or_mended(data: bytes, needed_px: int | None) -> Image.Image:
    """The decoded picture, also where only a JPEG's end marker lacks or a PNG carries too much text."""
    try:
        return _decoded(data, needed_px)
    except OSError:
        if not data.startswith(JPEG_START):
            raise
        return _without_end_marker(data)
    except ValueError:
        # Pillow refuses a PNG with much compressed text or a large profile, to be safe from bombs.
        if not data.startswith(PNG_START):
            raise
        return _decoded(_without_texts(data))


def _decoded(data: bytes, needed_px: int | None = None) -> Image.Image:
    with warnings.catch_warnings():
        # Pillow only warns of bombs below its own limit; ours is checked right after.
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            _check_size(*picture.size)
            # JPEGs are decoded at an eighth, a quarter or half of their size where both sides stay as long as these.
            picture.draft("RGB", _enough(*picture.size, needed_px))
            picture.load()
            return picture


def _enough(width: int, height: int, needed_px: int | None) -> tuple[int, int]:
    """Width and height of which no more is needed: of the working size, or of what will be seen."""
    scale = min(1.0, MAX_SIDE_PX / max(width, height))
    if needed_px:
        scale = min(scale, NEEDED_TIMES * needed_px / min(width, height))
    return math.ceil(width * scale), math.ceil(height * scale)


def _without_end_marker(data: bytes) -> Image.Image:
    """A JPEG that was cut off after its last row. OSError where rows lack.

    The decoder makes up what lacks from the bytes that follow: the picture is whole if it is the same whatever
    follows, the end marker at once or bytes that stand for some other picture.
    """
    start = data[:-1] if data.endswith(JPEG_END[:1]) else data
    picture = _decoded(start + JPEG_END)
    for filler in (b"\xa5\x5a\xc3\x3c" * 64, b"\x6d\xb6\xdb" * 64):
        if ImageChops.difference(picture, _decoded(start + filler + JPEG_END)).getbbox():
            raise OSError("rows lack")
    return picture


def _without_texts(data: bytes) -> bytes:
    """A PNG's bytes without its text chunks, and without a colour profile that is too large."""
    chunks, position = [PNG_START], len(PNG_START)
    while position + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[position : position + 8])
        end = position + 12 + length
        if kind not in (b"tEXt", b"zTXt", b"iTXt") and not (
            kind == b"iCCP" and _is_large_profile(data[position + 8 : end - 4])
        ):
            chunks.append(data[position:end])
        position = end
    return b"".join(chunks)


def _is_large_profile(chunk: bytes) -> bool:
    # A name, a zero, the method of compression, and then the profile; a damaged one counts as too large.
    try:
        unpacking = zlib.decompressobj()
        unpacking.decompress(chunk[chunk.index(b"\0") + 2 :], MAX_PNG_PROFILE_BYTES)
    except (ValueError, zlib.error):
        return True
    return bool(unpacking.unconsumed_tail)


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise PhotoError(TOO_MANY_PIXELS)
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise PhotoError(f"This picture is more than {MAX_ASPECT} times as long as wide: crop it to the mushroom.")


def _finished(picture: Image.Image) -> Image.Image:
    """A decoded picture as an upright sRGB photo within the working size."""
    ImageOps.exif_transpose(picture, in_place=True)
    photo = _on_white(_in_srgb(picture))
    photo.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX), Image.Resampling.BICUBIC, reducing_gap=2.0)
    # A fresh picture without the file's metadata, so that no place or camera travels on.
    clean = Image.new("RGB", photo.size)
    clean.paste(photo)
    return clean


def _in_srgb(picture: Image.Image) -> Image.Image:
    """Colours through the embedded profile where there is one that fits, and 16-bit greys down to 8 bits."""
    if picture.mode.startswith(("I", "F")):
        values = np.asarray(picture, np.float64)
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        # 16-bit files use their whole range; floats and 32-bit integers have none agreed on, so theirs is stretched.
        low, high = (0.0, 65535.0) if picture.mode.startswith("I;16") else (values.min(), values.max())
        scaled = (values - low) / max(high - low, 1e-12) * 255
        return Image.fromarray(scaled.clip(0, 255).astype(np.uint8), "L")
    profile = picture.info.get("icc_profile")
    if not profile or picture.mode not in ("RGB", "CMYK", "L", "RGBA"):
        return picture
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = "RGBA" if picture.mode == "RGBA" else "RGB"
        converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode=target)
    except (ImageCms.PyCMSError, OSError, ValueError):
        # A damaged profile says nothing; the colours as stored are the best guess.
        return picture
    return picture if converted is None else converted


def _on_white(picture: Image.Image) -> Image.Image:
    """RGB, with anything transparent laid over white."""
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        paper = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(paper, picture).convert("RGB")
    if picture.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(picture, lab, srgb, outputMode="RGB")
        if converted is not None:
            return converted
    return picture if picture.mode == "RGB" else picture.convert("RGB")
