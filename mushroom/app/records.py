"""What a checkpoint folder tells of itself: report, history, card, answers, and when to use it rather than another."""

import csv
import json
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from mushroom.app.layout import note_once
from mushroom.checkpoint import (
    AGREEMENT_FILE,
    CARD_FILE,
    CONFIG_FILE,
    HISTORY_FILE,
    PREDICTIONS_FILE,
    REPORT_FILE,
)
from mushroom.errors import CheckpointError
from mushroom.evaluation.report import Report, read_report
from mushroom.texts import RANKS, percent

if TYPE_CHECKING:
    from mushroom.evaluation.agreement import Pair

REPORTS_KEPT = 16

TRACK_PHOTOS = 20
"""How often it was right is only told where at least this many test photos were counted."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Names:
    """What a checkpoint answers with, in its own order: ``names``, which are of one ``rank``."""

    names: tuple[str, ...]
    rank: str = "genus"


def names(folder: Path) -> Names:
    """The names that a checkpoint folder's config.json gives, none where it lacks them; the network is not loaded."""
    path = folder / CONFIG_FILE
    config = _read_json(path, path.stat().st_mtime_ns)[0] if path.is_file() else {}
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
    path = folder / REPORT_FILE
    if not path.is_file():
        return None
    found, failure = _report(folder, path.stat().st_mtime_ns)
    if failure:
        note_once(failure)
    return found


# A resource is handed out as it is, data as a copy: pages ask for these many times a run, and nothing changes them.
@st.cache_resource(max_entries=REPORTS_KEPT, show_spinner=False)
def _report(folder: Path, changed_ns: int) -> tuple[Report | None, str]:
    try:
        return read_report(folder), ""
    except CheckpointError as error:
        _log.warning("%s of %s can't be read: %s", REPORT_FILE, folder, error.__cause__)
        return None, str(error)


@st.cache_data(max_entries=2 * REPORTS_KEPT, show_spinner=False)
def _read_json(path: Path, changed_ns: int) -> tuple[dict[str, Any], str]:
    """What a JSON file holds, or nothing and why."""
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        _log.warning("%s can't be read: %s", path, error)
        return {}, "it is not JSON"
    if not isinstance(read, dict):
        _log.warning("%s holds no object", path)
        return {}, "it holds something else"
    return read, ""


def history(folder: Path) -> list[dict[str, str]]:
    """The rows of the checkpoint's history.csv, values as text; empty where it has none."""
    path = folder / HISTORY_FILE
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


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
    if not path.is_file():
        return ()
    measured = report(folder)
    if measured is None:
        return ()
    found, failure = _answers(folder, split, measured.temperature, measured.unknown.threshold, path.stat().st_mtime_ns)
    if failure:
        note_once(f"The answers of {folder.name} can't be read: {failure} `train.py evaluate` writes them anew.")
    return found


@st.cache_resource(max_entries=REPORTS_KEPT, show_spinner=False)
def _answers(
    folder: Path, split: str, temperature: float, threshold: float | None, changed_ns: int
) -> tuple[tuple[Answer, ...], str]:
    from mushroom.evaluation.predictions import KNOWN, TURNED_AWAY, read_predictions

    try:
        known = read_predictions(folder / PREDICTIONS_FILE).where(KNOWN, split)
    except CheckpointError as error:
        _log.warning("%s of %s can't be read: %s", PREDICTIONS_FILE, folder, error)
        return (), str(error)
    unknown = known.told(threshold) == TURNED_AWAY
    rows = zip(
        known.photo, known.genus, known.probabilities(temperature), unknown, known.labels, known.source, strict=True
    )
    found = (
        Answer(
            str(photo),
            str(genus),
            known.genera[row.argmax()],
            float(row.max()),
            bool(turned_away),
            -float(np.log(row[label])),
            str(source),
        )
        for photo, genus, row, turned_away, label, source in rows
    )
    return tuple(found), ""


def learned_sources(folder: Path) -> frozenset[str]:
    """Sources of the photos that the network learned from, here or before this training; empty where nothing tells."""
    path = folder / PREDICTIONS_FILE
    trained = _trained_sources(folder, path.stat().st_mtime_ns) if path.is_file() else frozenset()
    config = folder / CONFIG_FILE
    provenance = _read_json(config, config.stat().st_mtime_ns)[0].get("provenance") if config.is_file() else None
    before = provenance.get("sources", ()) if isinstance(provenance, dict) else ()
    return trained | {str(source) for source in before}


@st.cache_data(max_entries=REPORTS_KEPT, show_spinner=False)
def _trained_sources(folder: Path, changed_ns: int) -> frozenset[str]:
    from mushroom.evaluation.predictions import KNOWN, read_predictions

    try:
        read = read_predictions(folder / PREDICTIONS_FILE)
    except CheckpointError:
        # It is said where its answers are asked for.
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
    path = one.parent / AGREEMENT_FILE
    if not path.is_file():
        return None
    for pair in _agreements(one.parent, path.stat().st_mtime_ns):
        if sorted(pair.models) == sorted((one.name, other.name)) and sorted(pair.weights) == sorted(weights):
            return pair
    return None


@st.cache_data(max_entries=2, show_spinner=False)
def _agreements(folder: Path, changed_ns: int) -> "tuple[Pair, ...]":
    from mushroom.evaluation.agreement import read_agreement

    try:
        found = read_agreement(folder)
    except CheckpointError as error:
        _log.warning("%s", error)
        return ()
    return found.pairs if found else ()
