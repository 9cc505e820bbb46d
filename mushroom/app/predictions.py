"""What the network says about a subject, remembered: predictions, explanations, covered photos.

Everything is kept by the photo's hash, what the network is (its weights and its config), the genus and the method, in
bounded caches that all sessions share. They hold numbers about a photo, never the photo.
"""

from collections.abc import Callable, Sequence
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from PIL import Image

from mushroom.app import server
from mushroom.app.subject import Subject

if TYPE_CHECKING:
    from mushroom.classifier import Classifier, Explanation, Prediction
    from mushroom.explain.gradcam import Channels

CONTRASTIVE = "contrastive"
"""The method that explains one genus against another: asked for in its own panel, not among the methods."""

DEFAULT_METHOD = "gradcam"

EXPLANATIONS_KEPT = 128
PREDICTIONS_KEPT = 2048
CHANNELS_KEPT = 16

_kept = partial(
    st.cache_data,
    show_spinner=False,
    hash_funcs={"mushroom.classifier.Classifier": attrgetter("identity"), Subject: attrgetter("key")},
)


def methods(classifier: "Classifier") -> list[str]:
    """The methods of heatmaps for one name that a visitor can choose from for this network."""
    return [key for key in classifier.methods if key != CONTRASTIVE]


def ranked(prediction: "Prediction") -> list[tuple[str, float]]:
    """The genera with their probabilities, the most probable first."""
    return sorted(prediction.probabilities.items(), key=lambda item: -item[1])


@_kept(max_entries=PREDICTIONS_KEPT)
def predict(classifier: "Classifier", subject: Subject) -> "Prediction":
    """The network's answer for the photo."""
    return server.run_queued(lambda: classifier.predict([subject.read()])[0])


def predict_together(classifier: "Classifier", subjects: Sequence[Subject]) -> "Prediction":
    """One answer from several photos of one mushroom."""
    # One photo at a time: fifty decoded ones would fill the memory.
    return classifier.read_together(np.concatenate([_logits(classifier, subject) for subject in subjects]))


@_kept(max_entries=PREDICTIONS_KEPT)
def _logits(classifier: "Classifier", subject: Subject) -> np.ndarray:
    return server.run_queued(lambda: classifier.logits([subject.read()]))


@_kept(max_entries=EXPLANATIONS_KEPT)
def explain(
    classifier: "Classifier", subject: Subject, genus: str | None, against: str | None, method: str
) -> "Explanation":
    """Heatmaps of all layers: for ``genus`` (None: the predicted one), ``against`` another where the method asks."""
    from mushroom.explain.methods import METHODS

    # Masked scores take a forward pass for each channel of each layer.
    layers = "stages" if METHODS[method].needs == "masked scores" else "all"
    return server.run_queued(lambda: classifier.explain(subject.read(), genus, against, method, layers))


@_kept(max_entries=PREDICTIONS_KEPT)
def cover(
    classifier: "Classifier", subject: Subject, name: str, _mask: Callable[[Image.Image], np.ndarray]
) -> "Prediction":
    """The answer for the photo with a part blurred: ``_mask`` gives it, and ``name`` tells it from other parts."""

    def covered() -> "Prediction":
        photo = subject.read()
        return classifier.cover(photo, _mask(photo))

    return server.run_queued(covered)


@_kept(max_entries=PREDICTIONS_KEPT)
def predict_copy(
    classifier: "Classifier", subject: Subject, name: str, _made: Callable[[Image.Image], Image.Image]
) -> "Prediction":
    """The answer for a copy of the photo: ``_made`` makes it, and ``name`` tells it from other copies."""
    return server.run_queued(lambda: classifier.predict([_made(subject.read())])[0])


@_kept(max_entries=CHANNELS_KEPT)
def channels(classifier: "Classifier", subject: Subject, genus: str) -> "Channels":
    """Grad-CAM for ``genus`` at the last stage, taken apart."""
    return server.run_queued(lambda: classifier.channels(subject.read(), genus))
