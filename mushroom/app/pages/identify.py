"""Identify: a photo goes in; the genus, how sure, and why come out, layer by layer.

The page is in one of three states: welcome (nothing chosen), table (many photos dropped), answer (one photo).
The drop zone is above all three and stays where it is, so that what it says about a file stays too.
"""

import contextlib
import csv
import html
import io
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from PIL import Image
from streamlit.delta_generator import DeltaGenerator

from mushroom.app import components, frame, gallery, predictions, records, subject
from mushroom.app.components import Rectangle
from mushroom.app.subject import Subject
from mushroom.genera import GENERA, GENUS_BY_NAME
from mushroom.texts import NONE_OF_THE_NINE, SAFETY, percent

if TYPE_CHECKING:
    from mushroom.classifier import Classifier, Explanation, Prediction
    from mushroom.explain.gradcam import Layer

PHOTO_TYPES = "JPEG, PNG, WebP, HEIC, TIFF, BMP or GIF"
DEFAULT_METHOD = "gradcam"
CONTRASTIVE = "contrastive"
"""Explains one genus against another: asked for in its own panel, not among the methods."""

COVERED_PARTS = ("The hottest part", "A rectangle of your own")

FRAME_PX = 200
"""Longest side of a picture in the film strip, for screens that are twice as fine."""

COLOUR_TITLES = {"even": "Even steps (Inferno)", "jet": "Rainbow (Jet)"}

