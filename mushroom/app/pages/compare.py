"""Compare: one photo seen by several networks, by several layers and methods, or for several genera.

The plain photo first, then a grid of heatmaps with its labels said once, then in a small table how alike they rank
the places of the photo.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from mushroom.app import components, gallery, layout, models, predictions, records, subject, tables, url_state
from mushroom.app.heatmap_grid import Cell, agreement_cells, common_scale, show_grid
from mushroom.app.subject import Subject
from mushroom.texts import RANKS, none_of_these, percent

if TYPE_CHECKING:
    from mushroom.classifier import Classifier, Explanation, Prediction
    from mushroom.explain.layers import Layer

KINDS = {"models": "Models", "layers": "Layers and methods", "genera": "Genera"}

SCALES = {"own": "Each its own", "common": "One for all"}

METHOD = "gradcam"

NAMES_AT_FIRST = 3
METHODS_AT_FIRST = 3


def render() -> None:
    """The page."""
    layout.header("Compare", "One photo, seen in different ways.")
    photo = subject.current_subject()
    if photo is None:
        gallery.choose_first()
        return
    classifier = models.open_classifier()
    if classifier is None:
        return
    # With one network there is nothing to put beside it.
    first = "models" if len(models.checkpoints()) > 1 else "layers"
    kinds = KINDS | {"genera": RANKS[classifier.config.rank].capitalize()}
    kind = url_state.segments("What to compare", "compare", kinds, first, what="comparison")
    prediction = predictions.predict(classifier, photo)
    _plain_photo(photo, prediction)
    compare = {"models": _models, "layers": _layers_and_methods, "genera": _genera}[kind]
    with st.spinner("Comparing …"):
        compare(classifier, photo, prediction)


def _plain_photo(photo: Subject, prediction: "Prediction") -> None:
    """The photo that all the heatmaps are of, by name, and the way to another."""
    whose = {"upload": "Your photo", "test": "A test photo", "drawing": "A drawing of ours"}[photo.origin]
    picture, about = st.columns([1, 3], gap="medium", vertical_alignment="center")
    with picture, st.container(key="plain-photo"):
        view = subject.preview(photo)
        st.image(components.jpeg(view), width="stretch", alt="The photo that is compared, without a heatmap")
    with about:
        name = photo.title.replace("_", " ") if photo.origin == "drawing" else photo.title
        st.text(f"{whose}: {name}")
        says = none_of_these(len(prediction.probabilities)) if prediction.unknown else prediction.genus
        shown = f"The chosen model says {says}"
        if photo.true_genus:
            shown += f"; the photo shows {photo.true_genus}"
        st.markdown(f"{shown}.")
        with st.expander("Another photo"):
            gallery.choose_first()


# --- Models -------------------------------------------------------------------------------------------------


def _models(classifier: "Classifier", photo: Subject, prediction: "Prediction") -> None:
    at_hand = models.checkpoints()
    if len(at_hand) < 2:
        st.info(
            "There is only one trained network on this machine. Put more checkpoint folders into assets/models to "
            "see them side by side."
        )
    genus = _genus(prediction, classifier.config.rank)
    cells = []
    classifiers = []
    titles = models.human_names(list(at_hand))
    for name, folder in at_hand.items():
        each = models.load_classifier(folder)
        said = predictions.predict(each, photo)
        if genus not in said.probabilities:
            st.caption(f"{titles[name]} does not know {genus}.")
            continue
        explanation = predictions.explain(each, photo, genus, None, METHOD)
        says = none_of_these(len(said.probabilities)) if said.unknown else said.genus
        note = f"says {says}; {percent(said.probabilities[genus])} for {genus}"
        cells.append(Cell(titles[name], note, explanation.heatmaps[each.default_layer.name]))
        classifiers.append(each)
    st.caption(
        f"What speaks for *{genus}*, in each network's own deepest layer, with Grad-CAM. Each map is scaled to its own "
        "hottest place: numbers of different networks have no scale in common."
    )
    show_grid(photo, [cell.title for cell in cells], {"": cells})
    _tell_agreement({cell.title: cell.heatmap for cell in cells}, "models")
    _tell_measured(classifiers)


def _tell_measured(classifiers: Sequence["Classifier"]) -> None:
    """How far these networks agree on more photos than this one, where that was measured."""
    names = [each.folder.name for each in classifiers]
    found = {
        (one.folder.name, other.folder.name): measured
        for one in classifiers
        for other in classifiers
        if one is not other
        and (measured := records.agreement(one.folder, other.folder, [one.weights_sha256, other.weights_sha256]))
    }
    if not found:
        return
    photos = next(iter(found.values()))
    layout.section("On the test photos")
    st.caption(
        f"How often two networks give the same answer on {photos.photos} test photos, and in brackets how alike their "
        f"heatmaps rank the places, over {photos.sample} of them (rank correlation, 1 is the same)."
    )
    cells = [
        [
            tables.Cell(
                f"{percent(pair.same_genus)} ({pair.rank_correlation:.2f})",
                f"{one} and {other}: the same answer on {percent(pair.same_genus)}",
                pair.same_genus,
            )
            if (pair := found.get((one, other)))
            else tables.Cell("", f"{one} and {other}: not measured")
            for other in names
        ]
        for one in names
    ]
    titles = list(models.human_names(names).values())
    tables.table(titles, titles, cells, label="Agreement of the networks on the test photos", key="measured_agreement")


def _genus(prediction: "Prediction", rank: str) -> str:
    names = list(prediction.probabilities)
    genus = url_state.choice("genus", names, prediction.genus, what="genus")
    st.selectbox(f"{rank.capitalize()} to explain", names, width=320, **url_state.widget("genus", genus))
    return str(genus)


# --- Layers and methods -------------------------------------------------------------------------------------


def _layers_and_methods(classifier: "Classifier", photo: Subject, prediction: "Prediction") -> None:
    from mushroom.errors import ExplanationError
    from mushroom.explain.methods import METHODS

    genus = _genus(prediction, classifier.config.rank)
    quick = [key for key in classifier.methods if not METHODS[key].contrasts]
    chosen = st.multiselect(
        "Methods",
        quick,
        default=quick[:METHODS_AT_FIRST],
        format_func=lambda key: METHODS[key].title,
        key="compared_methods",
        persist_state="session",
    )
    if not chosen:
        st.info("Choose at least one method.")
        return
    rows: dict[str, list[Cell]] = {}
    stages: list[Layer] = []
    for method in chosen:
        if METHODS[method].needs == "masked scores":
            st.caption(f"{METHODS[method].title} looks at the photo hundreds of times: this takes a while.")
        try:
            explanation = predictions.explain(classifier, photo, genus, None, method)
        except ExplanationError as error:
            st.caption(str(error))
            continue
        stages = [layer for layer in explanation.layers if layer.stage_end]
        rows[METHODS[method].title] = [
            Cell(f"{METHODS[method].title}, stage {number}", "", explanation.heatmaps[layer.name])
            for number, layer in enumerate(stages, start=1)
        ]
    if not rows:
        return
    st.caption(
        f"What speaks for *{genus}*: columns are layers from early to late, rows are methods. Each map is scaled to "
        "its own hottest place: numbers of different layers and methods have no scale in common."
    )
    show_grid(photo, [f"{number}. {layer.label}" for number, layer in enumerate(stages, start=1)], rows)
    if len(rows) > 1:
        _tell_agreement({title: row[-1].heatmap for title, row in rows.items()}, "methods, in the last layer")
    first, row = next(iter(rows.items()))
    _tell_agreement(
        {f"stage {number}": cell.heatmap for number, cell in enumerate(row, start=1)},
        f"layers, by {first}",
        how_to_read=len(rows) == 1,
    )


# --- Genera -------------------------------------------------------------------------------------------------


def _genera(classifier: "Classifier", photo: Subject, prediction: "Prediction") -> None:
    plural = RANKS[classifier.config.rank]
    ranked = [name for name, _ in predictions.ranked(prediction)]
    # What is shown of an option must not change with the model: it is the option's identity.
    chosen = st.multiselect(
        plural.capitalize(), sorted(ranked), default=ranked[:NAMES_AT_FIRST], key=f"compared_genera:{photo.sha256}"
    )
    if not chosen:
        st.info(f"Choose at least one {classifier.config.rank}.")
        return
    layer = _layer(classifier)
    one_scale = "With one scale for all, a map is only as hot as it is beside the hottest of them."
    scale = url_state.segments("Scale", "scale", SCALES, "own", what="scale", help=one_scale)
    explanations: list[Explanation] = [predictions.explain(classifier, photo, genus, None, METHOD) for genus in chosen]
    maps = [each.heatmaps[layer.name] for each in explanations]
    if scale == "common":
        maps = common_scale(maps, [float(each.evidence[layer.name].max()) for each in explanations])
    cells = [
        Cell(
            explanation.genus,
            percent(prediction.probabilities[explanation.genus])
            + ("" if explanation.has_evidence[layer.name] else "; nothing speaks for it in this layer"),
            heatmap,
        )
        for explanation, heatmap in zip(explanations, maps, strict=True)
    ]
    st.caption(
        "One scale for all: the hottest place of all these maps counts as 1."
        if scale == "common"
        else "Each map is scaled to its own hottest place: a weak reason looks as hot as a strong one. "
        "“One for all” shows which is stronger."
    )
    show_grid(photo, [cell.title for cell in cells], {"": cells})
    _tell_agreement({cell.title: cell.heatmap for cell in cells}, plural)


def _layer(classifier: "Classifier") -> "Layer":
    layers = {layer.name: layer for layer in classifier.layers}
    numbers = {name: number for number, name in enumerate(layers, start=1)}
    name = str(url_state.choice("layer", list(layers), classifier.default_layer.name, what="layer"))
    st.select_slider(
        "Layer, from early to late",
        list(layers),
        format_func=lambda name: f"{numbers[name]} of {len(layers)}",
        **url_state.widget("layer", name),
    )
    st.caption(f"{layers[name].label[:1].upper()}{layers[name].label[1:]}, with Grad-CAM.")
    return layers[name]


# --- How alike ----------------------------------------------------------------------------------------------


def _tell_agreement(heatmaps: dict[str, np.ndarray], what: str, *, how_to_read: bool = True) -> None:
    """A small table of how alike the heatmaps rank the places of the photo."""
    if len(heatmaps) < 2:
        return
    layout.section(f"How alike: {what}")
    if how_to_read:
        st.caption(
            "Rank correlation of each two: 1 when they rank the photo's places alike, 0 when each goes its own way, "
            "below 0 when the other way round. In brackets the share of their hottest fifths that they have in common."
        )
    titles = list(heatmaps)
    tables.table(titles, titles, agreement_cells(heatmaps), label=f"Agreement between {what}", key=f"agreement:{what}")
