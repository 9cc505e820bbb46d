"""The whole road by command line: prepare, train, evaluate, predict; and the notebook's recipe."""

import csv
import json
from pathlib import Path

import pytest
from commands import Run, status_of
from painted import PAINTED, paint_photos

from mushroom.errors import SOME_PHOTOS_FAILED
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
    command = ("prepare", small_set / "photos", "--out", out, "--background", small_set / "not_fungi")
    assert status_of(*command) == 0
    return out


@pytest.fixture(scope="module")
def checkpoint(small_set: Path, prepared: Path) -> Path:
    out = small_set / "checkpoint"
    network = ("--backbone", "mobilenetv3_small_050", "--random-backbone")
    assert status_of("train", prepared, "--out", out, *network, "--epochs", 2, 1, "--workers", 0) == 0
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


def test_evaluate_reproduces_the_report_to_the_last_digit(run: Run, checkpoint: Path, prepared: Path) -> None:
    # Training looks at no test photo: the first evaluation does.
    assert sum(json.loads((checkpoint / "report.json").read_text())["photos"]["test"].values()) == 0
    assert run("evaluate", checkpoint, prepared).status == 0
    before = (checkpoint / "report.json").read_text()
    assert "rows true, columns told" in run("evaluate", checkpoint, prepared).out
    assert (checkpoint / "report.json").read_text() == before


def test_the_report_is_computed_from_predictions_csv_alone(run: Run, checkpoint: Path) -> None:
    before = [(checkpoint / name).read_text() for name in ("report.json", "README.md", "config.json")]
    (checkpoint / "README.md").unlink()
    assert run("evaluate", checkpoint, "--from-predictions").status == 0
    assert [(checkpoint / name).read_text() for name in ("report.json", "README.md", "config.json")] == before
    assert run("evaluate", checkpoint).refusal


def test_predict_prints_a_line_a_photo_and_goes_on_after_a_bad_one(
    run: Run, checkpoint: Path, small_set: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"not a photo")
    ran = run("predict", bad, small_set / "photos" / "Amanita", "--json", "--checkpoint", checkpoint)
    assert ran.status == SOME_PHOTOS_FAILED
    lines = [json.loads(line) for line in ran.out.splitlines()]
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
    backbone: str, run: Run, small_set: Path, tmp_path: Path
) -> None:
    for genus in FEW[:2]:
        goal = tmp_path / "photos" / genus
        goal.mkdir(parents=True)
        for path in sorted((small_set / "photos" / genus).iterdir())[:4]:
            (goal / path.name).symlink_to(path.resolve())
    prepared, out = tmp_path / "prepared", tmp_path / backbone
    assert run("prepare", tmp_path / "photos", "--out", prepared).status == 0
    network = ("--recipe", "notebook", "--backbone", backbone, "--random-backbone")
    assert run("train", prepared, "--out", out, *network, "--epochs", 2, 1, "--workers", 0).status == 0
    with (out / "history.csv").open() as file:
        assert [row["phase"] for row in csv.DictReader(file)] == ["cross-entropy", "cross-entropy", "weighted"]
    photo = next((tmp_path / "photos" / "Amanita").iterdir())
    assert json.loads(run("predict", photo, "--json", "--checkpoint", out).out)["genus"] in GENERA
