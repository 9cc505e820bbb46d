"""What a checkpoint folder tells of itself: report, history, card, answers, and when to use it rather than another."""

import csv
import json
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from mushroom.app.layout import note_once
from mushroom.checkpoint import AGREEMENT_FILE, CARD_FILE, CONFIG_FILE, HISTORY_FILE, PREDICTIONS_FILE, REPORT_FILE
from mushroom.errors import CheckpointError
from mushroom.evaluation.report import Report, read_report
from mushroom.texts import RANKS, percent

if TYPE_CHECKING:
    from mushroom.evaluation.agreement import Pair

REPORTS_KEPT = 16

TRACK_PHOTOS = 20
"""How often it was right is only told where at least this many test photos were counted."""

_log = logging.getLogger(__name__)


def _state(path: Path) -> tuple[str, int | None]:
    """A file as it is now, for the caches: its name, and when it was changed (None: it is not there)."""
    return str(path), path.stat().st_mtime_ns if path.is_file() else None


# A resource is handed out as it is, data as a copy: pages ask for these many times a run, and nothing changes them.
_kept = partial(st.cache_resource, max_entries=REPORTS_KEPT, show_spinner=False, hash_funcs={type(Path()): _state})


@dataclass(frozen=True)
class Names:
    """What a checkpoint answers with, in its own order: ``names``, which are of one ``rank``."""

    names: tuple[str, ...]
    rank: str = "genus"


def names(folder: Path) -> Names:
    """The names that a checkpoint folder's config.json gives, none where it lacks them; the network is not loaded."""
    config = _config(folder / CONFIG_FILE)
    found = config.get("genera")
    if not (isinstance(found, list) and found and all(isinstance(name, str) for name in found)):
        return Names(())
    rank = config.get("rank")
    return Names(tuple(found), rank if rank in RANKS else "genus")


@dataclass(frozen=True)
class MostFaithful:
    """The layer and method whose heatmaps changed the prediction most when covered; ``sample`` photos measured."""

    layer: str
    method: str
    sample: int


def most_faithful(folder: Path, methods: Collection[str]) -> MostFaithful | None:
    """The checkpoint's most faithful layer, and the one of ``methods``, by its report; None where none was measured."""
    from mushroom.explain import faithfulness

    measured = report(folder)
    table = measured.faithfulness if measured else None
    if table is None:
        return None
    best = faithfulness.most_faithful([asdict(row) for row in table.rows if row.method in methods])
    return MostFaithful(best["layer"], best["method"], table.sample) if best else None


def report(folder: Path) -> Report | None:
    """The checkpoint's report.json; None where it has none, and with a note where it can't be read."""
    found, failure = _report(folder / REPORT_FILE)
    if failure:
        note_once(failure)
    return found


@_kept()
def _report(path: Path) -> tuple[Report | None, str]:
    try:
        return read_report(path.parent), ""
    except CheckpointError as error:
        _log.warning("%s of %s can't be read: %s", path.name, path.parent, error.__cause__)
        return None, str(error)


@_kept()
def _config(path: Path) -> dict[str, Any]:
    """What a JSON file holds, nothing where it can't be read."""
    if not path.is_file():
        return {}
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        _log.warning("%s can't be read: %s", path, error)
        return {}
    if not isinstance(read, dict):
        _log.warning("%s holds no object", path)
        return {}
    return read


def history(folder: Path) -> list[dict[str, str]]:
    """The rows of the checkpoint's history.csv, values as text; empty where it has none."""
    path = folder / HISTORY_FILE
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines())) if path.is_file() else []


def model_card(folder: Path) -> str:
    """The checkpoint's model card as Markdown, without the Hub's front matter; empty where it has none."""
    path = folder / CARD_FILE
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return text.split("---\n", 2)[-1].strip()


# --- Answers ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What the network answered for one known photo, by its predictions.csv.

    ``confidence`` is the calibrated probability of ``genus``, the most probable one; ``unknown`` says that a visitor
    is told "none of these"; ``loss`` is in nats, of the true genus; ``source`` says whose photo it is.
    """

    photo: str
    true_genus: str
    genus: str
    confidence: float
    unknown: bool
    loss: float
    source: str = ""

    @property
    def right(self) -> bool:
        """Whether a visitor is told the true genus: one that is turned away is not told right."""
        return self.likeliest_right and not self.unknown

    @property
    def wrong(self) -> bool:
        """Whether a visitor is told another genus than the true one."""
        return not self.likeliest_right and not self.unknown

    @property
    def likeliest_right(self) -> bool:
        """Whether the most probable genus is the true one, whatever is told."""
        return self.genus == self.true_genus


def answers(folder: Path, split: str = "test") -> tuple[Answer, ...]:
    """The answers for all known photos of a split; empty where there are none, with a note if they can't be read."""
    path = folder / PREDICTIONS_FILE
    measured = report(folder) if path.is_file() else None
    if measured is None:
        return ()
    found, failure = _answers(path, split, measured.temperature, measured.unknown.threshold)
    if failure:
        note_once(f"The answers of {folder.name} can't be read: {failure} `train.py evaluate` writes them anew.")
    return found


