"""A real Chromium goes through a lesson: Browse, one photo after the other, Guess first, the report and its matrix."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from browsing import at_rest, fits
from playwright.sync_api import Locator, Page, expect

from mushroom.evaluation.predictions import KNOWN, read_predictions
from mushroom.genera import GENERA

pytestmark = pytest.mark.browser


def cards(page: Page) -> Locator:
    return page.locator(".st-key-photos").get_by_role("button", name=re.compile("^Open no"))


def test_a_count_shows_its_photos_one_after_the_other_and_the_way_back(
    page: Page, address: str, painted_app: dict[str, str]
) -> None:
    folder = next(Path(painted_app["MUSHROOM_CHECKPOINTS"]).iterdir())
    known = read_predictions(folder / "predictions.csv").where(KNOWN, "test")
    named = np.array(known.genera)[known.logits[:, : len(known.genera)].argmax(axis=1)]
    # A genus of several photos, of which one is most probably another.
    several = [genus for genus, count in Counter(known.genus.tolist()).items() if count > 1]
    true, predicted = next(
        pair
        for pair in zip(known.genus.tolist(), named.tolist(), strict=True)
        if pair[0] in several and len({*pair}) == 2
    )
    page.goto(f"{address}/browse?predicted={predicted}")
    expect(page.locator(".answer-line").first).to_contain_text(predicted)
    # It shows the photos that it counts, whatever was asked before.
    page.get_by_text("Counts by genus").click()
    cell = page.get_by_role("button", name=re.compile(f"photos of {true}$"))
    count = int((cell.get_attribute("aria-label") or "").split(" ")[0])
    cell.click()
    expect(page).to_have_url(re.compile(f"true={true}"))
    expect(cards(page)).to_have_count(count)
    assert "predicted" not in page.url
    cards(page).first.click()
    expect(page.get_by_text(f"1 of {count}", exact=True)).to_be_visible()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text(f"2 of {count}", exact=True)).to_be_visible()
    page.keyboard.press("p")
    expect(page.get_by_text(f"1 of {count}", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Previous")).to_be_disabled()
    page.keyboard.press("b")
    expect(page.locator(".answer-line").first).to_contain_text(true)
    assert set(re.findall(r"[✓✗○] (\w+)", page.locator(".st-key-photos").inner_text())) == {true}


@pytest.mark.parametrize("phone", [(320, 740, "dark")], indirect=True)
def test_a_lesson_by_finger_on_a_small_dark_phone_goes_on_after_a_reload(phone: Page, address: str) -> None:
    phone.goto(f"{address}/browse?order=most_sure")
    expect(cards(phone).first).to_be_visible()
    # Filters fold.
    expect(phone.get_by_role("combobox", name=re.compile("True genus"))).not_to_be_visible()
    at_rest(phone)
    fits(phone)
    count = cards(phone).count()
    phone.get_by_text("Guess first").tap()
    expect(phone.locator(".answer-line")).to_have_count(0)
    at_rest(phone)
    cards(phone).first.tap()
    expect(phone.get_by_text(f"1 of {count}", exact=True)).to_be_visible()
    expect(phone.get_by_role("heading", name="Which is it?")).to_be_visible()
    # The address bar is on the wall, too.
    assert not any(genus in phone.url for genus in GENERA)
    at_rest(phone)
    guess = phone.locator(".st-key-lesson_guess")
    guess.get_by_text("Amanita").tap()
    expect(phone.get_by_text("You said Amanita")).to_be_visible()
    expect(phone.get_by_text("So far: you")).to_contain_text("of 1, the network")
    expect(phone.locator(".answer")).to_be_visible()
    at_rest(phone)
    phone.get_by_role("button", name="Next").tap()
    expect(phone.get_by_text(f"2 of {count}", exact=True)).to_be_visible()
    expect(phone.locator(".answer")).to_have_count(0)
    phone.reload()
    expect(phone.get_by_text(f"2 of {count}", exact=True)).to_be_visible()
    at_rest(phone)
    guess.get_by_text("Boletus").tap()
    expect(phone.get_by_text("So far: you")).to_contain_text("of 2, the network")
    at_rest(phone)
    fits(phone)
    phone.get_by_role("button", name=re.compile("Back to the")).tap()
    expect(phone.get_by_role("button", name="Begin the score anew")).to_be_visible()
    expect(phone).to_have_url(re.compile("order=most_sure"))
    # The menu needs no drawer.
    at_rest(phone)
    phone.locator(".st-key-phone-menu").get_by_role("link", name="About").tap()
    expect(phone.get_by_role("heading", name="About", exact=True)).to_be_visible()


def test_the_report_begins_with_its_verdict_tells_what_surety_costs_and_leads_to_photos(
    page: Page, address: str
) -> None:
    page.goto(f"{address}/report")
    verdict = page.locator(".st-key-verdict li")
    expect(verdict.first).to_contain_text("right")
    assert 3 <= verdict.count() <= 4
    page.get_by_role("link", name="Can the heatmaps be believed?").click()
    expect(page.locator("#heatmaps")).to_be_in_viewport()
    shares = page.locator(".share")
    expect(shares).to_have_attribute("aria-label", re.compile("of the photos are named"))
    slider = page.get_by_role("slider", name="It must be at least this sure")
    slider.press("End")
    expect(slider).to_have_value("99")
    expect(shares).to_have_attribute("aria-label", re.compile("^[0-9<]+% of the photos are named"))
    before = shares.get_attribute("aria-label")
    slider.press("Home")
    expect(shares).not_to_have_attribute("aria-label", before or "")
    # A press on a cell of the matrix shows its photos.
    cell = page.get_by_role("button", name=re.compile(r"^\d+ photos? of \w+, told")).first
    cell.scroll_into_view_if_needed()
    [(count, true, answered)] = re.findall(
        r"^(\d+) photos? of (\w+), told (\w+)", cell.get_attribute("aria-label") or ""
    )
    cell.press("Enter")
    expect(page).to_have_url(re.compile(f"browse.*true={true}"))
    expect(cards(page)).to_have_count(int(count))
    expect(page.get_by_role("heading", name="Browse")).to_be_in_viewport()
    expect(page.locator(".answer-line").first).to_contain_text(true if answered == "none" else answered)


def test_the_report_prints_whole_on_a4(dark: Page, address: str) -> None:
    """From a wide screen: a browser that prints draws no chart anew, whatever it was drawn for is cut at the paper."""
    dark.goto(f"{address}/report")
    expect(dark.get_by_text("On other photos: the numbers say nothing")).to_be_visible()
    expect(dark.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    dark.emulate_media(media="print")
    # Everything down to the last sentence is on paper, not in a box that scrolls.
    dark.wait_for_function(
        """() => {
          const last = [...document.querySelectorAll('p')].find((p) => p.textContent.startsWith('On other photos'))
          return last.getBoundingClientRect().bottom <= document.documentElement.scrollHeight
        }"""
    )
    assert dark.evaluate("document.documentElement.scrollHeight") > 2000
    papers = dark.locator(".on-this-page").evaluate(
        """(one) => { const found = new Set(); for (; one; one = one.parentElement)
          found.add(getComputedStyle(one).backgroundColor); return [...found] }"""
    )
    assert papers == ["rgba(0, 0, 0, 0)"]
    assert dark.locator(".st-key-verdict li").first.evaluate("one => getComputedStyle(one).color") == "rgb(38, 35, 32)"
    # What keeps the size it was drawn in: 210 mm less two margins of 14 mm are 688 CSS pixels.
    drawn = dark.locator(".js-plotly-plot, [data-testid=stDataFrame]").evaluate_all(
        "all => all.filter((one) => one.checkVisibility()).map((one) => one.getBoundingClientRect().width)"
    )
    assert drawn
    assert max(drawn) <= 688
    pdf = dark.pdf(format="A4")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) >= 3
    dark.set_viewport_size({"width": 688, "height": 1000})
    fits(dark)


def test_a_comparison_of_genera_has_one_scale_on_demand_and_one_of_layers_takes_another_photo_by_keys(
    page: Page, address: str
) -> None:
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
    page.get_by_text("Layers and methods", exact=True).click()
    expect(page.get_by_text("A drawing of ours: Fly agaric")).to_be_visible()
    expect(page.locator(".heatmaps tbody tr")).to_have_count(3)
    # Methods beside each other, and the layers of one: two small tables with as many cells as they have names.
    for table in page.get_by_role("group", name=re.compile("^Agreement between")).all():
        names = table.get_by_role("columnheader").count()
        assert table.get_by_role("cell").count() - 1 == names**2
    page.locator("summary").filter(has_text="Another photo").press("Enter")
    page.get_by_role("button", name="Milkcap", exact=True).press("Enter")
    expect(page.get_by_text("A drawing of ours: Milkcap")).to_be_visible()