BIN_PHOTOS = 20
"""A share is only told where at least this many test photos were counted."""

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
  .st-key-door { flex-wrap: wrap; }
  .st-key-door > div:has([data-testid="stFileUploader"]) { flex: 1 1 100%; }
}
</style>
"""

WELCOME_STYLE = """
<style>
.st-key-ahead { display: none; }
.st-key-door [data-testid="stFileUploaderDropzone"] { min-height: 7rem; align-items: center; align-content: center; }
</style>
"""

ANSWER_STYLE = """
<style>
/* Once there is an answer the door steps back: its label is left to screen readers. */
.st-key-door [data-testid="stWidgetLabel"] { position: absolute; clip-path: inset(50%); height: 1px; overflow: hidden; }
.st-key-door [data-testid="stFileUploaderDropzone"] { padding-block: .35rem; min-height: 0; }
</style>
"""


def render() -> None:
    """The page."""
    st.html(STYLE)
    headline = st.container()
    _door()
    looking_at = subject.current()
    table: Sequence[Subject] = st.session_state.get("table", ())
    if looking_at is not None:
        st.html(ANSWER_STYLE)
        _answer(looking_at)
    elif len(table) > 1:
        _table(table)
    else:
        with headline:
            frame.header(
                "Which mushroom is it, and why?",
                "Give a photo. A neural network names one of nine genera, says how sure it is, and shows which "
                "parts of the photo made it think so.",
            )
        st.html(WELCOME_STYLE)
        gallery.show(_start_over)
        _warm_up()


# --- The drop zone ------------------------------------------------------------------------------------------


def _door() -> None:
    if own_window := frame.uploads_need_own_window():
        st.info(
            f"Your browser lets no photo be sent from inside this page. [Open Mushroom by itself]({own_window}) to try "
            "one of yours; the drawings work here, too.",
            icon=":material/open_in_new:",
        )
    with st.container(horizontal=True, vertical_alignment="bottom", key="door"):
        files = st.file_uploader(
            f"Drop one photo or many ({PHOTO_TYPES})",
            accept_multiple_files=True,
            key="uploads",
            on_change=_mark,
            args=("uploads_changed",),
        )
        camera = st.popover("Camera", icon=":material/photo_camera:", key="camera_panel", on_change="rerun")
    snapshot = None
    if camera.open:
        # The browser asks for the camera as soon as this is drawn: only where the visitor opened it.
        with camera:
            snapshot = st.camera_input("Take a photo", key="camera", on_change=_mark, args=("snapshot_changed",))
    if st.session_state.pop("uploads_changed", False) and files:
        _take(files)
    if st.session_state.pop("snapshot_changed", False) and snapshot is not None:
        _take([snapshot])
    for refusal in st.session_state.get("refused", ()):
        title, reason = html.escape(refusal.title), html.escape(refusal.reason)
        st.html(f'<p class="refused" role="alert"><b>{title}</b>: {reason}</p>')


def _mark(flag: str) -> None:
    st.session_state[flag] = True


def _take(files: Sequence[Any]) -> None:
    taken, refused = subject.take(files)
    st.session_state["refused"] = refused
    st.session_state["table"] = taken
    _start_over()
    subject.show(taken[0] if len(taken) == 1 else None)


def _start_over() -> None:
    """Another photo starts with its own genus and no comparison; layer and method stay as they were."""
    frame.choose("genus", None)
    frame.choose("against", None)
    st.session_state["table_round"] = st.session_state.get("table_round", 0) + 1


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
        for folder in list(frame.checkpoints().values())[:1]:
            frame.classifier(folder)


# --- Many photos --------------------------------------------------------------------------------------------


def _table(taken: Sequence[Subject]) -> None:
    opened = frame.open_classifier()
    if opened is None:
        return
    progress = st.progress(0.0, text="Looking at your photos …")
    predicted = []
    for number, photo in enumerate(taken, start=1):
        predicted.append(predictions.predict(opened, photo))
        progress.progress(number / len(taken), text=f"Looking at your photos … {number} of {len(taken)}")
    progress.empty()
    st.title(f"{len(taken)} photos", anchor=False)
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
            for photo, prediction in zip(taken, predicted, strict=True)
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
    names = [f"{number}. {photo.title}" for number, photo in enumerate(taken, start=1)]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            "Open a photo",
            names,
            index=None,
            placeholder="Choose one",
            key="table_open",
            width=320,
            on_change=_open_from_table,
            args=(tuple(taken), names),
        )
        st.download_button(
            "Download as CSV",
            table_csv(taken, predicted),
            "mushrooms.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
    if (selected := chosen["selection"]["rows"]) and selected[0] < len(taken):
        _start_over()
        subject.show(taken[selected[0]])
        st.rerun()


def _open_from_table(taken: Sequence[Subject], names: Sequence[str]) -> None:
    if (name := st.session_state["table_open"]) in names:
        _start_over()
        subject.show(taken[names.index(name)])


def table_csv(taken: Sequence[Subject], predicted: Sequence["Prediction"]) -> str:
    """A row a photo: its file name, the answer, the most probable genus, nine calibrated probabilities."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "answer", "genus", "confidence", "none_of_the_nine", *GENERA])
    for photo, prediction in zip(taken, predicted, strict=True):
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


# --- The answer ---------------------------------------------------------------------------------------------


def _answer(looking_at: Subject) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        _way_back()
        opened = frame.open_classifier()
    if opened is None:
        return
    with st.skeleton(height=420):
        explained = _explained(opened, looking_at)
    if explained is None:
        return
    view, explanation = explained
    _headline(looking_at, explanation.prediction, opened)
    left, right = st.columns([11, 9], gap="large")
    strip = st.container()
    with right:
        _bars(explanation)
    _viewer(left, strip, looking_at, view, explanation, opened)
    _panels(looking_at, view, explanation, opened)


def _explained(opened: "Classifier", looking_at: Subject) -> "tuple[Image.Image, Explanation] | None":
    """The photo to show and the heatmaps for the chosen genus and method; None, with a sentence, if it is gone."""
    from mushroom.errors import PhotoError
    from mushroom.explain.gradcam import METHODS

    method = frame.choice("method", [key for key in METHODS if key != CONTRASTIVE], DEFAULT_METHOD, what="method")
    try:
        view = subject.view(looking_at)
        explanation = predictions.explain(opened, looking_at, None, None, str(method))
        genus = frame.choice("genus", GENERA, explanation.prediction.genus, what="genus")
        if genus != explanation.genus:
            explanation = predictions.explain(opened, looking_at, genus, None, str(method))
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
    _start_over()
    subject.show(None)


