"""``predictions.csv`` becomes a report: all of it but faithfulness and latency, which need the network.

Whoever holds a checkpoint folder can compute this again from its predictions, temperature and unknown threshold.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from mushroom.calibration import (
    MAX_TURNED_AWAY,
    UNKNOWN_SCORES,
    cross_entropy,
    fit_temperature,
    fit_unknown_threshold,
)
from mushroom.dataset import SPLITS
from mushroom.evaluation.metrics import (
    SUPPORTED_PHOTOS,
    auroc,
    bootstrap_interval,
    macro_f1,
    mean_recall,
    share_interval,
)
from mushroom.evaluation.predictions import KNOWN, TURNED_AWAY, Predictions
from mushroom.evaluation.report import (
    Bin,
    CoveragePoint,
    GenusScores,
    KindScores,
    Report,
    SeveralPhotos,
    SourceScores,
    SplitScores,
    ThresholdPoint,
    Unknown,
    UnknownScores,
)

CALIBRATION_BINS = 15

TURNED_AWAY_SHARES = (0.01, 0.02, 0.05, 0.075, 0.10, 0.125, 0.15, 0.20, 0.30)
"""Shares of known photos turned away at which the report says what is caught in return."""

COVERAGE_STEPS = tuple(step / 20 for step in range(20))
"""Least confidences at which the report says how many photos are still answered, and how many of those wrong."""

PHOTOS_TOGETHER = 3
"""Photos of one species from one source are answered together in groups of at most so many."""


@dataclass(frozen=True)
class Calibration:
    """How a checkpoint's logits are read: temperature, and the unknown threshold (None: nothing is turned away)."""

    temperature: float
    threshold: float | None


def calibrate(predictions: Predictions) -> Calibration:
    """Temperature and unknown threshold fitted on the known photos of the validation split."""
    validation = predictions.where(KNOWN, "validation")
    temperature = fit_temperature(validation.logits, validation.labels)
    return Calibration(temperature, fit_unknown_threshold(validation.unknown_score))


def build_report(predictions: Predictions, calibration: Calibration, learned_before: Collection[str] = ()) -> Report:
    """All of a report that predictions alone can give, with the answers read by ``calibration``.

    ``learned_before`` are the sources that the network learned from before these photos: those of the checkpoint that
    training started from. Their photos are no strangers' photos either.
    """
    known = {split: predictions.where(KNOWN, split) for split in SPLITS}
    # Whether or not the network answered them afterwards, these are what it knows.
    prepared = {split: predictions.rows((predictions.kind == KNOWN) & (predictions.split == split)) for split in SPLITS}
    learned_from = frozenset([*prepared["train"].source.tolist(), *learned_before]) - {""}
    test = known["test"]
    return Report(
        genera=predictions.genera,
        photos={
            split: {genus: int((rows.genus == genus).sum()) for genus in predictions.genera}
            for split, rows in prepared.items()
        },
        temperature=calibration.temperature,
        unknown=score_unknown(predictions, calibration.threshold),
        splits={split: score_split(rows, calibration, learned_from) for split, rows in known.items() if len(rows)},
        several=score_several(test, calibration.threshold) if len(test) else None,
    )


def score_split(known: Predictions, calibration: Calibration, learned_from: frozenset[str]) -> SplitScores:
    """All scores of the known photos of one split; ``learned_from`` are the sources of what it learned."""
    labels, genera = known.labels, len(known.genera)
    answers = known.answers(calibration.threshold)
    right, turned_away = labels == answers, answers == TURNED_AWAY
    order = np.argsort(-known.logits, axis=1, kind="stable")
    probable = order[:, 0]
    probably_right = probable == labels
    matrix = confusion(labels, answers, genera)
    support = np.bincount(labels, minlength=genera)
    supported = np.flatnonzero(support >= SUPPORTED_PHOTOS).tolist()
    raw, calibrated = known.probabilities(1.0), known.probabilities(calibration.temperature)
    before, after = reliability(raw, labels), reliability(calibrated, labels)
    return SplitScores(
        count=len(known),
        sources=len(set(known.source.tolist()) - {""}),
        unseen_source_photos=int(((known.source != "") & ~np.isin(known.source, list(learned_from))).sum()),
        told_right=float(right.mean()),
        told_right_interval=bootstrap_interval(_mean, right),
        turned_away=float(turned_away.mean()),
        told_wrong=float((~right & ~turned_away).mean()),
        answered_right=float(right.sum() / max((~turned_away).sum(), 1)),
        accuracy=float(probably_right.mean()),
        accuracy_interval=bootstrap_interval(_mean, probably_right),
        top2=float((order[:, :2] == labels[:, None]).any(axis=1).mean()),
        mean_recall=mean_recall(labels, probably_right),
        mean_recall_interval=bootstrap_interval(mean_recall, labels, probably_right, strata=labels),
        macro_f1=macro_f1(labels, probable),
        macro_f1_interval=bootstrap_interval(macro_f1, labels, probable, strata=labels),
        macro_f1_supported=macro_f1(labels, probable, supported) if supported else None,
        supported_genera=tuple(known.genera[index] for index in supported),
        loss=cross_entropy(known.logits, labels, calibration.temperature),
        ece_before=expected_calibration_error(before),
        ece_after=expected_calibration_error(after),
        reliability_before=before,
        reliability_after=after,
        coverage=coverage(calibrated.max(axis=1), right, turned_away),
        per_genus=_per_genus(known, probable, matrix),
        confusion=matrix,
        per_source=_per_source(known.source, probably_right, right),
    )


