"""The whole road by command line: prepare, train, evaluate, predict; and the notebook's recipe."""

import csv
import json
from pathlib import Path

import pytest
from painted import PAINTED, paint_photos

import train as train_command
from mushroom.__main__ import main as mushroom_command
from mushroom.errors import FAILED, SOME_PHOTOS_FAILED
from mushroom.genera import GENERA

FEW = tuple(PAINTED)


def link_some(source: Path, goal: Path, count: int) -> None:
    goal.mkdir(parents=True)
    for path in sorted(path for path in source.rglob("*.jpg"))[:count]:
        (goal / path.name).symlink_to(path)


@pytest.fixture(scope="module")
def small_set(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """Twelve photos of each of four genera and some background: real ones where they are, painted ones elsewhere."""
    root = tmp_path_factory.mktemp("data")
    try:
        real: Path | None = request.getfixturevalue("mushroom_data")
    except pytest.skip.Exception:
        real = None
    for genus in FEW:
        if real:
            link_some(real / genus, root / "photos" / genus, 12)
        else:
            paint_photos(root / "photos" / genus, PAINTED[genus], 12)
    if real and (real.parent / "not_fungi").is_dir():
        link_some(real.parent / "not_fungi", root / "not_fungi", 12)
    else:
        paint_photos(root / "not_fungi", (40, 60, 200), 12)
    return root


@pytest.fixture(scope="module")
def prepared(small_set: Path) -> Path:
    out = small_set / "prepared"
    command = ["prepare", str(small_set / "photos"), "--out", str(out), "--background", str(small_set / "not_fungi")]
    assert train_command.main(command) == 0
    return out


@pytest.fixture(scope="module")
def checkpoint(small_set: Path, prepared: Path) -> Path:
    out = small_set / "checkpoint"
    command = ["train", str(prepared), "--out", str(out), "--backbone", "mobilenetv3_small_050"]
    assert train_command.main([*command, "--random-backbone", "--epochs", "2", "1", "--workers", "0"]) == 0
    return out


def test_prepare_writes_a_manifest(prepared: Path) -> None:
    with (prepared / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["genus"] for row in rows} == set(FEW)
    assert {row["split"] for row in rows} == {"train", "validation", "test"}


def test_train_leaves_a_whole_checkpoint_folder(checkpoint: Path) -> None:
    expected = {"model.safetensors", "config.json", "history.csv", "predictions.csv", "report.json", "README.md"}
    assert expected <= {path.name for path in checkpoint.iterdir()}
    config = json.loads((checkpoint / "config.json").read_text())
    assert config["genera"] == list(FEW)
    assert config["unknown_threshold"] is not None
    assert config["provenance"]["command"].startswith("python train.py")


def test_evaluate_reproduces_the_report_to_the_last_digit(
    checkpoint: Path, prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Training looks at no test photo: the first evaluation does.
    assert sum(json.loads((checkpoint / "report.json").read_text())["photos"]["test"].values()) == 0
    assert train_command.main(["evaluate", str(checkpoint), str(prepared)]) == 0
    before = (checkpoint / "report.json").read_text()
    assert train_command.main(["evaluate", str(checkpoint), str(prepared)]) == 0
    assert (checkpoint / "report.json").read_text() == before
    assert "rows true, columns told" in capsys.readouterr().out


def test_the_report_is_computed_from_predictions_csv_alone(checkpoint: Path) -> None:
    before = [(checkpoint / name).read_text() for name in ("report.json", "README.md", "config.json")]
    (checkpoint / "README.md").unlink()
    assert train_command.main(["evaluate", str(checkpoint), "--from-predictions"]) == 0
    assert [(checkpoint / name).read_text() for name in ("report.json", "README.md", "config.json")] == before
    assert train_command.main(["evaluate", str(checkpoint)]) == FAILED


def test_predict_prints_a_line_a_photo_and_goes_on_after_a_bad_one(
    checkpoint: Path, small_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"not a photo")
    folder = small_set / "photos" / "Amanita"
    command = ["predict", str(bad), str(folder), "--json", "--checkpoint", str(checkpoint)]
    assert mushroom_command(command) == SOME_PHOTOS_FAILED
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 13
    assert set(lines[0]) == {"photo", "error"}
    for line in lines[1:]:
        assert line["genus"] in PAINTED
        assert list(line["probabilities"]) == sorted(PAINTED)
        assert sum(line["probabilities"].values()) == pytest.approx(1)
        assert line["confidence"] == max(line["probabilities"].values())
        assert isinstance(line["unknown"], bool)
        assert isinstance(line["unknown_score"], float)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["resnet50", "convnext_base"])
def test_the_notebooks_recipe_runs_both_phases_and_predict_takes_its_checkpoint(
    backbone: str, small_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for genus in FEW[:2]:
        goal = tmp_path / "photos" / genus
        goal.mkdir(parents=True)
        for path in sorted((small_set / "photos" / genus).iterdir())[:4]:
            (goal / path.name).symlink_to(path.resolve())
    prepared, out = tmp_path / "prepared", tmp_path / backbone
    assert train_command.main(["prepare", str(tmp_path / "photos"), "--out", str(prepared)]) == 0
    command = ["train", str(prepared), "--out", str(out), "--recipe", "notebook", "--backbone", backbone]
    assert train_command.main([*command, "--random-backbone", "--epochs", "2", "1", "--workers", "0"]) == 0
    with (out / "history.csv").open() as file:
        assert [row["phase"] for row in csv.DictReader(file)] == ["cross-entropy", "cross-entropy", "weighted"]
    capsys.readouterr()
    photo = next((tmp_path / "photos" / "Amanita").iterdir())
    assert mushroom_command(["predict", str(photo), "--json", "--checkpoint", str(out)]) == 0
    assert json.loads(capsys.readouterr().out)["genus"] in GENERA
