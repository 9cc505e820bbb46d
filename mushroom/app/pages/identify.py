"""Identify: a photo goes in; the genus, how sure, and why come out, layer by layer.

The page is in one of three states: welcome (nothing chosen), photos (several were given), answer (one photo).
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st
from PIL import Image
from streamlit.delta_generator import DeltaGenerator

from mushroom.app import (
    bars,
    cropping,
    gallery,
    layout,
    lesson,
    models,
    panels,
    photo_table,
    predictions,
    uploads,
    url_state,
    viewer,
)
from mushroom.app.answer_text import headline_html, track_record_html
from mushroom.app.subject import SEVERAL_GONE, Subject, current_subject, preview, uploaded
from mushroom.errors import MushroomError
from mushroom.texts import RANKS

if TYPE_CHECKING:
    from mushroom.classifier import Classifier, Explanation

log = logging.getLogger(__name__)


def render() -> None:
    """The page."""
    if layout.arrived():
        uploads.forget_refusals()
    uploads.take_in()
    subject = current_subject()
    several = list(uploaded().values())
    if subject is not None:
        _answer(subject, several=len(several))
    elif len(several) > 1:
        _top_line("several photos")
        uploads.show_refusals()
        photo_table.show(several, uploads.open_one)
    else:
        if "several" in st.query_params:
            layout.note(SEVERAL_GONE)
            url_state.choose("several", None)
        _welcome()


# --- Welcome ------------------------------------------------------------------------------------------------


def _welcome() -> None:
    layout.header(
        "Which mushroom is it, and why?",
        "Give a photo. A neural network names what it looks most like, says how sure it is, and shows which parts of "
        "the photo made it think so.",
    )
    uploads.show_refusals()
    uploads.show_area()
    drawings = gallery.show(uploads.forget_refusals)
    _warm_up(drawings)


def _warm_up(drawings: Mapping[str, DeltaGenerator]) -> None:
    """Load the network while the visitor looks for a photo, and say what it makes of the drawings.

    What is wrong with it is told when it is needed.
    """
    try:
        for folder in list(models.checkpoints().values())[:1]:
            gallery.show_answers(drawings, models.load_classifier(folder))
    except MushroomError as error:
        log.warning("The first network could not be loaded ahead: %s", error)


# --- The answer ---------------------------------------------------------------------------------------------


def _top_line(of: str, several: int = 0) -> None:
    """The way back, and the way to another photo. ``of`` is what the page is about: it begins at its top."""
    layout.begin_at_the_top(of)
    with st.container(horizontal=True, vertical_alignment="center", key="top-line"):
        if several > 1:
            st.button(
                f"All {several} photos", icon=":material/arrow_back:", type="tertiary", on_click=uploads.back_to_table
            )
        st.button("Start again", icon=":material/restart_alt:", type="tertiary", on_click=uploads.start_again)
        with st.popover("Another photo", icon=":material/add_a_photo:", key=f"another:{st.session_state.get('given')}"):
            uploads.show_area()


def _answer(subject: Subject, several: int) -> None:
    _top_line(subject.sha256, several)
    uploads.show_refusals()
    classifier = models.chosen_classifier()
    if classifier is None:
        models.choose_checkpoint()
        return
    with st.skeleton(height=420):
        explained = _explained(classifier, subject)
    if explained is None:
        return
    photo, explanation = explained
    lesson.show_row(subject, classifier.folder)
    if lesson.hides_answer(subject):
        lesson.ask(subject, photo, classifier.genera, explanation.prediction.answer)
        return
    lesson.show_score(subject)
    of_whole = predictions.predict(classifier, replace(subject, crop=None)) if subject.crop else None
    st.html(headline_html(subject, explanation.prediction, classifier, of_whole))
    left, right = st.columns([11, 9], gap="large")
    with right:
        if record := track_record_html(subject, explanation.prediction, classifier):
            st.html(f'<p class="record">{record}</p>')
        _bars(explanation, classifier)
    viewer.show(left, subject, photo, explanation, classifier)
    panels.show(subject, cropping.network_view(subject, photo), explanation, classifier)


def _explained(classifier: "Classifier", subject: Subject) -> "tuple[Image.Image, Explanation] | None":
    """The photo to show and the heatmaps for the chosen genus and method; None, with a sentence, if it is gone."""
    from mushroom.explain.methods import METHODS

    methods = predictions.methods(classifier)
    method = str(
        url_state.choice(
            "method", methods, predictions.DEFAULT_METHOD, what="method", title=lambda key: METHODS[key].title
        )
    )
    try:
        photo = preview(subject)
        explanation = predictions.explain(classifier, subject, None, None, method)
        genus = url_state.choice("genus", classifier.genera, explanation.prediction.genus, what=classifier.config.rank)
        if genus != explanation.genus:
            explanation = predictions.explain(classifier, subject, genus, None, method)
    except MushroomError as error:
        st.error(str(error))
        return None
    return photo, explanation


def _bars(explanation: "Explanation", classifier: "Classifier") -> None:
    """A bar each; a press on one, or the list under them, asks for the heatmap of that name."""
    prediction, count = explanation.prediction, len(classifier.genera)
    plural = RANKS[classifier.config.rank]
    layout.section(f"All {'nine' if count == 9 else count} {plural}")
    language = st.context.locale or "en"
    bars.show(classifier, prediction, explanation.genus, language, lambda genus: url_state.choose("genus", genus))
    st.selectbox(
        "Show the heatmap for",
        [genus for genus, _ in predictions.ranked(prediction)],
        help="Or press a bar.",
        **url_state.widget("genus", explanation.genus),
    )
    if explanation.genus != prediction.genus:
        st.caption(f"The heatmap shows what speaks for *{layout.escaped(explanation.genus)}*, not for the answer.")
