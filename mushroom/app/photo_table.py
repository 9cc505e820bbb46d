"""Several photos: of different mushrooms, a row each with its answer; or of one, with one answer from all of them."""

import html
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from mushroom.app import components, models, predictions, server, url_state
from mushroom.app.subject import VIEWS, Subject, shrunk
from mushroom.texts import percent, third_answer

if TYPE_CHECKING:
    from mushroom.classifier import Classifier, Prediction

    Answered = Sequence[tuple[Subject, Prediction]]

DIFFERENT, ONE = "different", "one"
SHOWN = {DIFFERENT: "Different mushrooms", ONE: "One mushroom"}

CARD_PX = 170
"""Width of one photo of several of one mushroom."""


def show(subjects: Sequence[Subject], on_open: Callable[[Subject], None]) -> None:
    """The photos with the network's answers; ``on_open`` gets the one that the visitor wants to see explained."""
    classifier = models.chosen_classifier()
    if classifier is None:
        models.choose_checkpoint()
        return
    progress = st.progress(0.0, text="Looking at your photos …")
    answered = []
    for number, subject in enumerate(subjects, start=1):
        answered.append((subject, predictions.predict(classifier, subject)))
        progress.progress(number / len(subjects), text=f"Looking at your photos … {number} of {len(subjects)}")
    progress.empty()
    heading = st.container()
    shows = url_state.segments(
        "What do these photos show?",
        "several",
        SHOWN,
        DIFFERENT,
        what="meaning of several photos",
        help="Of one mushroom: its cap, its gills, the base of its stem. All of them then count for one answer.",
    )
    with heading:
        if shows == ONE:
            _one_answer(classifier, subjects)
        else:
            st.title(f"{len(subjects)} photos", anchor=False)
    if shows == ONE:
        _views(classifier, answered, on_open)
    else:
        _rows(classifier, answered, on_open)
    with st.popover("More", icon=":material/tune:"):
        models.choose_checkpoint()


# --- Different mushrooms ------------------------------------------------------------------------------------


def _rows(classifier: "Classifier", answered: "Answered", on_open: Callable[[Subject], None]) -> None:
    subjects = [subject for subject, _ in answered]
    st.caption("Press the box before a row to see why.")
    chosen: Any = st.dataframe(
        [
            {
                "Photo": subject.thumbnail,
                "Answer": third_answer(len(classifier.genera)) if prediction.unknown else prediction.genus,
                "Confidence": 100 * prediction.confidence,
                "Most like": prediction.genus,
                "File": subject.title,
            }
            for subject, prediction in answered
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
    names = [f"{number}. {subject.title}" for number, subject in enumerate(subjects, start=1)]

    def open_chosen() -> None:
        if (name := st.session_state["table_open"]) in names:
            on_open(subjects[names.index(name)])

    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            "Open a photo",
            names,
            index=None,
            placeholder="Choose one",
            key="table_open",
            width=320,
            on_change=open_chosen,
        )
        st.download_button(
            "Download as CSV",
            table_csv(classifier, answered),
            "mushrooms.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
    if (selected := chosen["selection"]["rows"]) and selected[0] < len(subjects):
        on_open(subjects[selected[0]])
        st.rerun()


def table_csv(classifier: "Classifier", answered: "Answered") -> str:
    """The table that ``mushroom predict --csv`` writes, of these photos."""
    # They bring torch, which the first page does without.
    from mushroom import table
    from mushroom.streaming import ListedFile, answer_line

    rows = []
    for subject, prediction in answered:
        file = ListedFile(subject.title, len(subject.source) if isinstance(subject.source, bytes) else None)
        line = answer_line(subject.title, prediction, classifier)
        rows.append(table.row(line, file, classifier.genera))
    return table.download(rows, classifier.genera)


# --- One mushroom -------------------------------------------------------------------------------------------


def _one_answer(classifier: "Classifier", subjects: Sequence[Subject]) -> None:
    together = predictions.predict_together(classifier, subjects)
    genus, share = html.escape(together.genus), f"<b>{percent(together.confidence)}</b>"
    if together.unknown:
        answer = third_answer(len(classifier.genera))
        sure = f"Together they look most like <em>{genus}</em> ({share}), but not enough like it."
    else:
        answer = f"<em>{genus}</em>"
        sure = f"{share} sure, from {len(subjects)} photos of one mushroom."
    st.html(
        f'<p class="eyebrow">One answer from all</p><h1 class="answer">{answer}</h1><p class="sure">{sure} Each photo '
        "counts alike: the answer is the mean of what they say.</p>"
    )


def _views(classifier: "Classifier", answered: "Answered", on_open: Callable[[Subject], None]) -> None:
    """Each photo with its own answer and the heatmap of what speaks for it, and the way to the whole explanation."""
    with st.container(horizontal=True, gap="small", key="views"):
        for number, (subject, prediction) in enumerate(answered, start=1):
            says = "none of these" if prediction.unknown else prediction.genus
            with st.container(width=CARD_PX, gap="xsmall"):
                alt = f"Photo {number}, with the heatmap of what speaks for {prediction.genus}"
                st.image(_under_heatmap(classifier, subject), width="stretch", alt=alt)
                st.html(
                    f'<p class="view"><b>{html.escape(subject.title)}</b>'
                    f"<span>says {html.escape(says)}, {percent(prediction.confidence)}</span></p>"
                )
                st.button(f"See why: photo {number}", key=f"view:{number}", on_click=on_open, args=(subject,))


def _under_heatmap(classifier: "Classifier", subject: Subject) -> bytes:
    """The photo under the heatmap of what speaks for its own answer, as JPEG; remembered while its photos are here."""
    from mushroom.explain import overlays
    from mushroom.explain.layers import default_layer

    remembered: dict[tuple[str, str], bytes] = st.session_state.setdefault(VIEWS, {})
    if (made_of := (classifier.identity, subject.key)) not in remembered:
        explanation = predictions.explain(classifier, subject, None, None, predictions.DEFAULT_METHOD)
        heatmap = explanation.heatmaps[default_layer(explanation.layers).name]
        small = server.run_queued(lambda: shrunk(subject.read_whole(), 2 * CARD_PX))
        remembered[made_of] = components.jpeg(overlays.overlay(small, heatmap))
    return remembered[made_of]
