"""How logits are read: temperature, unknown score, threshold."""

import numpy as np
import pytest
from answers import logits_for

from mushroom import calibration


def test_temperature_is_recovered_from_overconfident_logits() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(4000, 9)) * 2
    chances = calibration.probabilities(logits, 1.0)
    labels = np.array([random.choice(9, p=row) for row in chances])
    assert calibration.fit_temperature(logits * 3, labels) == pytest.approx(3.0, rel=0.08)
    assert calibration.fit_temperature(np.zeros((0, 9)), np.zeros(0, int)) == 1.0


def test_temperature_changes_no_prediction() -> None:
    logits = np.random.default_rng(0).normal(size=(50, 9))
    hot, cold = calibration.probabilities(logits, 5.0), calibration.probabilities(logits, 0.2)
    assert (hot.argmax(1) == cold.argmax(1)).all()
    assert hot.sum(1) == pytest.approx(np.ones(50))


@pytest.mark.parametrize(("count", "turned_away"), [(1000, 100), (19, 1), (9, 0), (10, 1), (1, 0)])
def test_the_threshold_turns_away_as_many_known_photos_as_allowed_and_no_more(count: int, turned_away: int) -> None:
    scores = np.random.default_rng(0).permutation(count).astype(float)
    threshold = calibration.fit_unknown_threshold(scores)
    assert threshold is not None
    assert (scores > threshold).sum() == turned_away


def test_equal_scores_never_turn_away_more_than_allowed() -> None:
    assert calibration.fit_unknown_threshold(np.ones(50)) == 1.0
    assert calibration.fit_unknown_threshold(np.zeros(0)) is None


@pytest.mark.parametrize("name", sorted(calibration.UNKNOWN_SCORES))
def test_unknown_scores_rise_as_evidence_falls(name: str) -> None:
    sure, unsure = calibration.UNKNOWN_SCORES[name](logits_for([0, 0], strength=8.0) * [[1], [0.1]])
    assert unsure > sure


def test_a_network_that_knows_other_genera_weighs_them_against_its_own() -> None:
    chances = np.array([[0.5, 0.2, 0.2, 0.1], [0.1, 0.1, 0.6, 0.2]])
    scores = calibration.unknown_score(np.log(chances), genera=2)
    assert scores == pytest.approx(np.log([0.3 / 0.7, 0.8 / 0.2]))
    assert calibration.unknown_score(np.log(chances), genera=4) == pytest.approx(np.zeros(2))
