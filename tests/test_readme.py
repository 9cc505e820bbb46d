"""What the README and the app say of the weights that ship is what their reports say."""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from mushroom.app import records, verdict
from mushroom.checkpoint import (
    CARD_FILE,
    DEFAULT_MODEL,
    SHIPPED_CHECKPOINTS,
    WEIGHTS_FILE,
    load_checkpoint,
    read_config,
)
from mushroom.evaluation.model_card import model_card
from mushroom.evaluation.predictions import read_predictions
from mushroom.evaluation.report import Report, read_report
from mushroom.evaluation.scoring import Calibration, build_report
from mushroom.evaluation.summary import read_block, summary

REPOSITORY = Path(__file__).resolve().parent.parent
README = REPOSITORY / "README.md"
SHIPPED = sorted(path.parent for path in SHIPPED_CHECKPOINTS.glob(f"*/{WEIGHTS_FILE}"))
MEGABYTE = 1e6


def report_of(folder: Path) -> Report:
    report = read_report(folder)
    assert report is not None
    return report


def parameter_count(folder: Path) -> int:
    model, _ = load_checkpoint(folder)
    return sum(parameter.numel() for parameter in model.parameters())


def test_the_readmes_numbers_are_the_reports() -> None:
    """``python train.py summary`` writes them."""
    assert read_block(README) == summary(SHIPPED)


def test_what_the_documents_name_is_there() -> None:
    for document in [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md")]:
        text = document.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.name} links to {target}"
        for name in re.findall(r"`((?:mushroom|tests|docs)/[\w/.-]+)`", text.replace("pages/NAME.py", "pages")):
            assert (REPOSITORY / name).exists(), f"{document.name} names {name}"


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_pages_count_as_right_what_the_report_counts_as_told_right(folder: Path) -> None:
    test = report_of(folder).test
    assert test is not None
    answers = records.answers(folder)
    assert sum(answer.right for answer in answers) == round(test.told_right * test.count)
    assert sum(answer.unknown for answer in answers) == round(test.turned_away * test.count)
    assert verdict.confusion(answers, records.names(folder).names) == [list(row) for row in test.confusion]


def rounded(report: Report) -> Any:
    """As JSON has it, with every float inside to nine digits."""
    return json.loads(json.dumps(asdict(report)), parse_float=lambda text: round(float(text), 9))


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_a_report_is_computed_from_the_predictions_beside_it(folder: Path) -> None:
    report = report_of(folder)
    calibration = Calibration(report.temperature, report.unknown.threshold)
    before = read_config(folder).provenance.sources
    again = build_report(read_predictions(folder / "predictions.csv"), calibration, before)
    measured = {"faithfulness", "latency", "data_fingerprint", "weights_sha256", "rank"}
    again = replace(again, **{name: getattr(report, name) for name in measured})
    # Processors add up sums in other orders: their last digits differ.
    assert rounded(again) == rounded(report)
    assert report.faithfulness is not None
    config = read_config(folder)
    assert (config.temperature, config.unknown_threshold) == (report.temperature, report.unknown.threshold)
    assert (folder / CARD_FILE).read_text(encoding="utf-8") == model_card(config, report, parameter_count(folder))


def test_the_weights_that_ship_stay_within_their_budget() -> None:
    sizes = {folder.name: (folder / WEIGHTS_FILE).stat().st_size / MEGABYTE for folder in SHIPPED}
    assert len(sizes) >= 2
    assert sizes[DEFAULT_MODEL] <= 25
    assert max(sizes.values()) <= 50
    assert sum(sizes.values()) <= 130
