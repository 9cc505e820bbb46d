"""Logits and labels become scores and their intervals. Numbers only: nothing here knows a network or a file."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import binomtest

from mushroom.evaluation.report import Interval

SUPPORTED_PHOTOS = 20
"""A genus with fewer photos in a split has no F1 worth averaging; it is still listed."""

BOOTSTRAP_RESAMPLES = 1000
BOOTSTRAP_SEED = 0


def macro_f1(labels: np.ndarray, predicted: np.ndarray, classes: Sequence[int] = ()) -> float:
    """Mean F1 over ``classes``, or over those that occur among ``labels``; both (n,), class indices."""
    # By counting, not through scikit-learn: the bootstrap asks a thousand times.
    count = 1 + int(max(labels.max(), predicted.max(), *classes))
    support = np.bincount(labels, minlength=count)
    predictions = np.bincount(predicted, minlength=count)
    right = np.bincount(labels[labels == predicted], minlength=count)
    chosen = list(classes) or np.flatnonzero(support)
    return float((2 * right / np.maximum(support + predictions, 1))[chosen].mean())


def mean_recall(labels: np.ndarray, right: np.ndarray) -> float:
    """Mean over the classes among ``labels`` (n,) of the share of their photos that are ``right``, bool (n,)."""
    support = np.bincount(labels)
    present = support > 0
    return float((np.bincount(labels, weights=right)[present] / support[present]).mean())


def bootstrap_interval(score: Callable[..., float], *columns: np.ndarray, strata: np.ndarray | None = None) -> Interval:
    """95 % percentile interval of ``score(*columns)`` over resampled rows (Efron 1979).

    With ``strata``, class indices (n,), rows are drawn anew within each class, so that every resample holds as many
    photos of each as there are: a score that averages over classes is then always an average over the same ones.
    """
    random = np.random.default_rng(BOOTSTRAP_SEED)
    count = len(columns[0])
    keys = np.zeros(count, int) if strata is None else np.asarray(strata)
    order = np.argsort(keys, kind="stable")
    _, first, sizes = np.unique(keys[order], return_index=True, return_counts=True)
    starts, widths = np.repeat(first, sizes), np.repeat(sizes, sizes)
    draws = (order[starts + (random.random(count) * widths).astype(int)] for _ in range(BOOTSTRAP_RESAMPLES))
    scores = [score(*(column[rows] for column in columns)) for rows in draws]
    low, high = np.percentile(scores, [2.5, 97.5])
    return float(low), float(high)


def accuracy_difference(right: np.ndarray, other: np.ndarray) -> tuple[float, Interval]:
    """How much more often the first was right (n,) than the other over the same photos, with a 95 % interval."""

    def difference(right: np.ndarray, other: np.ndarray) -> float:
        return float(right.mean() - other.mean())

    return difference(right, other), bootstrap_interval(difference, right, other)


def macro_f1_difference(labels: np.ndarray, predicted: np.ndarray, other: np.ndarray) -> tuple[float, Interval]:
    """How much higher the macro-F1 of the first predictions (n,) is, with a 95 % interval resampled within classes."""

    def difference(labels: np.ndarray, predicted: np.ndarray, other: np.ndarray) -> float:
        return macro_f1(labels, predicted) - macro_f1(labels, other)

    columns = (labels, predicted, other)
    return difference(*columns), bootstrap_interval(difference, *columns, strata=labels)


def share_interval(right: int, count: int) -> Interval:
    """95 % interval of a share of independent photos (Wilson 1927); 0 to 1 without photos."""
    if count == 0:
        return 0.0, 1.0
    found = binomtest(int(right), int(count)).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def auroc(known: np.ndarray, unknown: np.ndarray) -> float:
    """How often a photo of another kind scores higher than a known one, 0 to 1; 0.5 is chance."""
    # The pages ask for intervals alone, and would wait for it.
    from sklearn.metrics import roc_auc_score

    truth = np.r_[np.zeros(len(known)), np.ones(len(unknown))]
    return float(roc_auc_score(truth, np.r_[known, unknown]))
