"""axe-core over every page, light and dark: nothing of the app's own is left, Streamlit's own is listed by name."""

import csv
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

WAIT_MS = 60_000

STREAMLITS_OWN = {
    # rule: parts of Streamlit's own markup that break it, as CSS or words in the element's HTML.
    "aria-allowed-attr": ("stSlider", "stNumberInput"),
}
"""What axe-core finds in Streamlit's markup and the app has no hand in."""

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def found(page: Page) -> list[str]:
    """What axe-core finds on the page, but for Streamlit's own: a line an element."""
    results = Axe().run(page, options={"runOnly": {"type": "tag", "values": TAGS}}).response
    return [
        f"{violation['id']}: {node['html'][:300]} [{' '.join(map(str, node['target']))}] {told(node)}"
        for violation in results["violations"]
        for node in violation["nodes"]
        if not any(part in node["html"] + str(node["target"]) for part in STREAMLITS_OWN.get(violation["id"], ()))
    ]


def told(node: dict[str, Any]) -> str:
    return " ".join(check["message"] for check in (*node["any"], *node["all"], *node["none"]))[:300]


def settled(page: Page) -> None:
    """Wait until the page's script has run to its end."""
    expect(page.locator("h1").first).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=WAIT_MS)
    expect(page.locator('[data-stale="true"]')).to_have_count(0, timeout=WAIT_MS)


def test_photo(painted_app: dict[str, str]) -> str:
    with Path(painted_app["MUSHROOM_PREPARED"], "manifest.csv").open() as file:
        return next(row["photo"] for row in csv.DictReader(file) if row["split"] == "test")


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


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_axe_finds_nothing_of_ours(
    browser: Any, address: str, painted_app: dict[str, str], path: str, theme: str
) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=theme)
    page = context.new_page()
    page.goto(f"{address}/{path.format(photo=test_photo(painted_app))}", timeout=WAIT_MS)
    settled(page)
    problems = found(page)
    context.close()
    assert problems == []
