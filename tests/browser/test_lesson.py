"""A real Chromium goes through a lesson: Browse, one photo after the other, Guess first, the report and its matrix."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from mushroom.evaluation.predictions import KNOWN, read_predictions
from mushroom.genera import GENERA

pytestmark = pytest.mark.browser

WAIT_MS = 60_000


@pytest.fixture(autouse=True, scope="module")
def patience() -> None:
    expect.set_options(timeout=WAIT_MS)


def most_probable(painted_app: dict[str, str]) -> list[tuple[str, str]]:
    """True and most probable genus of every test photo."""
    folder = next(Path(painted_app["MUSHROOM_CHECKPOINTS"]).iterdir())
    known = read_predictions(folder / "predictions.csv").where(KNOWN, "test")
    named = np.array(known.genera)[known.logits[:, : len(known.genera)].argmax(axis=1)]
    return list(zip(known.genus.tolist(), named.tolist(), strict=True))


def phone(browser: Any, width: int, theme: str) -> Any:
    agent = "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36 Mobi"
    return browser.new_context(
        viewport={"width": width, "height": 740}, user_agent=agent, has_touch=True, color_scheme=theme
    )


def at_rest(page: Page) -> None:
    """Wait until nothing moves under the finger any more."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    expect(page.locator('[data-stale="true"]')).to_have_count(0)


def cards(page: Page) -> Any:
    return page.locator(".st-key-photos").get_by_role("button", name=re.compile("^Open no"))


def test_browse_leads_from_photo_to_photo_and_back_by_press_and_by_key(page: Page, address: str) -> None:
    page.goto(f"{address}/browse")
    expect(cards(page).first).to_be_visible()
    count = cards(page).count()
    cards(page).first.click()
    expect(page.get_by_text(f"1 of {count}")).to_be_visible()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text(f"2 of {count}")).to_be_visible()
    page.keyboard.press("p")
    expect(page.get_by_text(f"1 of {count}")).to_be_visible()
    expect(page.get_by_role("button", name="Previous")).to_be_disabled()
    page.keyboard.press("b")
    expect(cards(page).first).to_be_visible()


def test_a_filter_shows_only_what_it_says_and_survives_the_way_back(
    page: Page, address: str, painted_app: dict[str, str]
) -> None:
    true = next(true for true, named in most_probable(painted_app) if true != named)
    page.goto(f"{address}/browse?true={true}")
    expect(page.locator(".answer-line").first).to_contain_text(true)
    cards(page).first.click()
    expect(page.locator(".st-key-lesson")).to_be_visible()
    page.get_by_role("button", name=re.compile("Back to the .* photo")).click()
    expect(page.locator(".answer-line").first).to_contain_text(true)
    assert set(re.findall(r"[✓✗○] (\w+)", page.locator(".st-key-photos").inner_text())) == {true}


def test_guess_first_by_mouse_keeps_the_answer_until_the_class_has_chosen(page: Page, address: str) -> None:
    page.goto(f"{address}/browse")
    page.get_by_text("Guess first").click()
    expect(page.locator(".answer-line")).to_have_count(0)
    cards(page).first.click()
    expect(page.get_by_role("heading", name="Which is it?")).to_be_visible()
    expect(page.locator(".answer")).to_have_count(0)
    # The address bar is on the wall, too.
    assert not any(genus in page.url for genus in GENERA)
    page.locator(".st-key-lesson_guess").get_by_text("Russula").click()
    expect(page.get_by_text("You said Russula")).to_be_visible()
    expect(page.locator(".answer")).to_be_visible()


