"""The app as a whole: page config, the pages and the menu. Only this builds the pages; they know each other by name."""

from collections.abc import Callable

import streamlit as st

from mushroom.app import layout, server

TITLES = {
    "identify": "Identify",
    "compare": "Compare",
    "browse": "Browse",
    "report": "Report",
    "about": "About",
}
"""The pages by name, in the order of the menu, and what the menu calls them."""


def run() -> None:
    """One run of the app: what is above every page, the page that the visitor is on, and the notes of this run."""
    st.set_page_config(page_title="Mushroom", page_icon=":material/psychiatry:", layout="wide")
    server.prepare_process()
    pages = build_pages()
    layout.remember_pages(pages)
    page = st.navigation(list(pages.values()), position="top")
    notes = layout.begin_page(page.url_path)
    page.run()
    layout.show_notes(notes)


def build_pages() -> dict[str, st.Page]:
    """The pages by name. The module of each is imported when it is opened, so that the first one comes quickly."""
    renders: dict[str, Callable[[], None]] = {
        "identify": _identify,
        "compare": _compare,
        "browse": _browse,
        "report": _report,
        "about": _about,
    }
    return {
        name: st.Page(renders[name], title=title, url_path=name, default=name == "identify")
        for name, title in TITLES.items()
    }


def _identify() -> None:
    from mushroom.app.pages import identify

    identify.render()


def _compare() -> None:
    from mushroom.app.pages import compare

    compare.render()


def _browse() -> None:
    from mushroom.app.pages import browse

    browse.render()


def _report() -> None:
    from mushroom.app.pages import report

    report.render()


def _about() -> None:
    from mushroom.app.pages import about

    about.render()
