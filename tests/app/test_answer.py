"""The answer on Identify, in words, bars and files."""

import csv
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from answers import prediction
from pages import noise
from PIL import Image

from mushroom.app import answer_text, bars, components, corrections, downloads, evidence, gallery, photo_table, records
from mushroom.app.records import MostFaithful, TrackRecord
from mushroom.app.subject import Subject
from mushroom.classifier import Classifier, Prediction
from mushroom.evaluation.report import Chance, FaithfulnessRow, FaithfulnessTable
from mushroom.genera import GENERA

pytestmark = pytest.mark.usefixtures("painted")


# --- The answer in words ------------------------------------------------------------------------------------


def test_a_drawing_is_marked_only_by_a_network_that_has_its_name() -> None:
    assert gallery.answer_text("Fly_agaric", prediction("Amanita")) == "✓ Amanita, 90%"
    assert gallery.answer_text("Fly_agaric", prediction("Russula")) == "✗ Russula, 90%"
    own = replace(prediction(), genus="fly agarics", probabilities={"fly agarics": 0.9, "others": 0.1})
    assert gallery.answer_text("Fly_agaric", own) == "fly agarics, 90%"


def test_an_answer_that_most_evidence_speaks_against_is_explained() -> None:
    assert "every other gets still less" in evidence.balance("Russula", 0.03, 0.97, most_probable=True)
    assert "every other" not in evidence.balance("Russula", 0.03, 0.97, most_probable=False)
    assert "every other" not in evidence.balance("Russula", 0.6, 0.4, most_probable=True)


def test_the_layer_to_trust_is_with_a_method_that_the_page_can_show(monkeypatch: pytest.MonkeyPatch) -> None:
    def row(method: str, layer: str, insertion: float) -> FaithfulnessRow:
        return FaithfulnessRow(method, layer, 0, 0.1, insertion, 0.0, 0.0, 0.0)

    rows = (row("contrastive", "late", 0.9), row("gradcam", "late", 0.5), row("gradcam", "early", 0.7))
    measured = SimpleNamespace(faithfulness=FaithfulnessTable(8, 0, rows, Chance(0.0, 0.0, 0.0, 0.0)))
    monkeypatch.setattr(records, "report", lambda folder: measured)
    assert records.most_faithful(Path(), ["gradcam"]) == MostFaithful("early", "gradcam", 8)
    assert records.most_faithful(Path(), ["layercam"]) is None


def test_the_track_record_says_whose_photos_and_is_not_told_of_drawings(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer_text.records, "track_record", lambda *_: TrackRecord(0.9, 1.0, 90, 100))
    upload = Subject("upload", "a", b"", "0")
    output = answer_text.track_record_html(upload, prediction(), classifier)
    assert "Of 100 test photos" in output
    assert "<b>90</b> right" in output
    assert "the same collections" in output
    assert "collections" not in answer_text.track_record_html(replace(upload, origin="test"), prediction(), classifier)
    assert answer_text.track_record_html(replace(upload, origin="drawing"), prediction(), classifier) == ""
    assert answer_text.track_record_html(upload, prediction(unknown=True), classifier) == ""
    strangers = SimpleNamespace(test=SimpleNamespace(unseen_sources=True))
    monkeypatch.setattr(answer_text.records, "report", lambda _: strangers)
    output = answer_text.track_record_html(upload, prediction(), classifier)
    assert "<b>90</b> right" in output
    assert "collections" not in output


def test_a_known_photo_that_is_turned_away_is_wrong(classifier: Classifier) -> None:
    photo = Subject("test", "a", b"", "0", true_genus=GENERA[0])
    assert "✓ right" in answer_text.headline_html(photo, prediction(), classifier)
    assert "✗ wrong" in answer_text.headline_html(photo, prediction(unknown=True), classifier)


def test_a_part_that_is_answered_otherwise_than_the_whole_is_told(classifier: Classifier) -> None:
    photo = Subject("upload", "a", b"", "0", crop=components.Rectangle(0, 0, 50, 50))
    same = answer_text.headline_html(photo, prediction(), classifier, prediction(confidence=0.6))
    other = answer_text.headline_html(photo, prediction(), classifier, prediction(GENERA[3], 0.6))
    assert "of the whole photo it says the same (60%)" in same
    assert f"otherwise: <b>{GENERA[3]}</b> (60%)" in other
    both_none = (prediction(unknown=True), prediction(GENERA[3], 0.6, unknown=True))
    assert "the same (60%)" in answer_text.headline_html(photo, both_none[0], classifier, both_none[1])


