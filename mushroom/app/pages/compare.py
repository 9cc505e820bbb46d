"""Compare: one photo seen by several networks, by several layers and methods, or for several genera.

All heatmaps of a comparison have the same colours and the same scale, and what differs is said in computed
sentences: how far their hottest parts overlap, and how alike they rank the places of the photo.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from mushroom.app import components, gallery, layout, models, predictions, records, subject, url_state
from mushroom.app.subject import Subject
from mushroom.genera import GENERA
from mushroom.texts import percent

if TYPE_CHECKING:
    from mushroom.classifier import Classifier, Explanation, Prediction
    from mushroom.explain.layers import Layer

KINDS = {"models": "Models", "layers": "Layers and methods", "genera": "Genera"}

PAIRS_TOLD = 3
"""With more pairs than this only the most alike and the least alike are told."""

CELLS_IN_A_ROW = 5

STYLE = """
<style>
.cell { margin: 0; line-height: 1.35; font-size: .95rem; }
.cell span { display: block; opacity: .75; font-size: .85rem; }
.st-key-grid img { border-radius: .5rem; }
</style>
"""


def render() -> None:
    """The page."""
    st.html(STYLE)
    layout.header("Compare", "One photo, seen in different ways: same colours, same scale.")
    looking_at = subject.current_subject()
    if looking_at is None:
        gallery.choose_first()
        return
    opened = models.open_classifier()
    if opened is None:
        return
    # With one network there is nothing to put beside it.
    first = "models" if len(models.checkpoints()) > 1 else "layers"
    kind = url_state.choice("compare", list(KINDS), first, what="comparison")
    st.segmented_control(
        "What to compare",
        list(KINDS),
        format_func=KINDS.__getitem__,
        required=True,
        **url_state.widget("compare", kind),
    )
    compare = {"models": _models, "layers": _layers_and_methods, "genera": _genera}[str(kind)]
    with st.spinner("Comparing …"):
        compare(opened, looking_at)


# --- Models -------------------------------------------------------------------------------------------------


def _models(opened: "Classifier", looking_at: Subject) -> None:
    at_hand = models.checkpoints()
    if len(at_hand) < 2:
        st.info(
            "There is only one trained network on this machine. Put more checkpoint folders into assets/models to "
            "see them side by side."
        )
    classifiers = [models.load_classifier(folder) for folder in at_hand.values()]
    predicted = [predictions.predict(each, looking_at) for each in classifiers]
    genus = _genus(predictions.predict(opened, looking_at))
    explanations = [predictions.explain(each, looking_at, genus, None, "gradcam") for each in classifiers]
    cells = []
    for name, each, prediction, explanation in zip(at_hand, classifiers, predicted, explanations, strict=True):
        says = "none of the nine" if prediction.unknown else prediction.genus
        note = f"says {says}, {percent(prediction.confidence)} sure of {prediction.genus}"
        cells.append(Cell(name, note, explanation.heatmaps[each.default_layer.name]))
    st.caption(f"What speaks for *{genus}*, in each network's own deepest layer, with Grad-CAM.")
    _show_grid(looking_at, [cells])
    _tell(cells)
    _tell_agreement(classifiers)


def _tell_agreement(classifiers: Sequence["Classifier"]) -> None:
    """How far these networks agree on more photos than this one, where that was measured."""
    lines = []
    for one, other in itertools.combinations(classifiers, 2):
        weights = [one.weights_sha256, other.weights_sha256]
        if found := records.agreement(one.folder, other.folder, weights):
            lines.append(
                f"**{one.folder.name}** and **{other.folder.name}** name the same genus on "
                f"{percent(found.same_genus)} of {found.photos} test photos; over {found.sample} of them their "
                f"heatmaps' ranks correlate {found.rank_correlation:.2f} on average."
            )
    if lines:
        st.markdown("**On the test photos**")
        for line in lines:
            st.markdown(f"- {line}")


def _genus(prediction: "Prediction") -> str:
    genus = url_state.choice("genus", GENERA, prediction.genus, what="genus")
    st.selectbox("Genus to explain", GENERA, width=320, **url_state.widget("genus", genus))
    return str(genus)


# --- Layers and methods -------------------------------------------------------------------------------------


def _layers_and_methods(opened: "Classifier", looking_at: Subject) -> None:
    from mushroom.explain.methods import METHODS

    genus = _genus(predictions.predict(opened, looking_at))
    quick = [key for key in opened.methods if not METHODS[key].contrasts]
    chosen = st.multiselect(
        "Methods",
        quick,
        default=quick[:3],
        format_func=lambda key: METHODS[key].title,
        key="compared_methods",
        persist_state="session",
    )
    if not chosen:
        st.info("Choose at least one method.")
        return
    rows = []
    for method in chosen:
        if METHODS[method].needs == "masked scores":
            st.caption(f"{METHODS[method].title} looks at the photo hundreds of times: this takes a while.")
        explanation = predictions.explain(opened, looking_at, genus, None, method)
        stages = [layer for layer in explanation.layers if layer.stage_end]
        rows.append(
            [
                Cell(
                    f"{METHODS[method].title}, {_numbered(layer, stages)}",
                    layer.label,
                    explanation.heatmaps[layer.name],
                )
                for layer in stages
            ]
        )
    _show_grid(looking_at, rows)
    st.markdown("**Between methods, in the last layer**")
    _tell([row[-1] for row in rows])
    st.markdown("**Between layers, by the first method**")
    _tell(rows[0])


def _numbered(layer: "Layer", stages: Sequence["Layer"]) -> str:
    return f"stage {stages.index(layer) + 1} of {len(stages)}"


# --- Genera -------------------------------------------------------------------------------------------------


def _genera(opened: "Classifier", looking_at: Subject) -> None:
    prediction = predictions.predict(opened, looking_at)
    ranked = sorted(GENERA, key=lambda genus: -prediction.probabilities[genus])
    chosen = st.multiselect(
        "Genera",
        ranked,
        default=ranked[:3],
        format_func=lambda genus: f"{genus} · {percent(prediction.probabilities[genus])}",
        key=f"compared_genera:{looking_at.sha256}",
    )
    if not chosen:
        st.info("Choose at least one genus.")
        return
    layer = _layer(opened)
    explanations: list[Explanation] = [
        predictions.explain(opened, looking_at, genus, None, "gradcam") for genus in chosen
    ]
    cells = [
        Cell(
            explanation.genus,
            f"{percent(prediction.probabilities[explanation.genus])}"
            + ("" if explanation.has_evidence[layer.name] else " · nothing speaks for it in this layer"),
            explanation.heatmaps[layer.name],
        )
        for explanation in explanations
    ]
    _show_grid(looking_at, [cells])
    _tell(cells)


def _layer(opened: "Classifier") -> "Layer":
    layers = {layer.name: layer for layer in opened.layers}
    numbers = {name: number for number, name in enumerate(layers, start=1)}
    name = str(url_state.choice("layer", list(layers), opened.default_layer.name, what="layer"))
    st.select_slider(
        "Layer, from early to late",
        list(layers),
        format_func=lambda name: f"{numbers[name]} of {len(layers)}",
        **url_state.widget("layer", name),
    )
    st.caption(f"{layers[name].label[:1].upper()}{layers[name].label[1:]}, with Grad-CAM.")
    return layers[name]


# --- Showing ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """One heatmap of a comparison, with what stands under it."""

    title: str
    note: str
    heatmap: np.ndarray


def _show_grid(looking_at: Subject, rows: Sequence[Sequence[Cell]]) -> None:
    from mushroom.explain import overlays

    view = subject.preview(looking_at)
    colours = st.session_state.get("colours", overlays.DEFAULT_COLOURS)
    with st.container(key="grid"):
        for row in rows:
            for start in range(0, len(row), CELLS_IN_A_ROW):
                cells = row[start : start + CELLS_IN_A_ROW]
                for column, cell in zip(st.columns(max(len(cells), 2)), cells, strict=False):
                    with column:
                        picture = overlays.overlay(view, cell.heatmap, overlays.DEFAULT_OPACITY, colours)
                        st.image(components.jpeg(picture), width="stretch", alt=f"Heatmap: {cell.title}")
                        st.html(f'<p class="cell"><b>{cell.title}</b><span>{cell.note}</span></p>')
    st.caption("In each picture the hottest place counts as 1 and a place that does not speak for it as 0.")


def _tell(cells: Sequence[Cell]) -> None:
    """The sentences on what differs between the cells."""
    for sentence in differences({cell.title: cell.heatmap for cell in cells}):
        st.markdown(f"- {sentence}")


# --- What differs -------------------------------------------------------------------------------------------


def differences(heatmaps: Mapping[str, np.ndarray]) -> list[str]:
    """Sentences on how far heatmaps (any sizes, in [0, 1], by title) agree, each with its two numbers.

    Empty heatmaps are named and left out. With many pairs only the most and the least alike are told.
    """
    from mushroom.explain.similarity import on_grid, overlap, rank_correlation

    grids = {title: on_grid(heatmap) for title, heatmap in heatmaps.items() if heatmap.any()}
    sentences = [f"{title} has an empty heatmap: nothing to compare." for title in heatmaps if title not in grids]
    pairs = [
        (rank_correlation(grids[one], grids[other]), overlap(grids[one], grids[other]), one, other)
        for one, other in itertools.combinations(grids, 2)
    ]
    # A heatmap that is the same everywhere ranks nothing.
    pairs = sorted((pair for pair in pairs if np.isfinite(pair[0])), reverse=True)
    if len(pairs) <= PAIRS_TOLD:
        return sentences + [_sentence("", *pair) for pair in pairs]
    return [*sentences, _sentence("Most alike: ", *pairs[0]), _sentence("Least alike: ", *pairs[-1])]


def _sentence(start: str, correlation: float, shared: float, one: str, other: str) -> str:
    if correlation >= 0.7:
        alike = "rank the places of the photo much alike"
    elif correlation >= 0.3:
        alike = "rank the places of the photo somewhat alike"
    elif correlation > -0.3:
        alike = "rank the places of the photo each in its own way"
    else:
        alike = "rank the places of the photo nearly the other way round"
    return (
        f"{start}**{one}** and **{other}** {alike} (rank correlation {correlation:.2f}); of their hottest fifths "
        f"{shared:.0%} is shared."
    )
