"""What goes over the line before a page is there: compressed scripts, and a title and text for link previews."""

import gzip
import re
from pathlib import Path

import httpx2
import pytest
from app_server import start_app, stop_app

from mushroom.app.transfer import FIRST_PARTS, named
from mushroom.texts import SAFETY

PAGE = b"<html><head><title>Streamlit</title></head><body></body></html>"


@pytest.mark.parametrize(
    ("path", "query", "title"),
    [
        ("/", b"", "Mushroom"),
        ("/identify", b"", "Mushroom"),
        ("/report", b"split=test", "Report · Mushroom"),
        ("/", b"genus=Amanita", "What speaks for Amanita? · Mushroom"),
        ("/", b"genus=%3Cscript%3E", "Mushroom"),
    ],
)
def test_every_page_has_a_title_and_a_text_with_the_safety_sentence(path: str, query: bytes, title: str) -> None:
    output = named(PAGE, path, query).decode()
    assert f"<title>{title}</title>" in output
    assert f'property="og:title" content="{title}"' in output
    assert output.count("<title>") == 1
    assert SAFETY in output
    assert "<script>" not in output


def test_what_is_no_page_stays_as_it_is() -> None:
    assert named(PAGE, "/_stcore/health", b"") == PAGE


def test_scripts_come_compressed_and_those_of_an_answer_before_the_texts_font(tmp_path: Path) -> None:
    process, address = start_app(tmp_path / "log.txt", {})
    try:
        page = httpx2.get(address).text
        assert "og:description" in page
        assert 'as="font"' not in page
        first = re.findall(r'"modulepreload" crossorigin href="\./(static/js/([\w.-]+?)\.[\w-]+\.js)"', page)
        assert set(FIRST_PARTS) <= {part for _, part in first}
        assert len(first) == len(set(first))
        url = f"{address}/{first[-1][0]}"
        with httpx2.stream("GET", url, headers={"Accept-Encoding": "gzip"}) as answer:
            raw = b"".join(answer.iter_raw())
            assert answer.headers["content-encoding"] == "gzip"
            assert int(answer.headers["content-length"]) == len(raw)
            assert "immutable" in answer.headers["cache-control"]
        plain = httpx2.get(url, headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert gzip.decompress(raw) == plain.content
        assert len(raw) < len(plain.content) / 2
    finally:
        stop_app(process)
