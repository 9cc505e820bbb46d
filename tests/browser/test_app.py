"""A real Chromium does what a visitor does: drop, read, slide, click, cover, download, browse, reload."""

import csv
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, TimeoutError, expect

from mushroom.genera import GENERA

pytestmark = pytest.mark.browser

WAIT_MS = 60_000
UPLOAD = '[data-testid="stFileUploaderDropzone"] input[type=file]'
PICTURE = ".st-key-picture img"


@pytest.fixture(autouse=True, scope="module")
def patience() -> None:
    expect.set_options(timeout=WAIT_MS)


def blotches(seed: int = 0) -> bytes:
    """A PNG of coloured blotches."""
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


def drop(page: Page, *files: tuple[str, bytes]) -> None:
    payloads: list[Any] = [{"name": name, "mimeType": "image/png", "buffer": data} for name, data in files]
    page.locator(UPLOAD).set_input_files(payloads)


def open_answer(page: Page, address: str) -> None:
    page.goto(address)
    drop(page, ("blotches.png", blotches()))
    expect(page.locator(".answer")).to_be_visible()
    expect(page.locator(PICTURE)).to_be_visible()


def choose_first(page: Page, box: Locator) -> None:
    """Choose a list's first entry. A part of the page that arrives meanwhile may close the list: it is opened again."""
    option = page.get_by_role("option").first
    for _ in range(10):
        # The keyboard opens the list wherever a page that is still arriving has moved it to.
        box.press("ArrowDown")
        try:
            option.click(timeout=WAIT_MS / 10)
            return
        except TimeoutError:
            continue
    raise AssertionError("the list did not stay open")


def shown_picture(page: Page) -> str:
    return page.locator(PICTURE).get_attribute("src") or ""


def test_a_dropped_photo_gets_a_genus_or_none_of_the_nine_under_the_safety_sentence(page: Page, address: str) -> None:
    open_answer(page, address)
    answer = page.locator(".answer").inner_text()
    assert answer in GENERA or answer.startswith("None of the nine")
    box = page.locator(".safety").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 900


def test_the_layer_slider_changes_the_picture_and_the_link(page: Page, address: str) -> None:
    open_answer(page, address)
    before = shown_picture(page)
    page.get_by_role("slider", name="Layer, from early to late").press("ArrowLeft")
    expect(page).to_have_url(re.compile("layer="))
    expect(page.locator(PICTURE)).not_to_have_attribute("src", before)


def test_a_click_on_the_film_strip_chooses_its_layer(page: Page, address: str) -> None:
    open_answer(page, address)
    first = page.locator(".strip [role=radio]").first
    first.click()
    expect(page).to_have_url(re.compile("layer="))
    expect(first).to_have_attribute("aria-checked", "true")


def test_a_click_on_a_bar_shows_the_heatmap_of_that_genus(page: Page, address: str) -> None:
    open_answer(page, address)
    bars = page.locator(".bars button")
    expect(bars).to_have_count(9)
    bars.nth(7).click()
    expect(page).to_have_url(re.compile("genus="))
    expect(page.get_by_text("The heatmap shows what speaks for")).to_be_visible()


def test_why_not_another_genus_shows_two_contrasts(page: Page, address: str) -> None:
    open_answer(page, address)
    page.get_by_role("tab", name="Why not another genus?").click()
    choose_first(page, page.get_by_role("combobox", name=re.compile("and not")))
    expect(page.get_by_alt_text(re.compile("rather than"))).to_have_count(2)
    expect(page).to_have_url(re.compile("against="))


def test_cover_and_see_tells_what_covering_did(page: Page, address: str) -> None:
    open_answer(page, address)
    page.get_by_role("tab", name="Cover and see").click()
    expect(page.get_by_text(re.compile("goes from"))).to_be_visible()
    page.get_by_text("A rectangle of your own").click()
    stage = page.locator(".stage")
    expect(stage).to_be_visible()
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] * 0.8, steps=4)
    page.mouse.up()
    expect(page.get_by_role("slider", name="From left to right — start")).to_have_value(re.compile("^[0-4]$"))
    expect(page.get_by_text(re.compile("goes from"))).to_be_visible()


def test_the_downloaded_overlay_opens_in_the_photos_size(page: Page, address: str, tmp_path: Path) -> None:
    open_answer(page, address)
    page.get_by_role("button", name="Download").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Photo with heatmap (PNG)").click()
    goal = tmp_path / "overlay.png"
    download.value.save_as(goal)
    with Image.open(goal) as picture:
        assert picture.format == "PNG"
        assert picture.size == (320, 240)


def test_a_reloaded_link_shows_the_same_photo_genus_and_layer(
    page: Page, address: str, painted_app: dict[str, str]
) -> None:
    with Path(painted_app["MUSHROOM_PREPARED"], "manifest.csv").open() as file:
        photo = next(row["photo"] for row in csv.DictReader(file) if row["split"] == "test")
    page.goto(f"{address}/?photo={photo}&genus=Russula&layer=blocks.0")
    expect(page.get_by_text("This layer sees the photo as")).to_be_visible()
    expect(page.get_by_role("radio", name=re.compile("^1 · early"))).to_have_attribute("aria-checked", "true")
    page.reload()
    expect(page.get_by_role("radio", name=re.compile("^1 · early"))).to_have_attribute("aria-checked", "true")
    expect(page.get_by_role("combobox", name="Show the heatmap for")).to_have_value(re.compile("Russula"))
    assert "genus=Russula" in page.url


def test_the_page_one_comes_to_shows_the_genus_that_was_chosen(page: Page, address: str) -> None:
    open_answer(page, address)
    box = page.get_by_role("combobox", name=re.compile("Show the heatmap for"))
    choose_first(page, box)
    explained = box.input_value().split(" ")[0]
    assert explained in GENERA
    page.get_by_role("link", name="Compare").click()
    expect(page.get_by_role("combobox", name=re.compile("Genus to explain"))).to_have_value(explained)


@pytest.mark.parametrize("width", [390, 1440])
def test_the_safety_sentence_stays_in_sight_at_the_end_of_a_long_page(page: Page, address: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{address}/about", timeout=WAIT_MS)
    page.get_by_role("heading", name="The data and its limits").wait_for(timeout=WAIT_MS)
    page.get_by_role("heading", name="The data and its limits").scroll_into_view_if_needed()
    page.get_by_test_id("stMain").evaluate("main => main.scrollTo(0, main.scrollHeight)")
    expect(page.get_by_role("heading", name="About", exact=True)).not_to_be_in_viewport()
    expect(page.locator(".safety")).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", ["", "compare", "browse", "report", "about"])
def test_every_page_fits_a_phone_in_both_themes(browser: Any, address: str, path: str, theme: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=theme)
    page = context.new_page()
    page.goto(f"{address}/{path}", timeout=WAIT_MS)
    page.locator("h1").first.wait_for(timeout=WAIT_MS)
    safety = page.locator(".safety")
    safety.wait_for(timeout=WAIT_MS)
    assert safety.bounding_box()["y"] + safety.bounding_box()["height"] < 844
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    background = page.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor")
    lightness = sum(map(int, re.findall(r"\d+", background)[:3])) / 3
    assert lightness > 200 if theme == "light" else lightness < 60
    context.close()