def _headline(looking_at: Subject, prediction: "Prediction", opened: "Classifier") -> None:
    surety = f"<b>{percent(prediction.confidence)}</b>"
    if prediction.unknown:
        eyebrow, answer = "The network's answer", NONE_OF_THE_NINE
        sure = f"Of the nine genera it looks most like <em>{prediction.genus}</em> ({surety}), but not enough like it."
    else:
        eyebrow, answer = "Most likely genus", f"<em>{prediction.genus}</em>"
        sure = f"{surety} sure. {_track_record(opened.folder, prediction.confidence)}"
    if looking_at.true_genus:
        right = looking_at.true_genus == prediction.genus and not prediction.unknown
        sure += f" The photo is of the genus <em>{looking_at.true_genus}</em>: "
        sure += "✓ right." if right else "✗ wrong."
    if looking_at.origin == "drawing":
        eyebrow = "A drawing, not a photo · " + eyebrow[0].lower() + eyebrow[1:]
    st.html(
        f'<p class="eyebrow">{eyebrow}</p><p class="answer" role="heading" aria-level="1">{answer}</p>'
        f'<p class="sure">{sure}</p>'
    )


def _track_record(folder: Path, confidence: float) -> str:
    """How often the network was right when it was about as sure, by the report; empty where too few were counted."""
    test = records.report(folder).get("splits", {}).get("test", {})
    for group in test.get("reliability_after", ()):
        if group["lower"] <= confidence <= group["upper"] and group["count"] >= BIN_PHOTOS:
            return (
                f"When it was {group['lower']:.0%} to {group['upper']:.0%} sure of a test photo, "
                f"it was right on {round(group['accuracy'] * group['count'])} of {group['count']}."
            )
    return ""


# --- Nine bars ----------------------------------------------------------------------------------------------


def _bars(explanation: "Explanation") -> None:
    """Nine bars; a click on one, or the selectbox under them, asks for the heatmap of that genus."""
    from mushroom.app import figures

    prediction = explanation.prediction
    st.subheader("All nine genera", anchor=False)
    st.plotly_chart(
        figures.genus_bars(prediction.probabilities, shown=explanation.genus),
        on_select=_bar_clicked,
        selection_mode="points",
        key="bars",
        config={"displayModeBar": False},
        alt="Bars of how sure the network is of each genus: "
        + ", ".join(f"{genus} {percent(share)}" for genus, share in _sorted(prediction)),
    )
    st.selectbox(
        "Show the heatmap for",
        [genus for genus, _ in _sorted(prediction)],
        format_func=lambda genus: f"{genus} · {percent(prediction.probabilities[genus])}",
        help="Or click a bar.",
        **frame.widget("genus", explanation.genus),
    )
    if explanation.genus != prediction.genus:
        st.caption(f"The heatmap shows what speaks for *{explanation.genus}*, not for the answer.")


def _bar_clicked() -> None:
    for point in st.session_state["bars"]["selection"]["points"]:
        for value in (point.get("y"), point.get("x"), point.get("label")):
            if value in GENERA:
                frame.choose("genus", value)


def _sorted(prediction: "Prediction") -> list[tuple[str, float]]:
    return sorted(prediction.probabilities.items(), key=lambda item: -item[1])


# --- Heatmaps -----------------------------------------------------------------------------------------------


