"""``mushroom predict`` over many photos: tables that go on where they were cut off, and what a run says."""

import csv
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from app_server import REPOSITORY
from commands import Run, status_of
from networks import SMALL, untrained_checkpoint
from painted import ARCHIVE_PHOTOS, paint_photos

from mushroom.classifier import BATCH, Classifier, Prediction
from mushroom.errors import SOME_PHOTOS_FAILED, STOPPED
from mushroom.genera import GENERA
from mushroom.photos import read_photo_file
from mushroom.streaming import photo_files
from mushroom.table import columns


def rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def predict(run: Run, checkpoint: Path) -> Run:
    """``mushroom predict`` with the small network, unless its words name another."""
    return lambda *words: run("predict", "--checkpoint", checkpoint, *words)


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """Two photos."""
    paint_photos(tmp_path / "few", (9, 9, 200), 2)
    return tmp_path / "few"


# --- A table that was cut off -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole_table(archive: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    table = tmp_path_factory.mktemp("table") / "whole.csv"
    assert status_of("predict", archive, "--checkpoint", checkpoint, "--csv", table) == SOME_PHOTOS_FAILED
    return table


def assert_same_rows(table: Path, whole: Path) -> None:
    """The same photos once each, in order, with the same answers up to rounding by the batch's size."""
    found, expected = rows(table), rows(whole)
    assert [row["photo"] for row in found] == [row["photo"] for row in expected]
    for row, other in zip(found, expected, strict=True):
        assert (row["genus"], row["error"], row["weights"]) == (other["genus"], other["error"], other["weights"])
        if row["genus"]:
            assert float(row["confidence"]) == pytest.approx(float(row[row["genus"]]))
            assert float(row["confidence"]) == pytest.approx(float(other["confidence"]), abs=1e-4)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.2, 0.5, 0.77, 0.999, 1.0])
