"""A lesson: the photos that Browse filtered, one after the other, and guessing before the network answers.

Browse begins a row of photos; Identify then shows above its answer where in the row the class is, and in "Guess
first" hides the answer until the class has chosen. The filters that made the row and the score are in the URL: a page
that is loaded anew goes on where the class was.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from PIL import Image

from mushroom.app import components, filters, layout, prepared_photos, records, url_state
from mushroom.app.filters import Filters
from mushroom.app.subject import Subject, show_test_photo

ROW = "lesson_row"
GUESSES = "lesson_guesses"
SCORE = "lesson_score"
SWITCH = "guess_switch"
"""Keys of the session."""

GUESS_FIRST = "guess"
"""The choice in the URL: the score so far, where the class guesses first."""


@dataclass(frozen=True)
class Row:
    """The photos of a lesson in order, what they are together ("19 photos told wrong"), and what was asked for."""

    photos: tuple[str, ...]
    title: str
    asked: Filters


@dataclass(frozen=True)
class Guess:
    """What the class said of a photo, whether that was right, and whether the network was."""

    genus: str
    right: bool
    network_right: bool


@dataclass(frozen=True)
class Score:
    """Photos that were guessed: right by the class, right by the network, of how many."""

    mine: int
    network: int
    count: int

    @property
    def text(self) -> str:
        """The score as a link holds it; ``score_from_text`` reads it."""
        return f"{self.mine}-{self.network}-{self.count}"

    def after(self, guess: Guess) -> "Score":
        """The score with one more guess."""
        return Score(self.mine + guess.right, self.network + guess.network_right, self.count + 1)


NOTHING_YET = Score(0, 0, 0)


def score_from_text(text: str) -> Score | None:
    """What ``Score.text`` gave, or None: it comes from a link."""
    if not re.fullmatch("[0-9]{1,4}-[0-9]{1,4}-[0-9]{1,4}", text):
        return None
    mine, network, count = map(int, text.split("-"))
    found = Score(mine, network, count)
    return found if max(mine, network) <= count and found.text == text else None


def begin(photos: Sequence[str], title: str, asked: Filters) -> None:
    """Begin a row of photos."""
    st.session_state[ROW] = Row(tuple(photos), title, asked)


def position(row: Row | None, photo: str | None) -> int | None:
    """Where a photo stands in a row, from 0; None where it is not in it."""
    return row.photos.index(photo) if row is not None and photo in row.photos else None


def current_score() -> Score | None:
    """The score so far; None where the class does not guess first."""
    text = st.query_params.get(GUESS_FIRST) or url_state.chosen(GUESS_FIRST) or ""
    found = score_from_text(text)
    url_state.choice(GUESS_FIRST, [text] if found else [], None, what="score of a lesson")
    if found is None:
        return None
    # The browser's way back leads to URLs of earlier scores.
    counted: Score = st.session_state.setdefault(SCORE, found)
    url_state.choose(GUESS_FIRST, counted.text)
    return counted


# --- On Identify --------------------------------------------------------------------------------------------


def show_row(subject: Subject, folder: Path) -> None:
    """Previous, next and back, by press or by the keys P, N and B, where the photo is one of a row from Browse.

    ``folder`` is the checkpoint's, by whose answers the photos were chosen.
    """
    row = _current_row(folder)
    at = position(row, subject.title) if subject.origin == "test" else None
    if row is None or at is None:
        url_state.choose("row", None)
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="lesson"):
        back = st.button(f"Back to the {row.title}", icon=":material/grid_view:", type="tertiary", shortcut="b")
        st.button(
            "Previous",
            icon=":material/chevron_left:",
            disabled=at == 0,
            shortcut="p",
            on_click=show_test_photo,
            args=(row.photos[max(at - 1, 0)],),
        )
        st.markdown(f"{at + 1} of {len(row.photos)}", width="content")
        st.button(
            "Next",
            icon=":material/chevron_right:",
            icon_position="right",
            disabled=at == len(row.photos) - 1,
            shortcut="n",
            on_click=show_test_photo,
            args=(row.photos[min(at + 1, len(row.photos) - 1)],),
        )
    if back:
        filters.ask(row.asked)
        layout.go_to("browse", **row.asked.choices)


def _current_row(folder: Path) -> Row | None:
    """The row that Browse began; after the page was loaded anew, the one that its URL asks for."""
    text = st.query_params.get("row") or url_state.chosen("row") or ""
    known = records.names(folder)
    asked = filters.from_text(text, known) if text else None
    url_state.choice("row", [text] if asked else [], None, what="row of photos")
    begun: Row | None = st.session_state.get(ROW)
    if asked is None or (begun is not None and begun.asked == asked):
        return begun if asked else None
    here = prepared_photos.test_genera()
    shown = filters.matching([answer for answer in records.answers(folder) if answer.photo in here], asked)
    begin([answer.photo for answer in shown], filters.describe(len(shown), asked, known), asked)
    return st.session_state[ROW]


def hides_answer(subject: Subject) -> bool:
    """Whether the class has to guess this photo before the network's answer is shown."""
    guessed = st.session_state.get(GUESSES, {})
    return current_score() is not None and subject.true_genus is not None and subject.title not in guessed


def ask(subject: Subject, view: Image.Image, names: Sequence[str], network_answer: str | None) -> None:
    """The photo and the question to the class; ``network_answer`` is its genus, None for "none of these"."""

    def guessed() -> None:
        genus = st.session_state.get("lesson_guess")
        if isinstance(genus, str) and genus in names:
            guess = Guess(genus, genus == subject.true_genus, network_answer == subject.true_genus)
            st.session_state.setdefault(GUESSES, {})[subject.title] = guess
            st.session_state[SCORE] = (current_score() or NOTHING_YET).after(guess)

    st.title("Which is it?", anchor=False)
    st.image(components.jpeg(view), width=min(view.width, 640), alt="The photo")
    st.pills("Your guess", sorted(names), key="lesson_guess", on_change=guessed)
    st.caption("The network has answered too; what it says, and why, is shown when you have chosen.")


def show_score(subject: Subject) -> None:
    """What the class guessed for this photo, and the score so far."""
    guesses: dict[str, Guess] = st.session_state.get(GUESSES, {})
    counted = current_score()
    if counted is None or subject.title not in guesses:
        return
    guess = guesses[subject.title]
    st.info(
        f"You said {guess.genus}: {'right' if guess.right else 'wrong'}. The network was "
        f"{'right' if guess.network_right else 'wrong'}. So far: you {counted.mine} of {counted.count}, the network "
        f"{counted.network}.",
        icon=":material/school:",
    )


def switch() -> bool:
    """The switch for "Guess first", and the way to begin the score anew."""
    counted = current_score()
    if st.session_state.get(SWITCH) != (counted is not None):
        st.session_state[SWITCH] = counted is not None
    st.toggle("Guess first", key=SWITCH, on_change=_switched, help="Hides answers until you have chosen.")
    if counted is not None and counted.count:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"You {counted.mine} of {counted.count}, the network {counted.network}.", width="content")
            st.button("Begin the score anew", type="tertiary", on_click=_begin_anew)
    return counted is not None


def _switched() -> None:
    _begin_anew()
    if not st.session_state[SWITCH]:
        url_state.choose(GUESS_FIRST, None)


def _begin_anew() -> None:
    st.session_state.pop(GUESSES, None)
    st.session_state[SCORE] = NOTHING_YET
    url_state.choose(GUESS_FIRST, NOTHING_YET.text)