@st.fragment(key="viewer")
def _viewer(
    stage: DeltaGenerator,
    strip: DeltaGenerator,
    looking_at: Subject,
    view: Image.Image,
    explanation: "Explanation",
    opened: "Classifier",
) -> None:
    """The photo with one layer's heatmap over it, and the film strip of all. Nothing here asks the network."""
    from mushroom.explain import overlays

    if frame.chosen("method") != explanation.method:
        # Only the whole page can ask the network for other heatmaps.
        st.rerun()
    layer = chosen_layer(explanation)
    layers = {each.name: each for each in explanation.layers}
    numbers = {name: number for number, name in enumerate(layers, start=1)}
    with stage:
        slot = st.container(key="picture")
        legend = st.container()
        with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
            shown = st.toggle("Heatmap", value=True, key="shown", persist_state="session")
            opacity = st.slider(
                "Opacity of the heatmap",
                0,
                100,
                50,
                format="%d %%",
                key="opacity",
                persist_state="session",
                width=240,
                disabled=not shown,
            )
        st.select_slider(
            "Layer, from early to late",
            list(layers),
            format_func=lambda name: f"{numbers[name]} of {len(layers)}",
            **frame.widget("layer", layer.name),
        )
        st.caption(
            f"**{layer.label[:1].upper()}{layer.label[1:]}.** This layer sees the photo as {layer.width} × "
            f"{layer.height} points."
        )
        with st.container(horizontal=True):
            colours = _more(explanation)
            share = opacity / 100 if shown else 0.0
            _trust(opened.folder, layers)
            _downloads(looking_at, explanation, layer, share, colours)
    with slot:
        heatmap = explanation.heatmaps[layer.name]
        st.image(
            components.jpeg(overlays.overlay(view, heatmap, share, colours)),
            width="stretch",
            alt=f"{_called(looking_at)}, with the heatmap of what speaks for {explanation.genus}",
        )
    with legend:
        if explanation.has_evidence[layer.name]:
            _scale(colours)
        else:
            st.info(f"In this layer nothing speaks for {explanation.genus}: the heatmap is empty.")
    with strip:
        st.subheader("Layer by layer", anchor=False)
        components.film_strip(
            _frames(looking_at, view, explanation, share or 0.5, colours),
            layer.name,
            partial(frame.choose, "layer"),
            label="Heatmaps of all layers, from early to late",
            key="film_strip",
        )


def chosen_layer(explanation: "Explanation") -> "Layer":
    """The layer that the visitor chose, else the network's default one."""
    from mushroom.explain.gradcam import default_layer

    layers = {layer.name: layer for layer in explanation.layers}
    default = default_layer(explanation.layers).name
    return layers[str(frame.choice("layer", list(layers), default, what="layer"))]


def _called(looking_at: Subject) -> str:
    return {"upload": "Your photo", "drawing": f"Drawing {looking_at.title}", "test": "Test photo"}[looking_at.origin]


def _scale(colours: str) -> None:
    from mushroom.explain import overlays

    stops = ", ".join(overlays.css_colours(colours))
    st.html(
        f'<p class="scale"><span>speaks little for it</span><i style="background:linear-gradient(90deg,{stops})"></i>'
        "<span>speaks most for it</span></p>"
    )


def _more(explanation: "Explanation") -> str:
    """Method and colours, behind one button; returns the colours."""
    from mushroom.explain import overlays
    from mushroom.explain.gradcam import METHODS

    with st.popover("More", icon=":material/tune:"):
        st.selectbox(
            "Method",
            [key for key in METHODS if key != CONTRASTIVE],
            format_func=lambda key: METHODS[key].title,
            **frame.widget("method", explanation.method),
        )
        st.caption(METHODS[explanation.method].explanation)
        return str(
            st.selectbox(
                "Colours",
                list(overlays.COLOUR_MAPS),
                format_func=lambda name: COLOUR_TITLES.get(name, name),
                key="colours",
                persist_state="session",
            )
        )


