"""About: what this is, how a heatmap comes about in five pictures of the visitor's own photo, data, safety."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from PIL import Image

from mushroom.app import components, field_guide, layout, models, predictions, records, subject
from mushroom.app.records import Names
from mushroom.app.subject import Subject
from mushroom.texts import SAFETY, these

if TYPE_CHECKING:
    from mushroom.classifier import Classifier
    from mushroom.explain.gradcam import Channels

STEP_PX = 320
"""Side of the five pictures."""


def render() -> None:
    """The page."""
    layout.header("About", "What this is, what it cannot do, and how a heatmap comes about.")
    shown_photo = subject.current_subject()
    _safety()
    classifier = models.open_classifier()
    if classifier is not None:
        _five_pictures(classifier, shown_photo or next(map(subject.drawing_subject, subject.drawings()), None))
        _names(records.names(classifier.folder))
    _limits()
    if classifier is not None:
        _card(classifier.folder)


def _safety() -> None:
    layout.section("Safety")
    st.markdown(
        f"**{SAFETY}** To know a genus is not to know the species: many a genus has poisonous members or deadly "
        "doubles. And no photo shows smell, spores or what is under the ground. If "
        "someone has eaten a mushroom and feels ill, call the poison control centre at once, and keep the rest of it."
    )


# --- Five pictures ------------------------------------------------------------------------------------------


def _five_pictures(classifier: "Classifier", shown_photo: Subject | None) -> None:
    from mushroom.errors import PhotoError

    layout.section("How a heatmap comes about, in five pictures")
    if shown_photo is None:
        st.caption("Give a photo on the page Identify, and come back to see it with your own.")
        return
    try:
        photo = shown_photo.read()
    except PhotoError as error:
        st.error(str(error))
        return
    genus = predictions.predict(classifier, shown_photo).genus
    whose = {"upload": "your photo", "test": "a test photo", "drawing": "a drawing of ours"}[shown_photo.origin]
    st.caption(f"Grad-CAM (Selvaraju et al. 2017) at the last stage, on {whose}, for {genus}.")
    side = classifier.preprocessing.input_px
    steps = five_steps(photo, genus, side, predictions.channels(classifier, shown_photo, genus))
    with st.container(key="steps"):
        for number, (column, step) in enumerate(zip(st.columns(5), steps, strict=True), start=1):
            title, text, picture = step
            with column:
                st.image(components.jpeg(picture), width="stretch", alt=f"Step {number}: {title}")
                st.html(f'<p class="step"><b>{number}. {title}</b>{text}</p>')
    if shown_photo.origin == "drawing":
        layout.page_link("identify", label="See it with a photo of your own", icon=":material/upload:")


def five_steps(photo: Image.Image, genus: str, input_px: int, found: "Channels") -> list[tuple[str, str, Image.Image]]:
    """Title, text and picture of each step from the photo to the heatmap; ``found`` is Grad-CAM taken apart."""
    from mushroom.explain import overlays

    maps = found.feature_map.clamp_min(0).numpy()
    count, height, width = maps.shape
    say = found.weights.numpy() * maps.mean((1, 2))
    most, least = int(say.argmax()), int(say.argmin())
    network_input = photo.resize((input_px, input_px), Image.Resampling.BICUBIC)
    shown = network_input.resize((STEP_PX, STEP_PX), Image.Resampling.BICUBIC)
    heatmap = found.heatmap.numpy()
    return [
        ("What it sees", f"The photo becomes a square of {input_px}\u00a0×\u00a0{input_px} points.", shown),
        (
            "Patterns",
            f"Stage by stage it looks for patterns: {count:,} of them in the end, each on a grid of "
            f"{width}\u00a0×\u00a0{height}. This one, number {most + 1}, speaks most for {genus} here.",
            _cells(maps[most]),
        ),
        (
            "For and against",
            f"Each pattern has a weight: how much the score of {genus} would rise if it were stronger. This one, "
            f"number {least + 1}, counts most against it.",
            _cells(maps[least]),
        ),
        (
            "Added up",
            "All patterns times their weights, place by place. What speaks against is cut off, and the highest place "
            "becomes 1.",
            _cells(heatmap),
        ),
        (
            "Laid over the photo",
            "Enlarged and coloured. It shows where the patterns are, not why they matter: look at several layers.",
            overlays.overlay(shown, heatmap),
        ),
    ]


def _cells(values: np.ndarray) -> Image.Image:
    """A small map (h, w) as coloured cells, its highest value the hottest colour."""
    from mushroom.explain import overlays

    levels = np.round(255 * values / max(float(values.max()), 1e-12)).astype(np.uint8)
    coloured = Image.fromarray(overlays.colour_table(overlays.DEFAULT_COLOURS)[levels])
    return coloured.resize((STEP_PX, STEP_PX), Image.Resampling.NEAREST)


# --- The genera, the data, the card -------------------------------------------------------------------------


def _names(known: Names) -> None:
    names_of_all = these(len(known.names), known.rank)
    layout.section(f"{names_of_all[:1].upper()}{names_of_all[1:]}")
    for name in known.names:
        common = field_guide.visitors_name(name)
        with st.expander(f"{name}: {common}" if common else name):
            field_guide.show(name, known.rank)


def _limits() -> None:
    layout.section("The data and its limits")
    st.markdown(
        "- The photos that this program's own networks learned from were gathered from public repositories, mostly of "
        "students' projects. They are not shipped; what was learned from them is. Of a network of your own you know "
        "best what it has seen.\n"
        "- They come from some sources only. The report says whether the test photos are from others than those that "
        "the network learned from; where they are not, a stranger's photo is harder than its numbers say.\n"
        "- Of some there are hundreds of photos, of others a handful. The report says how many, one by one.\n"
        "- Near-duplicates are kept in the same split, so that no test photo is nearly a training photo.\n"
        "- Your photos stay in this session's memory. They are not stored, logged or used for training."
    )
    layout.page_link("report", label="Open the report", icon=":material/insights:")


def _card(folder: Path) -> None:
    if card := records.model_card(folder):
        with st.expander(f"Model card of {folder.name}"):
            # The card's own title would be the page's second: all its headlines go two levels down.
            st.markdown(re.sub(r"^(#+ )", r"##\1", card, flags=re.MULTILINE))
