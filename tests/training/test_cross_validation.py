"""Sources left out: who is in which fold, what counts, and what an interrupted run does again."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from training_squares import table

from mushroom.dataset import Prepared
from mushroom.errors import DatasetError
from mushroom.training.cross_validation import SMALL_SOURCES, Fold, cross_validate, list_folds, score_lines

GENERA = ("Amanita", "Boletus")


def prepared_of(manifest: pd.DataFrame, background: pd.DataFrame | None = None) -> Prepared:
    return Prepared(Path("nowhere"), manifest, background, Path("nowhere"), {}, "fingerprint", GENERA)


@pytest.fixture
def manifest() -> pd.DataFrame:
    """Two sources of more than a hundred photos, two small ones, and a test split that no fold may see."""
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


@pytest.fixture
def background() -> pd.DataFrame:
    return table(
        {
            ("Mycena", "a", "train"): 6,
            ("Mycena", "e", "train"): 5,
            ("Mycena", "a", "validation"): 4,
            ("Mycena", "e", "test"): 9,
        },
        kind="fungi",
    )


def test_each_large_source_is_left_out_and_the_small_ones_together(manifest: pd.DataFrame) -> None:
    folds = list_folds(prepared_of(manifest))
    assert {fold.name for fold in folds} == {"a", "b", SMALL_SOURCES}
    for fold in folds:
        own = {"c", "d"} if fold.name == SMALL_SOURCES else {fold.name}
        assert set(fold.measured.source) == own
        assert not own & (set(fold.train.source) | set(fold.validation.source))
        assert set(fold.train.split) == {"train"}
        assert set(fold.validation.split) == {"validation"}


def test_numbered_folds_hold_whole_sources_and_every_photo_once(manifest: pd.DataFrame) -> None:
    folds = list_folds(prepared_of(manifest), 3)
    assert len(folds) == 3
    measured = pd.concat([fold.measured for fold in folds])
    assert sorted(measured.photo) == sorted(manifest[manifest.split != "test"].photo)
    assert (measured.groupby("source").size() > 0).all()
    for fold in folds:
        assert not set(fold.measured.source) & set(fold.train.source)
    with pytest.raises(DatasetError, match="at most as many"):
        list_folds(prepared_of(manifest), 9)


def test_no_fold_sees_the_test_split_and_others_are_left_out_with_their_source(
    manifest: pd.DataFrame, background: pd.DataFrame
) -> None:
    folds = list_folds(prepared_of(manifest, background))
    for fold in folds:
        for rows in (fold.train, fold.validation, fold.measured, fold.background, fold.others):
            assert "test" not in set(rows.split)
    of_a = next(fold for fold in folds if fold.name == "a")
    assert (set(of_a.background.source), len(of_a.background), len(of_a.others)) == ({"e"}, 5, 10)


def test_near_duplicates_of_what_is_measured_are_not_learned_from(manifest: pd.DataFrame) -> None:
    twin = manifest.photo.str.startswith("Amanita/a-train-7.") | manifest.photo.str.startswith("Amanita/b-train-7.")
    manifest.loc[twin, "group"] = "twins"
    of_a = next(fold for fold in list_folds(prepared_of(manifest)) if fold.name == "a")
    assert "Amanita/b-train-7.jpg" not in set(of_a.train.photo)
    assert "Amanita/b-train-8.jpg" in set(of_a.train.photo)


def test_photos_without_sources_are_refused_with_a_sentence(manifest: pd.DataFrame) -> None:
    with pytest.raises(DatasetError, match="nothing to leave out"):
        list_folds(prepared_of(manifest.drop(columns="source")))


def always_amanita(fold: Fold, _: Path) -> tuple[np.ndarray, np.ndarray]:
    """Right about Amanita, wrong about everything else, and sure that others are others."""
    return np.tile([2.0, 0.0, -3.0], (len(fold.measured), 1)), np.tile([0.0, 0.0, 4.0], (len(fold.others), 1))


def test_all_folds_are_scored_together(manifest: pd.DataFrame, background: pd.DataFrame, tmp_path: Path) -> None:
    folds = list_folds(prepared_of(manifest, background))
    found = cross_validate(folds, GENERA, tmp_path, always_amanita)
    assert found.photos == 272
    assert found.accuracy == pytest.approx(144 / 272)
    assert found.accuracy_interval[0] < found.accuracy < found.accuracy_interval[1]
    assert found.recall == {"Amanita": 1.0, "Boletus": 0.0}
    assert found.mean_recall == 0.5
    assert found.sources["b"] == (pytest.approx(30 / 150), 150)
    assert (found.others, found.others_auroc, found.others_caught) == (10, 1.0, 1.0)
    assert "10 others: AUROC 1.000" in "\n".join(score_lines(found))


def test_an_interrupted_run_goes_on_with_the_fold_it_was_at(manifest: pd.DataFrame, tmp_path: Path) -> None:
    folds = list_folds(prepared_of(manifest))
    asked: list[str] = []

    def answer(fold: Fold, folder: Path) -> tuple[np.ndarray, np.ndarray]:
        asked.append(fold.name)
        if len(asked) == 2:
            raise KeyboardInterrupt
        labels = [GENERA.index(genus) for genus in fold.measured.genus]
        return np.eye(2)[labels], np.zeros((0, 2))

    with pytest.raises(KeyboardInterrupt):
        cross_validate(folds, GENERA, tmp_path, answer)
    found = cross_validate(folds, GENERA, tmp_path, answer)
    names = [fold.name for fold in folds]
    assert asked == [names[0], names[1], names[1], names[2]]
    assert (found.accuracy, found.others_auroc) == (1.0, None)
