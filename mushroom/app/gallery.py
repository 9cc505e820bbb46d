"""Something to look at for who has no photo at hand: the project's drawings, and photos of the test split."""

from collections.abc import Callable
from pathlib import Path

import streamlit as st
from PIL import ImageOps

from mushroom.app import components, layout, prepared_photos, subject

CARD_PX = 136
"""Width of a drawing or example."""

STYLE = """
<style>
.st-key-drawings img, .st-key-examples img { border-radius: .6rem; aspect-ratio: 1; object-fit: cover; }
</style>
"""


def show(on_open: Callable[[], None] = lambda: None) -> None:
    """The galleries; a press on a button opens what is above it, after ``on_open``."""
    st.html(STYLE)
    if drawings := subject.drawings():
        layout.section("No photo at hand?")
        st.caption("Drawings that this project made. Press one to see what the network sees in it.")
        with st.container(horizontal=True, gap="small", key="drawings"):
            for name, path in drawings.items():
                _card(path.read_bytes(), name.replace("_", " "), "Drawing", name, subject.show_drawing, on_open)
    if photos := prepared_photos.test_genera():
        layout.section("Photos it has never seen")
        st.caption("One of each genus from the test split. The page Browse has them all.")
        first_of_genus = {genus: photo for photo, genus in reversed(photos.items())}
        with st.container(horizontal=True, gap="small", key="examples"):
            for genus, photo in sorted(first_of_genus.items()):
                picture = thumbnail(str(prepared_photos.test_photo_path(photo)))
                _card(picture, genus, "Photo of", photo, subject.show_test_photo, on_open)


def choose_first() -> None:
    """Where a page needs a photo and there is none: the way to one's own, and the galleries."""
    layout.page_link("identify", label="Give a photo of your own", icon=":material/upload:")
    show()


def _card(
    picture: bytes,
    title: str,
    kind: str,
    name: str,
    open_it: Callable[[str], None],
    on_open: Callable[[], None],
) -> None:
    def opened() -> None:
        on_open()
        open_it(name)

    with st.container(width=CARD_PX, gap="xsmall"):
        st.image(picture, width="stretch", alt=f"{kind} {title}")
        st.button(title, key=f"open:{name}", width="stretch", on_click=opened)


@st.cache_data(max_entries=64, show_spinner=False)
def thumbnail(path: str) -> bytes:
    """A square thumbnail of a photo on this machine, as JPEG; never of a visitor's own."""
    from mushroom.photos import read_photo_file

    return components.jpeg(ImageOps.fit(read_photo_file(Path(path)), (2 * CARD_PX, 2 * CARD_PX)))
