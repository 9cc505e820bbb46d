"""Where all bytes come in: what is read, how it comes out, and what is refused with a sentence."""

import io
import struct
import tomllib
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from fuzz_photos import damaged, outcome, seeds
from PIL import Image, ImageCms

from mushroom import photos
from mushroom.errors import PhotoError
from mushroom.photos import FORMATS, Preprocessing, photo_hash, read_photo, read_photo_file

REPOSITORY = Path(__file__).resolve().parent.parent
PLAIN = Preprocessing(32, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def gradient(width: int = 48, height: int = 32) -> Image.Image:
    """Red grows to the right, green downwards, blue is half."""
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([across, down, np.full_like(down, 128)], -1).astype(np.uint8))


def encoded(picture: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def mean_difference(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(np.asarray(one, float) - np.asarray(other, float)).mean())


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_claiming(width: int, height: int) -> bytes:
    """A PNG whose header claims a size, with next to nothing behind it."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = {b"IHDR": header, b"IDAT": zlib.compress(b"\0" * 64), b"IEND": b""}
    return photos.PNG_START + b"".join(map(png_chunk, chunks, chunks.values()))


@contextmanager
def memory_below(most_bytes: int) -> Iterator[None]:
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < most_bytes


# --- What gets in -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_comes_out_as_the_same_rgb_photo(form: str) -> None:
    photo = read_photo(encoded(gradient(), form))
    assert photo.mode == "RGB"
    assert photo.size == (48, 32)
    assert mean_difference(photo, gradient()) < (12 if form == "GIF" else 6)


@pytest.mark.parametrize("mode", ["CMYK", "L", "P", "1", "RGBA", "LA", "PA", "F", "I", "LAB", "YCbCr"])
def test_every_colour_mode_becomes_rgb(mode: str) -> None:
    form = "PNG" if mode in ("RGBA", "LA", "P", "1", "L") else "JPEG" if mode == "YCbCr" else "TIFF"
    source = gradient().convert("L") if mode in ("F", "I") else gradient()
    photo = read_photo(encoded(source.convert(mode) if mode != "PA" else source.convert("LA"), form))
    assert photo.mode == "RGB"
    assert photo.size == (48, 32)


FRAMES = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]


@pytest.mark.parametrize(
    ("data", "pixel"),
    [
        pytest.param(encoded(Image.fromarray(np.full((8, 8), 0x8000, np.uint16)), "PNG"), (127,) * 3, id="16-bit grey"),
        pytest.param(encoded(Image.new("RGBA", (8, 8), (200, 0, 0, 0)), "PNG"), (255,) * 3, id="transparent on white"),
        pytest.param(encoded(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:]), (255, 0, 0), id="first frame"),
    ],
)
def test_a_pixel_comes_out_as_it_is_seen(data: bytes, pixel: tuple[int, int, int]) -> None:
    assert read_photo(data).getpixel((4, 4)) == pixel


@pytest.mark.parametrize(("orientation", "corner"), [(2, (7, 0)), (3, (7, 7)), (4, (0, 7)), (6, (7, 0)), (8, (0, 7))])
def test_photos_come_out_upright(orientation: int, corner: tuple[int, int]) -> None:
    marked = Image.new("RGB", (8, 8))
    marked.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = read_photo(encoded(marked, "PNG", exif=exif))
    assert photo.getpixel(corner) == (255, 255, 255)


def test_an_embedded_profile_is_followed_and_a_damaged_one_ignored() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert mean_difference(read_photo(encoded(gradient(), "PNG", icc_profile=profile)), gradient()) < 2
    assert mean_difference(read_photo(encoded(gradient(), "PNG", icc_profile=b"nonsense")), gradient()) < 2


def test_metadata_does_not_travel_on() -> None:
    exif = Image.Exif()
    exif[0x010F] = "camera"
    photo = read_photo(encoded(gradient(), "JPEG", exif=exif))
    assert not photo.info
    assert not photo.getexif()


@pytest.mark.parametrize(("size", "reduced"), [((4000, 1000), (photos.MAX_SIDE_PX, 400)), ((1, 1), (1, 1))])
def test_large_photos_are_reduced_and_one_pixel_is_a_photo(size: tuple[int, int], reduced: tuple[int, int]) -> None:
    assert read_photo(encoded(Image.new("RGB", size), "JPEG")).size == reduced


def test_a_jpeg_of_which_little_is_seen_is_decoded_at_a_fraction_with_the_same_look() -> None:
    data = encoded(gradient().resize((4000, 3000)), "JPEG")
    whole, reduced = read_photo(data), read_photo(data, needed_px=224)
    assert (whole.size, reduced.size) == ((1600, 1200), (1000, 750))
    assert mean_difference(whole.resize((224, 224)), reduced.resize((224, 224))) < 1
    # Never smaller than twice what is seen, on the shorter side too.
    assert read_photo(encoded(Image.new("RGB", (3000, 450)), "JPEG"), needed_px=224).size == (1600, 240)
    assert read_photo(encoded(Image.new("RGB", (800, 600)), "JPEG"), needed_px=224).size == (800, 600)


def test_the_format_is_told_by_content(tmp_path: Path) -> None:
    path = tmp_path / "photo.txt"
    path.write_bytes(encoded(gradient(), "PNG"))
    assert read_photo_file(path).size == (48, 32)


# --- What is refused ----------------------------------------------------------------------------------------

REFUSED = {
    "empty": b"",
    "text": b"This is not a photo.",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "pdf": b"%PDF-1.7\n",
    "zip": b"PK\x03\x04" + bytes(64),
    "too many bytes": bytes(photos.MAX_BYTES + 1),
    "just too many pixels": png_claiming(10_000, 6_001),
    "long strip": encoded(Image.new("RGB", (2, 100)), "PNG"),
    "no pixels": png_claiming(0, 10),
    "cut JPEG": encoded(gradient(), "JPEG")[:400],
    "cut PNG": encoded(gradient(), "PNG")[:60],
    "pixels missing": png_claiming(1000, 1000),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_photo_within_limits_is_refused_with_a_sentence(name: str) -> None:
    with pytest.raises(PhotoError) as refusal:
        read_photo(REFUSED[name])
    sentence = str(refusal.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "Error" not in sentence


def test_a_bomb_is_refused_before_memory_is_taken() -> None:
    with memory_below(5 * 1024**2), pytest.raises(PhotoError, match="million pixels"):
        read_photo(png_claiming(60_000, 60_000))


@pytest.mark.parametrize("name", ["missing.jpg", "."])
def test_a_missing_file_or_a_folder_is_refused_without_its_path(name: str, tmp_path: Path) -> None:
    with pytest.raises(PhotoError) as refusal:
        read_photo_file(tmp_path / name)
    assert str(tmp_path) not in str(refusal.value)


def test_damaged_files_end_in_a_photo_or_a_sentence() -> None:
    files = seeds()
    outcomes = [outcome(damaged(number, 1, files)[1]) for number in range(400)]
    assert set(outcomes) == {"photo", "refused"}


def test_the_server_takes_files_just_as_large_as_the_reader() -> None:
    settings = tomllib.loads((REPOSITORY / ".streamlit" / "config.toml").read_text())
    assert settings["server"]["maxUploadSize"] * 1024**2 == photos.MAX_BYTES


# --- Photo to tensor -----------------------------------------------------------------------------------------


def test_a_tensor_is_normalised() -> None:
    photo = gradient(32, 32)
    tensor = photos.to_tensor(photo, PLAIN)
    assert tensor.shape == (3, 32, 32)
    assert tensor.dtype == torch.float32
    expected = (np.asarray(photo, np.float32)[..., 0] / 255 - PLAIN.mean[0]) / PLAIN.std[0]
    assert np.allclose(tensor[0].numpy(), expected, atol=1e-5)


def test_the_whole_photo_is_squashed_to_the_square() -> None:
    tensor = photos.to_tensor(gradient(96, 32), Preprocessing(32, (0, 0, 0), (1, 1, 1)))
    assert tensor[0, 16, 0] < 0.05
    assert tensor[0, 16, -1] > 0.95


def test_the_hash_is_of_the_pixels_not_of_the_file() -> None:
    one, other = read_photo(encoded(gradient(), "PNG")), read_photo(encoded(gradient(), "BMP"))
    assert photo_hash(one) == photo_hash(other)
    other.putpixel((0, 0), (1, 2, 3))
    assert photo_hash(one) != photo_hash(other)
    assert photo_hash(Image.new("RGB", (2, 8))) != photo_hash(Image.new("RGB", (8, 2)))


# --- What other programs refuse, and what systems leave behind ------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 95, "subsampling": 0}])
@pytest.mark.parametrize("lacking_bytes", [1, 2])
def test_a_jpeg_without_its_end_marker_is_read_as_if_it_were_there(
    options: dict[str, object], lacking_bytes: int
) -> None:
    data = encoded(gradient(160, 120), "JPEG", **options)
    assert read_photo(data[:-lacking_bytes]).tobytes() == read_photo(data).tobytes()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 95, "subsampling": 0}])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_jpeg_whose_rows_lack_is_refused(options: dict[str, object], share: float) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (120, 160, 3)).astype(np.uint8))
    data = encoded(noise, "JPEG", **options)
    for end in (b"", b"\xff\xd9"[:1]):
        with pytest.raises(PhotoError, match="cut off"):
            read_photo(data[: int(share * len(data))] + end)


def test_a_png_with_much_text_or_a_large_profile_is_read_without_them() -> None:
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    texts.add_text("story", "x" * 3 * 1024**2, zip=True)
    texts.add_itxt("story", "y" * 3 * 1024**2, zip=True)
    for options in ({"pnginfo": texts}, {"icc_profile": bytes(2 * 1024**2)}):
        data = encoded(gradient(), "PNG", **options)
        assert read_photo(data).tobytes() == gradient().tobytes()
        with pytest.raises(PhotoError):
            read_photo(data[:-40])


def test_text_that_unpacks_to_gigabytes_takes_no_memory() -> None:
    bomb = png_chunk(b"zTXt", b"story\0\0" + zlib.compress(bytes(200 * 1024**2), 9))
    data = encoded(gradient(), "PNG")
    with memory_below(20 * 1024**2):
        photo = read_photo(data[:33] + bomb + data[33:])
    assert photo.tobytes() == gradient().tobytes()


def test_less_usual_endings_are_photos_and_what_systems_leave_behind_is_known() -> None:
    assert all(map(photos.is_photo_name, ("a.jfif", "b.JPE", "c.jif", "d.hif", "e.apng")))
    left = ("._a.jpg", "__MACOSX", "Thumbs.db", ".DS_Store", "desktop.ini", "@eaDir")
    assert all(map(photos.is_system_name, left))
    assert not photos.is_system_name("Boletus")
