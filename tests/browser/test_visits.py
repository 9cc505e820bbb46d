"""Whole visits by finger on two phones, by mouse and by keys on a desktop; dark and light, nothing overflows."""

import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, TimeoutError, expect

pytestmark = pytest.mark.browser

WAIT_MS = 120_000
PICTURE = ".st-key-picture img"
AGENT = "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36 Mobi"


@pytest.fixture(autouse=True, scope="module")
def patience() -> None:
    expect.set_options(timeout=WAIT_MS)


def watched(context: Any) -> Iterator[Page]:
    """A page of the context; what goes wrong in its scripts fails the test."""
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    assert page.locator('[data-testid="stException"]').count() == 0
    context.close()
    assert errors == []


@pytest.fixture(params=[(390, 844, "dark"), pytest.param((320, 640, "light"), marks=pytest.mark.slow)], ids=str)
def phone(request: pytest.FixtureRequest, browser: Any) -> Iterator[Page]:
    width, height, theme = request.param
    yield from watched(
        browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=theme,
            has_touch=True,
            is_mobile=True,
            user_agent=AGENT,
        )
    )


def desktop(browser: Any, theme: str) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=theme, accept_downloads=True)
    yield from watched(context)


@pytest.fixture
def light(browser: Any) -> Iterator[Page]:
    yield from desktop(browser, "light")


@pytest.fixture
def dark(browser: Any) -> Iterator[Page]:
    yield from desktop(browser, "dark")


def fits(page: Page) -> None:
    """Nothing is wider than the screen."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def settled(page: Page) -> None:
    """The page's script has run to its end: nothing moves under the finger."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    expect(page.locator('[data-stale="true"]')).to_have_count(0)


