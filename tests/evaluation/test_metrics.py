"""Scores, calibration and the report, checked against numbers worked out by hand."""

import json

import numpy as np
import pytest
from sklearn.metrics import f1_score

from mushroom import calibration
from mushroom.evaluation import metrics
from mushroom.evaluation.metrics import KNOWN, Predictions
from mushroom.genera import GENERA


def logits_for(labels: list[int], predicted: list[int], strength: float = 5.0) -> np.ndarray:
    logits = np.zeros((len(labels), 9), np.float32)
    logits[np.arange(len(labels)), predicted] = strength
    return logits


def known_predictions(labels: list[int], predicted: list[int], split: str = "test") -> Predictions:
    count = len(labels)
    return Predictions(
        photo=np.array([f"{split}/{index}.jpg" for index in range(count)]),
        kind=np.full(count, KNOWN),
        split=np.full(count, split),
        genus=np.array([GENERA[label] for label in labels]),
        source=np.array(["a" if index % 2 else "b" for index in range(count)]),
        logits=logits_for(labels, predicted),
        genera=GENERA,
    )


def joined(*parts: Predictions) -> Predictions:
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in (*metrics.PREDICTION_COLUMNS, "logits")
    }
    return Predictions(genera=GENERA, **columns)


def background_predictions(kind: str, split: str, strength: float, count: int = 8) -> Predictions:
    blank = np.full(count, "")
    return Predictions(
        photo=np.array([f"{kind}/{index}.jpg" for index in range(count)]),
        kind=np.full(count, kind),
        split=np.full(count, split),
        genus=blank,
        source=blank,
        logits=logits_for([0] * count, [0] * count, strength),
        genera=GENERA,
    )


def test_confusion_has_the_true_genus_in_rows_and_the_predicted_in_columns() -> None:
    scores = metrics.score_split(known_predictions([0, 0, 1], [0, 1, 1]), temperature=1.0)
    assert scores["confusion"][0][:2] == [1, 1]
    assert scores["confusion"][1][:2] == [0, 1]
    assert scores["accuracy"] == pytest.approx(2 / 3)


def test_precision_recall_and_f1_are_not_each_other() -> None:
    scores = metrics.score_split(known_predictions([0, 0, 0, 1], [0, 1, 1, 1]), temperature=1.0)
    first = scores["per_genus"][0]
    assert first["precision"] == pytest.approx(1.0)
    assert first["recall"] == pytest.approx(1 / 3)
    assert first["f1"] == pytest.approx(0.5)
    assert first["support"] == 3


def test_macro_f1_leaves_out_genera_that_do_not_occur() -> None:
    assert metrics.macro_f1(np.array([0, 1]), np.array([0, 1])) == pytest.approx(1.0)


def test_macro_f1_is_scikit_learns() -> None:
    random = np.random.default_rng(0)
    labels, predicted = random.integers(0, 9, 200), random.integers(0, 9, 200)
    expected = f1_score(labels, predicted, labels=[1, 4, 8], average="macro")
    assert metrics.macro_f1(labels, predicted, [1, 4, 8]) == pytest.approx(expected)


def test_macro_f1_of_supported_genera_needs_twenty_photos_each() -> None:
    labels = [0] * 20 + [1] * 19
    scores = metrics.score_split(known_predictions(labels, labels), temperature=1.0)
    assert scores["supported_genera"] == ["Agaricus"]


def test_top2_counts_the_second_guess() -> None:
    predictions = known_predictions([0, 1], [1, 1])
    predictions.logits[0, 0] = 4.0
    assert metrics.score_split(predictions, 1.0)["top2"] == 1.0


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    probability = np.full((10, 9), 0.2 / 8)
    probability[:, 0] = 0.8
    labels = np.array([0] * 5 + [1] * 5)
    bins = metrics.reliability(probability, labels)
    assert metrics.expected_calibration_error(bins) == pytest.approx(0.3)
    assert bins == [
        {
            "lower": pytest.approx(12 / 15),
            "upper": pytest.approx(13 / 15),
            "confidence": pytest.approx(0.8),
            "accuracy": 0.5,
            "count": 10,
        }
    ]