def test_a_lesson_by_finger_on_a_small_dark_phone_goes_on_after_a_reload(browser: Any, address: str) -> None:
    context = phone(browser, 320, "dark")
    page = context.new_page()
    page.goto(f"{address}/browse?order=most_sure", timeout=WAIT_MS)
    expect(cards(page).first).to_be_visible()
    at_rest(page)
    count = cards(page).count()
    page.get_by_text("Guess first").tap()
    expect(page.locator(".answer-line")).to_have_count(0)
    at_rest(page)
    cards(page).first.tap()
    expect(page.get_by_text(f"1 of {count}")).to_be_visible()
    at_rest(page)
    guess = page.locator(".st-key-lesson_guess")
    guess.get_by_text("Amanita").tap()
    expect(page.get_by_text("So far: you")).to_contain_text("of 1, the network")
    at_rest(page)
    page.get_by_role("button", name="Next").tap()
    expect(page.get_by_text(f"2 of {count}")).to_be_visible()
    expect(page.locator(".answer")).to_have_count(0)
    page.reload()
    expect(page.get_by_text(f"2 of {count}")).to_be_visible()
    at_rest(page)
    guess.get_by_text("Boletus").tap()
    expect(page.get_by_text("So far: you")).to_contain_text("of 2, the network")
    at_rest(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.get_by_role("button", name=re.compile("Back to the")).tap()
    expect(page.get_by_role("button", name="Begin the score anew")).to_be_visible()
    expect(page).to_have_url(re.compile("order=most_sure"))
    assert page.locator('[data-testid="stException"]').count() == 0
    context.close()


def test_a_press_on_a_cell_of_the_matrix_shows_its_photos(page: Page, address: str) -> None:
    page.goto(f"{address}/report")
    cell = page.get_by_role("button", name=re.compile(r"^\d+ photos? of \w+, told")).first
    cell.scroll_into_view_if_needed()
    name = cell.get_attribute("aria-label") or ""
    true, answered = re.findall(r"of (\w+), told (\w+)", name)[0]
    cell.press("Enter")
    expect(page).to_have_url(re.compile(f"browse.*true={true}"))
    count = int(name.split(" ")[0])
    expect(cards(page)).to_have_count(count)
    expect(page.locator(".answer-line").first).to_contain_text(true if answered == "none" else answered)


def test_a_count_shows_the_photos_that_it_counts_whatever_was_asked_before(
    page: Page, address: str, painted_app: dict[str, str]
) -> None:
    true, named = next((true, named) for true, named in most_probable(painted_app) if true != named)
    page.goto(f"{address}/browse?predicted={named}")
    page.get_by_text("Counts by genus").click()
    cell = page.get_by_role("button", name=re.compile(f"photos of {true}$"))
    count = int((cell.get_attribute("aria-label") or "").split(" ")[0])
    cell.click()
    expect(page).to_have_url(re.compile(f"true={true}"))
    expect(cards(page)).to_have_count(count)
    assert "predicted" not in page.url


def test_the_report_tells_by_keys_what_more_surety_costs(page: Page, address: str) -> None:
    page.goto(f"{address}/report")
    shares = page.locator(".share")
    expect(shares).to_have_attribute("aria-label", re.compile("of the photos are named"))
    slider = page.get_by_role("slider", name="It must be at least this sure")
    slider.press("End")
    expect(slider).to_have_value("99")
    expect(shares).to_have_attribute("aria-label", re.compile("^[0-9<]+% of the photos are named"))
    before = shares.get_attribute("aria-label")
    slider.press("Home")
    expect(shares).not_to_have_attribute("aria-label", before or "")


def test_a_comparison_of_layers_names_its_photo_and_takes_another_by_keys(page: Page, address: str) -> None:
    page.goto(f"{address}/compare?drawing=Fly_agaric&compare=layers")
    expect(page.get_by_text("A drawing of ours: Fly agaric")).to_be_visible()
    expect(page.locator(".heatmaps tbody tr")).to_have_count(3)
    # Methods beside each other, and the layers of one: two small tables with as many cells as they have names.
    for table in page.get_by_role("group", name=re.compile("^Agreement between")).all():
        names = table.get_by_role("columnheader").count()
        assert table.get_by_role("cell").count() - 1 == names**2
    page.locator("summary").filter(has_text="Another photo").press("Enter")
    page.get_by_role("button", name="Milkcap", exact=True).press("Enter")
    expect(page.get_by_text("A drawing of ours: Milkcap")).to_be_visible()


def test_the_report_begins_with_its_verdict_and_its_links_lead_to_sections(page: Page, address: str) -> None:
    page.goto(f"{address}/report")
    verdict = page.locator(".st-key-verdict li")
    expect(verdict.first).to_contain_text("right")
    assert 3 <= verdict.count() <= 4
    page.get_by_role("link", name="Can the heatmaps be believed?").click()
    expect(page.locator("#heatmaps")).to_be_in_viewport()


def test_the_report_prints_whole_on_a4(page: Page, address: str) -> None:
    """From a wide screen: a browser that prints draws no chart anew, whatever it was drawn for is cut at the paper."""
    page.emulate_media(color_scheme="dark")
    page.goto(f"{address}/report")
    expect(page.get_by_text("On other photos: the numbers say nothing")).to_be_visible()
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    page.emulate_media(media="print")
    # Everything down to the last sentence is on paper, not in a box that scrolls.
    page.wait_for_function(
        """() => {
          const last = [...document.querySelectorAll('p')].find((p) => p.textContent.startsWith('On other photos'))
          return last.getBoundingClientRect().bottom <= document.documentElement.scrollHeight
        }"""
    )
    assert page.evaluate("document.documentElement.scrollHeight") > 2000
    papers = page.locator(".on-this-page").evaluate(
        """(one) => { const found = new Set(); for (; one; one = one.parentElement)
          found.add(getComputedStyle(one).backgroundColor); return [...found] }"""
    )
    assert papers == ["rgba(0, 0, 0, 0)"]
    assert page.locator(".st-key-verdict li").first.evaluate("one => getComputedStyle(one).color") == "rgb(38, 35, 32)"
    # What keeps the size it was drawn in: 210 mm less two margins of 14 mm are 688 CSS pixels.
    drawn = page.locator(".js-plotly-plot, [data-testid=stDataFrame]").evaluate_all(
        "all => all.filter((one) => one.checkVisibility()).map((one) => one.getBoundingClientRect().width)"
    )
    assert drawn
    assert max(drawn) <= 688
    pdf = page.pdf(format="A4")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) >= 3
    page.set_viewport_size({"width": 688, "height": 1000})
    assert page.evaluate("document.documentElement.scrollWidth") <= 688


