"""What a way of training is worth on photos from elsewhere: each source left out in turn, and all of it written down.

Photos of the same source resemble each other in more than their mushrooms, so a split that shares its sources says
little about a stranger's phone. A trial trains on all sources but one and measures on that one. It sees the train
and validation splits only: whatever is chosen by trials has not seen the test split.
"""

import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mushroom.checkpoint import write_text
from mushroom.dataset import Prepared
from mushroom.errors import DatasetError
from mushroom.evaluation.metrics import SUPPORTED_PHOTOS, accuracy_difference, bootstrap_interval, macro_f1
from mushroom.genera import GENERA

SOURCE_PHOTOS = 100
"""A source with fewer photos is left out together with all others like it."""

SMALL_SOURCES = "all smaller sources"
NONE_LEFT_OUT = "none"

RECORD_FILE = "trials.jsonl"
TABLE_FILE = "TRIALS.md"


@dataclass(frozen=True)
class Fold:
    """Rows of the manifest to learn from, to choose the epoch on, and to measure on. ``left_out`` names the source."""

    left_out: str
    train: pd.DataFrame
    validation: pd.DataFrame
    measured: pd.DataFrame

    @property
    def learnable(self) -> frozenset[str]:
        """The genera of which enough photos are left to learn them from."""
        counts = self.train.genus.value_counts()
        return frozenset(counts[counts >= SUPPORTED_PHOTOS].index)


@dataclass(frozen=True)
class Answers:
    """What a trained network answered on a fold: ``labels`` and ``predicted``, class indices (n,)."""

    labels: np.ndarray
    predicted: np.ndarray


def list_folds(prepared: Prepared) -> list[Fold]:
    """The split itself, measured on validation, then one fold for each source left out.

    Near-duplicates of what is measured on are never learned from. Raises DatasetError where no sources are known.
    """
    manifest = prepared.manifest[prepared.manifest.split != "test"]
    if "source" not in manifest or manifest.source.nunique() < 2:
        raise DatasetError("These photos are not known to be from several sources: there is nothing to leave out.")
    train, validation = (manifest[manifest.split == split] for split in ("train", "validation"))
    folds = [Fold(NONE_LEFT_OUT, train, validation, validation)]
    counts = manifest.source.value_counts()
    named = [str(source) for source in counts[counts >= SOURCE_PHOTOS].index]
    of = manifest.source.where(manifest.source.isin(named), SMALL_SOURCES)
    for source in dict.fromkeys([*named, *of]):
        measured = manifest[of == source]
        rest = manifest[(of != source) & ~manifest.group.isin(measured.group)]
        folds.append(Fold(source, rest[rest.split == "train"], rest[rest.split == "validation"], measured))
    return folds


def score(answers: Mapping[str, Answers], folds: Sequence[Fold]) -> dict[str, Any]:
    """All scores of a trial from its folds' answers: of the split's validation photos, and of the sources left out.

    A photo counts where its genus is learnable from what was left. ``right`` says of each that counts, in the order of
    the folds, whether it was named right: 0 or 1, as text. ``all_photos`` counts the others too: a genus that only its
    own source knows can still be learned from photos that come without a source.
    """
    own = answers[NONE_LEFT_OUT]
    supported = np.flatnonzero(np.bincount(own.labels, minlength=len(GENERA)) >= SUPPORTED_PHOTOS).tolist()
    rows, labels, predicted, learnable = [], [], [], []
    for fold in folds:
        if fold.left_out == NONE_LEFT_OUT:
            continue
        answered = answers[fold.left_out]
        counted = np.isin(answered.labels, [GENERA.index(genus) for genus in fold.learnable])
        right = (answered.labels == answered.predicted)[counted]
        if len(right):
            rows.append({"source": fold.left_out, "count": len(right), "accuracy": float(right.mean())})
        labels.append(answered.labels)
        predicted.append(answered.predicted)
        learnable.append(counted)
    every_truth, every_told, counted = (np.concatenate(each) for each in (labels, predicted, learnable))
    truth = every_truth[counted]
    right = truth == every_told[counted]
    genera = [int(g) for g in np.flatnonzero(np.bincount(truth, minlength=len(GENERA)) >= SUPPORTED_PHOTOS)]
    return {
        "validation": {
            "count": len(own.labels),
            "accuracy": float((own.labels == own.predicted).mean()),
            "macro_f1_supported": macro_f1(own.labels, own.predicted, supported),
        },
        "left_out": {
            "count": len(right),
            "accuracy": float(right.mean()),
            "accuracy_interval": bootstrap_interval(np.mean, right),
            "mean_recall": float(np.mean([right[truth == genus].mean() for genus in genera])),
            "recall": {GENERA[genus]: float(right[truth == genus].mean()) for genus in genera},
            "sources": rows,
            "right": "".join("01"[one] for one in right.astype(int)),
            "all_photos": {
                "count": len(every_truth),
                "accuracy": float((every_truth == every_told).mean()),
                "macro_f1": macro_f1(every_truth, every_told),
            },
        },
    }


