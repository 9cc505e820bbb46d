"""The report from predictions, checked against numbers worked out by hand."""

import numpy as np
import pytest
from answers import joined, photos

from mushroom.evaluation import scoring
from mushroom.evaluation.report import Report, SplitScores
from mushroom.evaluation.report_text import report_text
from mushroom.evaluation.scoring import Calibration
from mushroom.genera import GENERA

PLAIN = Calibration(1.0, None)


def split_scores(
    predicted: list[int], labels: list[int], threshold: float | None = None, **more: object
) -> SplitScores:
    known = photos(predicted, labels=labels, **more)  # type: ignore[arg-type]
    return scoring.score_split(known, Calibration(1.0, threshold), frozenset({"a"}))


def test_a_known_photo_that_is_turned_away_is_not_told_right() -> None:
    scores = split_scores([0, 0, 1, 1], [0, 0, 1, 0], threshold=0.0, scores=[-1, 1, -1, -1])
    assert (scores.told_right, scores.turned_away, scores.told_wrong) == (0.5, 0.25, 0.25)
    assert scores.answered_right == pytest.approx(2 / 3)
    assert scores.accuracy == 0.75
    assert scores.told_right_interval[0] <= 0.5 <= scores.told_right_interval[1]
    first = scores.per_genus[0]
    assert (first.told_right, first.turned_away, first.told_wrong) == tuple(pytest.approx(1 / 3) for _ in range(3))


def test_the_matrix_has_the_true_genus_in_rows_what_is_told_in_columns_and_none_last() -> None:
    scores = split_scores([0, 1, 1, 1], [0, 0, 1, 1], threshold=0.0, scores=[-1, -1, -1, 1])
    assert scores.confusion[0] == (1, 1, 0, 0, 0, 0, 0, 0, 0, 0)
    assert scores.confusion[1] == (0, 1, 0, 0, 0, 0, 0, 0, 0, 1)


def test_precision_recall_and_f1_are_not_each_other() -> None:
    first = split_scores([0, 1, 1, 1], [0, 0, 0, 1]).per_genus[0]
    assert (first.precision, first.recall, first.f1, first.support) == (1.0, pytest.approx(1 / 3), 0.5, 3)
    assert first.recall_interval[0] < 1 / 3 < first.recall_interval[1]


def test_macro_f1_of_supported_genera_needs_twenty_photos_each() -> None:
    labels = [0] * 20 + [1] * 19
    assert split_scores(labels, labels).supported_genera == ("Agaricus",)


def test_top2_counts_the_second_guess() -> None:
    known = photos([1, 1], labels=[0, 1])
    known.logits[0, 0] = 4.0
    assert scoring.score_split(known, PLAIN, frozenset()).top2 == 1.0


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    probability = np.full((10, 9), 0.2 / 8)
    probability[:, 0] = 0.8
    [only] = bins = scoring.reliability(probability, np.array([0] * 5 + [1] * 5))
    assert scoring.expected_calibration_error(bins) == pytest.approx(0.3)
    assert (only.lower, only.upper) == (pytest.approx(12 / 15), pytest.approx(13 / 15))
    assert (only.confidence, only.accuracy, only.count) == (pytest.approx(0.8), 0.5, 10)


def test_the_coverage_curve_withholds_what_is_less_sure() -> None:
    confidence = np.array([0.3, 0.6, 0.9, 0.9])
    right, turned_away = np.array([False, True, True, False]), np.array([False, False, False, True])
    points = {point.confidence: point for point in scoring.coverage(confidence, right, turned_away)}
    assert (points[0.0].coverage, points[0.0].error) == (0.75, pytest.approx(1 / 3))
    assert (points[0.5].coverage, points[0.5].error) == (0.5, 0.0)
    assert max(points) == 0.9


def test_sources_that_training_never_saw_are_counted() -> None:
    scores = split_scores([0, 0, 1], [0, 0, 1], sources=("a", "b", ""))
    assert (scores.sources, scores.unseen_source_photos, scores.unseen_sources) == (2, 1, False)
    assert split_scores([0], [0], sources=("b",)).unseen_sources
    assert [(row.source, row.count) for row in scores.per_source] == [("a", 1), ("b", 1)]


