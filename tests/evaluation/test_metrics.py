"""Scores and their intervals, checked against numbers worked out by hand."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score

from mushroom.evaluation import metrics


def test_macro_f1_and_mean_recall_are_scikit_learns() -> None:
    random = np.random.default_rng(0)
    labels, predicted = random.integers(0, 7, 200), random.integers(0, 9, 200)
    occurring = f1_score(labels, predicted, labels=range(7), average="macro")
    assert metrics.macro_f1(labels, predicted) == pytest.approx(occurring)
    expected = f1_score(labels, predicted, labels=[1, 4, 6], average="macro")
    assert metrics.macro_f1(labels, predicted, [1, 4, 6]) == pytest.approx(expected)
    recall = recall_score(labels, predicted, labels=range(7), average="macro")
    assert metrics.mean_recall(labels, labels == predicted) == pytest.approx(recall)


def test_the_interval_of_macro_f1_is_that_of_a_case_worked_out_by_hand() -> None:
    """One photo of A told right, two of B of which one is called A: resampled within genera, the photo of A stays,
    and of B both, one or none of the two draws are right, with chances 1/4, 1/2, 1/4: macro-F1 1, 2/3 and 1/4."""
    labels, predicted = np.array([0, 1, 1]), np.array([0, 1, 0])
    assert metrics.macro_f1(labels, predicted) == pytest.approx(2 / 3)
    assert metrics.bootstrap_interval(metrics.macro_f1, labels, predicted, strata=labels) == (
        pytest.approx(1 / 4),
        pytest.approx(1.0),
    )


def test_a_genus_of_one_photo_is_in_every_resample() -> None:
    """A perfect network but for one genus of one photo: drawn without regard to genera, most resamples lack it and
    score 1, which the value never reaches."""
    labels = np.array([0] * 40 + [1] * 40 + [2])
    predicted = np.array([0] * 40 + [1] * 40 + [0])
    value = metrics.macro_f1(labels, predicted)
    low, high = metrics.bootstrap_interval(metrics.macro_f1, labels, predicted, strata=labels)
    assert value == pytest.approx((80 / 81 + 1 + 0) / 3)
    assert low == high == pytest.approx(value)


def test_the_interval_of_a_macro_f1_difference_is_resampled_within_genera_too() -> None:
    """As by hand above against a network that is always right: differences 0, -1/3 and -3/4."""
    labels, predicted = np.array([0, 1, 1]), np.array([0, 1, 0])
    difference, (low, high) = metrics.macro_f1_difference(labels, predicted, labels)
    assert (difference, low, high) == (pytest.approx(-1 / 3), pytest.approx(-3 / 4), pytest.approx(0.0))


@pytest.mark.parametrize("strata", [None, np.array([0, 1] * 50)])
def test_interval_contains_the_score_and_is_the_same_every_time(strata: np.ndarray | None) -> None:
    right = np.array([1] * 90 + [0] * 10)
    low, high = metrics.bootstrap_interval(np.mean, right, strata=strata)
    assert low < 0.9 < high
    assert metrics.bootstrap_interval(np.mean, right, strata=strata) == (low, high)


def test_strata_keep_their_sizes_in_every_resample() -> None:
    strata = np.random.default_rng(0).permutation([3] * 5 + [7] * 11 + [8])
    sizes = set()

    def count(drawn: np.ndarray) -> float:
        sizes.add(tuple(np.bincount(drawn, minlength=9)))
        return 0.0

    metrics.bootstrap_interval(count, strata, strata=strata)
    assert sizes == {(0, 0, 0, 5, 0, 0, 0, 11, 1)}


def test_the_interval_of_a_share_is_wilsons() -> None:
    low, high = metrics.share_interval(8, 10)
    assert (low, high) == (pytest.approx(0.490, abs=1e-3), pytest.approx(0.943, abs=1e-3))
    assert metrics.share_interval(0, 0) == (0.0, 1.0)


def test_auroc_is_how_often_the_other_kind_scores_higher() -> None:
    assert metrics.auroc(np.array([0.0, 2.0]), np.array([1.0, 3.0])) == pytest.approx(3 / 4)
