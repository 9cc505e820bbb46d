"""What a checkpoint folder tells of itself: report, history, card, answers, and when to use it rather than another."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from mushroom.checkpoint import AGREEMENT_FILE, CARD_FILE, HISTORY_FILE, PREDICTIONS_FILE, REPORT_FILE
from mushroom.texts import percent

REPORTS_KEPT = 16


@dataclass(frozen=True)
class MostFaithful:
    """The layer and method whose heatmaps changed the prediction most when covered; ``sample`` photos measured."""

    layer: str
    method: str
    sample: int


def most_faithful(folder: Path) -> MostFaithful | None:
    """The checkpoint's most faithful layer and method by its report; None where that was not measured."""
    faithfulness = report(folder).get("faithfulness") or {}
    best = faithfulness.get("best") or {}
    if not {"layer", "method"} <= best.keys():
        return None
    return MostFaithful(str(best["layer"]), str(best["method"]), int(faithfulness.get("sample", 0)))


def report(folder: Path) -> dict[str, Any]:
    """The checkpoint's report.json; empty where it has none or it can't be read."""
    path = folder / REPORT_FILE
    return _report(path, path.stat().st_mtime_ns) if path.is_file() else {}


@st.cache_data(max_entries=REPORTS_KEPT, show_spinner=False)
def _report(path: Path, changed_ns: int) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


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


@dataclass(frozen=True)
class TestAnswer:
    """What the network answered for one photo of the test split, by its predictions.csv.

    ``confidence`` is the calibrated probability of ``genus``; ``loss`` is in nats, of the true genus.
    """

    photo: str
    true_genus: str
    genus: str
    confidence: float
    unknown: bool
    loss: float

    @property
    def right(self) -> bool:
        """Whether the most probable genus is the true one; what counts in the report's accuracy."""
        return self.genus == self.true_genus


def test_answers(folder: Path) -> list[TestAnswer]:
    """The answers for all known photos of the test split; empty where predictions.csv is missing or damaged."""
    path = folder / PREDICTIONS_FILE
    return _test_answers(folder, path.stat().st_mtime_ns) if path.is_file() else []


@st.cache_data(max_entries=REPORTS_KEPT, show_spinner=False)
def _test_answers(folder: Path, changed_ns: int) -> list[TestAnswer]:
    from mushroom import calibration
    from mushroom.evaluation import metrics

    measured = report(folder)
    try:
        known = metrics.read_predictions(folder / PREDICTIONS_FILE).where(metrics.KNOWN, "test")
        probabilities = calibration.probabilities(known.logits, measured["temperature"])
        threshold = measured["unknown"]["threshold"]
        labels = known.labels
    except (ValueError, KeyError):
        return []
    unknown = calibration.unknown_score(known.logits) > (np.inf if threshold is None else threshold)
    return [
        TestAnswer(
            str(photo),
            str(genus),
            known.genera[row.argmax()],
            float(row.max()),
            bool(turned),
            -float(np.log(row[label])),
        )
        for photo, genus, row, turned, label in zip(
            known.photo, known.genus, probabilities, unknown, labels, strict=True
        )
    ]


# --- One beside another -------------------------------------------------------------------------------------


def when_to_use(reports: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """A line for each network by name, from its report: when to take it rather than another of these.

    Empty for one without measurements, and where there is nothing to choose from.
    """
    right = {name: report["splits"]["test"]["accuracy"] for name, report in reports.items() if _test_scores(report)}
    if len(reports) < 2 or not right:
        return dict.fromkeys(reports, "")
    seconds = {name: reports[name]["latency"]["median_s"] for name in right if "latency" in reports[name]}
    best = max(right, key=lambda name: _chosen_by(reports[name]))
    fastest = min(seconds, key=lambda name: seconds[name]) if len(seconds) > 1 else None
    lines = dict.fromkeys(reports, "")
    for name in right:
        if name == best:
            role = "The most often right on the photos kept for choosing: take this one unless you have a reason."
        elif name == fastest:
            role = "The fastest of these: for slow machines and many photos."
        else:
            role = "For a second opinion: does another network look at the same places?"
        measured = f"{percent(right[name])} of its test photos right"
        if name in seconds:
            measured += f", {seconds[name]:.2f} s a photo with all heatmaps"
        lines[name] = f"{role} {measured[:1].upper()}{measured[1:]}."
    return lines


def _chosen_by(report: Mapping[str, Any]) -> float:
    """Accuracy on the validation split, which choosing may see; the test split is for reporting alone."""
    return report["splits"].get("validation", report["splits"]["test"])["accuracy"]


def _test_scores(report: Mapping[str, Any]) -> bool:
    return bool(report.get("splits", {}).get("test"))


@dataclass(frozen=True)
class Agreement:
    """How two networks agreed on the test photos: the share of ``photos`` that both named alike, and the mean rank
    correlation of their heatmaps over ``sample`` of them."""

    same_genus: float
    photos: int
    rank_correlation: float
    sample: int


def agreement(one: Path, other: Path, weights: Sequence[str]) -> Agreement | None:
    """What was measured of two checkpoint folders side by side with these weights; None where nothing was."""
    path = one.parent / AGREEMENT_FILE
    if not path.is_file():
        return None
    for pair in _agreements(path, path.stat().st_mtime_ns):
        if sorted(pair["models"]) == sorted((one.name, other.name)) and sorted(pair["weights"]) == sorted(weights):
            return Agreement(pair["same_genus"], pair["photos"], pair["rank_correlation"], pair["sample"])
    return None


@st.cache_data(max_entries=2, show_spinner=False)
def _agreements(path: Path, changed_ns: int) -> list[dict[str, Any]]:
    return list(json.loads(path.read_text(encoding="utf-8"))["pairs"])