def test_temperature_is_recovered_from_overconfident_logits() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(4000, 9)) * 2
    chances = calibration.probabilities(logits, 1.0)
    labels = np.array([random.choice(9, p=row) for row in chances])
    assert calibration.fit_temperature(logits * 3, labels) == pytest.approx(3.0, rel=0.08)


def test_temperature_changes_no_prediction() -> None:
    logits = np.random.default_rng(0).normal(size=(50, 9))
    hot, cold = calibration.probabilities(logits, 5.0), calibration.probabilities(logits, 0.2)
    assert (hot.argmax(1) == cold.argmax(1)).all()
    assert hot.sum(1) == pytest.approx(np.ones(50))


def test_threshold_lets_the_promised_share_of_known_photos_pass() -> None:
    scores = np.random.default_rng(0).normal(size=1000)
    threshold = calibration.fit_unknown_threshold(scores)
    assert threshold is not None
    assert (scores <= threshold).mean() == pytest.approx(calibration.KNOWN_PASS_RATE, abs=0.002)


@pytest.mark.parametrize("name", sorted(calibration.UNKNOWN_SCORES))
def test_unknown_scores_rise_as_evidence_falls(name: str) -> None:
    sure, unsure = calibration.UNKNOWN_SCORES[name](logits_for([0, 0], [0, 0], 8.0) * [[1], [0.1]])
    assert unsure > sure


def test_unknown_is_measured_per_kind_on_photos_held_back() -> None:
    predictions = joined(
        known_predictions([0, 1] * 10, [0, 1] * 10, "validation"),
        known_predictions([0, 1] * 10, [0, 1] * 10, "test"),
        background_predictions("not_fungi", "test", strength=0.0),
        background_predictions("other_fungi", "test", strength=9.0),
    )
    measured = metrics.build_report(predictions)["unknown"]["measured"]["test"]
    assert measured["not_fungi"] == {"count": 8, "auroc": 1.0, "rejected": 1.0}
    assert measured["other_fungi"]["auroc"] == 0.0
    assert measured["known_passed"] == 1.0


def test_interval_contains_the_score_and_is_the_same_every_time() -> None:
    right = np.array([1] * 90 + [0] * 10)
    low, high = metrics.bootstrap_interval(np.mean, right)
    assert low < 0.9 < high
    assert metrics.bootstrap_interval(np.mean, right) == [low, high]


def test_accuracy_per_source_passes_over_photos_without_one() -> None:
    source, right = np.array(["a", "a", "", "b"]), np.array([True, False, False, True])
    rows = metrics.accuracy_per_source(source, right)
    assert rows == [
        {"source": "a", "count": 2, "accuracy": 0.5},
        {"source": "b", "count": 1, "accuracy": 1.0},
    ]


def test_report_survives_the_way_through_predictions_csv(tmp_path) -> None:
    predictions = joined(
        known_predictions([0, 1, 2] * 8, [0, 1, 1] * 8, "validation"),
        known_predictions([0, 1, 2] * 8, [0, 1, 2] * 8, "test"),
    )
    path = tmp_path / "predictions.csv"
    path.write_text(metrics.predictions_csv(predictions))
    again = metrics.build_report(metrics.read_predictions(path))
    assert json.dumps(again) == json.dumps(metrics.build_report(predictions))


def test_a_table_with_other_columns_is_refused(tmp_path) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text("photo,label\na,b\n")
    with pytest.raises(ValueError, match="columns"):
        metrics.read_predictions(path)


def test_report_text_names_every_genus_and_the_axes() -> None:
    predictions = joined(
        known_predictions([0, 1] * 10, [0, 1] * 10, "validation"), known_predictions([0, 1] * 10, [0, 1] * 10)
    )
    text = metrics.report_text(metrics.build_report(predictions), "test")
    assert all(genus in text for genus in GENERA)
    assert "rows true, columns predicted" in text
