"""The filters of Browse: what a visitor asked for, which answers that lets through, and what those are together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

import streamlit as st

from mushroom.app import url_state
from mushroom.app.records import Answer, Names
from mushroom.texts import none_of_these

ANY = ""
"""No filter: the one text that is nobody's name."""

ANSWERS: dict[str, tuple[str, Callable[[Answer], bool]]] = {
    ANY: ("All", lambda answer: True),
    "right": ("Right", lambda answer: answer.right),
    "wrong": ("Wrong", lambda answer: answer.wrong),
    "unknown": ("None of these", lambda answer: answer.unknown),
}
"""What a visitor is told, by the value in the URL: its title, and which photos it keeps. Each photo is in one."""

ORDERS: dict[str, tuple[str, Callable[[Answer], Any]]] = {
    "least_sure": ("Least sure first", lambda answer: answer.confidence),
    "most_sure": ("Most sure first", lambda answer: -answer.confidence),
    "loss": ("Largest loss first", lambda answer: -answer.loss),
}

SURE_BETWEEN, PAGE = "sure_between", "browse_page"
"""Keys of the session."""

EVERY_PERCENT = (0, 100)

ALL = "all"
"""Stands in a link for no filter at all."""


@dataclass(frozen=True)
class Filters:
    """What a visitor asked for: true and predicted names or ``ANY``, a key of ``ANSWERS``, a range of confidence in
    percent, a key of ``ORDERS``."""

    true: str = ANY
    predicted: str = ANY
    answer: str = ANY
    sure: tuple[int, int] = EVERY_PERCENT
    order: str = "least_sure"

    @property
    def choices(self) -> dict[str, str | None]:
        """What Browse's URL says of them, None for what it need not say."""
        return {
            "true": self.true or None,
            "predicted": self.predicted or None,
            "answer": self.answer or None,
            "order": None if self.order == Filters.order else self.order,
        }

    @property
    def text(self) -> str:
        """All of them in one text for a link, which ``from_text`` reads."""
        sure = None if self.sure == EVERY_PERCENT else "{}-{}".format(*self.sure)
        return urlencode({key: value for key, value in (self.choices | {"sure": sure}).items() if value}) or ALL


def from_text(text: str, known: Names) -> Filters | None:
    """What ``Filters.text`` gave, for these names, or None: it comes from a link."""
    asked = {} if text == ALL else dict(parse_qsl(text, errors="replace"))
    allowed: Mapping[str, Sequence[str]] = {
        "true": known.names,
        "predicted": known.names,
        "answer": tuple(ANSWERS),
        "order": tuple(ORDERS),
    }
    low, _, high = asked.pop("sure", "0-100").partition("-")
    if not all(number.isdecimal() and len(number) <= 3 for number in (low, high)) or not int(low) <= int(high) <= 100:
        return None
    if any(key not in allowed or value not in allowed[key] for key, value in asked.items()):
        return None
    read = Filters(**asked, sure=(int(low), int(high)))
    return read if read.text == text else None


def matching(found: Sequence[Answer], filters: Filters) -> list[Answer]:
    """Those of ``found`` that all filters let through, sorted."""
    low, high = filters.sure
    fitting = [
        answer
        for answer in found
        if filters.true in (ANY, answer.true_genus)
        and filters.predicted in (ANY, answer.genus)
        and ANSWERS[filters.answer][1](answer)
        and low <= 100 * answer.confidence <= high
    ]
    return sorted(fitting, key=lambda answer: (ORDERS[filters.order][1](answer), answer.photo))


def describe(count: int, filters: Filters, known: Names) -> str:
    """What the photos shown are together: "19 photos told wrong", "206 photos of Amanita told right"."""
    with_answer = {
        ANY: "",
        "right": " told right",
        "wrong": " told wrong",
        "unknown": f" told “{none_of_these(len(known.names))}”",
    }
    of = "" if filters.true == ANY else f" of {filters.true}"
    taken = "" if filters.predicted == ANY else f" taken for {filters.predicted}"
    return f"{count} photo{'' if count == 1 else 's'}{of}{taken}{with_answer[filters.answer]}"


def ask(asked: Filters) -> None:
    """Let Browse ask for this alone: what was asked for earlier would leave some of it out."""
    for key, value in asked.choices.items():
        url_state.choose(key, value)
    st.session_state[SURE_BETWEEN] = asked.sure
    st.session_state[PAGE] = 1