def _trust(folder: Path, layers: Mapping[str, "Layer"]) -> None:
    """Which layer was measured to be the most faithful, and a button that goes there."""
    from mushroom.explain.gradcam import METHODS

    with st.popover("Which layer should I trust?", icon=":material/verified:"):
        best = records.most_faithful(folder)
        if best is None or best.layer not in layers:
            st.markdown("For this network that has not been measured yet.")
            return
        title = METHODS[best.method].title
        st.markdown(
            f"**Layer {list(layers).index(best.layer) + 1} of {len(layers)} with {title}.** On {best.sample} test "
            "photos, the parts that these heatmaps call important were covered and uncovered again. Of all layers "
            "and methods, these changed the network's answer the way true reasons should."
        )
        st.button("Show it", on_click=_show_best, args=(best,), key="show_best")


def _show_best(best: records.MostFaithful) -> None:
    frame.choose("layer", best.layer)
    frame.choose("method", best.method)


def _downloads(looking_at: Subject, explanation: "Explanation", layer: "Layer", opacity: float, colours: str) -> None:
    """What is on the page, as files. Each is made when it is asked for."""
    stem = f"mushroom-{explanation.genus.lower()}-{explanation.method}"
    with st.popover("Download", icon=":material/download:"):
        st.download_button(
            "Photo with heatmap (PNG)",
            partial(_overlay_png, looking_at, explanation, layer.name, opacity, colours),
            f"{stem}-{layer.name.replace('.', '_')}.png",
            "image/png",
            on_click="ignore",
            width="stretch",
        )
        st.download_button(
            "Film strip (PNG)",
            partial(_strip_png, looking_at, explanation, opacity, colours),
            f"{stem}-layers.png",
            "image/png",
            on_click="ignore",
            width="stretch",
        )
        st.download_button(
            "Numbers (JSON)",
            partial(explanation_json, looking_at, explanation),
            f"{stem}.json",
            "application/json",
            on_click="ignore",
            width="stretch",
        )


def _overlay_png(looking_at: Subject, explanation: "Explanation", layer: str, opacity: float, colours: str) -> bytes:
    from mushroom.explain import overlays

    heatmap = explanation.heatmaps[layer]
    return frame.in_turn(lambda: components.png(overlays.overlay(looking_at.read(), heatmap, opacity, colours)))


def _strip_png(looking_at: Subject, explanation: "Explanation", opacity: float, colours: str) -> bytes:
    from mushroom.explain import overlays

    captions = {layer.name: f"{number} {layer.label}" for number, layer in enumerate(explanation.layers, start=1)}
    return frame.in_turn(
        lambda: components.png(overlays.film_strip(looking_at.read(), explanation.heatmaps, opacity, colours, captions))
    )


def explanation_json(looking_at: Subject, explanation: "Explanation") -> str:
    """All numbers on the page: the answer, nine probabilities, every layer's heatmap to three decimals."""
    prediction = explanation.prediction
    return json.dumps(
        {
            "photo_sha256": looking_at.sha256,
            "genus": prediction.genus,
            "confidence": prediction.confidence,
            "none_of_the_nine": prediction.unknown,
            "probabilities": prediction.probabilities,
            "explained_genus": explanation.genus,
            "method": explanation.method,
            "layers": [
                {
                    "name": layer.name,
                    "label": layer.label,
                    "has_evidence": explanation.has_evidence[layer.name],
                    "heatmap": np.round(explanation.heatmaps[layer.name].astype(float), 3).tolist(),
                }
                for layer in explanation.layers
            ],
            "safety": SAFETY,
        },
    )


def _frames(
    looking_at: Subject, view: Image.Image, explanation: "Explanation", opacity: float, colours: str
) -> list[components.Frame]:
    """The film strip's pictures; this session remembers the last ones, for the slider does not change them."""
    from mushroom.explain import overlays

    made_of = (looking_at.sha256, explanation.genus, explanation.method, opacity, colours, explanation.layers)
    remembered = st.session_state.get("frames")
    if remembered is None or remembered[0] != made_of:
        small = subject.shrunk(view, FRAME_PX)
        frames = [
            components.Frame(
                name=layer.name,
                label=f"{number} · {layer.label.split(': ')[0]}",
                caption=layer.label.split(": ")[-1]
                if explanation.has_evidence[layer.name]
                else "nothing speaks for it",
                address=components.data_url(
                    overlays.overlay(small, explanation.heatmaps[layer.name], opacity, colours)
                ),
            )
            for number, layer in enumerate(explanation.layers, start=1)
        ]
        remembered = (made_of, frames)
        st.session_state["frames"] = remembered
    return remembered[1]


