"""What a visitor gives and sees on Identify, in a real Chromium: uploads, the picture, the part, the link, a phone."""

import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from app_server import start_app, stop_app
from PIL import Image
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

WAIT_MS = 60_000
UPLOAD = '[data-testid="stFileUploaderDropzone"] input[type=file]'
PICTURE = ".st-key-picture img"
PHONE = {"width": 390, "height": 844}


@pytest.fixture(autouse=True, scope="module")
def patience() -> None:
    expect.set_options(timeout=WAIT_MS)


def blotches(seed: int = 0, size: tuple[int, int] = (960, 720)) -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG")
    return buffer.getvalue()


def drop(page: Page, *names: str, data: bytes | None = None) -> None:
    page.locator(f"{UPLOAD}, .st-key-top-line").first.wait_for(state="attached")
    if not page.locator(UPLOAD).count():
        page.get_by_role("button", name="Another photo").click()
    files: list[Any] = [
        {"name": name, "mimeType": "image/jpeg", "buffer": blotches(sum(name.encode())) if data is None else data}
        for name in names
    ]
    page.locator(UPLOAD).first.set_input_files(files)


def open_answer(page: Page, address: str, name: str = "one.jpg") -> None:
    page.goto(address)
    drop(page, name)
    expect(page.locator(".answer")).to_be_visible()
    expect(page.locator(PICTURE)).to_be_visible()


def natural_width(page: Page) -> int:
    expect(page.locator(PICTURE)).to_have_js_property("complete", True)
    return page.locator(PICTURE).evaluate("image => image.naturalWidth")


# --- The picture --------------------------------------------------------------------------------------------


def test_the_picture_keeps_its_size_when_a_control_is_touched(page: Page, address: str) -> None:
    open_answer(page, address)
    assert natural_width(page) == 640
    for _ in range(2):
        before = page.url
        page.get_by_role("slider", name="Layer, from early to late").press("ArrowLeft")
        # Two layers without evidence show the same picture: the link says that another is shown.
        expect(page).not_to_have_url(before)
        assert natural_width(page) == 640


@pytest.mark.parametrize("size", [{"width": 1440, "height": 900}, PHONE])
def test_answer_surety_and_picture_are_seen_without_scrolling(page: Page, address: str, size: Any) -> None:
    page.set_viewport_size(size)
    page.goto(f"{address}/?drawing=Fly_agaric")
    for place in (".answer", ".sure", PICTURE):
        expect(page.locator(place)).to_be_in_viewport(ratio=0.99)
    # The picture's box has the picture's own shape: no bars beside it.
    width, height = page.locator(PICTURE).evaluate("image => [image.clientWidth, image.clientHeight]")
    assert abs(width - height) <= 1


# --- What was given -----------------------------------------------------------------------------------------


def test_a_second_photo_takes_the_place_of_the_first(page: Page, address: str) -> None:
    open_answer(page, address)
    before = page.locator(PICTURE).get_attribute("src")
    drop(page, "two.jpg")
    expect(page.locator(PICTURE)).not_to_have_attribute("src", before or "")
    expect(page.get_by_text("2 photos")).to_have_count(0)
    expect(page.locator(".answer")).to_be_visible()


def test_no_files_name_stays_after_start_again_or_under_a_drawing(page: Page, address: str) -> None:
    open_answer(page, address)
    expect(page.get_by_test_id("stFileUploaderFile")).to_have_count(0)
    page.get_by_role("button", name="Start again").click()
    expect(page.get_by_role("button", name="Fly agaric", exact=True)).to_be_visible()
    expect(page.locator(".answer")).to_have_count(0)
    expect(page.get_by_test_id("stFileUploaderFile")).to_have_count(0)
    page.get_by_role("button", name="Fly agaric", exact=True).click()
    expect(page.locator(".answer")).to_be_visible()
    page.get_by_role("button", name="Another photo").click()
    expect(page.get_by_test_id("stFileUploaderFile")).to_have_count(0)


