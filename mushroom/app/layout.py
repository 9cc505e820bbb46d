"""What stands on every page: the style, the safety sentence, the notes of a run; and the way to another page."""

from collections.abc import Mapping

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from mushroom.app.style import STYLE
from mushroom.texts import SAFETY

# --- Around a page ------------------------------------------------------------------------------------------


def begin_page(page: str, titles: Mapping[str, str]) -> DeltaGenerator:
    """Everything above a page's own content: style, the phone's menu and the safety sentence. Called once a run.

    ``titles`` are the pages of the menu by name.

    Returns the place for the notes, which are only complete when the page has run.
    """
    st.session_state["page_before"] = st.session_state.get("page_now")
    st.session_state["page_now"] = page
    st.html(STYLE)
    with st.container(horizontal=True, key="phone-menu"):
        # Streamlit's own menu on a phone is a drawer over the page.
        for name, title in titles.items():
            page_link(name, f"**{title}**" if name == page else title)
    st.html(f'<p class="safety" role="note"><b>⚠ Safety</b><span>{SAFETY}</span></p>')
    return st.container()


def arrived() -> bool:
    """Whether this run is the first one on its page: the visitor came from another, or opened the app."""
    return st.session_state.get("page_before") != st.session_state.get("page_now")


def header(title: str, lead: str) -> None:
    """A page's headline, and under it one sentence on what the page is for."""
    st.title(title, anchor=False)
    st.html(f'<p class="lead">{lead}</p>')


def section(title: str, anchor: str | None = None) -> None:
    """The headline of a part of a page, one level under the page's own; ``anchor`` names it for links."""
    st.header(title, anchor=anchor or False)


_scroll = st.components.v2.component(
    "mushroom_scroll",
    html="<div></div>",
    js="""
export default function ({ data, parentElement }) {
  if (parentElement.of === data.of) return
  parentElement.of = data.of
  document.querySelector('[data-testid="stMain"]')?.scrollTo(0, 0)
}
""",
)


def begin_at_the_top(of: str) -> None:
    """Scroll up when ``of``, what the page is about, is another than before: Streamlit stays where a button was."""
    _scroll(data={"of": of}, key="scroll")


# --- The way between the pages ------------------------------------------------------------------------------


def remember_pages(pages: Mapping[str, st.Page]) -> None:
    """Keep the pages that ``main`` has built for this run: the others reach them by name."""
    st.session_state["pages"] = dict(pages)


def page_link(page: str, label: str, icon: str | None = None) -> None:
    """A link to another page, by its name."""
    st.page_link(st.session_state["pages"][page], label=label, icon=icon)


def go_to(page: str, **choices: str | None) -> None:
    """Leave for another page with choices for its URL, but for those that are None.

    Does not return: Streamlit ends the run.
    """
    st.switch_page(
        st.session_state["pages"][page],
        query_params={key: value for key, value in choices.items() if value is not None},
    )


# --- Notes --------------------------------------------------------------------------------------------------


def note_once(sentence: str) -> None:
    """A note that a session needs no second time."""
    if sentence not in st.session_state.setdefault("noted", set()):
        st.session_state["noted"].add(sentence)
        note(sentence)


def note(sentence: str) -> None:
    """Remember a sentence for ``show_notes``: something fell back, and the visitor should know."""
    st.session_state.setdefault("notes", []).append(sentence)


def show_notes(place: DeltaGenerator) -> None:
    """Show the notes gathered in this run, once, in the ``place`` that ``begin_page`` gave."""
    for sentence in st.session_state.pop("notes", []):
        # Text from a URL is shown as text: no markup of a stranger's.
        place.info(escaped(sentence), icon=":material/info:")


def escaped(text: str) -> str:
    """Text of a stranger's as Markdown that shows it as it is."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>()#+-!|~$:" else letter for letter in text)
