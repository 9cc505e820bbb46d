"""The photo under one layer's heatmap, with its controls, its downloads and the film strip of all layers."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from PIL import Image
from streamlit.delta_generator import DeltaGenerator

from mushroom.app import components, layout, predictions, records, server, url_state
from mushroom.app.subject import Subject, shrunk
from mushroom.texts import SAFETY

if TYPE_CHECKING:
    from mushroom.classifier import Classifier, Explanation
    from mushroom.explain.layers import Layer

FRAME_PX = 200
"""Longest side of a picture in the film strip, for screens that are twice as fine."""

COLOUR_TITLES = {"even": "Even steps (Inferno)", "jet": "Rainbow (Jet)"}


@st.fragment(key="viewer")
def show(
    stage: DeltaGenerator,
    strip: DeltaGenerator,
    subject: Subject,
    view: Image.Image,
    explanation: "Explanation",
    classifier: "Classifier",
) -> None:
    """The photo with one layer's heatmap over it, and the film strip of all. Nothing here asks the network."""
    from mushroom.explain import overlays

    if url_state.chosen("method") != explanation.method:
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
            **url_state.widget("layer", layer.name),
        )
        st.caption(
            f"**{layer.label[:1].upper()}{layer.label[1:]}.** This layer sees the photo as {layer.width} × "
            f"{layer.height} points."
        )
        with st.container(horizontal=True):
            colours = _more(explanation, classifier.methods)
            share = opacity / 100 if shown else 0.0
            _trust(classifier.folder, layers)
            _downloads(subject, explanation, layer, share, colours)
    with slot:
        heatmap = explanation.heatmaps[layer.name]
        st.image(
            components.jpeg(overlays.overlay(view, heatmap, share, colours)),
            width="stretch",
            alt=f"{_called(subject)}, with the heatmap of what speaks for {explanation.genus}",
        )
    with legend:
        if explanation.has_evidence[layer.name]:
            _scale(colours)
        else:
            st.info(f"In this layer nothing speaks for {explanation.genus}: the heatmap is empty.")
    with strip:
        layout.section("Layer by layer")
        components.film_strip(
            _frames(subject, view, explanation, share or 0.5, colours),
            layer.name,
            partial(url_state.choose, "layer"),
            label="Heatmaps of all layers, from early to late",
            key="film_strip",
        )


def chosen_layer(explanation: "Explanation") -> "Layer":
    """The layer that the visitor chose, else the network's default one."""
    from mushroom.explain.layers import default_layer

    layers = {layer.name: layer for layer in explanation.layers}
    default = default_layer(explanation.layers).name
    return layers[str(url_state.choice("layer", list(layers), default, what="layer"))]


def _called(subject: Subject) -> str:
    return {"upload": "Your photo", "drawing": f"Drawing {subject.title}", "test": "Test photo"}[subject.origin]


def _scale(colours: str) -> None:
    from mushroom.explain import overlays

    stops = ", ".join(overlays.css_colours(colours))
    st.html(
        f'<p class="scale"><span>speaks little for it</span><i style="background:linear-gradient(90deg,{stops})"></i>'
        "<span>speaks most for it</span></p>"
    )


def _more(explanation: "Explanation", methods: Sequence[str]) -> str:
    """Method and colours, behind one button; returns the colours."""
    from mushroom.explain import overlays
    from mushroom.explain.methods import METHODS, why_not

    with st.popover("More", icon=":material/tune:"):
        st.selectbox(
            "Method",
            [key for key in methods if key != predictions.CONTRASTIVE],
            format_func=lambda key: METHODS[key].title,
            **url_state.widget("method", explanation.method),
        )
        st.caption(METHODS[explanation.method].explanation)
        for key in METHODS.keys() - set(methods):
            st.caption(str(why_not(key, tokens=True)))
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
    from mushroom.explain.methods import METHODS

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
    url_state.choose("layer", best.layer)
    url_state.choose("method", best.method)


def _downloads(subject: Subject, explanation: "Explanation", layer: "Layer", opacity: float, colours: str) -> None:
    """What is on the page, as files. Each is made when it is asked for."""
    stem = f"mushroom-{explanation.genus.lower()}-{explanation.method}"
    with st.popover("Download", icon=":material/download:"):
        st.download_button(
            "Photo with heatmap (PNG)",
            partial(_overlay_png, subject, explanation, layer.name, opacity, colours),
            f"{stem}-{layer.name.replace('.', '_')}.png",
            "image/png",
            on_click="ignore",
            width="stretch",
        )
        st.download_button(
            "Film strip (PNG)",
            partial(_strip_png, subject, explanation, opacity, colours),
            f"{stem}-layers.png",
            "image/png",
            on_click="ignore",
            width="stretch",
        )
        st.download_button(
            "Numbers (JSON)",
            partial(explanation_json, subject, explanation),
            f"{stem}.json",
            "application/json",
            on_click="ignore",
            width="stretch",
        )


def _overlay_png(subject: Subject, explanation: "Explanation", layer: str, opacity: float, colours: str) -> bytes:
    from mushroom.explain import overlays

    heatmap = explanation.heatmaps[layer]
    return server.run_queued(lambda: components.png(overlays.overlay(subject.read(), heatmap, opacity, colours)))


def _strip_png(subject: Subject, explanation: "Explanation", opacity: float, colours: str) -> bytes:
    from mushroom.explain import overlays

    captions = {layer.name: f"{number} {layer.label}" for number, layer in enumerate(explanation.layers, start=1)}
    return server.run_queued(
        lambda: components.png(overlays.film_strip(subject.read(), explanation.heatmaps, opacity, colours, captions))
    )


def explanation_json(subject: Subject, explanation: "Explanation") -> str:
    """All numbers on the page: the answer, nine probabilities, every layer's heatmap to three decimals."""
    prediction = explanation.prediction
    return json.dumps(
        {
            "photo_sha256": subject.sha256,
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
    subject: Subject, view: Image.Image, explanation: "Explanation", opacity: float, colours: str
) -> list[components.Frame]:
    """The film strip's pictures; this session remembers the last ones, for the slider does not change them."""
    from mushroom.explain import overlays

    made_of = (subject.sha256, explanation.genus, explanation.method, opacity, colours, explanation.layers)
    remembered = st.session_state.get("frames")
    if remembered is None or remembered[0] != made_of:
        small = shrunk(view, FRAME_PX)
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
