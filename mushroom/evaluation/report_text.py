"""A report for a terminal: what a visitor's photo meets first, then the rest."""

from mushroom.evaluation.report import Interval, Report, SplitScores, UnknownScores
from mushroom.texts import none_of_these

MATRIX_COLUMNS = 12
"""A confusion matrix of more genera than this does not fit a terminal: its largest mistakes are listed instead."""


def report_text(report: Report, split: str) -> str:
    """The report of one split for a terminal."""
    scores = report.splits.get(split)
    if scores is None:
        return f"There are no known photos in the split {split}."
    lines = _scores(report, split, scores) + _genera(scores, report.rank) + _confusion(report, scores)
    if scores.per_source:
        lines += ["", "  per source: told right, most probable right, photos"]
        lines += [
            f"  {row.told_right:.3f}  {row.accuracy:.3f}  {row.count:>5}  {row.source}" for row in scores.per_source
        ]
    if split in report.unknown.splits:
        lines += _unknown(report.unknown.splits[split], len(report.genera))
    if split == "test" and report.several:
        several = report.several
        lines += [
            "",
            f"  {several.photos} photos of one species and source in {several.groups} groups of two or three:",
            f"    told right on their own {several.single_told_right:.3f}, together {several.together_told_right:.3f}",
        ]
    return "\n".join(lines)


def _scores(report: Report, split: str, scores: SplitScores) -> list[str]:
    from_where = "sources" if scores.unseen_sources else f"sources, {scores.unseen_source_photos} photos"
    rows = [
        ("told right", scores.told_right, _interval(scores.told_right_interval)),
        ("turned away", scores.turned_away, f"as {none_of_these(len(report.genera))}"),
        ("told wrong", scores.told_wrong, ""),
        ("right when answered", scores.answered_right, ""),
        ("most probable right", scores.accuracy, _interval(scores.accuracy_interval)),
        ("mean recall", scores.mean_recall, _interval(scores.mean_recall_interval)),
        ("macro-F1", scores.macro_f1, _interval(scores.macro_f1_interval)),
    ]
    if scores.macro_f1_supported is not None:
        of_whom = f"of those with enough photos: {', '.join(scores.supported_genera)}"
        rows.append(("macro-F1", scores.macro_f1_supported, of_whom))
    before = f"before temperature {report.temperature:.3f}: {scores.ece_before:.4f}"
    rows += [
        ("right among first 2", scores.top2, ""),
        ("loss", scores.loss, ""),
        ("calibration error", scores.ece_after, f"({before})"),
    ]
    return [
        f"{split}: {scores.count} photos from {scores.sources} {from_where} unseen in training",
        *(f"  {title:<20}{value:.4f}   {more}".rstrip() for title, value, more in rows),
    ]


def _interval(bounds: Interval) -> str:
    return "(95 % interval {:.4f} to {:.4f})".format(*bounds)


def _genera(scores: SplitScores, rank: str) -> list[str]:
    width = max(14, *(len(row.genus) + 2 for row in scores.per_genus))
    titles = "".join(f"{title:>12}" for title in ("photos", "told right", "turned away", "recall", "precision", "F1"))
    return ["", f"  {rank:<{width}}{titles}"] + [
        f"  {row.genus:<{width}}{row.support:>12}{row.told_right:>12.3f}{row.turned_away:>12.3f}{row.recall:>12.3f}"
        f"{row.precision:>12.3f}{row.f1:>12.3f}"
        for row in scores.per_genus
    ]


def _confusion(report: Report, scores: SplitScores) -> list[str]:
    genera = report.genera
    columns = [*genera, "none"]
    if len(genera) > MATRIX_COLUMNS:
        mistakes = sorted(
            (-count, genera[i], columns[j])
            for i, row in enumerate(scores.confusion)
            for j, count in enumerate(row)
            if i != j and count
        )
        return ["", "  most frequent mistakes"] + [
            f"  {-count:>5}  {true} told as {told}" for count, true, told in mistakes[:MATRIX_COLUMNS]
        ]
    return ["", "  rows true, columns told", "  " + " " * 14 + "".join(f"{name[:6]:>8}" for name in columns)] + [
        f"  {genus[:13]:<14}" + "".join(f"{count:>8}" for count in row)
        for genus, row in zip(genera, scores.confusion, strict=True)
    ]


def _unknown(unknown: UnknownScores, genera: int) -> list[str]:
    if not unknown.kinds or unknown.known_turned_away is None:
        return []
    lines = ["", f"  {none_of_these(genera)}: {unknown.known_turned_away:.3f} of known photos turned away"]
    for kind, values in unknown.kinds.items():
        lines.append(f"    {kind}: AUROC {values.auroc:.4f}, {values.caught:.3f} of {values.count} photos caught")
    return lines
