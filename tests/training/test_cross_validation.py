"""Trials, probes and learning curves on features made by hand: who is left out, what counts, what is written."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mushroom.dataset import Prepared
from mushroom.errors import DatasetError
from mushroom.genera import GENERA
from mushroom.training import cross_validation, learning_curves
from mushroom.training.cross_validation import NONE_LEFT_OUT, SMALL_SOURCES, Answers, list_folds, score
from mushroom.training.learning_curves import Curve, advice, fit_curve, measure_points, read_curve, write_curve
from mushroom.training.probe import UNLEARNED, Features, LinearLayer, linear_layer
from mushroom.training.recipes import DEFAULT
from mushroom.training.trainer import BACKGROUND

AMANITA, BOLETUS, SUILLUS = (GENERA.index(genus) for genus in ("Amanita", "Boletus", "Suillus"))


def table(counts: dict[tuple[str, str, str], int]) -> pd.DataFrame:
    """A manifest with so many photos of each (genus, source, split), each its own group."""
    rows = [
        {"photo": f"{genus}/{source}-{split}-{number}.jpg", "genus": genus, "source": source, "split": split}
        for (genus, source, split), count in counts.items()
        for number in range(count)
    ]
    return pd.DataFrame(rows).assign(group=lambda found: found.photo)


def prepared_of(manifest: pd.DataFrame) -> Prepared:
    return Prepared(Path("nowhere"), manifest, None, Path("nowhere"), {}, "fingerprint")


@pytest.fixture
def manifest() -> pd.DataFrame:
    """Two sources of more than a hundred photos, two small ones, and a test split that no trial may see."""
    return table(
        {
            ("Amanita", "a", "train"): 80,
            ("Amanita", "a", "validation"): 30,
            ("Boletus", "b", "train"): 90,
            ("Boletus", "b", "validation"): 30,
            ("Amanita", "b", "train"): 30,
            ("Boletus", "a", "train"): 5,
            ("Amanita", "c", "train"): 4,
            ("Boletus", "d", "validation"): 3,
            ("Boletus", "a", "test"): 50,
        }
    )


def test_each_large_source_is_left_out_and_the_small_ones_together(manifest: pd.DataFrame) -> None:
    folds = list_folds(prepared_of(manifest))
    assert [fold.left_out for fold in folds] == [NONE_LEFT_OUT, "b", "a", SMALL_SOURCES]
    for fold in folds[1:]:
        own = {"c", "d"} if fold.left_out == SMALL_SOURCES else {fold.left_out}
        assert set(fold.measured.source) == own
        assert not own & (set(fold.train.source) | set(fold.validation.source))
        assert set(fold.train.split) == {"train"}
    whole = folds[0]
    assert (set(whole.train.split), set(whole.measured.split)) == ({"train"}, {"validation"})


def test_no_trial_sees_the_test_split(manifest: pd.DataFrame) -> None:
    for fold in list_folds(prepared_of(manifest)):
        for rows in (fold.train, fold.validation, fold.measured):
            assert "test" not in set(rows.split)


def test_near_duplicates_of_what_is_measured_are_not_learned_from(manifest: pd.DataFrame) -> None:
    twin = manifest.photo.str.startswith("Amanita/a-train-7.") | manifest.photo.str.startswith("Amanita/b-train-7.")
    manifest.loc[twin, "group"] = "twins"
    of_a = next(fold for fold in list_folds(prepared_of(manifest)) if fold.left_out == "a")
    assert "Amanita/b-train-7.jpg" not in set(of_a.train.photo)
    assert "Amanita/b-train-8.jpg" in set(of_a.train.photo)


def test_photos_without_sources_are_refused_with_a_sentence(manifest: pd.DataFrame) -> None:
    with pytest.raises(DatasetError, match="nothing to leave out"):
        list_folds(prepared_of(manifest.drop(columns="source")))


def test_a_genus_that_was_left_too_few_photos_does_not_count(manifest: pd.DataFrame) -> None:
    folds = list_folds(prepared_of(manifest))
    answers = {}
    for fold in folds:
        labels = np.array([GENERA.index(genus) for genus in fold.measured.genus])
        # Right about Amanita and wrong about everything else.
        answers[fold.left_out] = Answers(labels, np.full(len(labels), AMANITA))
    found = score(answers, folds)
    # Without b, five photos of Boletus are left: its own do not count. Without a, Boletus is known from b.
    per_source = {row["source"]: (row["count"], row["accuracy"]) for row in found["left_out"]["sources"]}
    assert per_source == {
        "b": (30, 1.0),
        "a": (115, pytest.approx(110 / 115)),
        SMALL_SOURCES: (7, pytest.approx(4 / 7)),
    }
    assert found["left_out"]["accuracy"] == pytest.approx(144 / 152)
    low, high = found["left_out"]["accuracy_interval"]
    assert low < found["left_out"]["accuracy"] < high
    assert found["validation"]["accuracy"] == pytest.approx(30 / 63)
    # All photos are more than those: Boletus from b, which nothing but b could have taught.
    every = found["left_out"]["all_photos"]
    assert every["count"] == sum(len(fold.measured) for fold in folds[1:]) > 152
    assert every["accuracy"] == pytest.approx(144 / every["count"])
    assert every["macro_f1"] < every["accuracy"]


def test_two_trials_are_compared_photo_by_photo() -> None:
    def trial(right: str) -> dict[str, dict[str, str]]:
        return {"left_out": {"right": right}}

    found = cross_validation.compare(trial("1110" * 25), trial("1010" * 25))
    assert found is not None
    difference, (low, high) = found
    assert difference == pytest.approx(0.25)
    assert 0.1 < low < difference < high < 0.4
    # Both right and both wrong tell nothing: two that differ nowhere differ for sure by nothing.
    assert cross_validation.compare(trial("10"), trial("10")) == (0.0, [0.0, 0.0])
    assert cross_validation.compare(trial("1"), trial("10")) is None
    assert cross_validation.compare({"left_out": {}}, {"left_out": {}}) is None


def test_an_interrupted_trial_goes_on_with_the_fold_it_was_at(manifest: pd.DataFrame, tmp_path: Path) -> None:
    folds = list_folds(prepared_of(manifest))
    asked = []

    def answer(fold: cross_validation.Fold, folder: Path) -> np.ndarray:
        asked.append(fold.left_out)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return np.eye(len(GENERA))[[GENERA.index(genus) for genus in fold.measured.genus]]

    with pytest.raises(KeyboardInterrupt):
        cross_validation.run_trial(folds, tmp_path, answer)
    found = cross_validation.run_trial(folds, tmp_path, answer)
    assert asked == [NONE_LEFT_OUT, "b", "b", "a", SMALL_SOURCES]
    assert found["left_out"]["accuracy"] == 1.0


def test_recorded_trials_make_the_table_and_a_second_run_replaces_the_first(
    manifest: pd.DataFrame, tmp_path: Path
) -> None:
    folds = list_folds(prepared_of(manifest))
    found = cross_validation.run_trial(
        folds, tmp_path / "work", lambda fold, _: np.eye(len(GENERA))[[AMANITA] * len(fold.measured)]
    )
    named = {"name": "one", "what": "always Amanita", "git_commit": "abc", "command": "python train.py trial"}
    cross_validation.record(tmp_path, named | found)
    cross_validation.record(tmp_path, named | {"name": "two"} | found)
    cross_validation.record(tmp_path, named | {"what": "again"} | found)
    assert [(trial["name"], trial["what"]) for trial in cross_validation.read_trials(tmp_path)] == [
        ("two", "always Amanita"),
        ("one", "again"),
    ]
    text = (tmp_path / "TRIALS.md").read_text()
    assert text == cross_validation.trials_text(cross_validation.read_trials(tmp_path))
    assert "| one | again | 0.947" in text
    assert "| two | one | +0.000 | +0.000 to +0.000 |" in text


def test_the_table_that_ships_is_what_the_recorded_trials_say() -> None:
    from mushroom.checkpoint import SHIPPED_CHECKPOINTS

    recorded = cross_validation.read_trials(SHIPPED_CHECKPOINTS)
    assert recorded
    assert (SHIPPED_CHECKPOINTS / cross_validation.TABLE_FILE).read_text(
        encoding="utf-8"
    ) == cross_validation.trials_text(recorded)


# --- Probes -------------------------------------------------------------------------------------------------


def clouds(labels: np.ndarray, spread: float = 1.0) -> np.ndarray:
    """Features that scatter around a corner for each label."""
    random = np.random.default_rng(0)
    return 2 * np.eye(BACKGROUND + 1)[labels] + spread * random.normal(size=(len(labels), BACKGROUND + 1))


def test_a_linear_layer_separates_what_can_be_separated_and_knows_what_it_did_not_learn() -> None:
    labels = np.array([AMANITA] * 40 + [BOLETUS] * 40 + [BACKGROUND] * 20)
    layer = linear_layer(clouds(labels, 0.3), labels, DEFAULT)
    logits = layer(2 * np.eye(BACKGROUND + 1)[[AMANITA, BOLETUS]])
    assert logits.shape == (2, len(GENERA))
    assert logits.argmax(axis=1).tolist() == [AMANITA, BOLETUS]
    assert (logits[:, SUILLUS] == UNLEARNED).all()
    assert layer(2 * np.eye(BACKGROUND + 1)[[BACKGROUND]]).max() < logits.max(axis=1).min()


def test_two_genera_alone_are_separated_too() -> None:
    labels = np.array([AMANITA] * 40 + [BOLETUS] * 40)
    logits = linear_layer(clouds(labels, 0.3), labels, DEFAULT)(clouds(labels, 0.3))
    assert (logits.argmax(axis=1) == labels).all()


def test_a_rare_genus_is_answered_more_often_when_all_are_drawn_alike() -> None:
    from dataclasses import replace

    labels = np.array([AMANITA] * 300 + [SUILLUS] * 12)
    values = clouds(labels, 1.5)
    as_they_come = linear_layer(values, labels, replace(DEFAULT, balance=0.0))(values).argmax(axis=1)
    alike = linear_layer(values, labels, replace(DEFAULT, balance=1.0, most_draws=0))(values).argmax(axis=1)
    assert (alike == SUILLUS).sum() > (as_they_come == SUILLUS).sum()


def test_few_photos_from_elsewhere_count_as_much_as_many() -> None:
    from dataclasses import replace

    # In source a the genera differ by one sign, in source b, of few photos, by another.
    labels = np.array([AMANITA, BOLETUS] * 150 + [AMANITA, BOLETUS] * 6 + [BACKGROUND] * 4)
    sources = np.array(["a"] * 300 + ["b"] * 12 + [""] * 4)
    random = np.random.default_rng(0)
    sign = np.where(labels == AMANITA, 1.0, -1.0)
    values = random.normal(size=(len(labels), 4))
    values[sources == "a", 0] += 2 * sign[sources == "a"]
    values[sources == "b", 1] += 4 * sign[sources == "b"]
    features = Features(values, labels, {}, np.array([], dtype=int), sources)
    rows = np.arange(len(labels))
    as_they_come = features.fit(rows, replace(DEFAULT, source_balance=0.0))
    evened = features.fit(rows, replace(DEFAULT, source_balance=1.0))

    def weight_of_few(layer: LinearLayer) -> float:
        return float(layer.weight[AMANITA, 1] / layer.weight[AMANITA, 0])

    assert weight_of_few(evened) > 2 * weight_of_few(as_they_come)


# --- Learning curves ----------------------------------------------------------------------------------------


def test_more_photos_of_a_genus_make_a_better_f1_along_the_curve() -> None:
    manifest = table(
        {
            ("Amanita", "a", "train"): 128,
            ("Boletus", "a", "train"): 64,
            ("Suillus", "a", "train"): 20,
            ("Amanita", "a", "validation"): 40,
            ("Boletus", "a", "validation"): 40,
            ("Suillus", "a", "validation"): 40,
        }
    )
    labels = np.array([GENERA.index(genus) for genus in manifest.genus])
    features = Features(
        clouds(labels), labels, {photo: row for row, photo in enumerate(manifest.photo)}, np.array([], dtype=int)
    )
    points = measure_points(features, prepared_of(manifest), DEFAULT)
    assert [(point["genus"], point["photos"]) for point in points] == [
        *(("Amanita", count) for count in (2, 4, 8, 16, 32, 64, 128)),
        *(("Boletus", count) for count in (2, 4, 8, 16, 32, 64)),
    ]
    assert points[0]["f1"] < points[6]["f1"]
    curve = fit_curve(points)
    assert curve.f1(4) < curve.f1(64)
    assert curve.f1(0) == 0.0
    assert curve.f1(10_000) == curve.f1(128)


def test_a_power_law_is_found_again() -> None:
    points = [{"genus": "Amanita", "photos": n, "f1": 1 - 0.9 * n**-0.4} for n in (2, 8, 32, 128)]
    curve = fit_curve(points)
    assert (curve.scale, curve.power) == (pytest.approx(0.9), pytest.approx(0.4))


def test_advice_names_the_poorest_genus_first_and_rich_ones_not_at_all() -> None:
    curve = Curve(scale=0.9, power=0.4, most_photos=800)
    lines = advice({"Amanita": 900, "Hygrocybe": 1, "Entoloma": 67}, curve)
    assert lines[1].startswith("Hygrocybe")
    assert lines[2].startswith("Entoloma")
    assert len(lines) == 3
    assert f"100: {curve.f1(100):.2f}" in lines[2]
    assert " 50:" not in lines[2]
    assert advice({"Amanita": 900}, curve) == []


def test_points_are_kept_and_read_back(tmp_path: Path) -> None:
    assert read_curve(tmp_path) is None
    points = [{"genus": "Amanita", "photos": n, "f1": 1 - 0.9 * n**-0.4} for n in (2, 8, 32)]
    write_curve(tmp_path, points, "tf_efficientnetv2_b0", "python train.py curves")
    assert read_curve(tmp_path) == fit_curve(points)
    assert json.loads((tmp_path / learning_curves.CURVE_FILE).read_text())["backbone"] == "tf_efficientnetv2_b0"
