"""Many photos: a row each with the network's answer, a way into each, and the table as a file."""

import csv
import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from mushroom.app import models, predictions
from mushroom.app.subject import Subject
from mushroom.genera import GENERA
from mushroom.texts import NONE_OF_THE_NINE

if TYPE_CHECKING:
    from mushroom.classifier import Prediction


def show(subjects: Sequence[Subject], on_open: Callable[[Subject], None]) -> None:
    classifier = models.open_classifier()
    if classifier is None:
        return
    progress = st.progress(0.0, text="Looking at your photos …")
    predicted = []
    for number, photo in enumerate(subjects, start=1):
        predicted.append(predictions.predict(classifier, photo))
        progress.progress(number / len(subjects), text=f"Looking at your photos … {number} of {len(subjects)}")
    progress.empty()
    st.title(f"{len(subjects)} photos", anchor=False)
    st.caption("Press the box before a row to see why.")
    chosen = st.dataframe(
        [
            {
                "Photo": photo.thumbnail,
                "File": photo.title,
                "Answer": NONE_OF_THE_NINE if prediction.unknown else prediction.genus,
                "Most like": prediction.genus,
                "Confidence": 100 * prediction.confidence,
            }
            for photo, prediction in zip(subjects, predicted, strict=True)
        ],
        hide_index=True,
        row_height=72,
        on_select="rerun",
        selection_mode="single-row",
        key=f"table:{st.session_state.get('table_round', 0)}",
        column_config={
            "Photo": st.column_config.ImageColumn(width="small"),
            "Confidence": st.column_config.ProgressColumn(format="%.0f %%", min_value=0, max_value=100),
        },
        alt="Your photos with the network's answers",
    )
    names = [f"{number}. {photo.title}" for number, photo in enumerate(subjects, start=1)]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            "Open a photo",
            names,
            index=None,
            placeholder="Choose one",
            key="table_open",
            width=320,
            on_change=_open_from_table,
            args=(tuple(subjects), names, on_open),
        )
        st.download_button(
            "Download as CSV",
            table_csv(subjects, predicted),
            "mushrooms.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
    if (selected := chosen["selection"]["rows"]) and selected[0] < len(subjects):
        on_open(subjects[selected[0]])
        st.rerun()


def _open_from_table(subjects: Sequence[Subject], names: Sequence[str], on_open: Callable[[Subject], None]) -> None:
    if (name := st.session_state["table_open"]) in names:
        on_open(subjects[names.index(name)])


def table_csv(subjects: Sequence[Subject], predicted: Sequence["Prediction"]) -> str:
    """A row a photo: its file name, the answer, the most probable genus, nine calibrated probabilities."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "answer", "genus", "confidence", "none_of_the_nine", *GENERA])
    for photo, prediction in zip(subjects, predicted, strict=True):
        # A spreadsheet runs what begins like a formula, and file names are a stranger's.
        name = f"'{photo.title}" if photo.title.startswith(("=", "+", "-", "@", "\t", "\r")) else photo.title
        writer.writerow(
            [
                name,
                NONE_OF_THE_NINE if prediction.unknown else prediction.genus,
                prediction.genus,
                f"{prediction.confidence:.4f}",
                "yes" if prediction.unknown else "no",
                *(f"{prediction.probabilities[genus]:.4f}" for genus in GENERA),
            ]
        )
    return text.getvalue()