# --- Panels -------------------------------------------------------------------------------------------------


@st.fragment(key="panels")
def _panels(looking_at: Subject, view: Image.Image, explanation: "Explanation", opened: "Classifier") -> None:
    """Three questions under the answer. Only the one that is open is drawn, and only pressing it asks the network."""
    why_not, cover, marks = st.tabs(
        ["Why not another genus?", "Cover and see", f"About {explanation.genus}"],
        key="panel",
        on_change="rerun",
    )
    if why_not.open:
        with why_not:
            _why_not(looking_at, view, explanation, opened)
    if cover.open:
        with cover:
            _cover(looking_at, view, explanation, opened)
    if marks.open:
        with marks:
            _field_marks(explanation.genus)


def _why_not(looking_at: Subject, view: Image.Image, explanation: "Explanation", opened: "Classifier") -> None:
    from mushroom.explain import overlays

    genus = explanation.genus
    others = [other for other, _ in _sorted(explanation.prediction) if other != genus]
    against = frame.choice("against", others, None, what="other genus")
    st.selectbox(
        f"Why {genus}, and not …",
        others,
        index=None,
        placeholder="Choose a genus",
        format_func=lambda other: f"{other} · {percent(explanation.prediction.probabilities[other])}",
        width=320,
        **frame.widget("against", against),
    )
    if against is None:
        st.caption("A second heatmap then shows only what speaks for one of the two and against the other.")
        return
    layer = chosen_layer(explanation)
    colours = st.session_state.get("colours", overlays.DEFAULT_COLOURS)
    for column, (one, other) in zip(st.columns(2, gap="large"), ((genus, against), (against, genus)), strict=True):
        contrast = predictions.explain(opened, looking_at, one, other, CONTRASTIVE)
        with column:
            st.markdown(f"**Speaks for *{one}* rather than *{other}***")
            st.image(
                components.jpeg(overlays.overlay(view, contrast.heatmaps[layer.name], 0.5, colours)),
                width="stretch",
                alt=f"Heatmap of what speaks for {one} rather than {other}",
            )
            if not contrast.has_evidence[layer.name]:
                st.caption(f"In this layer nothing speaks for {one} rather than {other}.")
    st.caption(f"Layer: {layer.label}.")