def _mean(values: np.ndarray) -> float:
    return float(values.mean())


def _per_genus(
    known: Predictions, probable: np.ndarray, matrix: tuple[tuple[int, ...], ...]
) -> tuple[GenusScores, ...]:
    labels, genera = known.labels, len(known.genera)
    precision, recall, f1, support = (
        column.tolist()
        for column in precision_recall_fscore_support(labels, probable, labels=range(genera), zero_division=0)
    )
    probably_right = np.bincount(labels[probable == labels], minlength=genera).tolist()
    rows = []
    for i, (genus, row) in enumerate(zip(known.genera, matrix, strict=True)):
        right, turned_away = row[i], row[-1]
        count = max(support[i], 1)
        rows.append(
            GenusScores(
                genus=genus,
                support=support[i],
                precision=precision[i],
                recall=recall[i],
                recall_interval=share_interval(probably_right[i], support[i]),
                f1=f1[i],
                told_right=right / count,
                turned_away=turned_away / count,
                told_wrong=(support[i] - right - turned_away) / count,
            )
        )
    return tuple(rows)


def _per_source(source: np.ndarray, probably_right: np.ndarray, right: np.ndarray) -> tuple[SourceScores, ...]:
    """Scores of the photos of each source that is known, largest source first."""
    names, counts = np.unique(source[source != ""], return_counts=True)
    ranked = sorted(zip(names, counts, strict=True), key=lambda pair: (-pair[1], pair[0]))
    return tuple(
        SourceScores(str(name), int(count), _mean(probably_right[source == name]), _mean(right[source == name]))
        for name, count in ranked
    )


def confusion(labels: np.ndarray, answers: np.ndarray, genera: int) -> tuple[tuple[int, ...], ...]:
    """Numbers of photos: rows are the true genera, columns what is told, the last one none of them."""
    columns = np.where(answers == TURNED_AWAY, genera, answers)
    counts = confusion_matrix(labels, columns, labels=range(genera + 1))[:genera]
    return tuple(map(tuple, counts.tolist()))


def reliability(probability: np.ndarray, labels: np.ndarray) -> tuple[Bin, ...]:
    """Accuracy of the most probable genus over bins of its probability (n, genera); empty ones left out."""
    confidence = probability.max(axis=1)
    right = probability.argmax(axis=1) == labels
    numbers = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    bins = []
    for number in np.unique(numbers).tolist():
        rows = numbers == number
        lower, upper = number / CALIBRATION_BINS, (number + 1) / CALIBRATION_BINS
        bins.append(Bin(lower, upper, _mean(confidence[rows]), _mean(right[rows]), int(rows.sum())))
    return tuple(bins)


def expected_calibration_error(bins: tuple[Bin, ...]) -> float:
    """Mean distance of confidence and accuracy over the bins, weighted by their counts (Naeini et al. 2015)."""
    total = sum(each.count for each in bins)
    return float(sum(each.count * abs(each.confidence - each.accuracy) for each in bins) / total)


def coverage(confidence: np.ndarray, right: np.ndarray, turned_away: np.ndarray) -> tuple[CoveragePoint, ...]:
    """The coverage-risk curve (Geifman and El-Yaniv 2017): what is left where less sure answers are withheld."""
    points = []
    for least in COVERAGE_STEPS:
        answered = ~turned_away & (confidence >= least)
        if answered.any():
            points.append(CoveragePoint(least, _mean(answered), _mean(~right[answered])))
    return tuple(points)


