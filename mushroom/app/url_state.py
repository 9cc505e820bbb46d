"""Choices that live in the URL: a link shows the next visitor the same genus, layer and photo."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from mushroom.app.layout import note


def choice(key: str, allowed: Sequence[str], default: str | None, *, what: str) -> str | None:
    """The visitor's choice ``key``: from the URL, else from earlier in this session, else ``default``.

    A value that is not ``allowed`` falls back to ``default`` with a note that calls the choice ``what``
    ("layer", "genus"). Call it before the widget that changes the choice, which gets ``**widget(key, value)``.
    """
    state = st.session_state
    state[f"default:{key}"] = default
    in_url = st.query_params.get(key)
    seen = state.get(f"url:{key}") if state.get("page_before") == state.get("page_now") else None
    if in_url is not None and in_url != seen:
        # The URL was opened, or changed by the browser's back and forward.
        state[f"choice:{key}"] = in_url
        from_url = True
    elif in_url is None and seen is not None:
        state[f"choice:{key}"] = None
        from_url = False
    else:
        from_url = False
    value = state.get(f"choice:{key}")
    if value is not None and value not in allowed:
        if from_url:
            note(
                f"The link asks for the {what} “{_shortened(value)}”, which is not at hand here"
                + (f": showing {default} instead." if default else ".")
            )
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


def widget(key: str, value: Any) -> dict[str, Any]:
    """Arguments that tie a Streamlit widget to the choice ``key``: it shows ``value``, its change is chosen."""
    name = f"widget:{key}"
    # Setting it only where it differs leaves a slider alone that is being dragged. A page that is new has a widget of
    # its own, which would begin with its first option whatever the one before it showed.
    arrived = st.session_state.get("page_before") != st.session_state.get("page_now")
    if arrived or st.session_state.get(name) != value:
        st.session_state[name] = value
    return {"key": name, "on_change": _picked, "args": (key,)}


def _picked(key: str) -> None:
    choose(key, st.session_state[f"widget:{key}"])


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