def swipe(page: Page, stage: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw a finger over a picture, between two places in shares of its width and height."""
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box is not None
    line = page.context.new_cdp_session(page)
    places = [
        {"x": box["x"] + across * box["width"], "y": box["y"] + down * box["height"]} for across, down in (start, end)
    ]
    for kind, points in (("touchStart", places[:1]), ("touchMove", places[1:]), ("touchEnd", [])):
        line.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


Press = Callable[[Locator], None]


def by_keys(place: Locator) -> None:
    place.focus()
    place.press("ArrowDown" if place.get_attribute("role") == "combobox" else "Enter")


def questions(page: Page, press: Press) -> None:
    """Each question under the answer that is asked by presses alone."""
    press(page.get_by_role("tab", name="For and against"))
    expect(page.get_by_alt_text(re.compile("^What speaks for .* in blue$"))).to_be_visible()
    page.get_by_role("switch", name="Colour only the hottest part").press("Space")
    expect(page).to_have_url(re.compile("only=True"))
    press(page.get_by_role("tab", name="Is it steady?"))
    press(page.get_by_role("button", name="Ask about eight copies"))
    expect(page.locator(".copy")).to_have_count(8)
    press(page.get_by_role("tab", name="Most alike"))
    press(page.get_by_role("button", name="Look for the nearest"))
    expect(page.locator(".neighbour")).to_have_count(5)
    press(page.get_by_role("tab", name="About this genus"))
    expect(page.locator("svg[aria-label^='Drawing of'] text").first).to_be_visible()
    press(page.get_by_role("tab", name="That is wrong"))
    names = page.get_by_role("combobox", name=re.compile("That is wrong"))
    for _ in range(10):
        # A page that still scrolls to the tab that was pressed closes the list: it is opened again.
        press(names)
        try:
            page.get_by_role("option").first.wait_for(timeout=5000)
            break
        except TimeoutError:
            continue
    names.press("Enter")
    expect(page.get_by_alt_text(re.compile("^Heatmap of what speaks for"))).to_have_count(2)
    with page.expect_download() as download:
        press(page.get_by_role("button", name=re.compile("All corrections of this session .CSV, 1")))
    assert download.value.suggested_filename == "corrections.csv"
    fits(page)


def several(page: Page, press: Press) -> None:
    """Two photos of one mushroom get one answer, and each its own."""
    payloads: list[Any] = []
    for seed in (1, 2):
        values = np.random.default_rng(seed).integers(0, 255, (48, 64, 3)).astype(np.uint8)
        Image.fromarray(values).save(buffer := io.BytesIO(), "PNG")
        payloads.append({"name": f"{seed}.png", "mimeType": "image/png", "buffer": buffer.getvalue()})
    press(page.get_by_role("button", name="Another photo"))
    page.locator('[data-testid="stFileUploaderDropzone"] input[type=file]').set_input_files(payloads)
    press(page.get_by_role("radio", name="One mushroom"))
    expect(page.get_by_text("One answer from all")).to_be_visible()
    fits(page)
    press(page.get_by_role("button", name="See why: photo 2"))
    expect(page.locator(PICTURE)).to_be_visible()
    # The page begins with the answer, wherever the button was.
    expect(page.locator(".answer")).to_be_in_viewport(ratio=1)
    press(page.get_by_role("button", name="All 2 photos"))
    expect(page.get_by_text("One answer from all")).to_be_visible()


def test_a_visit_by_finger(phone: Page, address: str) -> None:
    phone.goto(f"{address}/?drawing=Fly_agaric")
    expect(phone.locator(PICTURE)).to_be_in_viewport(ratio=0.5)
    safety = phone.locator(".safety").bounding_box()
    assert safety is not None
    assert safety["height"] <= phone.viewport_size["height"] / 10  # type: ignore[index]
    fits(phone)
    phone.locator(".strip [role=radio]").first.tap()
    expect(phone).to_have_url(re.compile("layer="))
    phone.locator(".bars button").nth(3).tap()
    expect(phone).to_have_url(re.compile("genus="))
    phone.get_by_role("tab", name="Cover and see").tap()
    phone.get_by_text("A rectangle of your own").tap()
    expect(phone.locator(".stage")).to_be_visible()
    swipe(phone, phone.locator(".stage"), (0.1, 0.1), (0.6, 0.7))
    expect(phone).to_have_url(re.compile(r"cover=(9|1\d)-(9|1\d)-(59|6\d)-(69|7\d)"))
    questions(phone, Locator.tap)
    phone.get_by_role("button", name="Cut to the mushroom").tap()
    expect(phone.locator(".crop")).to_be_visible()
    swipe(phone, phone.locator(".crop"), (0.2, 0.2), (0.8, 0.8))
    expect(phone).to_have_url(re.compile(r"crop=\d+-\d+-\d+-\d+"))
    expect(phone.locator(".sure")).to_contain_text("of the whole photo it says")
    fits(phone)
    # The square makes the answer longer, and the picture to draw on moves down with it.
    settled(phone)
    phone.wait_for_timeout(700)
    phone.get_by_role("button", name="Whole photo").tap()
    expect(phone).not_to_have_url(re.compile("crop="))
    phone.keyboard.press("Escape")
    several(phone, Locator.tap)


def test_a_visit_by_mouse(light: Page, address: str) -> None:
    light.goto(f"{address}/?drawing=Fly_agaric")
    light.get_by_role("button", name="Cut to the mushroom").click()
    light.get_by_role("button", name="Suggested part").click()
    expect(light.locator(".sure")).to_contain_text("of the whole photo it says")
    settled(light)
    light.keyboard.press("Escape")
    light.get_by_role("button", name="Play through the layers").click()
    expect(light).to_have_url(re.compile("layer="))
    # A press on a picture stops the film there.
    first = light.locator(".strip [role=radio]").first
    first.click()
    expect(light.get_by_role("button", name="Play through the layers")).to_be_visible()
    expect(first).to_have_attribute("aria-checked", "true")
    questions(light, Locator.click)
    several(light, Locator.click)


def test_a_visit_by_keys(dark: Page, address: str) -> None:
    dark.goto(f"{address}/?drawing=Fly_agaric")
    expect(dark.locator(PICTURE)).to_be_visible()
    chosen = dark.locator(".strip [aria-checked=true]")
    expect(chosen).to_have_count(1)
    chosen.focus()
    dark.keyboard.press("ArrowLeft")
    expect(dark).to_have_url(re.compile("layer="))
    dark.locator(".bars button").nth(2).focus()
    dark.keyboard.press("Enter")
    expect(dark).to_have_url(re.compile("genus="))
    tab = dark.get_by_role("tab", name="Why not another genus?")
    tab.focus()
    dark.keyboard.press("ArrowRight")
    dark.keyboard.press("Enter")
    expect(dark).to_have_url(re.compile("panel=cover"))
    slider = dark.get_by_role("slider", name=re.compile("Cover the hottest part"))
    slider.press("ArrowRight")
    expect(dark).to_have_url(re.compile("cover=25"))
    share = dark.get_by_role("button", name="Share")
    share.focus()
    dark.keyboard.press("Enter")
    # The link is made when it is asked for: what was chosen under the picture is in it.
    expect(dark.get_by_text(re.compile("panel=cover.*cover=25|cover=25.*panel=cover"))).to_be_visible()
    dark.keyboard.press("Escape")
    expect(dark.get_by_text("This link shows what you see")).to_have_count(0)
    questions(dark, by_keys)
    several(dark, by_keys)
