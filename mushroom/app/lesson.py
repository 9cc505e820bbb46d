"""A lesson: the photos that Browse filtered, one after the other, and guessing before the network answers.

Browse begins a row of photos; Identify then shows above its answer where in the row the class is, and in "Guess
first" hides the answer until the class has chosen. The score lives in the session and nowhere else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st
from PIL import Image

from mushroom.app import components, layout
from mushroom.app.subject import Subject, show_test_photo

ROW = "lesson_row"
GUESSES = "lesson_guesses"
GUESS_FIRST = "guess_first"
"""Keys of the session."""

STYLE = """
<style>
.st-key-lesson { border-radius: .6rem; padding: .4rem .8rem; background: light-dark(#eef3ec, #202822); }
.st-key-lesson p { margin: 0; }
</style>
"""


@dataclass(frozen=True)
class Row:
    """The photos of a lesson in order, and what they are together: "19 photos told wrong"."""

    photos: tuple[str, ...]
    title: str


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


def begin(photos: Sequence[str], title: str) -> None:
    """Begin a row of photos."""
    st.session_state[ROW] = Row(tuple(photos), title)


def position(row: Row | None, photo: str | None) -> int | None:
    """Where a photo stands in a row, from 0; None where it is not in it."""
    return row.photos.index(photo) if row is not None and photo in row.photos else None


def score(guesses: Sequence[Guess]) -> Score:
    """The guesses, counted."""
    return Score(sum(guess.right for guess in guesses), sum(guess.network_right for guess in guesses), len(guesses))


# --- On Identify --------------------------------------------------------------------------------------------


def show_row(subject: Subject) -> None:
    """Previous, next and back, by press or by the keys P, N and B, where the photo is one of a row from Browse."""
    row: Row | None = st.session_state.get(ROW)
    at = position(row, subject.title) if subject.origin == "test" else None
    if row is None or at is None:
        return
    st.html(STYLE)
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="lesson"):
        back = st.button(f"Back to the {row.title}", icon=":material/grid_view:", type="tertiary", shortcut="b")
        st.button(
            "Previous",
            icon=":material/chevron_left:",
            disabled=at == 0,
            shortcut="p",
            on_click=_open,
            args=(row.photos[max(at - 1, 0)],),
        )
        st.markdown(f"{at + 1} of {len(row.photos)}", width="content")
        st.button(
            "Next",
            icon=":material/chevron_right:",
            icon_position="right",
            disabled=at == len(row.photos) - 1,
            shortcut="n",
            on_click=_open,
            args=(row.photos[min(at + 1, len(row.photos) - 1)],),
        )
    if back:
        layout.go_to("browse")


def _open(photo: str) -> None:
    """Another photo of the row: it starts with its own genus."""
    show_test_photo(photo)


def hides_answer(subject: Subject) -> bool:
    """Whether the class has to guess this photo before the network's answer is shown."""
    guessed = st.session_state.get(GUESSES, {})
    return bool(st.session_state.get(GUESS_FIRST)) and subject.true_genus is not None and subject.title not in guessed


def ask(subject: Subject, view: Image.Image, names: Sequence[str], network_answer: str | None) -> None:
    """The photo and the question to the class; ``network_answer`` is its genus, None for "none of these"."""

    def guessed() -> None:
        genus = st.session_state.get("lesson_guess")
        if isinstance(genus, str) and genus in names:
            guess = Guess(genus, genus == subject.true_genus, network_answer == subject.true_genus)
            st.session_state.setdefault(GUESSES, {})[subject.title] = guess

    st.title("Which is it?", anchor=False)
    st.image(components.jpeg(view), width=min(view.width, 640), alt="The photo")
    st.pills("Your guess", sorted(names), key="lesson_guess", on_change=guessed)
    st.caption("The network has answered too; what it says, and why, is shown when you have chosen.")


def show_score(subject: Subject) -> None:
    """What the class guessed for this photo, and the score so far."""
    guesses: dict[str, Guess] = st.session_state.get(GUESSES, {})
    if not st.session_state.get(GUESS_FIRST) or subject.title not in guesses:
        return
    guess, counted = guesses[subject.title], score(list(guesses.values()))
    st.info(
        f"You said {guess.genus}: {'right' if guess.right else 'wrong'}. The network was "
        f"{'right' if guess.network_right else 'wrong'}. So far: you {counted.mine} of {counted.count}, the network "
        f"{counted.network}.",
        icon=":material/school:",
    )


def switch() -> bool:
    """The switch for "Guess first", and the way to begin the score anew."""
    on = st.toggle("Guess first", key=GUESS_FIRST, persist_state="session", help="Hides answers until you have chosen.")
    if on and st.session_state.get(GUESSES):
        st.button("Begin the score anew", type="tertiary", on_click=lambda: st.session_state.pop(GUESSES, None))
    return bool(on)