def test_calibration_is_fitted_on_validation_photos_alone() -> None:
    validation = photos([0] * 20, labels=[0] * 20, split="validation", scores=range(20))
    others = [photos([1], labels=[0], split=split, scores=[1000.0]) for split in ("train", "test")]
    found = scoring.calibrate(joined(validation, *others))
    assert found.threshold == 17.0
    assert found == scoring.calibrate(validation)


def report_with_others() -> Report:
    known = [photos([0, 1] * 10, labels=[0, 1] * 10, split=s, scores=range(20)) for s in ("validation", "test")]
    others = [
        photos([0] * 4, split="train", kind="other_fungi", genus="Tricholoma"),
        photos([0] * 4, kind="other_fungi", genus="Tricholoma", scores=[0, 0, 30, 30]),
        photos([0] * 4, kind="other_fungi", genus="Trametes", scores=[40] * 4),
        photos([0] * 4, kind="not_fungi", scores=[-1] * 4),
        photos([0] * 4, split="validation", kind="not_fungi", scores=[18.5] * 4),
    ]
    predictions = joined(*known, *others)
    return scoring.build_report(predictions, scoring.calibrate(predictions))


def test_unknown_is_measured_per_kind_and_on_genera_that_training_never_saw() -> None:
    unknown = report_with_others().unknown
    test = unknown.splits["test"]
    assert test.known_turned_away == pytest.approx(0.1)
    assert {kind: (values.count, values.caught) for kind, values in test.kinds.items()} == {
        "not_fungi": (4, 0.0),
        "other_fungi": (8, 0.75),
        "other_fungi of unseen genera": (4, 1.0),
    }
    assert test.kinds["not_fungi"].auroc == 0.0
    assert test.kinds["other_fungi of unseen genera"].auroc == 1.0


def test_the_threshold_is_a_point_of_the_curve_of_known_turned_away_against_others_caught() -> None:
    unknown = report_with_others().unknown
    points = {point.threshold: point for point in unknown.curve}
    chosen = points[unknown.threshold]  # type: ignore[index]
    assert (chosen.known_turned_away, chosen.caught) == (pytest.approx(0.1), {"not_fungi": 1.0})
    assert points[18.0].known_turned_away == pytest.approx(0.05)
    shares = [point.known_turned_away for point in unknown.curve]
    assert shares == sorted(shares)


def test_several_photos_of_one_species_are_answered_together() -> None:
    strong = photos([0, 0, 1, 1, 0], labels=[0] * 5, sources=("a",), species="Agaricus campestris")
    alone = photos([1], labels=[1], sources=("a",), species="Amanita muscaria")
    strong.logits[2, 1] = 2.0
    strong.logits[3, 1] = 2.0
    found = scoring.score_several(joined(strong, alone), None)
    assert found is not None
    assert (found.groups, found.photos) == (2, 5)
    assert found.single_accuracy == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert found.together_accuracy == 1.0
    assert scoring.score_several(alone, None) is None


def test_report_text_names_every_genus_and_what_a_visitor_is_told() -> None:
    text = report_text(report_with_others(), "test")
    assert all(genus in text for genus in GENERA)
    assert "rows true, columns told" in text
    assert "told right          0.9000" in text
    assert "other_fungi of unseen genera: AUROC 1.0000" in text
    assert "no known photos" in report_text(report_with_others(), "train")


@pytest.mark.parametrize("count", [2, 60, 300])
def test_a_report_of_any_number_of_genera_fits_a_terminal(count: int) -> None:
    genera = tuple(f"Genus {number}" for number in range(count))
    labels = list(range(count)) * 2
    known = photos(labels[1:] + labels[:1], labels=labels, genera=genera)
    report = scoring.build_report(known, PLAIN)
    assert report.genera == genera
    assert len(report.splits["test"].confusion[0]) == count + 1
    assert max(map(len, report_text(report, "test").splitlines())) <= 120
