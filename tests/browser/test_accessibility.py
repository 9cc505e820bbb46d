"""axe-core over every page, light and dark: nothing of the app's own is left, Streamlit's own is listed by name."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import at_rest, drop, fits
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

LOOKS = 20
"""How often a page with problems is looked at again, four times a second: a problem that stays is ours."""

STREAMLITS_OWN = {
    # The drop zone is a section with role "presentation" and a name.
    "presentation-role-conflict": ("stFileUploaderDropzone",),
}
"""What axe-core finds in Streamlit's own markup and the app has no hand in: by rule, a part of the element's HTML."""

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
THEMES: dict[str, Any] = {
    "light": {"runOnly": {"type": "tag", "values": TAGS}},
    # Nothing but colours is another in the dark.
    "dark": {"runOnly": ["color-contrast"]},
}


def found(page: Page, options: dict[str, Any]) -> list[str]:
    """What axe-core finds on the page, but for Streamlit's own: a line an element."""
    return [
        f"{violation['id']}: {node['html'][:300]} [{' '.join(map(str, node['target']))}] {output(node)}"
        for violation in Axe().run(page, options=options).response["violations"]
        for node in violation["nodes"]
        if not any(part in node["html"] + str(node["target"]) for part in STREAMLITS_OWN.get(violation["id"], ()))
    ]


def output(node: dict[str, Any]) -> str:
    return " ".join(check["message"] for check in (*node["any"], *node["all"], *node["none"]))[:300]


FAINT_SVG_TEXT = """
() => {
  const channels = (css) => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
    canvas.fillStyle = css
    canvas.fillRect(0, 0, 1, 1)
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3)
  }
  const luminance = (css) => channels(css)
    .map((value) => value / 255)
    .map((value) => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0)
  const paper = luminance(getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor)
  const roots = [document, ...[...document.querySelectorAll('*')].map((one) => one.shadowRoot).filter(Boolean)]
  const texts = roots.flatMap((root) => [...root.querySelectorAll('svg text')])
  return texts.filter((text) => text.textContent.trim()).map((text) => {
    const style = getComputedStyle(text)
    const ink = luminance(style.fill)
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05)
    return { words: text.textContent, ratio, faded: Number(style.opacity) * Number(style.fillOpacity) }
  }).filter((text) => text.ratio < 4.5 || text.faded < 1)
}
"""
"""Text of charts and drawings that is under 4.5:1 on the page's paper: axe-core does not look into SVG."""

HAS_PAPER_OF = """
theme => {
  const paper = getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor
  const lightness = paper.match(/\\d+/g).slice(0, 3).reduce((sum, value) => sum + value / 3, 0)
  return theme === 'light' ? lightness > 200 : lightness < 60
}
"""


def looked_at(page: Page) -> list[Any]:
    """What is wrong with the page in either theme, and stays so: on a busy machine a style can arrive late."""
    problems: list[Any] = []
    for theme, options in THEMES.items():
        page.emulate_media(color_scheme=theme)
        at_rest(page)
        page.wait_for_function(HAS_PAPER_OF, arg=theme)
        for _ in range(LOOKS):
            if not (wrong := [*found(page, options), *page.evaluate(FAINT_SVG_TEXT)]):
                break
            page.wait_for_timeout(250)
        problems += wrong
    return problems


PAGES = {
    "identify": "",
    "answer": "?photo={photo}",
    "models": "compare?photo={photo}&compare=models",
    "layers": "compare?photo={photo}&compare=layers",
    "genera": "compare?photo={photo}&compare=genera",
    "browse": "browse",
    "report": "report",
    "about": "about",
}


# --- What a page shows when something on it is pressed -------------------------------------------------------


def popover(name: str) -> Callable[[Page], None]:
    def open_it(page: Page) -> None:
        page.keyboard.press("Escape")
        page.get_by_role("button", name=name, exact=True).click()
        expect(page.locator("[data-testid=stPopoverBody]")).to_be_visible()

    return open_it


def several_photos(page: Page) -> None:
    drop(page, "1.png", "2.png")
    expect(page.get_by_text("What do these photos show?")).to_be_visible()


def one_mushroom(page: Page) -> None:
    page.get_by_text("One mushroom", exact=True).click()
    expect(page.get_by_text("One answer from all")).to_be_visible()


def guess_first(page: Page) -> None:
    page.get_by_text("Guess first").click()
    expect(page.locator(".answer-line")).to_have_count(0)


def question_to_the_class(page: Page) -> None:
    page.locator(".st-key-photos").get_by_role("button", name=re.compile("^Open no")).first.click()
    expect(page.get_by_role("heading", name="Which is it?")).to_be_visible()


STATES: dict[str, tuple[Callable[[Page], None], ...]] = {
    "identify": (several_photos, one_mushroom),
    "answer": (popover("Share"), popover("More"), popover("Cut to the mushroom")),
    "browse": (guess_first, question_to_the_class),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_accessible_fits_every_screen_and_asks_nobody_else(
    page: Page, address: str, test_photo: str, name: str
) -> None:
    own = (address, address.replace("http", "ws"), "data:", "blob:")
    foreign: list[str] = []
    page.on("request", lambda request: None if request.url.startswith(own) else foreign.append(request.url))
    page.goto(f"{address}/{PAGES[name].format(photo=test_photo)}")
    problems = looked_at(page)
    alts = page.locator("img").evaluate_all("images => images.map((image) => image.alt)")
    assert not [alt for alt in alts if re.search(r"[*_`#]{1,2}\w+[*_`]", alt)]
    buttons = page.get_by_test_id("stMain").get_by_role("button").all_inner_texts()
    opening = [text for text in buttons if text.startswith("Open")]
    assert len(opening) == len(set(opening))
    for width, height in ((320, 568), (390, 844), (1440, 900)):
        page.set_viewport_size({"width": width, "height": height})
        at_rest(page)
        fits(page)
        safety = page.locator(".safety")
        assert safety.bounding_box()["height"] <= height / 10  # type: ignore[index]
        # It stays in sight at the end of a long page.
        page.get_by_test_id("stMain").evaluate("main => main.scrollTo(0, main.scrollHeight)")
        expect(safety).to_be_in_viewport(ratio=1)
    for change in STATES.get(name, ()):
        change(page)
        problems += looked_at(page)
    assert problems == []
    page.wait_for_load_state("networkidle")
    assert foreign == []
