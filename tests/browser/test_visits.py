"""Whole visits without a mouse: by finger on two phones, by keys on a desktop; dark and light, nothing overflows."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

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


@pytest.fixture
def desktop(browser: Any) -> Iterator[Page]:
    yield from watched(browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="dark"))


def fits(page: Page) -> None:
    """Nothing is wider than the screen."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


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
    phone.get_by_role("tab", name="Is it steady?").tap()
    phone.get_by_role("button", name="Ask about eight copies").tap()
    expect(phone.locator(".copy")).to_have_count(8)
    fits(phone)
    phone.get_by_role("button", name="Cut to the mushroom").tap()
    expect(phone.locator(".crop")).to_be_visible()
    swipe(phone, phone.locator(".crop"), (0.2, 0.2), (0.8, 0.8))
    expect(phone).to_have_url(re.compile(r"crop=\d+-\d+-\d+-\d+"))
    expect(phone.locator(".sure")).to_contain_text("of the whole photo it says")
    fits(phone)


def test_a_visit_by_keys(desktop: Page, address: str) -> None:
    desktop.goto(f"{address}/?drawing=Fly_agaric")
    expect(desktop.locator(PICTURE)).to_be_visible()
    chosen = desktop.locator(".strip [aria-checked=true]")
    expect(chosen).to_have_count(1)
    chosen.focus()
    desktop.keyboard.press("ArrowLeft")
    expect(desktop).to_have_url(re.compile("layer="))
    desktop.locator(".bars button").nth(2).focus()
    desktop.keyboard.press("Enter")
    expect(desktop).to_have_url(re.compile("genus="))
    tab = desktop.get_by_role("tab", name="Why not another genus?")
    tab.focus()
    desktop.keyboard.press("ArrowRight")
    desktop.keyboard.press("Enter")
    expect(desktop).to_have_url(re.compile("panel=cover"))
    slider = desktop.get_by_role("slider", name=re.compile("Cover the hottest part"))
    slider.press("ArrowRight")
    expect(desktop).to_have_url(re.compile("cover=25"))
    share = desktop.get_by_role("button", name="Share")
    share.focus()
    desktop.keyboard.press("Enter")
    # The link is made when it is asked for: what was chosen under the picture is in it.
    expect(desktop.get_by_text(re.compile("panel=cover.*cover=25|cover=25.*panel=cover"))).to_be_visible()
    desktop.keyboard.press("Escape")
    expect(desktop.get_by_text("This link shows what you see")).to_have_count(0)