def test_a_refusal_goes_with_the_next_photo_and_with_the_page(page: Page, address: str) -> None:
    page.goto(address)
    drop(page, "broken.jpg", data=b"\xff\xd8 no photo")
    expect(page.locator(".refused")).to_contain_text("broken.jpg")
    page.locator(".stApp").get_by_role("link", name="About").first.click()
    expect(page.get_by_role("heading", name="About", exact=True)).to_be_visible()
    page.locator(".stApp").get_by_role("link", name="Identify").first.click()
    expect(page.get_by_role("button", name="Fly agaric", exact=True)).to_be_visible()
    expect(page.locator(".refused")).to_have_count(0)
    drop(page, "broken.jpg", data=b"\xff\xd8 no photo")
    expect(page.locator(".refused")).to_be_visible()
    drop(page, "good.jpg")
    expect(page.locator(".answer")).to_be_visible()
    expect(page.locator(".refused")).to_have_count(0)


def test_a_file_over_the_limit_is_told_in_words(page: Page, address: str) -> None:
    page.goto(address)
    drop(page, "huge.jpg", data=bytes(25 * 1024**2 + 1))
    expect(page.get_by_text(re.compile(r"25(\.0)? ?MB or smaller", re.IGNORECASE))).to_be_visible()


def test_a_photo_that_is_gone_is_told_in_a_sentence(page: Page, address: str) -> None:
    open_answer(page, address)
    assert "upload=" in page.url
    page.reload()
    expect(page.get_by_text("it was yours, the connection was lost")).to_be_visible()


# --- Camera -------------------------------------------------------------------------------------------------


@pytest.fixture
def camera_page(browser: Any) -> Iterator[Page]:
    """A phone whose camera films the browser's own test picture."""
    context = browser.new_context(viewport=PHONE, permissions=["camera"])
    yield context.new_page()
    context.close()


def test_the_camera_fits_a_phone_closes_after_the_shot_and_takes_its_full_resolution(
    camera_page: Page, address: str
) -> None:
    page = camera_page
    page.goto(address)
    page.get_by_role("button", name="Camera").click()
    shoot = page.get_by_role("button", name="Take photo")
    expect(shoot).to_be_visible()
    expect(page.locator(".st-key-camera-box video")).to_be_visible()
    expect(shoot).to_be_in_viewport(ratio=0.99)
    shoot.click()
    expect(page.locator(".answer")).to_be_visible()
    expect(page.locator(".st-key-camera-box")).to_have_count(0)
    assert natural_width(page) == 640
    # From beside an answer, too: nothing lies over the window.
    page.set_viewport_size({"width": 320, "height": 640})
    page.get_by_role("button", name="Another photo").click()
    page.get_by_role("button", name="Camera").click()
    expect(shoot).to_be_in_viewport(ratio=0.99)
    shoot.click()
    expect(page.locator(".st-key-camera-box")).to_have_count(0)
    expect(page.locator(".answer")).to_be_visible()


# --- Addresses ----------------------------------------------------------------------------------------------


def test_identify_has_its_name_as_an_address(page: Page, address: str) -> None:
    page.goto(f"{address}/identify?drawing=Fly_agaric")
    expect(page.locator(".answer")).to_be_visible()
    expect(page.get_by_text("Page not found")).to_have_count(0)
    assert "drawing=Fly_agaric" in page.url


def test_back_leaves_no_other_pages_parameters(page: Page, address: str) -> None:
    page.goto(f"{address}/report?split=validation")
    expect(page.get_by_role("heading", name="Report", exact=True)).to_be_visible()
    page.goto(f"{address}/?drawing=Fly_agaric&layer=blocks.0")
    expect(page.locator(".answer")).to_be_visible()
    page.locator(".stApp").get_by_role("link", name="Browse").first.click()
    expect(page.get_by_role("heading", name="Browse")).to_be_visible()
    page.locator(".stApp").get_by_role("link", name="Report").first.click()
    expect(page.get_by_role("heading", name="Report", exact=True)).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Browse")).to_be_visible()
    page.wait_for_timeout(500)
    assert not re.search("drawing=|layer=|split=", page.url)
    page.go_back()
    expect(page.locator(".answer")).to_be_visible()
    assert not re.search("true=|split=|order=", page.url)