def compare(trial: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[float, list[float]] | None:
    """How much higher the accuracy of ``trial`` on sources left out is than that of ``other``, with a 95 % interval.

    The interval is over the same photos of both, drawn anew. None where these were not kept, or differ in number.
    """
    kept = [one["left_out"].get("right", "") for one in (trial, other)]
    if not kept[0] or len(kept[0]) != len(kept[1]):
        return None
    return accuracy_difference(*(np.array(list(text), dtype=int) for text in kept))


def run_trial(folds: Sequence[Fold], work: Path, answer: Callable[[Fold, Path], np.ndarray]) -> dict[str, Any]:
    """Scores of a trial whose ``answer`` gives logits (n, genera) for a fold's measured photos.

    Each fold's logits are kept in ``work``, so that an interrupted trial goes on with the fold it was at.
    """
    answers = {}
    seconds = 0.0
    for number, fold in enumerate(folds):
        folder = work / f"fold-{number}"
        path = folder / "answers.json"
        if not path.exists():
            began = time.perf_counter()
            logits = answer(fold, folder)
            kept = {"seconds": time.perf_counter() - began, "predicted": logits.argmax(axis=1).tolist()}
            folder.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(kept))
        kept = json.loads(path.read_text(encoding="utf-8"))
        seconds += kept["seconds"]
        labels = np.array([GENERA.index(genus) for genus in fold.measured.genus])
        answers[fold.left_out] = Answers(labels, np.array(kept["predicted"]))
    return {"seconds": round(seconds), **score(answers, folds)}


def record(folder: Path, trial: Mapping[str, Any]) -> None:
    """Add a trial to the recorded ones in ``folder``, in place of one of the same name, and write the table anew."""
    folder.mkdir(parents=True, exist_ok=True)
    trials = [other for other in read_trials(folder) if other["name"] != trial["name"]] + [dict(trial)]
    write_text(folder / RECORD_FILE, "".join(json.dumps(one) + "\n" for one in trials))
    write_text(folder / TABLE_FILE, trials_text(trials))


def read_trials(folder: Path) -> list[dict[str, Any]]:
    """The recorded trials, oldest first; none where none was recorded."""
    path = folder / RECORD_FILE
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def trials_text(trials: Sequence[Mapping[str, Any]]) -> str:
    """``TRIALS.md``: the table of recorded trials, then each one's sources and command."""
    return "\n".join(_trials_lines(trials)) + "\n"


def _trials_lines(trials: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "# What was tried"
    yield ""
    yield (
        "Written by `python train.py trial`, from `trials.jsonl` beside it. Every trial sees the train and validation "
        "splits only. *Left out*: accuracy on the photos of each source by a network that was trained without that "
        f"source, all such photos together, with a 95 % interval; genera of which fewer than {SUPPORTED_PHOTOS} "
        "training photos were left are not counted. *Mean recall*: the same photos, each genus counting alike. "
        "*All genera*: macro-F1 on all photos of the sources, those of the genera not counted too, where it was kept. "
        "*Validation*: accuracy on the validation split of a network trained on the train split."
    )
    yield ""
    yield "| trial | what | left out | mean recall | all genera | validation | macro-F1 | minutes |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for trial in trials:
        left, own = trial["left_out"], trial["validation"]
        low, high = left["accuracy_interval"]
        every = f"{left['all_photos']['macro_f1']:.3f}" if "all_photos" in left else ""
        yield (
            f"| {trial['name']} | {trial['what']} | {left['accuracy']:.3f} ({low:.3f} to {high:.3f}) "
            f"| {left['mean_recall']:.3f} | {every} | {own['accuracy']:.3f} | {own['macro_f1_supported']:.3f} "
            f"| {trial['seconds'] / 60:.0f} |"
        )
    sources = list(dict.fromkeys(row["source"] for trial in trials for row in trial["left_out"]["sources"]))
    yield ""
    yield "## Source by source"
    yield ""
    yield "| trial | " + " | ".join(sources) + " |"
    yield "| --- |" + " --- |" * len(sources)
    for trial in trials:
        found = {row["source"]: f"{row['accuracy']:.3f} of {row['count']}" for row in trial["left_out"]["sources"]}
        yield f"| {trial['name']} | " + " | ".join(found.get(source, "") for source in sources) + " |"
    yield from _comparison_lines(trials)
    yield ""
    yield "## Commands"
    for trial in trials:
        yield ""
        yield f"**{trial['name']}**, at commit `{trial['git_commit']}`:"
        yield f"`{trial['command']}`"


def _comparison_lines(trials: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    pairs = [(one, other, compare(one, other)) for one, other in itertools.combinations(trials, 2)]
    rows = [
        f"| {one['name']} | {other['name']} | {found[0]:+.3f} | {found[1][0]:+.3f} to {found[1][1]:+.3f} |"
        for one, other, found in pairs
        if found
    ]
    if not rows:
        return
    yield ""
    yield "## One beside another"
    yield ""
    yield "How much more of the sources left out the first names right than the second, over the same photos."
    yield ""
    yield "| first | second | difference | 95 % interval |"
    yield "| --- | --- | --- | --- |"
    yield from rows
