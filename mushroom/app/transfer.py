"""What goes over the line before a page is there: compressed scripts, and a title and text for link previews."""

import functools
import gzip
import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mushroom.texts import SAFETY

SCRIPT = Path(__file__).resolve().parent / "entry" / "script.py"
"""What Streamlit runs for every visitor."""

STATIC = re.compile(r"/static/[\w./-]+\.(js|css|svg|json)")
FONT_PRELOAD = re.compile(r'<link\s+rel="preload"[^>]*\sas="font"[^>]*>')
FIRST_PARTS = (
    *("Html", "purify.es", "PageLink", "Button", "ImageList", "withFullScreenWrapper"),
    *("BidiComponent", "_arrayReduce", "serialization", "recordbatch"),
)
"""Parts of Streamlit's script that every page needs and its HTML does not name: headline, menu, picture, bars."""

Headers = list[tuple[bytes, bytes]]

SMALLEST_BYTES = 1024
FILES_KEPT = 256
"""Compressed files held in memory: Streamlit has about a hundred, 3 MB together."""

DESCRIPTIONS = {
    "": "Give a photo: a neural network names the genus, says how sure it is, and shows what it looked at.",
    "compare": "One photo seen by several networks, by several layers, or for several names.",
    "browse": "Photos that the network's training never saw, with what it answered.",
    "report": "What the network can and cannot do, measured on photos of which the answer is known.",
    "about": "What this is, what it cannot do, and how a heatmap comes about.",
}
"""What a link preview tells of each page, by its path."""


@dataclass(frozen=True)
class Rewrite:
    """Middleware that holds an answer back until it is whole, and sends it otherwise.

    ``concerns`` says so by the request and how the answer begins; ``rewritten`` gets the request, the headers but for
    the length, and the body, and gives headers and body.
    """

    app: ASGIApp
    concerns: Callable[[Scope, Message], bool]
    rewritten: Callable[[Scope, Headers, bytes], tuple[Headers, bytes]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back."""
        start: Message = {}
        parts: list[bytes] = []

        async def gather(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and self.concerns(scope, message):
                start = message
            elif not start:
                await send(message)
            else:
                parts.append(message.get("body", b""))
                if not message.get("more_body"):
                    headers = [pair for pair in start["headers"] if pair[0] != b"content-length"]
                    headers, body = self.rewritten(scope, headers, b"".join(parts))
                    await send({**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
                    await send({"type": "http.response.body", "body": body})

        await self.app(scope, receive, gather if scope["type"] == "http" else send)


# --- Streamlit's scripts and styles: uncompressed they are most of the wait ---------------------------------


def _is_static_file(scope: Scope, answer: Message) -> bool:
    takes_gzip = any(name == b"accept-encoding" and b"gzip" in value for name, value in scope["headers"])
    return takes_gzip and answer["status"] == 200 and bool(STATIC.search(scope["path"]))


def _as_gzip(scope: Scope, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    if len(body) < SMALLEST_BYTES:
        return headers, body
    return [*headers, (b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")], _compressed(body)


@functools.lru_cache(FILES_KEPT)
def _compressed(body: bytes) -> bytes:
    return gzip.compress(body, 6)


# --- A title and a description for chat programs and search engines, which run no script --------------------


def _is_html(scope: Scope, answer: Message) -> bool:
    return answer["status"] == 200 and dict(answer["headers"]).get(b"content-type", b"").startswith(b"text/html")


def _with_name(scope: Scope, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    # Streamlit has compressed it already; it is short enough to go as it is.
    page = gzip.decompress(body) if (b"content-encoding", b"gzip") in headers else body
    kept = [pair for pair in headers if pair[0] not in (b"content-encoding", b"etag")]
    return kept, named(page, scope["path"], scope.get("query_string", b""))


def named(page: bytes, path: str, query: bytes) -> bytes:
    """The HTML of Streamlit's page with a title and a description of what the link shows."""
    name = path.strip("/").rpartition("/")[2]
    name = "" if name == "identify" else name
    if name not in DESCRIPTIONS:
        return page
    title = "Mushroom" if not name else f"{name.capitalize()} · Mushroom"
    genus = parse_qs(query.decode("latin-1")).get("genus", [""])[0][:60]
    if not name and genus.replace(" ", "").isalpha():
        title = f"What speaks for {genus}? · Mushroom"
    description = f"{DESCRIPTIONS[name]} {SAFETY}"
    tags = (
        f"<title>{html.escape(title)}</title>"
        f'<meta name="description" content="{html.escape(description)}">'
        f'<meta property="og:title" content="{html.escape(title)}">'
        f'<meta property="og:description" content="{html.escape(description)}">'
        '<meta property="og:type" content="website"><meta name="twitter:card" content="summary">'
        f"{_first_parts()}"
    )
    text = re.sub(r"<title>.*?</title>", "", page.decode("utf-8"), count=1, flags=re.DOTALL)
    # Text is read in another font until its own has come: scripts go first.
    text = FONT_PRELOAD.sub("", text)
    return text.replace("</head>", f"{tags}</head>", 1).encode("utf-8")


@functools.cache
def _first_parts() -> str:
    """Tags that have the browser fetch ``FIRST_PARTS`` with the rest, rather than one wait after the other later."""
    import streamlit

    scripts = Path(streamlit.__file__).parent / "static" / "static" / "js"
    files = [path.name for part in FIRST_PARTS for path in sorted(scripts.glob(f"{part}.*.js"))]
    return "".join(f'<link rel="modulepreload" crossorigin href="./static/js/{html.escape(name)}">' for name in files)


MIDDLEWARE = (Middleware(Rewrite, _is_html, _with_name), Middleware(Rewrite, _is_static_file, _as_gzip))
