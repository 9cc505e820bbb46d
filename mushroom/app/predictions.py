"""What the network says about a subject, remembered: predictions, explanations, covered photos.

Everything is kept by the photo's hash, what the network is (its weights and its config), the genus and the method, in
bounded caches that all sessions share. They hold numbers about a photo, never the photo.
"""

from collections.abc import Callable, Sequence
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


def predict(classifier: "Classifier", subject: Subject) -> "Prediction":
    """The network's answer for the photo."""
    return _predict(classifier.identity, subject.key, classifier, subject.read)


def methods(classifier: "Classifier") -> list[str]:
    """The methods of heatmaps for one name that a visitor can choose from for this network."""
    return [key for key in classifier.methods if key != CONTRASTIVE]


def ranked(prediction: "Prediction") -> list[tuple[str, float]]:
    """The genera with their probabilities, the most probable first."""
    return sorted(prediction.probabilities.items(), key=lambda item: -item[1])


def predict_together(classifier: "Classifier", subjects: Sequence[Subject]) -> "Prediction":
    """One answer from several photos of one mushroom."""
    # One photo at a time: fifty decoded ones would fill the memory.
    logits = [_logits(classifier.identity, subject.key, classifier, subject.read) for subject in subjects]
    return classifier.read_together(np.concatenate(logits))


def explain(
    classifier: "Classifier", subject: Subject, genus: str | None, against: str | None, method: str
) -> "Explanation":
    """Heatmaps of all layers: for ``genus`` (None: the predicted one), ``against`` another where the method asks."""
    return _explain(classifier.identity, subject.key, genus, against, method, classifier, subject.read)


def cover(
    classifier: "Classifier", subject: Subject, name: str, mask: Callable[[Image.Image], np.ndarray]
) -> "Prediction":
    """The answer for the photo with a part blurred: ``mask`` gives it, and ``name`` tells it from other parts."""
    return _cover(classifier.identity, subject.key, name, classifier, subject.read, mask)


def predict_copy(
    classifier: "Classifier", subject: Subject, name: str, made: Callable[[Image.Image], Image.Image]
) -> "Prediction":
    """The answer for a copy of the photo: ``made`` makes it, and ``name`` tells it from other copies."""
    return _predict(classifier.identity, f"{subject.key}:{name}", classifier, lambda: made(subject.read()))


def channels(classifier: "Classifier", subject: Subject, genus: str) -> "Channels":
    """Grad-CAM for ``genus`` at the last stage, taken apart."""
    return _channels(classifier.identity, subject.key, genus, classifier, subject.read)


@st.cache_data(max_entries=PREDICTIONS_KEPT, show_spinner=False)
def _predict(identity: str, photo: str, _classifier: "Classifier", _read: Callable[[], Image.Image]) -> "Prediction":
    return server.run_queued(lambda: _classifier.predict([_read()])[0])


@st.cache_data(max_entries=PREDICTIONS_KEPT, show_spinner=False)
def _logits(identity: str, photo: str, _classifier: "Classifier", _read: Callable[[], Image.Image]) -> np.ndarray:
    return server.run_queued(lambda: _classifier.logits([_read()]))


@st.cache_data(max_entries=EXPLANATIONS_KEPT, show_spinner=False)
def _explain(
    identity: str,
    photo: str,
    genus: str | None,
    against: str | None,
    method: str,
    _classifier: "Classifier",
    _read: Callable[[], Image.Image],
) -> "Explanation":
    from mushroom.explain.methods import METHODS

    # Masked scores take a forward pass for each channel of each layer.
    layers = "stages" if METHODS[method].needs == "masked scores" else "all"
    return server.run_queued(
        lambda: _classifier.explain(_read(), genus=genus, against=against, method=method, layers=layers)
    )


@st.cache_data(max_entries=CHANNELS_KEPT, show_spinner=False)
def _channels(
    identity: str, photo: str, genus: str, _classifier: "Classifier", _read: Callable[[], Image.Image]
) -> "Channels":
    return server.run_queued(lambda: _classifier.channels(_read(), genus))


@st.cache_data(max_entries=PREDICTIONS_KEPT, show_spinner=False)
def _cover(
    identity: str,
    photo: str,
    name: str,
    _classifier: "Classifier",
    _read: Callable[[], Image.Image],
    _mask: Callable[[Image.Image], np.ndarray],
) -> "Prediction":
    def covered() -> "Prediction":
        photo = _read()
        return _classifier.cover(photo, _mask(photo))

    return server.run_queued(covered)
