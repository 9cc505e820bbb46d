"""Pictures of heatmaps: nothing shifts, colours mean what they say, the photo stays the photo."""

import cv2
import numpy as np
import pytest
from PIL import Image

from mushroom.explain import overlays
from mushroom.explain.overlays import (
    COLOUR_MAPS,
    DEFAULT_COLOURS,
    NOTEBOOK_COLOURS,
    NOTEBOOK_OPACITY,
    colour_table,
    css_colours,
    film_strip,
    overlay,
)


def test_the_even_colours_grow_evenly_lighter_and_are_the_default() -> None:
    assert DEFAULT_COLOURS == "even"
    steps = np.diff(lightness(colour_table("even"))[::16])
    # Next to black CIE lightness itself is a straight line, not what the eye sees: the first step is let off.
    assert (steps > 0).all()
    assert steps[1:].max() < 1.5 * steps[1:].min()
    assert (np.diff(lightness(colour_table("jet"))[::16]) < 0).any()


def lightness(colours: np.ndarray) -> np.ndarray:
    """CIE lightness, 0 to 100, of sRGB colours uint8 (n, 3)."""
    return cv2.cvtColor(colours[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0, :, 0]


def test_jet_runs_from_blue_to_red() -> None:
    table = colour_table(NOTEBOOK_COLOURS).astype(int)
    assert table[0, 2] > table[0, 0]
    assert table[-1, 0] > table[-1, 2]


def test_the_notebooks_look_is_thirty_percent_jet_over_the_photo() -> None:
    photo = Image.new("RGB", (40, 30), (100, 150, 200))
    picture = np.asarray(overlay(photo, np.ones((3, 4)), NOTEBOOK_OPACITY, NOTEBOOK_COLOURS))
    expected = 0.7 * np.array([100, 150, 200]) + 0.3 * colour_table("jet")[255]
    np.testing.assert_allclose(picture, np.broadcast_to(expected, picture.shape), atol=1)


def test_without_opacity_the_photo_is_unchanged() -> None:
    photo = Image.fromarray(np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8))
    assert overlay(photo, np.ones((2, 2)), opacity=0).tobytes() == photo.tobytes()


@pytest.mark.parametrize("arguments", [{"opacity": 1.5}, {"opacity": -0.1}, {"colours": "rainbow"}])
def test_a_wrong_opacity_or_colour_map_is_refused_in_a_sentence(arguments: dict) -> None:
    with pytest.raises(ValueError, match=r"opacity must be|There is no colour map"):
        overlay(Image.new("RGB", (8, 8)), np.zeros((2, 2)), **arguments)


def test_a_film_strip_has_a_frame_for_each_layer_in_order() -> None:
    photo = Image.new("RGB", (400, 300), "black")
    heatmaps = {f"layer{n}": np.full((4, 4), n / 8) for n in range(8)}
    strip = film_strip(photo, heatmaps, opacity=1.0)
    frames = [strip.getpixel((12 + 100 + 212 * (n % 6), 12 + 75 + (n // 6) * (150 + 26 + 12))) for n in range(8)]
    expected = [tuple(int(v) for v in colour_table("even")[round(n / 8 * 255)]) for n in range(8)]
    assert frames == expected


def test_a_film_strip_of_long_names_keeps_to_its_frames() -> None:
    photo = Image.new("RGB", (300, 400), "black")
    names = [f"stages.2.blocks.{n}.conv_depthwise_with_a_long_name" for n in range(2)]
    strip = film_strip(photo, dict.fromkeys(names, np.zeros((2, 2))))
    columns = np.asarray(strip).min(axis=(0, 2))
    assert columns[:12].min() == 255
    assert columns[-12:].min() == 255


@pytest.mark.parametrize("colours", COLOUR_MAPS)
def test_css_colours_run_from_the_coldest_to_the_hottest(colours: str) -> None:
    steps = css_colours(colours, 5)
    ends = [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in colour_table(colours)[[0, 255]].tolist()]
    assert [steps[0], steps[-1]] == ends
    assert len(steps) == 5


def test_the_hottest_part_is_outlined_and_the_photo_itself_stays() -> None:
    photo = Image.new("RGB", (60, 60), (90, 90, 90))
    heatmap = np.zeros((6, 6), np.float32)
    heatmap[2:4, 2:4] = 1
    drawn = np.asarray(overlays.outlined(photo, heatmap, 10))
    assert (drawn == 255).all(axis=2).any()
    assert (np.asarray(photo) == 90).all()
    assert (drawn[0, 0] == 90).all()


def test_evidence_is_coloured_by_its_sign_in_proportion_and_only_where_asked() -> None:
    photo = Image.new("RGB", (30, 10), (100, 100, 100))
    evidence = np.repeat([[4.0, 0.0, -2.0]], 10, 1)
    share = overlays.STRONGEST_OPACITY
    picture = np.asarray(overlays.in_two_colours(photo, evidence)).astype(float)
    np.testing.assert_allclose(picture[5, 2], (1 - share) * 100 + share * np.array(overlays.FOR), atol=1)
    np.testing.assert_allclose(picture[5, 27], (1 - share / 2) * 100 + share / 2 * np.array(overlays.AGAINST), atol=1)
    assert np.ptp(picture[5, 15]) <= 12
    assert (np.asarray(overlays.in_two_colours(photo, np.zeros((2, 2)))) == 100).all()
    only = np.zeros((10, 30), bool)
    only[:, :10] = True
    part = np.asarray(overlays.in_two_colours(photo, evidence, only)).astype(float)
    assert (part[:, :10] == picture[:, :10]).all()
    assert (part[:, 10:] == 100).all()
