"""The whole road by command line, from folders of any names to answers; inputs that end in a sentence."""

import csv
import json
from pathlib import Path

import pytest
from commands import Run, status_of
from painted import paint_photos

from mushroom.classifier import Classifier
from mushroom.photos import read_photo_file

COLOURS = {"Red cap": (200, 40, 40), "Brown": (120, 80, 30), "Жёлтый": (210, 190, 60)}
"""Genera that are none of the nine: a blank inside, another script."""

NEW = ["--start", "random", "--set", "input_px=64", "train_px=64"]
SMALL = ["--backbone", "mobilenetv3_small_050", *NEW]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three painted genera from two sources, and two other genera, of which one has photos enough for its own logit."""
    root = tmp_path_factory.mktemp("own")
    for name, colour in COLOURS.items():
        paint_photos(root / "photos" / name, colour, 12)
    paint_photos(root / "others" / "Blue", (30, 60, 220), 24)
    paint_photos(root / "others" / "Green", (30, 170, 40), 6)
    lines = [f"{name}/{number}.jpg,{'ab'[number % 2]}" for name in COLOURS for number in range(12)]
    (root / "photos" / "manifest.csv").write_text("photo,source\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def prepared(photos: Path) -> Path:
    out = photos / "prepared"
    assert status_of("prepare", photos / "photos", "--out", out, "--background", photos / "others") == 0
    return out


@pytest.fixture(scope="module")
def checkpoint(prepared: Path) -> Path:
    out = prepared.parent / "mine"
    assert status_of("train", prepared, "--out", out, *SMALL, "--epochs", 2, 1) == 0
    return out


def test_train_leaves_a_whole_folder_with_the_names_of_the_photos_folders_and_pictures(checkpoint: Path) -> None:
    expected = {"model.safetensors", "config.json", "history.csv", "predictions.csv", "report.json", "README.md"}
    assert expected <= {path.name for path in checkpoint.iterdir()}
    pictures = {path.name for path in (checkpoint / "training").glob("*.jpg")}
    assert pictures == {"one_of_each.jpg", "nine_views.jpg", "epoch-001.jpg", "epoch-002.jpg", "epoch-003.jpg"}
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    assert config["genera"] == sorted(COLOURS)
    assert config["unknown_threshold"] is not None
    assert set(config["other_genera"]) <= {"Blue", "other"}
    assert config["provenance"]["start"] == "random"
    assert config["provenance"]["command"].startswith("python train.py")
    assert config["provenance"]["sources"] == ["a", "b"]
    assert config["recipe"]["name"] == "default"
    for file in ("report.json", "README.md", "predictions.csv"):
        text = (checkpoint / file).read_text(encoding="utf-8")
        assert all(name in text or json.dumps(name)[1:-1] in text for name in COLOURS), file
        assert "Amanita" not in text, file


def test_its_own_names_are_answered(run: Run, checkpoint: Path, photos: Path) -> None:
    photo = photos / "photos" / "Red cap" / "0.jpg"
    line = json.loads(run("predict", photo, "--json", "--checkpoint", checkpoint).out)
    assert line["genus"] in COLOURS
    assert list(line["probabilities"]) == sorted(COLOURS)
    assert Classifier.load(checkpoint).explain(read_photo_file(photo)).genus in COLOURS


def test_evaluate_reproduces_the_report_to_the_last_digit_from_predictions_alone_too(
    run: Run, checkpoint: Path, prepared: Path
) -> None:
    # Training looks at no test photo: the first evaluation does.
    assert sum(json.loads((checkpoint / "report.json").read_text())["photos"]["test"].values()) == 0
    assert run("evaluate", checkpoint, prepared).status == 0
    before = [(checkpoint / name).read_text() for name in ("report.json", "README.md", "config.json")]
    for photos in (prepared, "--from-predictions"):
        (checkpoint / "README.md").unlink()
        assert "rows true, columns told" in run("evaluate", checkpoint, photos).out
        assert [(checkpoint / name).read_text() for name in ("report.json", "README.md", "config.json")] == before
    assert run("evaluate", checkpoint).refusal


def test_a_checkpoint_is_the_start_of_the_next(run: Run, checkpoint: Path, prepared: Path, tmp_path: Path) -> None:
    out = tmp_path / "next"
    probe = ("--start", checkpoint, "--recipe", "linear-probe", "--set", "input_px=64")
    assert run("train", prepared, "--out", out, *probe, "--rank", "species").status == 0
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    assert config["backbone"] == "mobilenetv3_small_050"
    assert config["rank"] == "species"
    assert config["provenance"]["sources"] == ["a", "b"]
    assert [(each["how"], each["name"]) for each in config["provenance"]["ancestors"]] == [("start", "mine")]
    assert (out / "report.json").exists()


def test_a_transformer_goes_the_same_road(run: Run, prepared: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("train", prepared, "--out", out, "--backbone", "test_vit", *NEW, "--epochs", 1, 1).status == 0
    assert (out / "report.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["resnet50", "convnext_base"])
def test_the_notebooks_recipe_runs_both_phases_and_predict_takes_its_checkpoint(
    backbone: str, run: Run, tmp_path: Path
) -> None:
    for name in ("Red cap", "Brown"):
        paint_photos(tmp_path / "photos" / name, COLOURS[name], 4)
    prepared, out = tmp_path / "prepared", tmp_path / backbone
    assert run("prepare", tmp_path / "photos", "--out", prepared).status == 0
    network = ("--recipe", "notebook", "--backbone", backbone, "--start", "random")
    assert run("train", prepared, "--out", out, *network, "--epochs", 2, 1, "--workers", 0).status == 0
    with (out / "history.csv").open() as file:
        assert [row["phase"] for row in csv.DictReader(file)] == ["cross-entropy", "cross-entropy", "weighted"]
    photo = tmp_path / "photos" / "Brown" / "0.jpg"
    assert json.loads(run("predict", photo, "--json", "--checkpoint", out).out)["genus"] in COLOURS


@pytest.mark.parametrize("recipe", [["--recipe", "linear-probe"], ["--epochs", "1", "0"]], ids=["probe", "trained"])
def test_cross_validation_leaves_sources_out_prints_and_writes(
    recipe: list[str], run: Run, prepared: Path, tmp_path: Path
) -> None:
    ran = run("cross-validate", prepared, "--out", tmp_path / "cv", "--folds", 2, *SMALL, *recipe)
    assert "fold 1 of 2" in ran.out
    assert "mean recall" in ran.out
    written = json.loads((tmp_path / "cv" / "cross_validation.json").read_text(encoding="utf-8"))
    assert written["command"].startswith("python train.py")
    assert set(written["recall"]) == set(COLOURS)
    assert written["photos"] == sum(count for _, count in written["sources"].values())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--out", "{file}", *SMALL], "is a file"),
        (["--out", "{file}/inside", *SMALL], "is a file"),
        (["--out", "{out}", "--backbone", "no_such_net"], "no backbone named"),
        (["--out", "{out}", "--epochs", "1"], "takes 2 numbers"),
        (["--out", "{out}", *SMALL, "--set", "banana=1"], "--set takes name=number"),
        (["--out", "{out}", *SMALL, "--backbone", "mixer_s32_224", "--set", "input_px=224"], "--set train_px=224"),
        (["--out", "{out}", "--start", "nowhere"], "no weights file"),
    ],
)
def test_what_can_not_work_is_told_before_the_first_epoch(
    arguments: list[str], sentence: str, run: Run, prepared: Path, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    ran = run("train", prepared, *(word.format(file=file, out=tmp_path / "out") for word in arguments))
    assert sentence in ran.refusal
    assert "train loss" not in ran.err
    assert not (tmp_path / "out").exists()


def test_too_few_photos_are_told(run: Run, tmp_path: Path) -> None:
    paint_photos(tmp_path / "photos" / "Brown", COLOURS["Brown"], 2)
    paint_photos(tmp_path / "photos" / "Red cap", COLOURS["Red cap"], 12)
    assert run("prepare", tmp_path / "photos", "--out", tmp_path / "prepared").status == 0
    assert "it needs at least 3" in run("train", tmp_path / "prepared", "--out", tmp_path / "out", *SMALL).refusal
