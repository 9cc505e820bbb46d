"""Every page, driven by Streamlit's AppTest: what a visitor reads, presses and gets."""

from pathlib import Path

import pytest
from pages import TIMEOUT, open_page, texts
from streamlit.testing.v1 import AppTest

from mushroom.app.transfer import SCRIPT
from mushroom.texts import SAFETY, percent

pytestmark = pytest.mark.usefixtures("painted")


# --- All pages ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["identify", "compare", "browse", "report", "about"])
def test_every_page_opens_with_the_safety_sentence_and_without_an_exception(name: str) -> None:
    app = open_page(name)
    assert not app.exception
    assert SAFETY in texts(app)
    assert "edible" not in texts(app).lower()


@pytest.mark.parametrize("name", ["identify", "compare", "browse", "report", "about"])
def test_without_a_network_every_page_says_what_to_do(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, test_photo: str
) -> None:
    monkeypatch.setenv("MUSHROOM_CHECKPOINTS", str(tmp_path))
    app = open_page(name, photo=test_photo)
    assert not app.exception
    assert "python train.py train" in texts(app)


def test_a_damaged_network_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, test_photo: str
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"no tensors")
    monkeypatch.setenv("MUSHROOM_CHECKPOINTS", str(tmp_path))
    app = open_page("identify", photo=test_photo)
    assert not app.exception
    assert app.error[0].value.endswith(".")


def test_the_app_starts_on_identify() -> None:
    app = AppTest.from_file(str(SCRIPT), default_timeout=TIMEOUT).run()
    assert not app.exception
    assert app.title[0].value == "Which mushroom is it, and why?"


# --- Telling ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "output"), [(0, "0%"), (0.001, "<1%"), (0.5, "50%"), (0.994, "99%"), (0.9951, ">99%"), (1, "100%")]
)
def test_nearly_sure_is_never_told_as_sure(share: float, output: str) -> None:
    assert percent(share) == output


def test_no_folder_beside_the_script_is_taken_for_pages() -> None:
    assert SCRIPT.is_file()
    assert not (SCRIPT.parent / "pages").exists()
