"""What a visitor gives on Identify, in a real Chromium: files, photos of the camera, addresses."""

import re
from pathlib import Path

import pytest
from browsing import PICTURE, UPLOAD, at_rest, drop, open_answer
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def go_to(page: Page, name: str) -> None:
    page.locator(".stApp").get_by_role("link", name=name).first.click()


def test_a_refusal_is_told_until_the_next_photo_or_page(page: Page, address: str, tmp_path: Path) -> None:
    page.goto(address)
    (tmp_path / "huge.jpg").write_bytes(bytes(25 * 1024**2 + 1))
    page.locator(UPLOAD).set_input_files(tmp_path / "huge.jpg")
    expect(page.get_by_text(re.compile(r"25(\.0)? ?MB or smaller", re.IGNORECASE))).to_be_visible()
    drop(page, "broken.jpg", data=b"\xff\xd8 no photo")
    expect(page.locator(".refused")).to_contain_text("broken.jpg")
    go_to(page, "About")
    expect(page.get_by_role("heading", name="About", exact=True)).to_be_visible()
    go_to(page, "Identify")
    expect(page.get_by_role("button", name="Fly agaric", exact=True)).to_be_visible()
    expect(page.locator(".refused")).to_have_count(0)
    drop(page, "broken.jpg", data=b"\xff\xd8 no photo")
    expect(page.locator(".refused")).to_be_visible()
    drop(page, "good.png")
    expect(page.locator(".answer")).to_be_visible()
    expect(page.locator(".refused")).to_have_count(0)


def test_a_photo_goes_with_the_next_one_and_leaves_no_name(page: Page, address: str) -> None:
    open_answer(page, address)
    expect(page.get_by_test_id("stFileUploaderFile")).to_have_count(0)
    before = page.locator(PICTURE).get_attribute("src")
    drop(page, "two.png")
    expect(page.locator(PICTURE)).not_to_have_attribute("src", before or "")
    expect(page.get_by_text("2 photos")).to_have_count(0)
    expect(page.locator(".answer")).to_be_visible()
    page.get_by_role("button", name="Start again").click()
    expect(page.get_by_role("button", name="Fly agaric", exact=True)).to_be_visible()
    expect(page.locator(".answer")).to_have_count(0)
    expect(page.get_by_test_id("stFileUploaderFile")).to_have_count(0)
    page.get_by_role("button", name="Fly agaric", exact=True).click()
    expect(page.locator(".answer")).to_be_visible()
    page.get_by_role("button", name="Another photo").click()
    expect(page.locator(UPLOAD)).to_be_attached()
    expect(page.get_by_test_id("stFileUploaderFile")).to_have_count(0)
    drop(page, "three.png")
    expect(page).to_have_url(re.compile("upload="))
    page.reload()
    expect(page.get_by_text("it was yours, the connection was lost")).to_be_visible()


def test_the_camera_fits_a_phone_closes_after_the_shot_and_takes_its_full_resolution(page: Page, address: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(address)
    page.get_by_role("button", name="Camera").click()
    shoot = page.get_by_role("button", name="Take photo")
    expect(page.locator(".st-key-camera-box video")).to_be_visible()
    expect(shoot).to_be_in_viewport(ratio=0.99)
    shoot.click()
    expect(page.locator(".answer")).to_be_visible()
    expect(page.locator(".st-key-camera-box")).to_have_count(0)
    expect(page.locator(PICTURE)).to_have_js_property("naturalWidth", 640)
    # From beside an answer, too: nothing lies over the window.
    page.set_viewport_size({"width": 320, "height": 640})
    page.get_by_role("button", name="Another photo").click()
    page.get_by_role("button", name="Camera").click()
    expect(shoot).to_be_in_viewport(ratio=0.99)
    shoot.click()
    expect(page.locator(".st-key-camera-box")).to_have_count(0)
    expect(page.locator(".answer")).to_be_visible()


def test_back_leaves_no_other_pages_parameters(page: Page, address: str) -> None:
    page.goto(f"{address}/report?split=validation")
    expect(page.get_by_role("heading", name="Report", exact=True)).to_be_visible()
    page.goto(f"{address}/?drawing=Fly_agaric&layer=blocks.0")
    expect(page.locator(".answer")).to_be_visible()
    for name in ("Browse", "Report"):
        go_to(page, name)
        expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Browse", level=1)).to_be_visible()
    at_rest(page)
    assert not re.search("drawing=|layer=|split=", page.url)
    page.go_back()
    expect(page.locator(".answer")).to_be_visible()
    assert not re.search("true=|split=|order=", page.url)
