"""Predictions written by hand, for tests."""

from collections.abc import Sequence

import numpy as np

from mushroom.app.records import Answer
from mushroom.calibration import energy
from mushroom.classifier import Prediction
from mushroom.evaluation.predictions import KNOWN, Predictions
from mushroom.genera import GENERA


def answer(
    photo: str, true: str, genus: str, confidence: float = 0.9, unknown: bool = False, source: str = ""
) -> Answer:
    """One test photo's answer, as the pages keep it."""
    return Answer(photo, true, genus, confidence, unknown, -float(np.log(confidence)), source)


def prediction(genus: str = GENERA[0], confidence: float = 0.9, unknown: bool = False) -> Prediction:
    """The answer to one photo, of the nine genera; the others share what is left."""
    shares = dict.fromkeys(GENERA, (1 - confidence) / 8) | {genus: confidence}
    return Prediction(genus, confidence, shares, unknown, 0.0, (0.0,) * 9)


def logits_for(predicted: Sequence[int], genera: int = 9, strength: float = 5.0) -> np.ndarray:
    """Logits (n, genera) whose most probable class is as given."""
    logits = np.zeros((len(predicted), genera), np.float32)
    logits[np.arange(len(predicted)), list(predicted)] = strength
    return logits


def photos(
    predicted: Sequence[int],
    *,
    labels: Sequence[int] | None = None,
    split: str = "test",
    kind: str = KNOWN,
    genus: str = "",
    genera: tuple[str, ...] = GENERA,
    strength: float = 5.0,
    scores: Sequence[float] | None = None,
    sources: Sequence[str] = ("a", "b"),
    species: str = "",
) -> Predictions:
    """Photos that are called ``predicted``: known ones with ``labels``, or of another kind without."""
    count, logits = len(predicted), logits_for(predicted, len(genera), strength)
    names = [genus] * count if labels is None else [genera[label] for label in labels]
    return Predictions(
        photo=np.array([f"{kind}/{split}/{index}.jpg" for index in range(count)]),
        kind=np.full(count, kind),
        split=np.full(count, split),
        genus=np.array(names, dtype=str),
        source=np.array([sources[index % len(sources)] for index in range(count)]),
        species=np.full(count, species, dtype=object).astype(str),
        other_genus=np.full(count, ""),
        unknown_score=energy(logits) if scores is None else np.array(scores, float),
        logits=logits,
        genera=genera,
    )


def joined(*parts: Predictions) -> Predictions:
    """All photos of ``parts``, in order."""
    names = [name for name in vars(parts[0]) if name != "genera"]
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Predictions(genera=parts[0].genera, **columns)
