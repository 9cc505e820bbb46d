"""What a way of training is worth on photos from elsewhere: sources left out in turn.

Photos of one source resemble each other in more than their mushrooms, so a split that shares its sources says little
about a stranger's phone. Each fold trains without some sources and is measured on them. Only the train and validation
splits are seen: what is chosen so has not seen the test split.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from mushroom.calibration import unknown_score
from mushroom.dataset import Prepared
from mushroom.errors import DatasetError
from mushroom.evaluation.metrics import auroc, bootstrap_interval

SOURCE_PHOTOS = 100
"""A source with fewer photos of the genera is left out together with all others like it."""

SMALL_SOURCES = "all smaller sources"
TURNED_AWAY = 0.10
"""Share of known photos that may be turned away where the others that are caught are counted."""


@dataclass(frozen=True)
class Fold:
    """Rows to learn from, to choose the epoch on, and to measure on. ``name`` says which sources are left out.

    ``background`` are rows that are none of the genera, to learn from; ``others`` those to measure on.
    """

    name: str
    train: pd.DataFrame
    validation: pd.DataFrame
    measured: pd.DataFrame
    background: pd.DataFrame
    others: pd.DataFrame


Logits = tuple[np.ndarray, np.ndarray]
"""Of a fold's measured photos (n, logits) and of its others (m, logits)."""


@dataclass(frozen=True)
class Score:
    """All folds together. ``recall`` by genus; ``sources`` accuracy and count by fold; None without other photos."""

    photos: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    mean_recall: float
    recall: dict[str, float]
    sources: dict[str, tuple[float, int]]
    others: int
    others_auroc: float | None
    others_caught: float | None
    seconds: float


def list_folds(prepared: Prepared, count: int | None = None) -> list[Fold]:
    """One fold for each source left out, small ones together; or ``count`` folds of whole sources.

    Near-duplicates of what is measured on are never learned from. Raises DatasetError where no sources are known.
    """
    prepared = prepared.without_split("test")
    manifest = prepared.manifest
    if "source" not in manifest or manifest.source.nunique() < 2:
        raise DatasetError("These photos are not known to be from several sources: there is nothing to leave out.")
    large = manifest.source.map(manifest.source.value_counts()) >= SOURCE_PHOTOS
    names = _numbered_folds(manifest, count) if count else manifest.source.where(large, SMALL_SOURCES)
    nothing = manifest.iloc[:0].assign(kind="")
    background = nothing if prepared.background is None else prepared.background
    return [_fold(name, manifest, background, names == name) for name in dict.fromkeys(names)]


def _numbered_folds(manifest: pd.DataFrame, count: int) -> pd.Series:
    """Whole sources in each of ``count`` folds, the genera spread over them as evenly as that allows."""
    if manifest.source.nunique() < count:
        raise DatasetError(f"There are {manifest.source.nunique()} sources only: --folds takes at most as many.")
    names = pd.Series("", index=manifest.index)
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=0)
    for number, (_, rows) in enumerate(splitter.split(manifest, manifest.genus, manifest.source)):
        names.iloc[rows] = f"fold {number + 1} of {count}"
    return names


def _fold(name: str, manifest: pd.DataFrame, background: pd.DataFrame, chosen: pd.Series) -> Fold:
    measured = manifest[chosen]
    rest = manifest[~chosen & ~manifest.group.isin(measured.group)]
    train, validation = rest[rest.split == "train"], rest[rest.split == "validation"]
    theirs = background.source.isin(measured.source) & (background.source != "")
    learned = background[~theirs & (background.split == "train") & ~background.group.isin(background[theirs].group)]
    return Fold(name, train, validation, measured, learned, background[theirs])


def score(folds: Sequence[Fold], answers: Sequence[Logits], genera: Sequence[str], seconds: float) -> Score:
    """Scores over the photos of all folds together. How many logits there are may differ from fold to fold."""
    unknown, others = (
        np.concatenate([unknown_score(logits, len(genera)) for logits in part]) for part in zip(*answers, strict=True)
    )
    photos = pd.concat([fold.measured.assign(fold=fold.name) for fold in folds])
    predicted = np.concatenate([known[:, : len(genera)].argmax(1) for known, _ in answers])
    photos["right"] = photos.genus == np.array(genera)[predicted]
    recall = photos.groupby("genus").right.mean().reindex(genera).dropna().to_dict()
    sources = photos.groupby("fold", sort=False).right.agg(["mean", "size"])
    right = photos.right.to_numpy()
    threshold = np.quantile(unknown, 1 - TURNED_AWAY)
    return Score(
        photos=len(right),
        accuracy=float(right.mean()),
        accuracy_interval=bootstrap_interval(np.mean, right),
        mean_recall=float(np.mean(list(recall.values()))),
        recall=recall,
        sources={row.Index: (row.mean, row.size) for row in sources.itertuples()},
        others=len(others),
        others_auroc=auroc(unknown, others) if len(others) else None,
        others_caught=float((others > threshold).mean()) if len(others) else None,
        seconds=seconds,
    )


def cross_validate(
    folds: Sequence[Fold],
    genera: Sequence[str],
    work: Path,
    answer: Callable[[Fold, Path], Logits],
) -> Score:
    """The score of what ``answer`` gives for each fold: logits of its measured photos and of its others.

    Each fold's logits are kept in ``work``, so that an interrupted run goes on with the fold it was at.
    """
    found = []
    seconds = 0.0
    for number, fold in enumerate(folds):
        folder = work / f"fold-{number + 1}"
        path = folder / "answers.npz"
        if not path.exists():
            began = time.perf_counter()
            known, others = answer(fold, folder)
            folder.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial")
            with partial.open("wb") as file:
                np.savez(file, known=known, others=others, seconds=time.perf_counter() - began)
            partial.replace(path)
        with np.load(path) as saved:
            found.append((saved["known"], saved["others"]))
            seconds += float(saved["seconds"])
    return score(folds, found, genera, seconds)


def score_lines(result: Score) -> Iterator[str]:
    """The score for a terminal."""
    low, high = result.accuracy_interval
    yield f"{'left out':<40} {'photos':>7} {'right':>7}"
    for name, (accuracy, count) in result.sources.items():
        yield f"{name:<40} {count:>7} {accuracy:>7.3f}"
    yield f"{'all':<40} {result.photos:>7} {result.accuracy:>7.3f}   (95 % interval {low:.3f} to {high:.3f})"
    yield "recall: " + ", ".join(f"{genus} {value:.3f}" for genus, value in result.recall.items())
    yield f"mean recall {result.mean_recall:.3f}"
    if result.others_auroc is not None:
        yield (
            f"{result.others} others: AUROC {result.others_auroc:.3f}, {result.others_caught:.3f} caught where "
            f"{TURNED_AWAY:.0%} of the known are turned away"
        )
    yield f"{result.seconds / 60:.0f} minutes"