@pytest.mark.parametrize("path", ["", "compare", "browse", "report", "about"])
def test_no_request_leaves_the_apps_own_address(page: Page, address: str, path: str) -> None:
    foreign: list[str] = []
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((address, address.replace("http", "ws"), "data:", "blob:"))
            else foreign.append(request.url)
        ),
    )
    page.goto(f"{address}/{path}?drawing=Fly_agaric" if path in ("", "compare", "about") else f"{address}/{path}")
    page.locator("h1").first.wait_for()
    page.wait_for_load_state("networkidle")
    assert foreign == []


# --- Another network ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_networks(painted_app: dict[str, str], tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Iterator[str]:
    """The address of an app with two networks, of which the second is the first with other surety."""
    root = tmp_path_factory.mktemp("two")
    original = next(path for path in Path(painted_app["MUSHROOM_CHECKPOINTS"]).iterdir() if path.is_dir())
    for name in (original.name, "second"):
        shutil.copytree(original, root / name)
    config = json.loads((root / "second" / "config.json").read_text())
    config["temperature"] *= 4
    (root / "second" / "config.json").write_text(json.dumps(config))
    process, address = start_app(root / "log.txt", painted_app | {"MUSHROOM_CHECKPOINTS": str(root)})
    yield address
    stop_app(process)


def test_no_share_gets_into_the_link_when_the_network_changes(page: Page, two_networks: str) -> None:
    page.goto(f"{two_networks}/?drawing=Fly_agaric&genus=Russula")
    expect(page.get_by_role("combobox", name="Show the heatmap for")).to_have_value("Russula")
    page.get_by_role("button", name="More").click()
    box = page.get_by_role("combobox", name="Model")
    box.press("ArrowDown")
    page.get_by_role("option").last.click()
    expect(page).to_have_url(re.compile("model="))
    page.keyboard.press("Escape")
    expect(page.get_by_role("combobox", name="Show the heatmap for")).to_have_value("Russula")
    assert "%25" not in page.url
    assert "genus=Russula" in page.url


# --- A part of the photo ------------------------------------------------------------------------------------


def test_a_square_drawn_by_mouse_is_what_the_network_is_asked_about(page: Page, address: str) -> None:
    page.goto(f"{address}/?drawing=Fly_agaric")
    expect(page.locator(PICTURE)).to_be_visible()
    page.get_by_role("button", name="Cut to the mushroom").click()
    stage = page.locator(".crop")
    expect(stage).to_be_visible()
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 140, box["y"] + 140, steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"crop=\d+-\d+-\d+-\d+"))
    expect(page.locator(".sure")).to_contain_text("of the whole photo it says")
    page.get_by_role("button", name="Whole photo").click()
    expect(page).not_to_have_url(re.compile("crop="))
    expect(page.locator(".sure")).not_to_contain_text("whole photo")


def test_a_square_is_moved_by_keys(page: Page, address: str) -> None:
    page.goto(f"{address}/?drawing=Fly_agaric")
    expect(page.locator(PICTURE)).to_be_visible()
    page.get_by_role("button", name="Cut to the mushroom").click()
    stage = page.locator(".crop")
    expect(stage).to_be_visible()
    for key in ("ArrowRight", "ArrowDown", "-", "Enter"):
        stage.press(key)
    expect(page).to_have_url(re.compile(r"crop=\d+-\d+-\d+-\d+"))


# --- A phone ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(390, 844), (320, 568)])
def test_safety_takes_a_tenth_of_a_phone_and_the_menu_needs_no_drawer(
    page: Page, address: str, width: int, height: int
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.goto(f"{address}/?drawing=Fly_agaric")
    expect(page.locator(".answer")).to_be_visible()
    assert page.locator(".safety").bounding_box()["height"] <= height / 10
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    menu = page.locator(".st-key-phone-menu")
    menu.get_by_role("link", name="About").click()
    expect(page.get_by_role("heading", name="About", exact=True)).to_be_visible()
