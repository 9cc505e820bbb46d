"""Trials, probes and learning curves on features made by hand: who is left out, what counts, what is written."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mushroom.dataset import Prepared
from mushroom.errors import DatasetError
from mushroom.genera import GENERA
from mushroom.training import cross_validation
from mushroom.training.cross_validation import NONE_LEFT_OUT, SMALL_SOURCES, Answers, list_folds, score

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
