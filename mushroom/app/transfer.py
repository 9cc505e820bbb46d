"""What goes over the line before a page is there: compressed scripts, and a title and text for link previews."""

import functools
import gzip
import html
import re
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

SMALLEST_BYTES = 1024
FILES_KEPT = 256
"""Compressed files held in memory: Streamlit has about a hundred, 3 MB together."""

DESCRIPTIONS = {
    "": "Give a photo: a neural network names the genus, says how sure it is, and shows what it looked at.",
    "compare": "One photo seen by several networks, by several layers, or for several names.",
    "browse": "Photos the network never saw while it learned, with what it answered.",
    "report": "What the network can and cannot do, measured on photos of which the answer is known.",
    "about": "What this is, what it cannot do, and how a heatmap comes about.",
}
"""What a link preview tells of each page, by its path."""


class Compress:
    """Serves Streamlit's scripts and styles as gzip, each compressed once: uncompressed they are most of the wait."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and compress the answer where it is a static file that the browser takes so."""
        if scope["type"] != "http" or not STATIC.search(scope["path"]) or not _takes_gzip(scope):
            await self.app(scope, receive, send)
            return
        start: Message = {}
        parts: list[bytes] = []

        async def gather(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            parts.append(message.get("body", b""))
            if message.get("more_body"):
                return
            body = b"".join(parts)
            headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
            if start["status"] == 200 and len(body) >= SMALLEST_BYTES:
                body = _compressed(body)
                headers += [(b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]
            length = (b"content-length", str(len(body)).encode())
            await send({**start, "headers": [*headers, length]})
            await send({"type": "http.response.body", "body": body})

        await self.app(scope, receive, gather)


def _takes_gzip(scope: Scope) -> bool:
    return any(name == b"accept-encoding" and b"gzip" in value for name, value in scope["headers"])


@functools.lru_cache(FILES_KEPT)
def _compressed(body: bytes) -> bytes:
    return gzip.compress(body, 6)


class LinkPreviews:
    """Gives every page a title and a description, for chat programs and search engines that run no script."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and put the page's name into the HTML of the answer."""
        start: Message = {}
        parts: list[bytes] = []

        async def gather(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                headers = dict(message["headers"])
                if message["status"] == 200 and headers.get(b"content-type", b"").startswith(b"text/html"):
                    start = message
                    return
            if not start:
                await send(message)
                return
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                page = b"".join(parts)
                if (b"content-encoding", b"gzip") in start["headers"]:
                    # Streamlit has compressed it already; it is short enough to go as it is.
                    page = gzip.decompress(page)
                body = named(page, scope["path"], scope.get("query_string", b""))
                changed = (b"content-length", b"content-encoding", b"etag")
                other_headers = [pair for pair in start["headers"] if pair[0] not in changed]
                await send({**start, "headers": [*other_headers, (b"content-length", str(len(body)).encode())]})
                await send({"type": "http.response.body", "body": body})

        await self.app(scope, receive, gather if scope["type"] == "http" else send)


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


MIDDLEWARE = (Middleware(LinkPreviews), Middleware(Compress))
