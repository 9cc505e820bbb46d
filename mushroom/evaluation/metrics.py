"""Logits and labels become scores, calibration and the report. Numbers only: nothing here knows a network.

Everything in ``report.json`` is computed here from ``predictions.csv``, so whoever holds that file can check it.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

from mushroom.calibration import (
    KNOWN_PASS_RATE,
    UNKNOWN_SCORE,
    UNKNOWN_SCORES,
    cross_entropy,
    fit_temperature,
    fit_unknown_threshold,
    probabilities,
    unknown_score,
)

KNOWN = "known"
"""The kind of a photo of one of the nine genera; every other kind is named after its folder of background photos."""

SPLITS = ("train", "validation", "test")

SUPPORTED_PHOTOS = 20
"""A genus with fewer photos in a split has no F1 worth averaging; it is still listed."""

CALIBRATION_BINS = 15
BOOTSTRAP_RESAMPLES = 1000
BOOTSTRAP_SEED = 0

PREDICTION_COLUMNS = ("photo", "kind", "split", "genus", "source")


@dataclass(frozen=True)
class Predictions:
    """What a network answered, a row a photo: five string arrays (n,) and ``logits``, float32 (n, genera).

    ``genus`` is the true genus, empty where ``kind`` is not ``known``.
    """

    photo: np.ndarray
    kind: np.ndarray
    split: np.ndarray
    genus: np.ndarray
    source: np.ndarray
    logits: np.ndarray
    genera: tuple[str, ...]

    def where(self, kind: str, split: str) -> "Predictions":
        """The rows of one kind and one split."""
        rows = (self.kind == kind) & (self.split == split)
        columns = {name: getattr(self, name)[rows] for name in (*PREDICTION_COLUMNS, "logits")}
        return Predictions(genera=self.genera, **columns)

    @property
    def labels(self) -> np.ndarray:
        """Class indices (n,) of known photos."""
        return np.array([self.genera.index(genus) for genus in self.genus], dtype=int)

    def __len__(self) -> int:
        return len(self.photo)


def predictions_csv(predictions: Predictions) -> str:
    """The text of ``predictions.csv``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*PREDICTION_COLUMNS, *predictions.genera])
    for index in range(len(predictions)):
        row = [getattr(predictions, name)[index] for name in PREDICTION_COLUMNS]
        writer.writerow(row + [f"{logit:.5f}" for logit in predictions.logits[index]])
    return text.getvalue()


