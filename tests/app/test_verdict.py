"""What a visitor is told is what is counted; sentences say no more than the counts do."""

import csv
import io
import json
import logging
from pathlib import Path

import pytest
from answers import answer

from mushroom.app import records, report_charts, tables, verdict
from mushroom.app.records import Names
from mushroom.evaluation.predictions import read_predictions
from mushroom.evaluation.report import (
    FaithfulnessRow,
    KindScores,
    SeveralPhotos,
    ThresholdPoint,
    Unknown,
    UnknownScores,
    write_report,
)
from mushroom.evaluation.scoring import Calibration, build_report

KNOWN = Names(("Amanita", "Boletus"))
ROWS = [
    FaithfulnessRow(
        "gradcam", "one", 0, insertion=0.8, deletion=0.3, average_drop=0, increase=0, randomisation_correlation=0.1
    ),
    FaithfulnessRow(
        "eigencam", "one", 0, insertion=0.7, deletion=0.6, average_drop=0, increase=0, randomisation_correlation=1.0
    ),
]


def written_checkpoint(folder: Path, logits: dict[str, list[float]], threshold: float | None) -> Path:
    """A checkpoint folder with the answers for test photos named "<true genus>/<n>"."""
    folder.mkdir()
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["photo", "kind", "split", "genus", "source", *KNOWN.names])
    for photo, values in logits.items():
        rows.writerow([photo, "known", "test", photo.split("/")[0], "somebody", *values])
    (folder / "predictions.csv").write_text(text.getvalue())
    write_report(folder, build_report(read_predictions(folder / "predictions.csv"), Calibration(1.0, threshold)))
    (folder / "config.json").write_text(json.dumps({"genera": KNOWN.names}))
    return folder


def test_a_known_photo_that_is_turned_away_is_not_told_right(tmp_path: Path) -> None:
    # Unknown score is minus the log of the sum of exponentials: small logits are far from everything.
    folder = written_checkpoint(
        tmp_path / "model", {"Amanita/0": [6, 0], "Amanita/1": [0.2, 0], "Boletus/0": [6, 0]}, threshold=-3.0
    )
    first, second, third = records.answers(folder)
    assert (first.right, first.wrong, first.unknown) == (True, False, False)
    assert (second.right, second.wrong, second.unknown) == (False, False, True)
    assert second.likeliest_right
    assert (third.right, third.wrong) == (False, True)
    assert verdict.tally([first, second, third]) == verdict.Tally(1, 1, 1)


def test_the_track_record_counts_what_was_told(tmp_path: Path) -> None:
    logits = {f"Amanita/{n}": [6.0, 0.0] for n in range(30)} | {"Boletus/0": [6.0, 0.0]}
    logits |= {f"Amanita/away{n}": [0.02, -4.0] for n in range(30)}
    folder = written_checkpoint(tmp_path / "model", logits, threshold=-3.0)
    found = records.track_record(folder, 0.99)
    assert found is not None
    assert (found.right, found.count) == (30, 31)
    assert records.track_record(folder, 0.55) is None


def test_names_come_from_the_checkpoint(tmp_path: Path) -> None:
    assert records.names(written_checkpoint(tmp_path / "model", {}, None)) == KNOWN
    (tmp_path / "model" / "config.json").write_text(json.dumps({"genera": ["a b", "ц"], "rank": "species"}))
    assert records.names(tmp_path / "model") == Names(("a b", "ц"), "species")


def test_what_can_not_be_read_is_said_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    import streamlit as st

    folder = written_checkpoint(tmp_path / "model", {"Amanita/0": [1, 0]}, None)
    (folder / "report.json").write_text("{")
    with caplog.at_level(logging.WARNING):
        assert records.report(folder) is None
        assert records.answers(folder) == ()
    assert "report.json" in caplog.text
    assert any("train.py evaluate" in note for note in st.session_state.pop("notes", []))
    st.session_state.clear()


def test_each_network_is_said_when_to_use_by_what_visitors_were_told(tmp_path: Path) -> None:
    right = written_checkpoint(tmp_path / "right", {"Amanita/0": [6, 0], "Amanita/1": [0.2, 0]}, threshold=-3.0)
    wrong = written_checkpoint(tmp_path / "wrong", {"Amanita/0": [0, 6], "Amanita/1": [0, 6]}, threshold=None)
    bare = tmp_path / "bare"
    bare.mkdir()
    lines = records.when_to_use({"right": right, "wrong": wrong, "bare": bare})
    assert lines["right"].startswith("The most often right")
    assert "50% of its test photos told right" in lines["right"]
    assert lines["wrong"].startswith("For a second opinion")
    assert lines["bare"] == ""
    assert records.when_to_use({"alone": right}) == {"alone": ""}


