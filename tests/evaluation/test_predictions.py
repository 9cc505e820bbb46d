"""predictions.csv there and back, whole and damaged; report.json likewise."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from answers import joined, photos

from mushroom.checkpoint import REPORT_FILE
from mushroom.errors import CheckpointError
from mushroom.evaluation.predictions import Predictions, predictions_csv, read_predictions
from mushroom.evaluation.report import read_report, write_report
from mushroom.evaluation.scoring import build_report, calibrate


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "predictions.csv"


def there_and_back(path: Path, predictions: Predictions) -> Predictions:
    path.write_text(predictions_csv(predictions))
    return read_predictions(path)


def test_report_survives_the_way_through_predictions_csv_and_report_json(path: Path) -> None:
    predictions = joined(
        photos([0, 1, 1] * 8, labels=[0, 1, 2] * 8, split="validation"),
        photos([0, 1, 2] * 8, labels=[0, 1, 2] * 8, species="one"),
        photos([0] * 4, kind="other_fungi"),
    )
    calibration = calibrate(predictions)
    report = build_report(predictions, calibration)
    assert build_report(there_and_back(path, predictions), calibration) == report
    write_report(path.parent, report)
    assert read_report(path.parent) == report
    assert report.several is not None


def test_scores_and_names_of_other_genera_are_kept_where_the_network_gives_them(path: Path) -> None:
    plain = photos([0, 1], labels=[0, 1], genera=("松茸", "NA"))
    assert there_and_back(path, plain).genera == ("松茸", "NA")
    assert path.read_text().startswith("photo,kind,split,genus,source,松茸,NA\n")
    named = replace(plain, other_genus=np.array(["Tricholoma", "None"]), unknown_score=np.array([-1.5, 2.25]))
    again = there_and_back(path, named)
    assert again.unknown_score.tolist() == [-1.5, 2.25]
    assert again.other_genus.tolist() == ["Tricholoma", "None"]
    assert again.genus.tolist() == ["松茸", "NA"]


def test_training_photos_that_are_not_answered_still_say_what_was_learned_from(path: Path) -> None:
    learned = photos([0, 1, 2] * 2, labels=[0, 1, 2] * 2, split="train", sources=("a",))
    unanswered = replace(learned, logits=np.full_like(learned.logits, np.nan), unknown_score=np.full(6, np.nan))
    asked = photos([0, 1, 2] * 2, labels=[0, 1, 2] * 2, split="test", sources=("a", "new"))
    read = there_and_back(path, joined(unanswered, learned, asked))
    assert read.answered.tolist() == [False] * 6 + [True] * 12
    report = build_report(read, calibrate(read))
    assert sum(report.photos["train"].values()) == 12
    assert (report.splits["train"].count, report.splits["test"].unseen_source_photos) == (6, 3)
    again = build_report(read, calibrate(read), learned_before=("new",))
    assert again.splits["test"].unseen_source_photos == 0
    with pytest.raises(CheckpointError, match="can't be read"):
        there_and_back(path, replace(unanswered, split=np.full(6, "test")))


@pytest.mark.parametrize("genera", [("photo", "source"), ("kind", "genus", "kind.1"), ("0", "1")])
def test_genera_may_be_called_as_columns_are(path: Path, genera: tuple[str, ...]) -> None:
    written = photos([0, 1], labels=[0, 1], genera=genera)
    read = there_and_back(path, written)
    assert (read.genera, read.genus.tolist()) == (genera, list(genera[:2]))
    assert (read.logits == written.logits).all()


@pytest.mark.parametrize(
    "text",
    [
        "photo,label\na,b\n",
        "",
        "photo,kind,split,genus,source,A,B\na,known,test,A,s,1,x\n",
        "photo,kind,split,genus,source,A,B\na,known,test,A,s,1,nan\n",
        "photo,kind,split,genus,source,A,B\na,known,test,C,s,1,2\n",
    ],
    ids=["other columns", "empty", "no number", "not finite", "strange genus"],
)
def test_a_table_that_is_none_is_refused_with_a_sentence(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(CheckpointError, match=r"predictions\.csv"):
        read_predictions(path)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"splits": {"test": {}}}'])
def test_a_report_that_is_none_is_refused_with_a_sentence(tmp_path: Path, text: str) -> None:
    assert read_report(tmp_path) is None
    (tmp_path / REPORT_FILE).write_text(text)
    with pytest.raises(CheckpointError, match=r"train.py evaluate"):
        read_report(tmp_path)
