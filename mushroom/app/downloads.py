"""What is on the answer page, as files. Each is made when it is asked for."""

import json
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from mushroom.app import components, cropping, server
from mushroom.app.subject import Subject
from mushroom.texts import SAFETY

if TYPE_CHECKING:
    from mushroom.classifier import Classifier, Explanation
    from mushroom.explain.layers import Layer

HOTTEST_PERCENT = 20
REGIONS_SIZE = (224, 224)
"""Places of regions are percentages: they are looked for on a grid of this many points."""

SCHEMA = 2
"""Of the JSON file; it counts up where a reader of an older one would misread it."""


def show_button(
    subject: Subject, explanation: "Explanation", classifier: "Classifier", layer: "Layer", opacity: float, colours: str
) -> None:
    """The button, and behind it one for each file."""
    stem = f"mushroom-{explanation.genus.lower().replace(' ', '-')}-{explanation.method}"
    with st.popover("Download", icon=":material/download:"):
        picture = partial(_overlay_png, subject, explanation, layer.name, opacity, colours)
        strip = partial(_strip_png, subject, explanation, opacity, colours)
        numbers = partial(explanation_json, subject, explanation, classifier)
        for label, made, name, form in (
            ("Photo with heatmap (PNG)", picture, f"{stem}-{layer.name.replace('.', '_')}.png", "image/png"),
            ("Film strip (PNG)", strip, f"{stem}-layers.png", "image/png"),
            ("Numbers (JSON)", numbers, f"{stem}.json", "application/json"),
        ):
            st.download_button(label, made, name, form, on_click="ignore", width="stretch")


def _overlay_png(subject: Subject, explanation: "Explanation", layer: str, opacity: float, colours: str) -> bytes:
    def made() -> bytes:
        photo = subject.read_whole()
        return components.png(cropping.over_whole(photo, explanation.heatmaps[layer], subject.crop, opacity, colours))

    return server.run_queued(made)


def _strip_png(subject: Subject, explanation: "Explanation", opacity: float, colours: str) -> bytes:
    from mushroom.explain import overlays

    captions = {layer.name: f"{number} {layer.label}" for number, layer in enumerate(explanation.layers, start=1)}
    return server.run_queued(
        lambda: components.png(overlays.film_strip(subject.read(), explanation.heatmaps, opacity, colours, captions))
    )


def explanation_json(subject: Subject, explanation: "Explanation", classifier: "Classifier") -> str:
    """All numbers on the page: the network, its answer, all probabilities, every layer's heatmap to three decimals."""
    from mushroom.explain.regions import hottest_regions

    prediction = explanation.prediction
    return json.dumps(
        {
            "schema": SCHEMA,
            "model": classifier.config.name,
            "weights_sha256": classifier.weights_sha256,
            "photo_sha256": subject.sha256,
            "crop_percent": None if subject.crop is None else subject.crop.text,
            "genus": prediction.genus,
            "confidence": prediction.confidence,
            "unknown": prediction.unknown,
            "unknown_score": prediction.unknown_score,
            "unknown_threshold": classifier.config.unknown_threshold,
            "probabilities": prediction.probabilities,
            "explained_genus": explanation.genus,
            "method": explanation.method,
            "layers": [
                {
                    "name": layer.name,
                    "label": layer.label,
                    "has_evidence": explanation.has_evidence[layer.name],
                    "hottest_percent": HOTTEST_PERCENT,
                    "hottest_regions_percent": hottest_regions(
                        explanation.heatmaps[layer.name], HOTTEST_PERCENT, REGIONS_SIZE
                    ),
                    "heatmap": np.round(explanation.heatmaps[layer.name].astype(float), 3).tolist(),
                }
                for layer in explanation.layers
            ],
            "safety": SAFETY,
        },
        ensure_ascii=False,
        allow_nan=False,
    )