def score_unknown(predictions: Predictions, threshold: float | None) -> Unknown:
    """How well the unknown score tells known photos from each other kind, with ``threshold`` and along its curve."""
    scored = {"validation": _by_kind(predictions, "validation"), "test": _by_kind(predictions, "test")}
    in_use = {split: {kind: rows.unknown_score for kind, rows in kinds.items()} for split, kinds in scored.items()}
    others = {}
    for name, score in UNKNOWN_SCORES.items():
        at = fit_unknown_threshold(score(scored["validation"][KNOWN].logits))
        others[name] = _unknown_scores({kind: score(rows.logits) for kind, rows in scored["test"].items()}, at)
    return Unknown(
        threshold=threshold,
        max_turned_away=MAX_TURNED_AWAY,
        splits={split: _unknown_scores(kinds, threshold) for split, kinds in in_use.items()},
        curve=_threshold_curve(in_use["validation"]),
        scores=others,
    )


def _by_kind(predictions: Predictions, split: str) -> dict[str, Predictions]:
    """The photos of one split by kind; beside each kind those of its genera that training saw nothing of."""
    kinds = {KNOWN: predictions.where(KNOWN, split)}
    for kind in sorted(set(predictions.kind.tolist()) - {KNOWN}):
        rows = predictions.where(kind, split)
        learned = predictions.genus[(predictions.kind == kind) & (predictions.split == "train")]
        unseen = (rows.genus != "") & ~np.isin(rows.genus, learned)
        kinds[kind] = rows
        if unseen.any() and not unseen.all():
            kinds[f"{kind} of unseen genera"] = rows.rows(unseen)
    return {kind: rows for kind, rows in kinds.items() if kind == KNOWN or len(rows)}


def _unknown_scores(scores: Mapping[str, np.ndarray], threshold: float | None) -> UnknownScores:
    known = scores[KNOWN]
    if not len(known):
        return UnknownScores(None, {})
    above = {kind: None if threshold is None else _mean(values > threshold) for kind, values in scores.items()}
    return UnknownScores(
        above.pop(KNOWN),
        {kind: KindScores(len(scores[kind]), auroc(known, scores[kind]), caught) for kind, caught in above.items()},
    )


def _threshold_curve(scores: Mapping[str, np.ndarray]) -> tuple[ThresholdPoint, ...]:
    known = scores[KNOWN]
    points = []
    for share in TURNED_AWAY_SHARES if len(known) else ():
        at = fit_unknown_threshold(known, share)
        assert at is not None
        caught = {kind: _mean(values > at) for kind, values in scores.items() if kind != KNOWN}
        points.append(ThresholdPoint(at, _mean(known > at), caught))
    return tuple(points)


def score_several(known: Predictions, threshold: float | None) -> SeveralPhotos | None:
    """Photos of one species from one source, answered together; None where there are none.

    A species' photos of one source stand for several photos of one mushroom: they need not be of the same one.
    """
    groups = _groups_of_one_species(known)
    if not groups:
        return None
    labels, answers, probable = known.labels, known.answers(threshold), known.most_probable
    shares = []
    for rows in groups:
        label = labels[rows[0]]
        # The softmax of mean logits is the normalised mean of the log-probabilities.
        together_right = known.logits[rows].mean(axis=0).argmax() == label
        unknown = threshold is not None and known.unknown_score[rows].mean() > threshold
        single_right = (probable[rows] == label).mean()
        shares.append(((answers[rows] == label).mean(), together_right and not unknown, single_right, together_right))
    means = [float(np.mean(column)) for column in zip(*shares, strict=True)]
    return SeveralPhotos(len(groups), sum(map(len, groups)), *means)


def _groups_of_one_species(known: Predictions) -> list[np.ndarray]:
    """Rows of photos of one species and source, two or three a group."""
    table = pd.DataFrame({"source": known.source, "species": known.species})
    members = table[(table != "").all(axis=1)].groupby(["source", "species"]).groups
    chunks = [
        rows[start : start + PHOTOS_TOGETHER].to_numpy()
        for _, rows in sorted(members.items())
        for start in range(0, len(rows), PHOTOS_TOGETHER)
    ]
    return [chunk for chunk in chunks if len(chunk) > 1]