# --- Bars ---------------------------------------------------------------------------------------------------


class Named:
    """As much of a classifier as the bars need, with any names."""

    def __init__(self, names: list[str]) -> None:
        self.genera = tuple(names)
        self.config = type("Config", (), {"unknown_threshold": 2.0})()


def test_many_names_are_folded_and_the_third_answer_stands_with_its_threshold() -> None:
    names = [f"名 {number}" for number in range(60)]
    shares = {name: (60 - number) / 1830 for number, name in enumerate(names)}
    rows: list[dict[str, Any]] = bars.rows(
        Named(names),  # type: ignore[arg-type]
        Prediction(names[0], shares[names[0]], shares, False, 2.0, (0.0,) * 60),
        "en",
    )
    assert [row["name"] for row in rows] == [*names[:10], None, None]
    assert rows[10]["title"] == "50 others together"
    assert rows[11]["title"] == "None of these 60"
    assert rows[11]["width"] == 50
    assert rows[11]["share"] == "no"
    assert len({row["colour"] for row in rows[:10]}) == 10
    assert rows[10]["colour"] == rows[11]["colour"] == ""


@pytest.mark.parametrize(("count", "shown"), [(12, 12), (13, 10)])
def test_two_names_are_not_folded_into_one_row(count: int, shown: int) -> None:
    names = [f"Genus {number}" for number in range(count)]
    even = Prediction(names[0], 1 / count, dict.fromkeys(names, 1 / count), False, 2.0, (0.0,) * count)
    rows: list[dict[str, Any]] = bars.rows(Named(names), even, "en")  # type: ignore[arg-type]
    assert sum(row["name"] is not None for row in rows) == shown


# --- Files ---------------------------------------------------------------------------------------------------


def test_the_numbers_name_the_network(classifier: Classifier) -> None:
    explanation = classifier.explain(Image.new("RGB", (64, 48), (200, 60, 40)))
    output = json.loads(downloads.explanation_json(Subject("upload", "a", b"", "0"), explanation, classifier))
    assert output["model"] == classifier.config.name
    assert output["weights_sha256"] == classifier.weights_sha256
    assert output["schema"] == downloads.SCHEMA


def test_the_visitors_table_is_the_commands_with_a_guard_and_a_mark_for_spreadsheets(classifier: Classifier) -> None:
    table = photo_table.table_csv(
        classifier,
        [
            (Subject("upload", "=HYPERLINK(1)", b"", "0"), prediction()),
            (Subject("upload", "Champiñón.jpg", b"", "1"), prediction(unknown=True)),
        ],
    )
    assert table.startswith("\ufeff")
    rows = list(csv.DictReader(io.StringIO(table.removeprefix("\ufeff"))))
    assert [row["photo"] for row in rows] == ["'=HYPERLINK(1)", "Champiñón.jpg"]
    assert rows[0]["weights"] == classifier.weights_sha256[:12]


def test_a_correction_leaves_as_files_that_prepare_takes(tmp_path: Path, classifier: Classifier) -> None:
    from mushroom.training.folders import read_corrections

    explanation = classifier.explain(Image.new("RGB", (64, 48), (200, 60, 40)))
    given = Subject("upload", "=cap.jpg", noise(), "0" * 64)
    correction = corrections.corrected(given, explanation, classifier, "Boletus")
    table = tmp_path / "corrections.csv"
    table.write_text(corrections.corrections_csv([correction]), encoding="utf-8")
    assert read_corrections(table) == {"=cap.jpg": "Boletus"}
    with zipfile.ZipFile(io.BytesIO(corrections.bundle(given, correction))) as archive:
        assert set(archive.namelist()) == {"=cap.jpg", "correction.json", "corrections.csv"}
        assert archive.read("=cap.jpg") == noise()
        said = json.loads(archive.read("correction.json"))
    assert said["genus"] == "Boletus"
    assert said["answer"] == explanation.prediction.genus
    assert said["weights_sha256"] == classifier.weights_sha256