@pytest.mark.parametrize("width", [320, 390])
def test_filters_fold_on_a_phone_and_nothing_overflows(browser: Any, address: str, width: int) -> None:
    context = phone(browser, width, "light")
    page = context.new_page()
    page.goto(f"{address}/browse", timeout=WAIT_MS)
    expect(cards(page).first).to_be_visible()
    expect(page.get_by_role("combobox", name=re.compile("True genus"))).not_to_be_visible()
    for path in ("browse", "report", "about", "compare?drawing=Fly_agaric&compare=layers"):
        page.goto(f"{address}/{path}", timeout=WAIT_MS)
        expect(page.locator("[data-testid=stApp]")).to_have_attribute("data-test-script-state", "notRunning")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    context.close()


def test_a_comparison_of_genera_has_one_scale_on_demand(page: Page, address: str) -> None:
    # Early layers speak a little for every genus.
    page.goto(f"{address}/compare?drawing=Fly_agaric&compare=genera&layer=blocks.0")
    pictures = page.locator(".heatmaps img")
    expect(pictures).to_have_count(3)
    before = pictures.evaluate_all("images => images.map((image) => image.src)")
    page.get_by_text("One for all", exact=True).click()
    expect(page.get_by_text("the hottest place of all these maps counts as 1")).to_be_visible()
    at_rest(page)
    after = pictures.evaluate_all("images => images.map((image) => image.src)")
    assert 1 <= sum(one != other for one, other in zip(before, after, strict=True)) <= 2
    assert pictures.evaluate_all("images => images.every((image) => image.naturalWidth > 0)")