def test_the_matrix_has_a_column_none_and_its_cells_add_up() -> None:
    found = [answer("a", "Amanita", "Amanita"), answer("b", "Amanita", "Amanita", unknown=True)]
    found += [answer("c", "Boletus", "Amanita"), answer("d", "Boletus", "Boletus")]
    confusion = verdict.confusion(found, KNOWN.names)
    assert confusion == [[1, 0, 1], [1, 1, 0]]
    output = tables.describe_confusion(confusion, KNOWN.names)
    assert "Told right: 2 of 4 photos; told none of these: 1." in output
    assert "Boletus taken for Amanita (1)" in output
    cells = tables.confusion_cells(confusion, KNOWN.names, pressable=True)
    assert cells[1][0].kind == "mistake"
    assert tables.pressed_confusion(cells[1][0].name, KNOWN.names) == ("Boletus", "Amanita")
    assert tables.pressed_confusion(cells[0][2].name, KNOWN.names) == ("Amanita", None)
    assert (cells[0][0].kind, cells[0][2].kind) == ("meant", "mistake")
    assert not cells[0][1].name


def test_a_cell_of_names_that_look_like_separators_or_answers_says_what_was_pressed() -> None:
    names = ("a/b", "none", "b")
    cells = tables.confusion_cells([[1, 1, 1, 1]] * 3, names, pressable=True)
    for true, row in zip(names, cells, strict=True):
        assert [tables.pressed_confusion(cell.name, names) for cell in row] == [
            *((true, told) for told in names),
            (true, None),
        ]
        assert [cell.kind for cell in row].count("meant") == 1


def test_one_wrong_photo_does_not_look_like_two_hundred_right_ones() -> None:
    cells = tables.confusion_cells([[200, 0, 0], [1, 0, 0]], KNOWN.names, pressable=False)
    assert cells[0][0].share > 0.9
    assert cells[1][0].share < 0.15
    assert cells[0][0].kind != cells[1][0].kind


def test_heatmaps_that_do_not_depend_on_the_head_are_crossed_out() -> None:
    [[good], [crossed]] = tables.faithfulness_cells(ROWS, ["gradcam", "eigencam"], ["one"], changed_below=0.5)
    assert (good.text, crossed.text) == ("0.50", "0.10 ✕")
    assert good.share == 1
    assert "Grad-CAM at one" in tables.describe_faithfulness(ROWS, {"gradcam": "Grad-CAM", "eigencam": "Eigen-CAM"})


def test_the_surer_it_must_be_the_fewer_it_names() -> None:
    found = [
        answer("a", "Amanita", "Amanita", 0.95),
        answer("b", "Amanita", "Boletus", 0.6),
        answer("c", "Boletus", "Boletus", 0.7),
        answer("d", "Boletus", "Boletus", 0.99, unknown=True),
    ]
    assert verdict.demand(found, 0) == verdict.Tally(2, 1, 1)
    strict = verdict.demand(found, 0.65)
    assert (strict.coverage, strict.error) == (0.5, 0)
    assert verdict.demand(found, 0.97).error is None


def test_the_verdict_is_on_unseen_sources_where_there_are_enough() -> None:
    learned = {"mine"}
    familiar = [answer(f"f{n}", "Amanita", "Amanita", source="mine") for n in range(50)]
    strangers = [answer(f"s{n}", "Boletus", "Boletus" if n % 2 else "Amanita", source="x") for n in range(40)]
    output = verdict.sentences(
        [*familiar, *strangers], learned, UnknownScores(0.1, {"cars": KindScores(8, 0.9, 0.5)}), KNOWN
    )
    assert len(output) == 4
    assert "Of 40 photos of strangers" in output[0]
    assert "**50% right**" in output[0]
    assert "Of 50 from sources that it knows, 100%" in output[0]
    assert "least *Boletus* (20 of 40)" in output[1]
    assert "turns away 50% of 8 photos (cars)" in output[3]
    same = verdict.sentences(familiar, learned, {}, KNOWN)
    assert "a stranger's photo is harder" in same[0]


def test_intervals_hold_the_value_and_stay_in_range() -> None:
    low, high = verdict.Tally(90, 5, 5).interval
    assert 0.82 < low < 0.9 < high < 0.95
    assert verdict.Tally(0, 0, 0).interval == (0, 1)


def test_sixty_names_make_a_table_of_sixty_rows() -> None:
    names = [f"Genus {number}" for number in range(60)]
    confusion = [[5 if i == j else 0 for j in range(61)] for i in range(60)]
    cells = tables.confusion_cells(confusion, names, pressable=True)
    assert len(cells) == 60
    assert all(len(row) == 61 for row in cells)
    assert sum(bool(cell.name) for row in cells for cell in row) == 60


def test_other_thresholds_are_rows_of_known_turned_away_and_others_caught() -> None:
    curve = (ThresholdPoint(-2.0, 0.1, {"other_fungi": 0.5}), ThresholdPoint(-1.0, 0.2, {"other_fungi": 0.75}))
    rows = report_charts.threshold_rows(Unknown(-2.0, 0.1, {}, curve, {}))
    assert rows[0] == {"Known photos turned away": "10.0%", "Other fungi caught": "50.0%"}
    assert rows[1]["Other fungi caught"] == "75.0%"
    assert report_charts.threshold_rows(Unknown(None, 0.1, {}, (ThresholdPoint(0, 0, {}),), {})) == []


def test_what_several_photos_bring_is_said_against_each_on_its_own() -> None:
    output = report_charts.several_sentence(SeveralPhotos(10, 25, 0.6, 0.7, 0.8, 0.9))
    assert "of 25 test photos" in output
    assert "70.0% of 10 answers are told right; each photo on its own 60.0%" in output
