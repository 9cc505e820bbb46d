"""Identify: a photo goes in; the genus, how sure, and why come out, layer by layer.

The page is in one of three states: welcome (nothing chosen), table (many photos dropped), answer (one photo).
The upload area is above all three and stays where it is, so that what it says about a file stays too.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st
from PIL import Image

from mushroom.app import (
    gallery,
    layout,
    lesson,
    models,
    panels,
    photo_table,
    predictions,
    records,
    uploads,
    url_state,
    viewer,
)
from mushroom.app.subject import Subject, current_subject, preview, show_upload
from mushroom.genera import GENERA
from mushroom.texts import NONE_OF_THE_NINE, percent

if TYPE_CHECKING:
    from mushroom.classifier import Classifier, Explanation, Prediction

DEFAULT_METHOD = "gradcam"

STYLE = """
<style>
.eyebrow { font-size: .78rem; letter-spacing: .08em; text-transform: uppercase; opacity: .7; margin: 0; }
.answer { margin: .1rem 0 0; font-family: "Source Serif", "Source Serif 4", Georgia, serif; font-size: 2.7rem;
  line-height: 1.1; }
.sure { margin: .5rem 0 0; font-size: 1.05rem; line-height: 1.5; max-width: 46rem; }
.scale { display: flex; align-items: center; gap: .6rem; font-size: .8rem; opacity: .85; margin: 0; }
.scale i { flex: 1; height: .5rem; border-radius: 1rem; }
.refused { margin: 0; font-size: .92rem; padding: .5rem .8rem; border-radius: .5rem;
  background: color-mix(in srgb, #c0392b 12%, transparent); border-left: 4px solid #c0392b; overflow-wrap: anywhere; }
[data-testid="stFileUploaderDropzone"] { border-style: dashed; border-width: 1.5px; }
.st-key-picture img { max-height: 34rem; object-fit: contain; border-radius: .7rem; }
@media (max-width: 640px) {
  .answer { font-size: 2rem; }
  .st-key-upload { flex-wrap: wrap; }
  .st-key-upload > div:has([data-testid="stFileUploader"]) { flex: 1 1 100%; }
}
</style>
"""

WELCOME_STYLE = """
<style>
.st-key-ahead { display: none; }
.st-key-upload [data-testid="stFileUploaderDropzone"] { min-height: 7rem; align-items: center; align-content: center; }
</style>
"""

ANSWER_STYLE = """
<style>
/* Once there is an answer the upload area steps back: its label is left to screen readers. */
.st-key-upload [data-testid="stWidgetLabel"] {
  position: absolute; clip-path: inset(50%); height: 1px; overflow: hidden; }
.st-key-upload [data-testid="stFileUploaderDropzone"] { padding-block: .35rem; min-height: 0; }
</style>
"""


def render() -> None:
    """The page."""
    st.html(STYLE)
    headline = st.container()
    uploads.show()
    subject = current_subject()
    table: Sequence[Subject] = st.session_state.get("table", ())
    if subject is not None:
        st.html(ANSWER_STYLE)
        _answer(subject)
    elif len(table) > 1:
        photo_table.show(table, uploads.open_one)
    else:
        with headline:
            layout.header(
                "Which mushroom is it, and why?",
                "Give a photo. A neural network names one of nine genera, says how sure it is, and shows which "
                "parts of the photo made it think so.",
            )
        st.html(WELCOME_STYLE)
        gallery.show(uploads.start_anew)
        _warm_up()


# --- Welcome ------------------------------------------------------------------------------------------------


def _warm_up() -> None:
    """Load, while the visitor looks for a photo, what the answer will need: the network, and the browser's charts.

    What is wrong with the network is told when it is needed.
    """
    from mushroom.app import figures

    with st.container(key="ahead"):
        # Never seen: the browser fetches its code for charts with the first one, and that is megabytes.
        st.plotly_chart(figures.genus_bars(dict.fromkeys(GENERA, 0.0), shown=GENERA[0]), key="ahead_bars")
    with contextlib.suppress(ValueError):
        for folder in list(models.checkpoints().values())[:1]:
            models.load_classifier(folder)


# --- The answer ---------------------------------------------------------------------------------------------


def _answer(subject: Subject) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        _way_back()
        classifier = models.open_classifier()
    if classifier is None:
        return
    with st.skeleton(height=420):
        explained = _explained(classifier, subject)
    if explained is None:
        return
    view, explanation = explained
    lesson.show_row(subject)
    if lesson.hides_answer(subject):
        prediction = explanation.prediction
        lesson.ask(subject, view, list(prediction.probabilities), None if prediction.unknown else prediction.genus)
        return
    lesson.show_score(subject)
    _headline(subject, explanation.prediction, classifier)
    left, right = st.columns([11, 9], gap="large")
    strip = st.container()
    with right:
        _bars(explanation)
    viewer.show(left, strip, subject, view, explanation, classifier)
    panels.show(subject, view, explanation, classifier)


def _explained(classifier: "Classifier", subject: Subject) -> "tuple[Image.Image, Explanation] | None":
    """The photo to show and the heatmaps for the chosen genus and method; None, with a sentence, if it is gone."""
    from mushroom.errors import PhotoError

    method = url_state.choice(
        "method", [key for key in classifier.methods if key != predictions.CONTRASTIVE], DEFAULT_METHOD, what="method"
    )
    try:
        view = preview(subject)
        explanation = predictions.explain(classifier, subject, None, None, str(method))
        genus = url_state.choice("genus", GENERA, explanation.prediction.genus, what="genus")
        if genus != explanation.genus:
            explanation = predictions.explain(classifier, subject, genus, None, str(method))
    except PhotoError as error:
        st.error(str(error))
        return None
    return view, explanation


def _way_back() -> None:
    if len(table := st.session_state.get("table", ())) > 1 and st.session_state.get("upload") is not None:
        st.button(f"All {len(table)} photos", icon=":material/arrow_back:", type="tertiary", on_click=_close)
    else:
        st.button("Start again", icon=":material/arrow_back:", type="tertiary", on_click=_close)


def _close() -> None:
    uploads.start_anew()
    show_upload(None)


def _headline(subject: Subject, prediction: "Prediction", classifier: "Classifier") -> None:
    surety = f"<b>{percent(prediction.confidence)}</b>"
    if prediction.unknown:
        eyebrow, answer = "The network's answer", NONE_OF_THE_NINE
        sure = f"Of the nine genera it looks most like <em>{prediction.genus}</em> ({surety}), but not enough like it."
    else:
        eyebrow, answer = "Most likely genus", f"<em>{prediction.genus}</em>"
        sure = f"{surety} sure. {_track_record(subject, classifier.folder, prediction.confidence)}"
    if subject.true_genus:
        right = subject.true_genus == prediction.genus and not prediction.unknown
        sure += f" The photo is of the genus <em>{subject.true_genus}</em>: "
        sure += "✓ right." if right else "✗ wrong."
    if subject.origin == "drawing":
        eyebrow = "A drawing, not a photo · " + eyebrow[0].lower() + eyebrow[1:]
    st.html(
        f'<p class="eyebrow">{eyebrow}</p><p class="answer" role="heading" aria-level="1">{answer}</p>'
        f'<p class="sure">{sure}</p>'
    )


def _track_record(subject: Subject, folder: Path, confidence: float) -> str:
    """How often the network told test photos right when it was about as sure; not said of a drawing."""
    found = records.track_record(folder, confidence) if subject.origin != "drawing" else None
    if found is None:
        return ""
    whose = " (of the collection that it was tested on, not of yours)" if subject.origin == "upload" else ""
    return (
        f"When it was {found.lower:.0%} to {found.upper:.0%} sure of a test photo{whose}, "
        f"it was right on {found.right} of {found.count}."
    )


# --- Nine bars ----------------------------------------------------------------------------------------------


def _bars(explanation: "Explanation") -> None:
    """Nine bars; a click on one, or the selectbox under them, asks for the heatmap of that genus."""
    from mushroom.app import figures

    prediction = explanation.prediction
    layout.section("All nine genera")
    st.plotly_chart(
        figures.genus_bars(prediction.probabilities, shown=explanation.genus),
        on_select=_bar_clicked,
        selection_mode="points",
        key="bars",
        config={"displayModeBar": False},
        alt="Bars of how sure the network is of each genus: "
        + ", ".join(f"{genus} {percent(share)}" for genus, share in predictions.ranked(prediction)),
    )
    st.selectbox(
        "Show the heatmap for",
        [genus for genus, _ in predictions.ranked(prediction)],
        format_func=lambda genus: f"{genus} · {percent(prediction.probabilities[genus])}",
        help="Or click a bar.",
        **url_state.widget("genus", explanation.genus),
    )
    if explanation.genus != prediction.genus:
        st.caption(f"The heatmap shows what speaks for *{explanation.genus}*, not for the answer.")


def _bar_clicked() -> None:
    for point in st.session_state["bars"]["selection"]["points"]:
        for value in (point.get("y"), point.get("x"), point.get("label")):
            if value in GENERA:
                url_state.choose("genus", value)
