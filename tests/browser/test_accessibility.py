"""axe-core over every page, light and dark: nothing of the app's own is left, Streamlit's own is listed by name."""

import io
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

WAIT_MS = 180_000
"""The first page of a server loads the network and looks at six drawings, on a busy machine for minutes."""

LOOKS = 5
"""How often a page with problems is looked at again: a problem that stays is ours."""

STREAMLITS_OWN = {
    # The drop zone is a section with role "presentation" and a name.
    "presentation-role-conflict": ("stFileUploaderDropzone",),
}
"""What axe-core finds in Streamlit's own markup and the app has no hand in: by rule, a part of the element's HTML."""

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def found(page: Page) -> list[str]:
    """What axe-core finds on the page, but for Streamlit's own: a line an element."""
    results = Axe().run(page, options={"runOnly": {"type": "tag", "values": TAGS}}).response
    return [
        f"{violation['id']}: {node['html'][:300]} [{' '.join(map(str, node['target']))}] {output(node)}"
        for violation in results["violations"]
        for node in violation["nodes"]
        if not any(part in node["html"] + str(node["target"]) for part in STREAMLITS_OWN.get(violation["id"], ()))
    ]


def output(node: dict[str, Any]) -> str:
    return " ".join(check["message"] for check in (*node["any"], *node["all"], *node["none"]))[:300]


def settled(page: Page) -> None:
    """Wait until the page's script has run to its end."""
    expect(page.get_by_role("heading", level=1).first).to_be_visible(timeout=WAIT_MS)
    app = page.get_by_test_id("stApp")
    expect(app).to_have_attribute("data-test-script-state", "notRunning", timeout=WAIT_MS)
    expect(page.locator('[data-stale="true"]')).to_have_count(0, timeout=WAIT_MS)
    # What has just arrived fades in; a spinner would turn for ever.
    page.wait_for_function(
        "() => document.getAnimations().every(a => a.playState !== 'running' || a.effect.getTiming().iterations > 99)",
        timeout=WAIT_MS,
    )
    page.wait_for_timeout(500)


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

UPLOAD = '[data-testid="stFileUploaderDropzone"] input[type=file]'


def popover(name: str) -> Callable[[Page], None]:
    def open_it(page: Page) -> None:
        page.keyboard.press("Escape")
        page.get_by_role("button", name=name, exact=True).click()
        expect(page.locator("[data-testid=stPopoverBody]")).to_be_visible()

    return open_it


def several_photos(page: Page) -> None:
    payloads: list[Any] = []
    for seed in (1, 2):
        values = np.random.default_rng(seed).integers(0, 255, (48, 64, 3)).astype(np.uint8)
        Image.fromarray(values).save(buffer := io.BytesIO(), "PNG")
        payloads.append({"name": f"{seed}.png", "mimeType": "image/png", "buffer": buffer.getvalue()})
    page.locator(UPLOAD).set_input_files(payloads)
    expect(page.get_by_text("What do these photos show?")).to_be_visible(timeout=WAIT_MS)


def one_mushroom(page: Page) -> None:
    page.get_by_text("One mushroom", exact=True).click()
    expect(page.get_by_text("One answer from all")).to_be_visible(timeout=WAIT_MS)


def guess_first(page: Page) -> None:
    page.get_by_text("Guess first").click()
    expect(page.locator(".answer-line")).to_have_count(0)


def question_to_the_class(page: Page) -> None:
    page.locator(".st-key-photos").get_by_role("button", name=re.compile("^Open no")).first.click()
    expect(page.get_by_role("heading", name="Which is it?")).to_be_visible(timeout=WAIT_MS)


STATES: dict[str, tuple[Callable[[Page], None], ...]] = {
    "identify": (several_photos, one_mushroom),
    "answer": (popover("Share"), popover("More"), popover("Cut to the mushroom")),
    "browse": (guess_first, question_to_the_class),
}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_of_ours(browser: Any, address: str, test_photo: str, name: str, theme: str) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=theme)
    page = context.new_page()
    page.goto(f"{address}/{PAGES[name].format(photo=test_photo)}", timeout=WAIT_MS)
    settled(page)
    problems = patiently_found(page)
    faint = page.evaluate(FAINT_SVG_TEXT)
    alts = page.locator("img").evaluate_all("images => images.map((image) => image.alt)")
    buttons = page.locator("[data-testid=stMain]").get_by_role("button").all_inner_texts()
    for change in STATES.get(name, ()):
        change(page)
        settled(page)
        problems += patiently_found(page)
    context.close()
    assert problems == []
    assert faint == []
    assert not [alt for alt in alts if re.search(r"[*_`#]{1,2}\w+[*_`]", alt)]
    named = [name for name in buttons if name.startswith("Open")]
    assert len(named) == len(set(named))


def patiently_found(page: Page) -> list[str]:
    """What axe-core finds, and finds again: on a busy machine a style can arrive after the text it is for."""
    for _ in range(LOOKS):
        if not (problems := found(page)):
            break
        page.wait_for_timeout(2000)
    return problems