def _cover(looking_at: Subject, view: Image.Image, explanation: "Explanation", opened: "Classifier") -> None:
    from mushroom.app import figures

    st.caption("Blur a part of the photo and see whether the answer stays. True reasons are missed when covered.")
    part = st.segmented_control(
        "Cover",
        COVERED_PARTS,
        default=COVERED_PARTS[0],
        required=True,
        key="covered_part",
        persist_state="session",
    )
    left, right = st.columns(2, gap="large")
    with left:
        covered = _hottest(explanation, opened) if part == COVERED_PARTS[0] else _dragged(view)
    with right:
        if covered is None:
            st.info("In this layer nothing speaks for the genus, so there is nothing hot to cover: choose another.")
            return
        name, mask = covered
        after = predictions.cover(opened, looking_at, name, mask)
        before = explanation.prediction
        st.plotly_chart(
            figures.bars_before_after(before.probabilities, after.probabilities),
            key="before_after",
            config={"displayModeBar": False},
            alt=_change(before, after),
        )
        st.markdown(_change(before, after))
    with left:
        if part == COVERED_PARTS[0]:
            hidden = mask(view)
            shown = np.where(hidden[..., None], np.asarray(view) // 4, np.asarray(view)).astype(np.uint8)
            st.image(components.jpeg(Image.fromarray(shown)), width="stretch", alt="The photo, the covered part dark")


Masking = Callable[[Image.Image], np.ndarray]


def _hottest(explanation: "Explanation", opened: "Classifier") -> tuple[str, Masking] | None:
    layer = chosen_layer(explanation)
    percent = st.slider("Cover the hottest part of the photo", 5, 60, 20, 5, format="%d %%", key="hottest_percent")
    if not explanation.has_evidence[layer.name]:
        return None
    heatmap = explanation.heatmaps[layer.name]
    name = f"hottest:{explanation.genus}:{explanation.method}:{layer.name}:{percent}"
    return name, partial(hottest_mask, heatmap, percent / 100)


def hottest_mask(heatmap: np.ndarray, share: float, photo: Image.Image) -> np.ndarray:
    """Bool (height, width) of the photo: true for the ``share`` of its pixels where the heatmap is highest."""
    from mushroom.explain import overlays

    upsampled = overlays.upsample(heatmap, photo.size)
    hottest = np.argsort(upsampled, axis=None, kind="stable")[::-1][: round(share * upsampled.size)]
    mask = np.zeros(upsampled.size, bool)
    mask[hottest] = True
    return mask.reshape(upsampled.shape)


def _dragged(view: Image.Image) -> tuple[str, Masking]:
    rectangle = st.session_state.setdefault("rectangle", Rectangle(35, 35, 65, 65))
    for key, value in (
        ("across", (rectangle.left, rectangle.right)),
        ("down", (rectangle.top, rectangle.bottom)),
    ):
        if st.session_state.get(key) != value:
            st.session_state[key] = value
    components.drag_rectangle(
        components.data_url(view),
        rectangle,
        _draw,
        label="The photo: drag a rectangle over it, or use the two sliders below",
        key="rectangle_stage",
    )
    st.slider("From left to right", 0, 100, format="%d %%", key="across", on_change=_slide)
    st.slider("From top to bottom", 0, 100, format="%d %%", key="down", on_change=_slide)
    return f"rectangle:{rectangle}", partial(rectangle_mask, rectangle)


def _draw(rectangle: Rectangle) -> None:
    st.session_state["rectangle"] = rectangle


def _slide() -> None:
    (left, right), (top, bottom) = st.session_state["across"], st.session_state["down"]
    _draw(Rectangle(left, top, max(right, left + 1), max(bottom, top + 1)))


def rectangle_mask(rectangle: Rectangle, photo: Image.Image) -> np.ndarray:
    """Bool (height, width) of the photo: true inside the rectangle."""
    width, height = photo.size
    mask = np.zeros((height, width), bool)
    rows = slice(rectangle.top * height // 100, -(-rectangle.bottom * height // 100))
    mask[rows, rectangle.left * width // 100 : -(-rectangle.right * width // 100)] = True
    return mask


def _change(before: "Prediction", after: "Prediction") -> str:
    """One sentence on what covering did."""
    was, now = before.probabilities[before.genus], after.probabilities[before.genus]
    moved = f"*{before.genus}* goes from **{percent(was)}** to **{percent(now)}**"
    if after.genus != before.genus:
        return f"{moved}; the network would now say *{after.genus}* ({percent(after.confidence)})."
    return f"{moved}; the network would still say *{after.genus}*."


def _field_marks(genus: str) -> None:
    about = GENUS_BY_NAME[genus]
    marks, others = st.columns(2, gap="large")
    with marks:
        st.markdown(f"**What to look for in *{genus}***")
        for mark in about.field_marks:
            st.markdown(f"- {mark}")
    with others:
        st.markdown("**Easily taken for it, and the other way round**")
        for other in about.look_alikes:
            st.markdown(f"- {other}")
    st.caption("Sources: " + " · ".join(about.sources))
