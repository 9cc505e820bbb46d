"""The numbers of all checkpoints of a folder as one Markdown table, and the marked block of a text that holds it."""

from collections.abc import Sequence
from pathlib import Path

from mushroom.checkpoint import DEFAULT_MODEL
from mushroom.errors import CheckpointError
from mushroom.evaluation.report import Report, SplitScores, read_report
from mushroom.texts import none_of_these

BEGIN = "<!-- numbers of the reports, written by `python train.py summary`: -->"
END = "<!-- end of the numbers -->"


def summary(folders: Sequence[Path]) -> str:
    """What the test split says of each checkpoint folder, the default first: Markdown, told right first.

    Raises CheckpointError for a folder without a report of a test split.
    """
    ranked = sorted(folders, key=lambda folder: (folder.name != DEFAULT_MODEL, folder.name))
    measured = [(folder, *_measured(folder)) for folder in ranked]
    if not measured:
        raise CheckpointError("There are no checkpoint folders to sum up.")
    lines = [
        "| model | test photos | told right (95 % interval) | turned away | told wrong | mean recall | "
        "calibration error | other kinds caught | a photo with all heatmaps |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for folder, report, test in measured:
        low, high = test.told_right_interval
        cells = [
            f"`{folder.name}`",
            f"{test.count} from {test.sources} sources",
            f"{test.told_right:.3f} ({low:.3f} to {high:.3f})",
            f"{test.turned_away:.3f}",
            f"{test.told_wrong:.3f}",
            f"{test.mean_recall:.3f}",
            f"{test.ece_after:.3f}",
            _caught(report),
            f"{report.latency.median_s:.2f} s" if report.latency else "not measured",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", _whose_photos(measured)])


def write_block(path: Path, text: str) -> None:
    """Put ``text`` between the marks of the Markdown file ``path``. Raises CheckpointError where it has none."""
    whole = path.read_text(encoding="utf-8")
    if BEGIN not in whole or END not in whole:
        raise CheckpointError(f"{path} has no block for the numbers: put the lines {BEGIN} and {END} into it.")
    before, rest = whole.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def read_block(path: Path) -> str:
    """What stands between the marks of a Markdown file; empty where it has none."""
    return path.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip("\n")


def _measured(folder: Path) -> tuple[Report, SplitScores]:
    report = read_report(folder)
    if report is None or report.test is None:
        raise CheckpointError(f"{folder} has no report of a test split: run `python train.py evaluate` on it first.")
    return report, report.test


def _caught(report: Report) -> str:
    kinds = report.unknown.splits["test"].kinds
    shares = [f"{kind.replace('_', ' ')} {one.caught:.3f}" for kind, one in kinds.items() if one.caught is not None]
    return ", ".join(shares) or "not measured"


def _whose_photos(measured: Sequence[tuple[Path, Report, SplitScores]]) -> str:
    """What the columns mean, and whose photos they are."""
    names = {len(report.genera) for _, report, _ in measured}
    none = none_of_these(names.pop()) if len(names) == 1 else "none of these"
    whose = (
        "Every test photo is from a source that the networks learned nothing from."
        if all(test.unseen_sources for _, _, test in measured)
        else "**Test photos share their sources with training photos: a stranger's photo will do worse.**"
    )
    return f'A photo that is turned away is answered "{none}"; it is not told right. {whose}'
