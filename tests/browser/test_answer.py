"""The answer page in a real Chromium, as a visitor uses it by mouse, by keys and by finger."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from browsing import PICTURE, UPLOAD, at_rest, by_keys, choose_first, drag, drop, fits, open_answer, swipe
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from mushroom.genera import GENERA

pytestmark = pytest.mark.browser

EARLY = re.compile("^1 · early")
Press = Callable[[Locator], None]


def test_an_answer_is_read_looked_at_and_taken_along(page: Page, address: str, tmp_path: Path) -> None:
    open_answer(page, address)
    answer = page.locator(".answer").inner_text()
    assert answer in GENERA or answer.startswith("None of the nine")
    expect(page.locator(".safety")).to_be_in_viewport(ratio=1)
    picture = page.locator(PICTURE)
    before = picture.get_attribute("src") or ""
    for _ in range(2):
        link = page.url
        page.get_by_role("slider", name="Layer, from early to late").press("ArrowLeft")
        # Two layers without evidence show the same picture: the link says that another is shown.
        expect(page).not_to_have_url(link)
        expect(picture).to_have_js_property("complete", True)
        expect(picture).to_have_js_property("naturalWidth", 640)
    expect(picture).not_to_have_attribute("src", before)
    link = page.url
    page.get_by_role("button", name="Play through the layers").click()
    expect(page).not_to_have_url(link)
    # A press on a picture stops the film there.
    first = page.locator(".strip [role=radio]").first
    first.click()
    expect(page.get_by_role("button", name="Play through the layers")).to_be_visible()
    expect(first).to_have_attribute("aria-checked", "true")
    page.get_by_role("button", name="Download").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Photo with heatmap (PNG)").click()
    download.value.save_as(tmp_path / "overlay.png")
    with Image.open(tmp_path / "overlay.png") as overlay:
        assert (overlay.format, overlay.size) == ("PNG", (960, 720))
    page.keyboard.press("Escape")
    expect(page.locator(".bars button")).to_have_count(9)
    page.locator(".bars button").nth(7).click()
    expect(page).to_have_url(re.compile("genus="))
    expect(page.get_by_text("The heatmap shows what speaks for")).to_be_visible()
    explained = page.get_by_role("combobox", name="Show the heatmap for").input_value()
    page.get_by_role("link", name="Compare").click()
    expect(page.get_by_role("combobox", name=re.compile("Genus to explain"))).to_have_value(explained)


def test_parts_are_cut_out_and_covered_by_mouse(page: Page, address: str) -> None:
    page.goto(f"{address}/identify?drawing=Fly_agaric")
    picture = page.locator(PICTURE)
    for width, height in ((390, 844), (1440, 900)):
        page.set_viewport_size({"width": width, "height": height})
        for place in (page.locator(".answer"), page.locator(".sure"), picture):
            expect(place).to_be_in_viewport(ratio=0.99)
        # The picture's box has the picture's own shape: no bars beside it.
        expect(picture).to_have_js_property("complete", True)
        box = picture.bounding_box()
        assert box is not None
        assert abs(box["width"] - box["height"]) <= 1
    expect(page.get_by_text("Page not found")).to_have_count(0)
    assert "drawing=Fly_agaric" in page.url
    page.get_by_role("button", name="Cut to the mushroom").click()
    stage = page.locator(".crop")

    def by_mouse() -> None:
        drag(page, stage, (0.1, 0.1), (0.6, 0.6))

    def by_arrows() -> None:
        for key in ("ArrowRight", "ArrowDown", "-", "Enter"):
            stage.press(key)

    for cut in (by_mouse, by_arrows, page.get_by_role("button", name="Suggested part").click):
        expect(stage).to_be_visible()
        at_rest(page)
        cut()
        expect(page).to_have_url(re.compile(r"crop=\d+-\d+-\d+-\d+"))
        expect(page.locator(".sure")).to_contain_text("of the whole photo it says")
        at_rest(page)
        page.get_by_role("button", name="Whole photo").click()
        expect(page).not_to_have_url(re.compile("crop="))
        expect(page.locator(".sure")).not_to_contain_text("whole photo")
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="Why not another genus?").click()
    choose_first(page, page.get_by_role("combobox", name=re.compile("and not")))
    expect(page.get_by_alt_text(re.compile("rather than"))).to_have_count(2)
    expect(page).to_have_url(re.compile("against="))
    page.get_by_role("tab", name="Cover and see").click()
    expect(page.get_by_text(re.compile("goes from"))).to_be_visible()
    page.get_by_text("A rectangle of your own").click()
    expect(page.locator(".stage")).to_be_visible()
    at_rest(page)
    drag(page, page.locator(".stage"), (0.02, 0.02), (0.8, 0.8))
    expect(page.get_by_role("slider", name="From left to right — start")).to_have_value(re.compile("^[0-4]$"))
    expect(page.get_by_text(re.compile("goes from"))).to_be_visible()
    questions(page, Locator.click)
    several(page, Locator.click)


def test_a_link_shows_the_same_photo_genus_and_layer_also_with_another_network(
    page: Page, address: str, test_photo: str
) -> None:
    page.goto(f"{address}/?photo={test_photo}&genus=Russula&layer=blocks.0")
    genus = page.get_by_role("combobox", name="Show the heatmap for")
    expect(page.get_by_text("This layer sees the photo as")).to_be_visible()
    expect(page.get_by_role("radio", name=EARLY)).to_have_attribute("aria-checked", "true")
    expect(genus).to_have_value("Russula")
    page.get_by_role("button", name="More").click()
    page.get_by_role("combobox", name="Model").press("ArrowDown")
    page.get_by_role("option").last.click()
    expect(page).to_have_url(re.compile("model="))
    page.keyboard.press("Escape")
    at_rest(page)
    expect(genus).to_have_value("Russula")
    # No share gets into the link.
    assert "%25" not in page.url
    assert "genus=Russula" in page.url


# --- Whole visits -------------------------------------------------------------------------------------------


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
    choose_first(page, page.get_by_role("combobox", name=re.compile("That is wrong")), press)
    expect(page.get_by_alt_text(re.compile("^Heatmap of what speaks for"))).to_have_count(2)
    with page.expect_download() as download:
        press(page.get_by_role("button", name=re.compile("All corrections of this session .CSV, 1")))
    assert download.value.suggested_filename == "corrections.csv"
    fits(page)


def several(page: Page, press: Press) -> None:
    """Two photos of one mushroom get one answer, and each its own."""
    press(page.get_by_role("button", name="Another photo"))
    expect(page.locator(UPLOAD)).to_be_attached()
    drop(page, "1.png", "2.png")
    press(page.get_by_role("radio", name="One mushroom"))
    expect(page.get_by_text("One answer from all")).to_be_visible()
    fits(page)
    press(page.get_by_role("button", name="See why: photo 2"))
    expect(page.locator(PICTURE)).to_be_visible()
    # The page begins with the answer, wherever the button was.
    expect(page.locator(".answer")).to_be_in_viewport(ratio=1)
    press(page.get_by_role("button", name="All 2 photos"))
    expect(page.get_by_text("One answer from all")).to_be_visible()


@pytest.mark.parametrize(
    "phone", [(390, 844, "dark"), pytest.param((320, 640, "light"), marks=pytest.mark.slow)], ids=str, indirect=True
)
def test_a_visit_by_finger(phone: Page, address: str) -> None:
    phone.goto(f"{address}/?drawing=Fly_agaric")
    expect(phone.locator(PICTURE)).to_be_in_viewport(ratio=0.5)
    fits(phone)
    phone.locator(".strip [role=radio]").first.tap()
    expect(phone).to_have_url(re.compile("layer="))
    phone.locator(".bars button").nth(3).tap()
    expect(phone).to_have_url(re.compile("genus="))
    phone.get_by_role("tab", name="Cover and see").tap()
    phone.get_by_text("A rectangle of your own").tap()
    expect(phone.locator(".stage")).to_be_visible()
    at_rest(phone)
    swipe(phone, phone.locator(".stage"), (0.1, 0.1), (0.6, 0.7))
    expect(phone).to_have_url(re.compile(r"cover=(9|1\d)-(9|1\d)-(59|6\d)-(69|7\d)"))
    questions(phone, Locator.tap)
    phone.get_by_role("button", name="Cut to the mushroom").tap()
    expect(phone.locator(".crop")).to_be_visible()
    at_rest(phone)
    swipe(phone, phone.locator(".crop"), (0.2, 0.2), (0.8, 0.8))
    expect(phone).to_have_url(re.compile(r"crop=\d+-\d+-\d+-\d+"))
    expect(phone.locator(".sure")).to_contain_text("of the whole photo it says")
    fits(phone)
    # The square makes the answer longer, and the picture to draw on moves down with it.
    at_rest(phone)
    phone.get_by_role("button", name="Whole photo").tap()
    expect(phone).not_to_have_url(re.compile("crop="))
    phone.keyboard.press("Escape")
    several(phone, Locator.tap)


def test_a_visit_by_keys(dark: Page, address: str) -> None:
    dark.goto(f"{address}/?drawing=Fly_agaric")
    expect(dark.locator(PICTURE)).to_be_visible()
    chosen = dark.locator(".strip [aria-checked=true]")
    expect(chosen).to_have_count(1)
    chosen.focus()
    dark.keyboard.press("ArrowLeft")
    expect(dark).to_have_url(re.compile("layer="))
    by_keys(dark.locator(".bars button").nth(2))
    expect(dark).to_have_url(re.compile("genus="))
    dark.get_by_role("tab", name="Why not another genus?").press("ArrowRight")
    dark.keyboard.press("Enter")
    expect(dark).to_have_url(re.compile("panel=cover"))
    dark.get_by_role("slider", name=re.compile("Cover the hottest part")).press("ArrowRight")
    expect(dark).to_have_url(re.compile("cover=25"))
    by_keys(dark.get_by_role("button", name="Share"))
    # The link is made when it is asked for: what was chosen under the picture is in it.
    expect(dark.get_by_text(re.compile("panel=cover.*cover=25|cover=25.*panel=cover"))).to_be_visible()
    dark.keyboard.press("Escape")
    expect(dark.get_by_text("This link shows what you see")).to_have_count(0)
    questions(dark, by_keys)
    several(dark, by_keys)