def test_a_table_cut_off_anywhere_is_finished(
    share: float, predict: Run, archive: Path, whole_table: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table.csv"
    data = whole_table.read_bytes()
    table.write_bytes(data[: int(share * len(data))])
    predict(archive, "--csv", table, "--resume")
    assert_same_rows(table, whole_table)


def test_a_run_writes_each_row_at_once_and_says_how_to_go_on_when_it_is_interrupted(
    archive: Path, checkpoint: Path, tmp_path: Path
) -> None:
    # So many that a quick machine is not done before the signal comes.
    many, table = tmp_path / "many", tmp_path / "table.csv"
    many.mkdir()
    photo = next(path for path in photo_files(str(archive)) if "not a photo" not in path)
    for number in range(5000):
        (many / f"{number}.jpg").hardlink_to(photo)
    command = [sys.executable, "-m", "mushroom", "predict", str(many), "--checkpoint", str(checkpoint)]
    running = subprocess.Popen(
        [*command, "--csv", str(table), "--json"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whatever started the tests in the background has its children ignore this signal.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert running.stdout is not None
    for _ in range(BATCH + 3):
        assert running.stdout.readline()
    # What was printed is in the table already, and would be if the run was killed now.
    assert len(rows(table)) >= BATCH + 3
    running.send_signal(signal.SIGINT)
    _, output = running.communicate(timeout=60)
    assert running.returncode == STOPPED
    assert "--resume" in output.splitlines()[-1]
    assert "Traceback" not in output


def test_a_killed_run_is_finished_without_loss_or_repetition(
    predict: Run, archive: Path, checkpoint: Path, whole_table: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table.csv"
    command = [sys.executable, "-m", "mushroom", "predict", str(archive), "--checkpoint", str(checkpoint)]
    command += ["--csv", str(table), "--json"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as running:
        assert running.stdout is not None
        for _ in range(BATCH + 3):
            assert running.stdout.readline()
        running.kill()
    assert 0 < len(rows(table)) < ARCHIVE_PHOTOS
    predict(archive, "--csv", table, "--resume")
    assert_same_rows(table, whole_table)


def test_photos_that_came_since_are_added(predict: Run, archive: Path, whole_table: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_bytes(whole_table.read_bytes())
    paint_photos(tmp_path / "more", (9, 9, 200), 2)
    assert predict(tmp_path / "more", archive, "--csv", table, "--resume").status == 0
    photos = [row["photo"] for row in rows(table)]
    assert len(photos) == len(set(photos)) == ARCHIVE_PHOTOS + 2


def test_names_that_are_no_text_and_names_of_two_lines_come_through(predict: Run, tmp_path: Path) -> None:
    paint_photos(tmp_path / "odd", (9, 9, 200), 3)
    os.rename(tmp_path / "odd" / "0.jpg", os.fsencode(tmp_path / "odd") + b"/\xff.jpg")
    os.rename(tmp_path / "odd" / "1.jpg", tmp_path / "odd" / "two\nlines.jpg")
    table = tmp_path / "table.csv"
    assert predict(tmp_path / "odd", "--csv", table).status == 0
    whole = table.read_bytes()
    names = {os.fsencode(Path(row["photo"]).name) for row in rows(table)}
    assert names == {b"2.jpg", b"two\nlines.jpg", b"\xff.jpg"}
    for cut in (len(whole) - 3, whole.index(b"two\n") + 5):
        table.write_bytes(whole[:cut])
        assert predict(tmp_path / "odd", "--csv", table, "--resume").status == 0
        assert {os.fsencode(Path(row["photo"]).name) for row in rows(table)} == names
        assert len(rows(table)) == 3


def test_a_table_of_another_network_or_another_temperature_is_not_gone_on_with(
    predict: Run, archive: Path, whole_table: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table.csv"
    table.write_bytes(whole_table.read_bytes())
    other = untrained_checkpoint(tmp_path / "other", seed=1)
    warmer = untrained_checkpoint(tmp_path / "warmer", replace(SMALL, temperature=2.5))
    for network in (other, warmer):
        assert "another network" in predict(archive, "--csv", table, "--resume", "--checkpoint", network).refusal
    assert table.read_bytes() == whole_table.read_bytes()


@pytest.mark.parametrize(
    ("resume", "sentence"),
    [((), "is there already: add --resume"), (("--resume",), "no table that this version's predict began")],
)
def test_a_file_that_is_there_or_no_such_table_is_left_alone(
    resume: tuple[str, ...], sentence: str, predict: Run, few: Path, tmp_path: Path
) -> None:
    table = tmp_path / "letters.csv"
    table.write_text(",".join("x" * len(columns(GENERA))) + "\nmine,to,keep\n")
    before = table.read_bytes()
    assert sentence in predict(few, "--csv", table, *resume).refusal
    assert table.read_bytes() == before


# --- What a run tells, and what it leaves alone ---------------------------------------------------------------


def test_a_photo_replaced_under_the_same_name_is_answered_anew(predict: Run, few: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    assert predict(few, "--csv", table).status == 0
    before = {row["photo"]: row for row in rows(table)}
    paint_photos(tmp_path / "other", (200, 9, 9), 1)
    os.replace(tmp_path / "other" / "0.jpg", few / "0.jpg")
    assert predict(few, "--csv", table, "--resume").status == 0
    after = {row["photo"]: row for row in rows(table)}
    assert len(rows(table)) == len(after) == 2
    changed, same = str(few / "0.jpg"), str(few / "1.jpg")
    assert after[changed]["confidence"] != before[changed]["confidence"]
    assert after[changed]["modified"] != before[changed]["modified"]
    assert after[same] == before[same]


def test_a_table_with_unreadable_files_ends_with_a_summary_and_a_status_of_its_own(
    predict: Run, few: Path, tmp_path: Path
) -> None:
    (few / "bad.jfif").write_bytes(b"no")
    for name in ("film.mov", "notes.txt", "more.txt", "._0.jpg", ".DS_Store"):
        (few / name).write_bytes(b"no")
    (few / "__MACOSX").mkdir()
    (few / "__MACOSX" / "0.jpg").write_bytes(b"no")
    ran = predict(few, "--csv", tmp_path / "table.csv")
    assert ran.status == SOME_PHOTOS_FAILED
    assert "2 photos answered, 1 can't be read (each says why)." in ran.err
    assert "3 files were skipped for their ending (.txt: 2, .mov: 1)." in ran.err
    assert [Path(row["photo"]).name for row in rows(tmp_path / "table.csv")] == ["0.jpg", "1.jpg", "bad.jfif"]


def test_a_folder_without_photos_says_which_files_it_has(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.cr2").write_bytes(b"no")
    assert "1 file was skipped for its ending (.cr2: 1)." in run("predict", tmp_path).refusal


def test_names_can_not_break_the_lines_of_the_plain_output(predict: Run, few: Path) -> None:
    os.rename(few / "0.jpg", few / "two\nlines\x1b[31m.jpg")
    lines = predict(few).out.splitlines()
    assert len(lines) == 2
    assert "two\\nlines\\x1b[31m.jpg: " in lines[1]


def test_the_table_guards_names_that_begin_like_formulas_and_goes_on_with_them(
    predict: Run, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.rename(few / "0.jpg", few / "=1+1.jpg")
    monkeypatch.chdir(few)
    table = tmp_path / "table.csv"
    for resume in ((), ("--resume",)):
        assert predict("=1+1.jpg", "1.jpg", "--csv", table, *resume).status == 0
    assert [row["photo"] for row in rows(table)] == ["'=1+1.jpg", "1.jpg"]


def test_an_answer_that_is_no_number_is_a_sentence_and_no_invalid_json(
    predict: Run, few: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Classifier.predict_images

    def broken(classifier: Classifier, images: torch.Tensor) -> list[Prediction]:
        return [replace(answer, confidence=float("nan")) for answer in real(classifier, images)]

    monkeypatch.setattr(Classifier, "predict_images", broken)
    ran = predict(few, "--json")
    assert "NaN" not in ran.out
    assert "is not a number" in ran.refusal


def test_a_line_has_the_answer_the_model_and_its_weights_and_a_bad_photos_line_the_reason(
    predict: Run, few: Path, checkpoint: Path
) -> None:
    (few / "bad.jpg").write_bytes(b"not a photo")
    ran = predict(few, "--json")
    assert ran.status == SOME_PHOTOS_FAILED
    line, _, bad = (json.loads(text) for text in ran.out.splitlines())
    assert set(bad) == {"photo", "error"}
    assert list(line["probabilities"]) == list(GENERA)
    assert sum(line["probabilities"].values()) == pytest.approx(1)
    assert line["confidence"] == line["probabilities"][line["genus"]] == max(line["probabilities"].values())
    assert (type(line["unknown"]), type(line["unknown_score"])) == (bool, float)
    assert (line["model"], line["weights"]) == ("small", Classifier.load(checkpoint).weights_sha256[:12])


# --- Where it runs, and several photos of one mushroom --------------------------------------------------------


def test_the_batch_changes_no_answer(predict: Run, few: Path) -> None:
    output = []
    for batch in (1, 7):
        ran = predict(few, "--json", "--device", "cpu", "--batch", batch)
        assert ran.status == 0
        output.append([json.loads(line) for line in ran.out.splitlines()])
    for one, other in zip(*output, strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)


def test_options_that_can_not_be_met_are_told(
    run: Run, few: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "add --csv" in run("predict", few, "--resume").refusal
    assert "leave --csv" in run("predict", few, "--together", "--csv", "table.csv").refusal
    assert "no cuda device" in run("predict", few, "--device", "cuda").refusal
    with pytest.raises(SystemExit):
        run("predict", few, "--batch", 0)
    assert "1 or more" in capsys.readouterr().err


def test_photos_of_one_mushroom_get_one_answer(predict: Run, few: Path, checkpoint: Path) -> None:
    (few / "bad.jpg").write_bytes(b"no")
    ran = predict(few, "--together", "--json", "--batch", 1)
    assert ran.status == SOME_PHOTOS_FAILED
    [line] = [json.loads(line) for line in ran.out.splitlines()]
    classifier = Classifier.load(checkpoint)
    expected = classifier.predict_together([read_photo_file(few / name) for name in ("0.jpg", "1.jpg")])
    assert line["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)
    assert [Path(photo).name for photo in line["photos"]] == ["0.jpg", "1.jpg"]
    assert "bad.jpg: " in ran.err
