"""What more photos of a genus would buy: measured by taking photos of well-known genera away."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from mushroom.checkpoint import SHIPPED_CHECKPOINTS
from mushroom.dataset import Prepared
from mushroom.evaluation.metrics import SUPPORTED_PHOTOS
from mushroom.genera import GENERA
from mushroom.training.probe import Features
from mushroom.training.recipes import Recipe

CURVE_FILE = "learning_curve.json"
FEWEST = 2
LEAST_TRAINING_PHOTOS = 64
"""A genus with fewer training photos has no curve to speak of."""

DRAWS = 3
"""So many random choices of photos are averaged for each point."""

WANTED = (25, 50, 100, 200, 400)
"""Numbers of training photos that advice speaks of."""

WORTH_SAYING = 0.02
"""A smaller gain in F1 is not worth a line of advice."""


@dataclass(frozen=True)
class Curve:
    """Expected F1 of a genus against its training photos: 1 - ``scale`` * n ** -``power``, never below 0."""

    scale: float
    power: float
    most_photos: int

    def f1(self, photos: int) -> float:
        """Expected F1 of a genus with so many training photos; what lies beyond the measured is held at its end."""
        if photos < 1:
            return 0.0
        return max(0.0, 1.0 - self.scale * min(photos, self.most_photos) ** -self.power)


def measure_points(features: Features, prepared: Prepared, recipe: Recipe) -> list[dict[str, Any]]:
    """F1 on the validation split of each well-known genus when only some of its training photos are learned from.

    All other genera keep all of theirs. Rows ``genus``, ``photos`` and ``f1``, the mean over ``DRAWS`` choices.
    """
    manifest = prepared.manifest
    train = features.rows(manifest[manifest.split == "train"].photo.tolist())
    measured = features.rows(manifest[manifest.split == "validation"].photo.tolist())
    labels = features.labels
    known = [
        genus
        for genus in range(len(GENERA))
        if (labels[train] == genus).sum() >= LEAST_TRAINING_PHOTOS
        and (labels[measured] == genus).sum() >= SUPPORTED_PHOTOS
    ]
    points = [(genus, count) for genus in known for count in _counts(int((labels[train] == genus).sum()))]
    rows = []
    for genus, count in tqdm(points, desc="learning curves", unit="point"):
        own, others = train[labels[train] == genus], train[labels[train] != genus]
        scores = []
        for draw in range(DRAWS):
            kept = np.random.default_rng(draw).choice(own, count, replace=False)
            chosen = np.r_[others, kept, features.background]
            predicted = features.fit(chosen, recipe)(features.values[measured])
            hit = predicted.argmax(axis=1) == genus
            true = labels[measured] == genus
            scores.append(2 * (hit & true).sum() / (hit.sum() + true.sum()))
        rows.append({"genus": GENERA[genus], "photos": count, "f1": float(np.mean(scores))})
    return rows


def _counts(all_photos: int) -> Iterator[int]:
    count = FEWEST
    while count < all_photos:
        yield count
        count *= 2
    yield all_photos


def fit_curve(points: Sequence[Mapping[str, Any]]) -> Curve:
    """The power law through all points (Hestness et al. 2017): a straight line through the logarithms of the error."""
    photos = np.array([point["photos"] for point in points], float)
    error = np.maximum(1 - np.array([point["f1"] for point in points]), 1e-3)
    slope, start = np.polyfit(np.log(photos), np.log(error), 1)
    return Curve(float(np.exp(start)), float(-slope), int(photos.max()))


def write_curve(folder: Path, points: Sequence[Mapping[str, Any]], backbone: str, command: str) -> None:
    """Keep the measured points, and what they were measured with."""
    kept = {"backbone": backbone, "command": command, "points": list(points)}
    (folder / CURVE_FILE).write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def read_curve(folder: Path = SHIPPED_CHECKPOINTS) -> Curve | None:
    """The curve through the points kept in ``folder``; None where none were."""
    path = folder / CURVE_FILE
    if not path.exists():
        return None
    return fit_curve(json.loads(path.read_text(encoding="utf-8"))["points"])


def advice(train_counts: Mapping[str, int], curve: Curve) -> list[str]:
    """Lines that say, poorest genus first, what more training photos of it would buy; none where all are rich."""
    lines = []
    for genus, count in sorted(train_counts.items(), key=lambda item: item[1]):
        now = curve.f1(count)
        steps = [(wanted, curve.f1(wanted)) for wanted in WANTED if wanted > count]
        steps = [(wanted, then) for wanted, then in steps if then - now >= WORTH_SAYING]
        if steps:
            told = ", ".join(f"{wanted}: {then:.2f}" for wanted, then in steps)
            lines.append(f"{genus:<14}{count:>6} to learn from, F1 about {now:.2f}; with {told}")
    if not lines:
        return []
    return [
        "What more photos would buy (F1 expected, as other genera fared with so many photos to learn from):",
        *lines,
    ]
