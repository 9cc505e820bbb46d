"""Choices that live in the URL: a link shows the next visitor the same genus, layer and photo."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import streamlit as st

from mushroom.app.layout import arrived, note


def keep_only(keys: Iterable[str]) -> None:
    """Take everything out of the URL that this page does not read: another page has left it there."""
    known = set(keys)
    for key in [key for key in st.query_params if key not in known]:
        del st.query_params[key]


def choice(
    key: str,
    allowed: Sequence[str],
    default: str | None,
    *,
    what: str,
    title: Callable[[str], str] = str,
    missing: str | None = None,
) -> str | None:
    """The visitor's choice ``key``: from the URL, else from earlier in this session, else ``default``.

    A value that is not ``allowed`` falls back to ``default`` with a note: ``missing``, or one that calls the choice
    ``what`` ("layer", "genus") and the default by its ``title``. Call it before the widget that changes the choice,
    which gets ``**widget(key, value)``.
    """
    state = st.session_state
    state[f"default:{key}"] = default
    in_url = st.query_params.get(key)
    before = None if arrived() else state.get(f"url:{key}")
    # The URL was opened, or changed by the browser's back and forward.
    from_url = in_url is not None and in_url != before
    if from_url:
        state[f"choice:{key}"] = in_url
    elif in_url is None and before is not None:
        state[f"choice:{key}"] = None
    value = state.get(f"choice:{key}")
    if value is not None and value not in allowed:
        if from_url:
            instead = f": showing {title(default)} instead." if default else "."
            note(missing or f"The link asks for the {what} “{_shortened(value)}”, which is not at hand here{instead}")
        value = None
        state[f"choice:{key}"] = None
    _write(key, value)
    return value if value is not None else default


def chosen(key: str) -> Any:
    """The choice ``key`` as it stands now, after ``choice`` was called for it."""
    value = st.session_state.get(f"choice:{key}")
    return st.session_state.get(f"default:{key}") if value is None else value


def choose(key: str, value: str | None) -> None:
    """Set the choice ``key`` and write it to the URL; the default, or None, clears it there."""
    value = None if value == st.session_state.get(f"default:{key}") else value
    st.session_state[f"choice:{key}"] = value
    _write(key, value)


def widget(
    key: str, value: Any, of: str = "", then: Callable[[], None] | None = None, required: bool = False
) -> dict[str, Any]:
    """Arguments that tie a Streamlit widget to the choice ``key``: it shows ``value``, its change is chosen.

    ``then`` is called when it was. Of a ``required`` one nothing is chosen where it comes back empty: a browser reports
    a control that has just appeared so, now and then.

    A browser names an option by its label. Labels that say more than which option it is (a number, a share) change
    while the option stays: such a widget is told ``of`` what its labels are, and is a new one for each.
    """
    name = f"widget:{key}:{of}" if of else f"widget:{key}"
    # Setting it only where it differs leaves a slider alone that is being dragged. A page that is new has a widget of
    # its own, which would begin with its first option whatever the one before it showed.
    if arrived() or st.session_state.get(name) != value:
        st.session_state[name] = value
    return {"key": name, "on_change": _picked, "args": (key, name, then, required)}


def segments(label: str, key: str, titles: Mapping[str, str], default: str, *, what: str, **drawn: Any) -> str:
    """The choice ``key`` among ``titles``, whose values are read, and the segmented control for it; see ``choice``."""
    value = str(choice(key, list(titles), default, what=what))
    st.segmented_control(
        label, list(titles), format_func=titles.__getitem__, required=True, **drawn, **widget(key, value, required=True)
    )
    return value


def _picked(key: str, name: str, then: Callable[[], None] | None, required: bool) -> None:
    value = st.session_state[name]
    if required and value is None:
        return
    choose(key, None if value is None else str(value))
    if then is not None:
        then()


def _write(key: str, value: str | None) -> None:
    if value is None:
        if key in st.query_params:
            del st.query_params[key]
    elif st.query_params.get(key) != value:
        st.query_params[key] = value
    st.session_state[f"url:{key}"] = value


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 40 else text[:39] + "…"
