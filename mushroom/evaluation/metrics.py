"""Logits and labels become scores and their intervals. Numbers only: nothing here knows a network or a file."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import binomtest

from mushroom.evaluation.report import Interval

SUPPORTED_PHOTOS = 20
"""A genus with fewer photos in a split has no F1 worth averaging; it is still listed."""

CALIBRATION_BINS = 15
BOOTSTRAP_RESAMPLES = 1000
BOOTSTRAP_SEED = 0


def macro_f1(labels: np.ndarray, predicted: np.ndarray, classes: Sequence[int] | None = None) -> float:
    """Mean F1 over ``classes``, by default those that occur among ``labels``; negative predictions are no class."""
    # By counting, not through scikit-learn: the bootstrap asks a thousand times.
    answered = predicted[predicted >= 0]
    count = 1 + int(max(labels.max(initial=0), answered.max(initial=0), *(classes if classes is not None else ()), 0))
    support = np.bincount(labels, minlength=count)
    predictions = np.bincount(answered, minlength=count)
    right = np.bincount(labels[labels == predicted], minlength=count)
    chosen = np.flatnonzero(support) if classes is None else np.array(classes, dtype=int)
    if len(chosen) == 0:
        return float("nan")
    padded = np.maximum(support + predictions, 1)
    return float((2 * right / padded)[chosen].mean())


def mean_recall(labels: np.ndarray, right: np.ndarray) -> float:
    """Mean over the classes among ``labels`` (n,) of the share of their photos that are ``right``, bool (n,)."""
    support = np.bincount(labels)
    found = np.bincount(labels, weights=right)
    present = support > 0
    return float((found[present] / support[present]).mean()) if present.any() else float("nan")


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


def macro_f1_interval(labels: np.ndarray, predicted: np.ndarray) -> Interval:
    """95 % interval of ``macro_f1`` over the classes among ``labels``, resampled within them."""
    classes = np.unique(labels).tolist()
    return bootstrap_interval(lambda one, other: macro_f1(one, other, classes), labels, predicted, strata=labels)


def accuracy_difference(right: np.ndarray, other: np.ndarray) -> tuple[float, Interval]:
    """How much more often the first was right (n,) than the other over the same photos, with a 95 % interval."""

    def difference(right: np.ndarray, other: np.ndarray) -> float:
        return float(right.mean() - other.mean())

    return difference(right, other), bootstrap_interval(difference, right, other)


def macro_f1_difference(labels: np.ndarray, predicted: np.ndarray, other: np.ndarray) -> tuple[float, Interval]:
    """How much higher the macro-F1 of the first predictions (n,) is, with a 95 % interval resampled within classes."""
    classes = np.unique(labels).tolist()

    def difference(labels: np.ndarray, predicted: np.ndarray, other: np.ndarray) -> float:
        return macro_f1(labels, predicted, classes) - macro_f1(labels, other, classes)

    columns = (labels, predicted, other)
    return difference(*columns), bootstrap_interval(difference, *columns, strata=labels)


def share_interval(right: int, count: int) -> Interval:
    """95 % interval of a share of independent photos (Wilson 1927); 0 to 1 without photos."""
    if count == 0:
        return 0.0, 1.0
    found = binomtest(int(right), int(count)).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def confidence_bins(confidence: np.ndarray, right: np.ndarray) -> list[tuple[float, float, np.ndarray]]:
    """Bins of equal width over ``confidence`` (n,): bounds and the rows inside, bool (n,); empty ones left out."""
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return [(b / CALIBRATION_BINS, (b + 1) / CALIBRATION_BINS, bins == b) for b in np.unique(bins).tolist()]


def auroc(known: np.ndarray, unknown: np.ndarray) -> float:
    """How often a photo of another kind scores higher than a known one, 0 to 1; 0.5 is chance."""
    # The pages ask for intervals alone, and would wait for it.
    from sklearn.metrics import roc_auc_score

    truth = np.r_[np.zeros(len(known)), np.ones(len(unknown))]
    return float(roc_auc_score(truth, np.r_[known, unknown]))