def read_predictions(path: Path) -> Predictions:
    """``predictions.csv`` of a checkpoint folder. Raises ValueError where the columns are not the expected ones."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        rows = list(reader)
    if tuple(header[: len(PREDICTION_COLUMNS)]) != PREDICTION_COLUMNS:
        raise ValueError(f"{path.name} does not begin with the columns {', '.join(PREDICTION_COLUMNS)}.")
    start = len(PREDICTION_COLUMNS)
    text = {name: np.array([row[i] for row in rows], dtype=str) for i, name in enumerate(PREDICTION_COLUMNS)}
    logits = np.array([[float(x) for x in row[start:]] for row in rows], np.float32).reshape(len(rows), -1)
    return Predictions(logits=logits, genera=tuple(header[start:]), **text)


def macro_f1(labels: np.ndarray, predicted: np.ndarray, classes: Sequence[int] | None = None) -> float:
    """Mean F1 over ``classes``, by default those that occur among ``labels``."""
    # By counting, not through scikit-learn: the bootstrap asks a thousand times.
    count = int(max(labels.max(initial=0), predicted.max(initial=0))) + 1
    support = np.bincount(labels, minlength=count)
    answered = np.bincount(predicted, minlength=count)
    right = np.bincount(labels[labels == predicted], minlength=count)
    chosen = np.flatnonzero(support) if classes is None else np.array(classes, dtype=int)
    if len(chosen) == 0:
        return float("nan")
    padded = np.maximum(support + answered, 1)
    return float((2 * right / padded)[chosen].mean())


def reliability(probability: np.ndarray, labels: np.ndarray) -> list[dict[str, float | int]]:
    """Bins of equal width over the confidence: bounds, mean confidence, accuracy, count; empty ones left out."""
    confidence = probability.max(axis=1)
    right = probability.argmax(axis=1) == labels
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return [
        {
            "lower": b / CALIBRATION_BINS,
            "upper": (b + 1) / CALIBRATION_BINS,
            "confidence": float(confidence[bins == b].mean()),
            "accuracy": float(right[bins == b].mean()),
            "count": int((bins == b).sum()),
        }
        for b in range(CALIBRATION_BINS)
        if (bins == b).any()
    ]


def expected_calibration_error(bins: Sequence[Mapping[str, float | int]]) -> float:
    """Mean distance of confidence and accuracy over the bins, weighted by their counts (Naeini et al. 2015)."""
    total = sum(b["count"] for b in bins)
    return float(sum(b["count"] * abs(b["confidence"] - b["accuracy"]) for b in bins) / total)


def bootstrap_interval(score: Any, *columns: np.ndarray) -> list[float]:
    """95 % percentile interval of ``score(*columns)`` over resampled rows."""
    random = np.random.default_rng(BOOTSTRAP_SEED)
    count = len(columns[0])
    draws = (random.integers(0, count, count) for _ in range(BOOTSTRAP_RESAMPLES))
    scores = [score(*(column[rows] for column in columns)) for rows in draws]
    return [float(bound) for bound in np.percentile(scores, [2.5, 97.5])]


def accuracy_difference(right: np.ndarray, other: np.ndarray) -> tuple[float, list[float]]:
    """How much more often the first was right (n,) than the other over the same photos, with a 95 % interval."""

    def difference(right: np.ndarray, other: np.ndarray) -> float:
        return float(right.mean() - other.mean())

    return difference(right, other), bootstrap_interval(difference, right, other)


def score_split(known: Predictions, temperature: float) -> dict[str, Any]:
    """All scores of the known photos of one split, in the form that ``report.json`` holds."""
    labels, logits, genera = known.labels, known.logits, known.genera
    order = np.argsort(-logits, axis=1, kind="stable")
    predicted = order[:, 0]
    right = predicted == labels
    support = np.bincount(labels, minlength=len(genera))
    supported = [index for index in range(len(genera)) if support[index] >= SUPPORTED_PHOTOS]
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, predicted, labels=range(len(genera)), zero_division=0
    )
    before = reliability(probabilities(logits, 1.0), labels)
    after = reliability(probabilities(logits, temperature), labels)
    return {
        "count": len(known),
        "loss": cross_entropy(logits, labels, temperature),
        "accuracy": float(right.mean()),
        "accuracy_interval": bootstrap_interval(np.mean, right),
        "top2": float((order[:, :2] == labels[:, None]).any(axis=1).mean()),
        "macro_f1": macro_f1(labels, predicted),
        "macro_f1_interval": bootstrap_interval(macro_f1, labels, predicted),
        "macro_f1_supported": macro_f1(labels, predicted, supported) if supported else None,
        "supported_genera": [genera[index] for index in supported],
        "per_genus": [
            {
                "genus": genus,
                "precision": float(precision[i]),
                "recall": float(recall[i]),
                "f1": float(f1[i]),
                "support": int(support[i]),
            }
            for i, genus in enumerate(genera)
        ],
        "confusion": confusion_matrix(labels, predicted, labels=range(len(genera))).tolist(),
        "ece_before": expected_calibration_error(before),
        "ece_after": expected_calibration_error(after),
        "reliability_before": before,
        "reliability_after": after,
        "per_source": accuracy_per_source(known.source, right),
    }


def accuracy_per_source(source: np.ndarray, right: np.ndarray) -> list[dict[str, Any]]:
    """Accuracy of the photos of each source that is known, largest source first."""
    names, counts = np.unique(source[source != ""], return_counts=True)
    return [
        {"source": str(name), "count": int(count), "accuracy": float(right[source == name].mean())}
        for name, count in sorted(zip(names, counts, strict=True), key=lambda pair: (-pair[1], pair[0]))
    ]


def score_unknown(predictions: Predictions, threshold: float | None) -> dict[str, Any]:
    """How well the unknown score tells known from background photos, per kind, on validation and test."""
    kinds = sorted(set(predictions.kind.tolist()) - {KNOWN})

    def measure(split: str, name: str, at: float | None) -> dict[str, Any]:
        known = UNKNOWN_SCORES[name](predictions.where(KNOWN, split).logits)
        measured: dict[str, Any] = {"known_passed": float((known <= at).mean()) if at is not None else None}
        for kind in kinds:
            scores = UNKNOWN_SCORES[name](predictions.where(kind, split).logits)
            if len(scores) == 0 or len(known) == 0:
                continue
            truth = np.r_[np.zeros(len(known)), np.ones(len(scores))]
            measured[kind] = {
                "count": len(scores),
                "auroc": float(roc_auc_score(truth, np.r_[known, scores])),
                "rejected": float((scores > at).mean()) if at is not None else None,
            }
        return measured

    def measure_score(name: str) -> dict[str, Any]:
        scores = UNKNOWN_SCORES[name](predictions.where(KNOWN, "validation").logits)
        return measure("test", name, fit_unknown_threshold(scores))

    return {
        "score": UNKNOWN_SCORE,
        "threshold": threshold,
        "known_pass_rate": KNOWN_PASS_RATE,
        "measured": {split: measure(split, UNKNOWN_SCORE, threshold) for split in ("validation", "test")},
        "scores": {name: measure_score(name) for name in UNKNOWN_SCORES},
    }


def build_report(predictions: Predictions) -> dict[str, Any]:
    """The whole of ``report.json`` that predictions alone can give.

    Temperature and unknown threshold are fitted on the validation split; every split is then scored with them.
    """
    validation = predictions.where(KNOWN, "validation")
    temperature = fit_temperature(validation.logits, validation.labels)
    threshold = fit_unknown_threshold(unknown_score(validation.logits))
    splits = {split: predictions.where(KNOWN, split) for split in SPLITS}
    return {
        "photos": {
            split: {genus: int((known.genus == genus).sum()) for genus in predictions.genera}
            for split, known in splits.items()
        },
        "temperature": temperature,
        "unknown": score_unknown(predictions, threshold),
        "splits": {split: score_split(known, temperature) for split, known in splits.items() if len(known)},
    }


def report_text(report: Mapping[str, Any], split: str) -> str:
    """The report of one split for a terminal."""
    scores = report["splits"][split]
    low, high = scores["accuracy_interval"]
    f1_low, f1_high = scores["macro_f1_interval"]
    lines = [
        f"{split}: {scores['count']} photos",
        f"  accuracy            {scores['accuracy']:.4f}   (95 % interval {low:.4f} to {high:.4f})",
        f"  right among first 2 {scores['top2']:.4f}",
        f"  macro-F1            {scores['macro_f1']:.4f}   (95 % interval {f1_low:.4f} to {f1_high:.4f})",
    ]
    if scores["macro_f1_supported"] is not None:
        lines.append(
            f"  macro-F1            {scores['macro_f1_supported']:.4f}   over the genera with {SUPPORTED_PHOTOS} "
            f"or more photos: {', '.join(scores['supported_genera'])}"
        )
    lines += [
        f"  loss                {scores['loss']:.4f}",
        f"  calibration error   {scores['ece_after']:.4f}   (before temperature {report['temperature']:.3f}: "
        f"{scores['ece_before']:.4f})",
        "",
        f"  {'genus':<14}{'precision':>10}{'recall':>10}{'F1':>10}{'photos':>10}",
    ]
    lines += [
        f"  {row['genus']:<14}{row['precision']:>10.3f}{row['recall']:>10.3f}{row['f1']:>10.3f}{row['support']:>10}"
        for row in scores["per_genus"]
    ]
    genera = [row["genus"] for row in scores["per_genus"]]
    lines += ["", "  confusion: rows true, columns predicted", "  " + " " * 14 + "".join(f"{g[:5]:>7}" for g in genera)]
    lines += [
        f"  {genus:<14}" + "".join(f"{count:>7}" for count in row)
        for genus, row in zip(genera, scores["confusion"], strict=True)
    ]
    if scores["per_source"]:
        lines += ["", "  accuracy per source"]
        lines += [f"  {row['accuracy']:.3f}  {row['count']:>5}  {row['source']}" for row in scores["per_source"]]
    measured = report["unknown"]["measured"].get(split, {})
    kinds = [kind for kind in measured if kind != "known_passed"]
    if kinds:
        lines += ["", f"  none of the nine: {measured['known_passed']:.3f} of known photos pass"]
        lines += [
            f"    {kind}: AUROC {measured[kind]['auroc']:.4f}, {measured[kind]['rejected']:.3f} of "
            f"{measured[kind]['count']} photos turned away"
            for kind in kinds
        ]
    return "\n".join(lines)
