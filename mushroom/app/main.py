"""The app as a whole: page config, the pages and the menu. Only this builds the pages; they know each other by name."""

import importlib
from collections.abc import Callable

import streamlit as st

from mushroom.app import layout, server, url_state
from mushroom.assets import ASSETS

TITLES = {name: name.capitalize() for name in ("identify", "compare", "browse", "report", "about")}
"""The pages by name, in the order of the menu, and what the menu calls them."""

FIRST = "identify"
FIRST_PATH = "start"
"""Streamlit serves the first page at ``/`` and lets no other page have its path; ``/identify`` leads there, too."""

ABOUT_THE_PHOTO = ("photo", "drawing", "upload", "crop")
URL_CHOICES = {
    "identify": (
        *ABOUT_THE_PHOTO,
        *("model", "genus", "against", "layer", "method", "opacity", "colours", "strip"),
        *("panel", "cover", "outline", "only", "copies", "correction"),
        *("several", "row", "guess"),
    ),
    "compare": (*ABOUT_THE_PHOTO, "model", "genus", "layer", "colours", "compare", "scale"),
    "browse": ("model", "true", "predicted", "answer", "order", "guess"),
    "report": ("model", "split"),
    "about": (*ABOUT_THE_PHOTO, "model"),
}
"""What each page reads from its URL. Anything else there was left by another page, and goes."""

ICON = ASSETS / "icon.png"


def run() -> None:
    """One run of the app: what is above every page, the page that the visitor is on, and the notes of this run."""
    st.set_page_config(page_title="Mushroom", page_icon=str(ICON) if ICON.is_file() else None, layout="wide")
    server.prepare_process()
    pages = build_pages()
    layout.remember_pages(pages)
    by_name = st.Page(_go_to_first, title=TITLES[FIRST], url_path=FIRST, visibility="hidden")
    page = st.navigation([*pages.values(), by_name], position="top")
    name = page.url_path or FIRST
    url_state.keep_only(URL_CHOICES[name])
    notes = layout.begin_page(name, TITLES)
    page.run()
    layout.show_notes(notes)


def build_pages() -> dict[str, st.Page]:
    """The pages by name."""
    return {
        name: st.Page(_page(name), title=title, url_path=FIRST_PATH if name == FIRST else name, default=name == FIRST)
        for name, title in TITLES.items()
    }


def _page(name: str) -> Callable[[], None]:
    """A page's module is imported when a visitor comes to it, so that the first one comes quickly."""

    def render() -> None:
        importlib.import_module(f"mushroom.app.pages.{name}").render()

    return render


def _go_to_first() -> None:
    """Whoever writes ``/identify`` comes to the first page, with all choices of the link."""
    layout.go_to(FIRST, **st.query_params.to_dict())
