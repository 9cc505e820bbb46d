"""docs/browser in a real Chromium: the page alone answers as Python does, and the photo stays on the device.

``make browser-files`` fetches ONNX Runtime Web from npm into build/npm, as ``make test`` does; without it these tests
are skipped.
"""

import functools
import os
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from app_server import REPOSITORY
from axe_playwright_python.sync_playwright import Axe
from browsing import fits
from painted import PAINTED, paint_photos
from PIL import Image
from playwright.sync_api import Page, expect

from mushroom.classifier import Classifier
from mushroom.onnx_file import onnx_bytes
from mushroom.photos import MAX_SIDE_PX, read_photo_file
from mushroom.texts import SAFETY, third_answer

pytestmark = pytest.mark.browser
pytest.importorskip("onnx", reason="needs the extra export")

PHOTOS = 20
ALIKE = 1e-2
SCORE_ALIKE = 0.2
ORT = REPOSITORY / "build" / "npm" / "node_modules" / "onnxruntime-web" / "dist"
ORT_FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")


class Quiet(SimpleHTTPRequestHandler):
    """A server of files that writes no log."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.load()


@pytest.fixture(scope="module")
def static_page(classifier: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the folder that ``make space-static`` assembles."""
    if not ORT.is_dir():
        pytest.skip("no ONNX Runtime Web here: make browser-files (wants npm)")
    folder = tmp_path_factory.mktemp("static")
    for file in (REPOSITORY / "docs" / "browser" / "index.html", *(ORT / name for name in ORT_FILES)):
        shutil.copy(file, folder)
    (folder / "mushroom.onnx").write_bytes(onnx_bytes(classifier))
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Real photos where this machine has them, painted ones elsewhere; one is larger than what a page keeps."""
    folder = Path(os.environ.get("MUSHROOM_DATA", REPOSITORY / ".." / "shared" / "mushrooms"))
    if not (folder / "Amanita").is_dir():
        folder = tmp_path_factory.mktemp("painted")
        for genus, colour in PAINTED.items():
            paint_photos(folder / genus, colour, PHOTOS // len(PAINTED))
    every = sorted(folder.glob("*/*.jpg"))
    chosen = every[:: max(1, len(every) // (PHOTOS - 1))][: PHOTOS - 1]
    large = tmp_path_factory.mktemp("large") / "large.jpg"
    first = Image.open(every[0]).convert("RGB")
    first.resize((2 * MAX_SIDE_PX, 3 * MAX_SIDE_PX // 2), Image.Resampling.BICUBIC).save(large, quality=92)
    return [*chosen, large]


@pytest.fixture
def page(page: Page, static_page: str) -> Page:
    """A browser's page that has loaded the network."""
    page.goto(static_page)
    expect(page.get_by_role("status")).to_have_text("Ready.")
    return page


def give(page: Page, file: Path) -> None:
    """Choose a photo and wait for what the page says of it."""
    page.evaluate("() => { document.getElementById('status').textContent = '' }")
    page.locator("#file").set_input_files(file)
    page.wait_for_function("() => /Answered|This/.test(document.getElementById('status').textContent)")


def bars(page: Page) -> dict[str, float]:
    """The number behind each bar, by its name."""
    read = "rows => rows.map(row => [row.querySelector('.name').textContent, Number(row.querySelector('data').value)])"
    return dict(page.locator("#bars li").evaluate_all(read))


def test_it_answers_as_python_does_and_sends_the_photo_nowhere(
    page: Page, classifier: Classifier, files: list[Path]
) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    third = third_answer(len(classifier.genera)).partition(",")[0]
    assert len(files) == PHOTOS
    for file, expected in zip(files, classifier.predict([read_photo_file(file) for file in files]), strict=True):
        give(page, file)
        found = bars(page)
        assert found.pop(third) == pytest.approx(expected.unknown_score, abs=SCORE_ALIKE)
        ranked = sorted(expected.probabilities.values())
        assert found == pytest.approx(expected.probabilities, abs=ALIKE)
        verdict = page.locator("#verdict").inner_text()
        # Two names of equal probability may change places, and a score at the threshold its side.
        if ranked[-1] - ranked[-2] > ALIKE:
            assert next(iter(found)) == expected.genus
            assert expected.genus in verdict
        threshold = classifier.config.unknown_threshold
        if threshold is not None and abs(expected.unknown_score - threshold) > SCORE_ALIKE:
            assert verdict.startswith(third) == expected.unknown
    assert requests == []


def test_axe_finds_nothing_and_a_small_phone_shows_it_all(page: Page, files: list[Path], tmp_path: Path) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    (tmp_path / "text.jpg").write_text("no photo")
    give(page, tmp_path / "text.jpg")
    expect(page.get_by_role("status")).to_contain_text("not a photo")
    assert not page.locator("#answer").is_visible()
    assert page.get_by_role("note").inner_text().endswith(SAFETY)
    give(page, files[-1])
    fits(page)
    page.evaluate("() => window.scrollTo(0, document.body.scrollHeight)")
    expect(page.get_by_role("note")).to_be_in_viewport(ratio=1)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        assert Axe().run(page).response["violations"] == []


def test_without_the_network_a_sentence_says_so(browser: Any, static_page: str) -> None:
    page = browser.new_context().new_page()
    page.route("**/mushroom.onnx", lambda route: route.fulfill(status=404))
    page.goto(static_page)
    expect(page.get_by_role("status")).to_contain_text("can't answer here")
    assert page.locator("#file").is_disabled()
