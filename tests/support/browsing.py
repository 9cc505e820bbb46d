"""What a visitor does with the app in a browser, and how to wait for what comes of it."""

import io
from collections.abc import Callable
from contextlib import suppress

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page, TimeoutError, expect

UPLOAD = '[data-testid="stFileUploaderDropzone"] input[type=file]'
PICTURE = ".st-key-picture img"

AT_REST = """
() => {
  const places = [...document.querySelectorAll('h1, h2, button, img, input')].flatMap((one) => {
    const { x, y } = one.getBoundingClientRect()
    return [x, y]
  }).join()
  const moved = places !== window.placesBefore
  window.placesBefore = places
  return !moved
    && document.querySelector('h1')
    && document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'
    && !document.querySelector('[data-stale=true]')
    && [...document.images].every((image) => image.complete)
    // What has just arrived fades in; a spinner would turn for ever.
    && document.getAnimations().every((a) => a.playState !== 'running' || a.effect.getTiming().iterations > 99)
}
"""


def at_rest(page: Page) -> None:
    """Wait until the page's script has run to its end and nothing moves under the finger any more."""
    page.evaluate("delete window.placesBefore")
    page.wait_for_function(AT_REST, polling=100)


def fits(page: Page) -> None:
    """Nothing is wider than the screen; the app's pages scroll in a box of their own."""
    boxes = page.locator("html, [data-testid=stMain]")
    assert boxes.evaluate_all("boxes => boxes.every((box) => box.scrollWidth <= box.clientWidth)")


def insist(act: Callable[[], None], seen: Callable[[], None]) -> None:
    """Act until it has been seen to work: a part of the page that arrives meanwhile moves what is pressed."""
    for _ in range(10):
        with suppress(TimeoutError):
            act()
        with suppress(AssertionError):
            return seen()
    raise AssertionError("it never worked")


def by_keys(place: Locator) -> None:
    """Press it as somebody without a mouse does."""
    place.focus()
    place.press("ArrowDown" if place.get_attribute("role") == "combobox" else "Enter")


def choose_first(page: Page, box: Locator, press: Callable[[Locator], None] = by_keys) -> None:
    """Choose a list's first entry."""
    entry = page.get_by_role("option").first
    insist(lambda: press(box), lambda: expect(entry).to_be_visible(timeout=5000))
    box.press("Enter")


def ends(stage: Locator, *places: tuple[float, float]) -> list[dict[str, float]]:
    """Places on a picture, in shares of its width and height, as points of the window."""
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box is not None
    return [{"x": box["x"] + across * box["width"], "y": box["y"] + down * box["height"]} for across, down in places]


def drag(page: Page, stage: Locator, *places: tuple[float, float]) -> None:
    """Draw over a picture with the mouse."""
    start, end = ends(stage, *places)
    page.mouse.move(**start)
    page.mouse.down()
    page.mouse.move(**end, steps=4)
    page.mouse.up()


def swipe(page: Page, stage: Locator, *places: tuple[float, float]) -> None:
    """Draw over a picture with a finger that rests before it is lifted: after a fling Chromium takes no tap."""
    start, end = ends(stage, *places)
    line = page.context.new_cdp_session(page)
    for kind, points in (("touchStart", [start]), ("touchMove", [end]), ("touchMove", [end]), ("touchEnd", [])):
        line.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        page.wait_for_timeout(100)


def blotches(seed: int = 0) -> bytes:
    """A PNG of coloured blotches, larger than the pages show it."""
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((960, 720), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


def drop(page: Page, *names: str, data: bytes | None = None) -> None:
    """Give files of these names, from the start page or from beside an answer: another photo each, or ``data``."""
    page.locator(f"{UPLOAD}, .st-key-top-line").first.wait_for(state="attached")
    if not page.locator(UPLOAD).count():
        page.get_by_role("button", name="Another photo").click()
    page.locator(UPLOAD).first.set_input_files(
        [{"name": name, "mimeType": "image/png", "buffer": data or blotches(sum(name.encode()))} for name in names]
    )


def open_answer(page: Page, address: str) -> None:
    """The answer to a photo of one's own."""
    page.goto(address)
    drop(page, "one.png")
    expect(page.locator(".answer")).to_be_visible()
    expect(page.locator(PICTURE)).to_be_visible()