@_kept()
def _answers(path: Path, split: str, temperature: float, threshold: float | None) -> tuple[tuple[Answer, ...], str]:
    from mushroom.evaluation.predictions import KNOWN, TURNED_AWAY, read_predictions

    try:
        known = read_predictions(path).where(KNOWN, split)
    except CheckpointError as error:
        _log.warning("%s of %s can't be read: %s", path.name, path.parent, error)
        return (), str(error)
    probabilities = known.probabilities(temperature)
    columns = (
        known.photo,
        known.genus,
        np.take(known.genera, probabilities.argmax(axis=1)),
        probabilities.max(axis=1),
        known.answers(threshold) == TURNED_AWAY,
        -np.log(probabilities[np.arange(len(known)), known.labels]),
        known.source,
    )
    return tuple(Answer(*row) for row in zip(*(column.tolist() for column in columns), strict=True)), ""


def learned_sources(folder: Path) -> frozenset[str]:
    """Sources of the photos that the network learned from, here or before this training; empty where nothing tells."""
    provenance = _config(folder / CONFIG_FILE).get("provenance")
    before = provenance.get("sources", ()) if isinstance(provenance, dict) else ()
    return _trained_sources(folder / PREDICTIONS_FILE) | {str(source) for source in before}


@_kept()
def _trained_sources(path: Path) -> frozenset[str]:
    from mushroom.evaluation.predictions import KNOWN, read_predictions

    try:
        read = read_predictions(path)
    except CheckpointError:
        # Where its answers are asked for, a table that is damaged is told.
        return frozenset()
    return frozenset(read.source[(read.kind == KNOWN) & (read.split == "train")].tolist()) - {""}


@dataclass(frozen=True)
class TrackRecord:
    """Of ``count`` test photos that were told a genus with a confidence from ``lower`` to ``upper``, ``right`` were
    told the true one."""

    lower: float
    upper: float
    right: int
    count: int


def track_record(folder: Path, confidence: float) -> TrackRecord | None:
    """How often the network told test photos right when it was about as sure; None where too few were counted."""
    lower = min(int(confidence * 10), 9) / 10
    named = [
        answer
        for answer in answers(folder)
        if not answer.unknown and lower <= answer.confidence and (answer.confidence < lower + 0.1 or lower == 0.9)
    ]
    if len(named) < TRACK_PHOTOS:
        return None
    return TrackRecord(lower, lower + 0.1, sum(answer.right for answer in named), len(named))


# --- One beside another -------------------------------------------------------------------------------------


def when_to_use(folders: Mapping[str, Path]) -> dict[str, str]:
    """A line for each network by name: when to take it rather than another of these.

    Empty for one without measurements, and where there is nothing to choose from.
    """
    lines = dict.fromkeys(folders, "")
    right = {name: _share_right(answers(folder)) for name, folder in folders.items() if answers(folder)}
    if len(folders) < 2 or not right:
        return lines
    reports = {name: report(folders[name]) for name in right}
    seconds = {name: found.latency.median_s for name, found in reports.items() if found and found.latency}
    # The validation split may choose; the test split is for reporting alone.
    best = max(right, key=lambda name: _share_right(answers(folders[name], "validation") or answers(folders[name])))
    # Times of different machines say nothing of which network is fast.
    places = {found.latency.where for found in reports.values() if found and found.latency}
    fastest = min(seconds, key=lambda name: seconds[name]) if len(seconds) > 1 and len(places) == 1 else None
    for name in right:
        if name == best:
            role = "The most often right on the photos kept for choosing."
        elif name == fastest:
            role = "The fastest of these: for slow machines and many photos."
        else:
            role = "For a second opinion: does another network look at the same places?"
        measured = f"{percent(right[name])} of its test photos told right"
        if name in seconds:
            measured += f", {seconds[name]:.2f} s a photo with all heatmaps"
        lines[name] = f"{role} {measured[:1].upper()}{measured[1:]}."
    return lines


def _share_right(answers: Sequence[Answer]) -> float:
    return sum(answer.right for answer in answers) / len(answers)


def agreement(one: Path, other: Path, weights: Sequence[str]) -> "Pair | None":
    """What was measured of two checkpoint folders side by side with these weights; None where nothing was."""
    for pair in _agreements(one.parent / AGREEMENT_FILE):
        if sorted(pair.models) == sorted((one.name, other.name)) and sorted(pair.weights) == sorted(weights):
            return pair
    return None


@_kept()
def _agreements(path: Path) -> "tuple[Pair, ...]":
    from mushroom.evaluation.agreement import read_agreement

    try:
        found = read_agreement(path.parent)
    except CheckpointError as error:
        _log.warning("%s", error)
        return ()
    return found.pairs if found else ()
