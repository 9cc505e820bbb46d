"""Something to look at for who has no photo at hand: the project's drawings, and photos of the test split."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st
from PIL import ImageOps
from streamlit.delta_generator import DeltaGenerator

from mushroom.app import components, layout, predictions, prepared_photos, subject
from mushroom.texts import none_of_these, percent

if TYPE_CHECKING:
    from mushroom.classifier import Classifier, Prediction

CARD_PX = 136
"""Width of a drawing or example."""

EXAMPLES = 12
"""So many test photos, each of another name, are shown."""

DRAWN = {
    "Brittlegill": "Russula",
    "Fly_agaric": "Amanita",
    "Milkcap": "Lactarius",
    "Penny_bun": "Boletus",
    "Slippery_jack": "Suillus",
    "Waxcap": "Hygrocybe",
}
"""The genus that each drawing shows."""


def show(on_open: Callable[[], None] = lambda: None, *, with_answers: bool = True) -> dict[str, DeltaGenerator]:
    """The galleries; a press on a button opens what is above it, after ``on_open``.

    Returns the place under each drawing, by its name, for ``show_answers``, which comes where ``with_answers``.
    """
    places = {}

    def opener(show: Callable[[str], None]) -> Callable[[str], None]:
        def open_it(name: str) -> None:
            on_open()
            show(name)

        return open_it

    if drawings := subject.drawings():
        layout.section("No photo at hand?")
        st.caption(
            "Drawings that this project made, and what the network makes of them: ✓ right, ✗ wrong, ○ none. "
            "Press one to see why."
            if with_answers
            else "Drawings that this project made."
        )
        with st.container(horizontal=True, gap="small", key="drawings"):
            for name, path in drawings.items():
                title = name.replace("_", " ")
                places[name] = _card(
                    path.read_bytes(), title, f"Drawing of a {title}", name, opener(subject.show_drawing)
                )
    if photos := prepared_photos.test_genera():
        layout.section("Photos that its training never saw")
        st.caption("From the test split, each of another genus. The page Browse has them all.")
        first_of_genus = {genus: photo for photo, genus in reversed(photos.items())}
        with st.container(horizontal=True, gap="small", key="examples"):
            for genus, photo in sorted(first_of_genus.items())[:EXAMPLES]:
                picture = thumbnail(str(prepared_photos.test_photo_path(photo)))
                _card(picture, genus, f"Photo of {genus}", photo, opener(subject.show_test_photo))
    return places


def show_answers(places: Mapping[str, DeltaGenerator], classifier: "Classifier") -> None:
    """Write under each drawing what the network makes of it: a drawing is no photo, and some fail."""
    for name, place in places.items():
        place.caption(answer_text(name, predictions.predict(classifier, subject.drawing_subject(name))))


def answer_text(name: str, prediction: "Prediction") -> str:
    """What the network makes of a drawing, beside what it shows."""
    if prediction.unknown:
        return f"○ {none_of_these(len(prediction.probabilities))}"
    said, drawn = f"{prediction.genus}, {percent(prediction.confidence)}", DRAWN.get(name)
    # A network that calls things by names of its own may mean the same.
    if drawn not in prediction.probabilities:
        return said
    return f"{'✓' if prediction.genus == drawn else '✗'} {said}"


def choose_first() -> None:
    """Where a page needs a photo and there is none: the way to one's own, and the galleries."""
    layout.page_link("identify", label="Give a photo of your own", icon=":material/upload:")
    show(with_answers=False)


def _card(picture: bytes, title: str, alt: str, name: str, open_it: Callable[[str], None]) -> DeltaGenerator:
    """A picture with its button; returns the place under them."""
    with st.container(width=CARD_PX, gap="xsmall"):
        st.image(picture, width="stretch", alt=alt)
        st.button(title, key=f"open:{name}", width="stretch", on_click=open_it, args=(name,))
        return st.empty()


@st.cache_data(max_entries=64, show_spinner=False)
def thumbnail(path: str) -> bytes:
    """A square thumbnail of a photo on this machine, as JPEG; never of a visitor's own."""
    from mushroom.photos import read_photo_file

    return components.jpeg(ImageOps.fit(read_photo_file(Path(path)), (2 * CARD_PX, 2 * CARD_PX)))
