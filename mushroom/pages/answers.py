"""What the network says about a subject, remembered: predictions, explanations, covered photos.

Everything is kept by the photo's hash, the weights, the genus and the method, in bounded caches that all
sessions share. They hold numbers about a photo, never the photo.
"""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from PIL import Image

from mushroom.checkpoints import CARD_FILE, HISTORY_FILE, PREDICTIONS_FILE, REPORT_FILE
from mushroom.pages import frame
from mushroom.pages.subject import Subject

if TYPE_CHECKING:
    from mushroom.classifier import Classifier, Explanation, Prediction
    from mushroom.gradcam import Channels

EXPLANATIONS_KEPT = 128
PREDICTIONS_KEPT = 2048
CHANNELS_KEPT = 16


def predict(classifier: "Classifier", subject: Subject) -> "Prediction":
    """The network's answer for the photo."""
    return _predict(_weights(classifier), subject.sha256, classifier, subject.read)


def explain(
    classifier: "Classifier", subject: Subject, genus: str | None, against: str | None, method: str
) -> "Explanation":
    """Heatmaps of all layers: for ``genus`` (None: the predicted one), ``against`` another where the method asks."""
    return _explain(_weights(classifier), subject.sha256, genus, against, method, classifier, subject.read)


def cover(
    classifier: "Classifier", subject: Subject, name: str, mask: Callable[[Image.Image], np.ndarray]
) -> "Prediction":
    """The answer for the photo with a part blurred: ``mask`` gives it, and ``name`` tells it from other parts."""
    return _cover(_weights(classifier), subject.sha256, name, classifier, subject.read, mask)


def channels(classifier: "Classifier", subject: Subject, genus: str) -> "Channels":
    """Grad-CAM for ``genus`` at the last stage, taken apart."""
    return _channels(_weights(classifier), subject.sha256, genus, classifier, subject.read)


def _weights(classifier: "Classifier") -> str:
    return f"{classifier.folder.name}:{classifier.weights_sha256}"


@st.cache_data(max_entries=PREDICTIONS_KEPT, show_spinner=False)
def _predict(weights: str, sha256: str, _classifier: "Classifier", _read: Callable[[], Image.Image]) -> "Prediction":
    return frame.in_turn(lambda: _classifier.predict([_read()])[0])


@st.cache_data(max_entries=EXPLANATIONS_KEPT, show_spinner=False)
def _explain(
    weights: str,
    sha256: str,
    genus: str | None,
    against: str | None,
    method: str,
    _classifier: "Classifier",
    _read: Callable[[], Image.Image],
) -> "Explanation":
    from mushroom.gradcam import METHODS

    # Masked scores take a forward pass for each channel of each layer.
    layers = "stages" if METHODS[method].needs == "masked scores" else "all"
    return frame.in_turn(
        lambda: _classifier.explain(_read(), genus=genus, against=against, method=method, layers=layers)
    )


@st.cache_data(max_entries=CHANNELS_KEPT, show_spinner=False)
def _channels(
    weights: str, sha256: str, genus: str, _classifier: "Classifier", _read: Callable[[], Image.Image]
) -> "Channels":
    return frame.in_turn(lambda: _classifier.channels(_read(), genus))


@st.cache_data(max_entries=PREDICTIONS_KEPT, show_spinner=False)
def _cover(
    weights: str,
    sha256: str,
    name: str,
    _classifier: "Classifier",
    _read: Callable[[], Image.Image],
    _mask: Callable[[Image.Image], np.ndarray],
) -> "Prediction":
    def covered() -> "Prediction":
        photo = _read()
        return _classifier.cover(photo, _mask(photo))

    return frame.in_turn(covered)


# --- What was measured --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MostFaithful:
    """The layer and method whose heatmaps changed the prediction most when covered; ``sample`` photos measured."""

    layer: str
    method: str
    sample: int


def most_faithful(folder: Path) -> MostFaithful | None:
    """The checkpoint's most faithful layer and method by its report; None where that was not measured."""
    faithfulness = report(folder).get("faithfulness") or {}
    best = faithfulness.get("best") or {}
    if not {"layer", "method"} <= best.keys():
        return None
    return MostFaithful(str(best["layer"]), str(best["method"]), int(faithfulness.get("sample", 0)))


def report(folder: Path) -> dict[str, Any]:
    """The checkpoint's report.json; empty where it has none or it can't be read."""
    path = folder / REPORT_FILE
    return _report(path, path.stat().st_mtime_ns) if path.is_file() else {}


@st.cache_data(max_entries=8, show_spinner=False)
def _report(path: Path, changed_ns: int) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def history(folder: Path) -> list[dict[str, str]]:
    """The rows of the checkpoint's history.csv, values as text; empty where it has none."""
    path = folder / HISTORY_FILE
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def model_card(folder: Path) -> str:
    """The checkpoint's model card as Markdown, without the Hub's front matter; empty where it has none."""
    path = folder / CARD_FILE
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return text.split("---\n", 2)[-1].strip()


@dataclass(frozen=True)
class TestAnswer:
    """What the network answered for one photo of the test split, by its predictions.csv.

    ``confidence`` is the calibrated probability of ``genus``; ``loss`` is in nats, of the true genus.
    """

    photo: str
    true_genus: str
    genus: str
    confidence: float
    unknown: bool
    loss: float

    @property
    def right(self) -> bool:
        """Whether the most probable genus is the true one; what counts in the report's accuracy."""
        return self.genus == self.true_genus


def test_answers(folder: Path) -> list[TestAnswer]:
    """The answers for all known photos of the test split; empty where predictions.csv is missing or damaged."""
    path = folder / PREDICTIONS_FILE
    return _test_answers(folder, path.stat().st_mtime_ns) if path.is_file() else []


@st.cache_data(max_entries=8, show_spinner=False)
def _test_answers(folder: Path, changed_ns: int) -> list[TestAnswer]:
    from mushroom import metrics

    measured = report(folder)
    try:
        known = metrics.read_predictions(folder / PREDICTIONS_FILE).where(metrics.KNOWN, "test")
        probabilities = metrics.probabilities(known.logits, measured["temperature"])
        threshold = measured["unknown"]["threshold"]
        labels = known.labels
    except (ValueError, KeyError):
        return []
    unknown = metrics.unknown_score(known.logits) > (np.inf if threshold is None else threshold)
    return [
        TestAnswer(
            str(photo),
            str(genus),
            known.genera[row.argmax()],
            float(row.max()),
            bool(turned),
            -float(np.log(row[label])),
        )
        for photo, genus, row, turned, label in zip(
            known.photo, known.genus, probabilities, unknown, labels, strict=True
        )
    ]
