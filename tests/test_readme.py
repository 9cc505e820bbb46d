"""What the README and the app say of the weights that ship is what their reports say."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from mushroom.checkpoint import DEFAULT_MODEL, REPORT_FILE, SHIPPED_CHECKPOINTS, WEIGHTS_FILE
from mushroom.classifier import Classifier
from mushroom.dataset import OTHER_FUNGUS
from mushroom.evaluation.metrics import build_report, read_predictions
from mushroom.genera import GENERA
from mushroom.training import cross_validation, learning_curves

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
SHIPPED = sorted(path.parent for path in SHIPPED_CHECKPOINTS.glob(f"*/{WEIGHTS_FILE}"))
INGREDIENTS = SHIPPED_CHECKPOINTS.parent / "ingredients"
MEGABYTE = 1e6
HALF_PRECISION = 1e-3


def report_of(folder: Path) -> dict[str, object]:
    return json.loads((folder / REPORT_FILE).read_text(encoding="utf-8"))


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_the_readmes_row_of_a_model_is_its_report(folder: Path) -> None:
    row = next(line for line in README.splitlines() if line.startswith(f"| `{folder.name}` |"))
    report = report_of(folder)
    test = report["splits"]["test"]  # type: ignore[index]
    for number in (test["accuracy"], test["macro_f1"], test["macro_f1_supported"], test["ece_after"]):
        assert f"{number:.3f}" in row
    assert f"{report['latency']['median_s']:.2f} s" in row  # type: ignore[index]


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_a_report_is_computed_from_the_predictions_beside_it(folder: Path) -> None:
    report = report_of(folder)
    again = json.loads(json.dumps(build_report(read_predictions(folder / "predictions.csv"))))
    assert {key: report[key] for key in again} == again
    assert {"faithfulness", "latency"} <= report.keys()


def test_the_readmes_trials_are_those_recorded() -> None:
    text = README.replace("\n", " ")
    recorded = {trial["name"]: trial for trial in cross_validation.read_trials(SHIPPED_CHECKPOINTS)}
    chosen, first = recorded["short-first-anchored-named"], recorded["short-first"]
    for trial in (chosen, first):
        left = trial["left_out"]
        low, high = left["accuracy_interval"]
        assert f"{left['accuracy']:.3f} ({low:.3f} to {high:.3f})" in text
    found = cross_validation.compare(chosen, first)
    assert found is not None
    difference, (low, high) = found
    assert f"{difference:+.3f} (95 % interval {low:+.3f} to {high:+.3f})" in text


def test_the_default_is_the_mean_of_the_networks_that_it_names() -> None:
    default = Classifier.load(SHIPPED_CHECKPOINTS / DEFAULT_MODEL)
    folders = [*SHIPPED, *(path.parent for path in INGREDIENTS.glob(f"*/{WEIGHTS_FILE}"))]
    by_sha = {each.weights_sha256: each for each in map(Classifier.load, folders)}
    states = [by_sha[named["weights_sha256"]].model.state_dict() for named in default.config.recipe["tuned"]]
    for key, value in default.model.state_dict().items():
        # The biases of the head are moved once more.
        if value.is_floating_point() and key != "head.1.bias":
            mean = torch.stack([state[key] for state in states]).mean(dim=0)
            torch.testing.assert_close(value, mean, rtol=HALF_PRECISION, atol=HALF_PRECISION)


def test_what_is_told_of_the_names_by_eye_is_what_their_tables_say() -> None:
    text = (INGREDIENTS / "README.md").read_text(encoding="utf-8").replace("\n", " ")
    given = pd.read_csv(INGREDIENTS / "named_by_eye.csv").genus
    other = (given == OTHER_FUNGUS).sum()
    assert f"{len(given) - other} of the nine genera and {other:,} `other` fungi" in text
    known = pd.read_csv(INGREDIENTS / "named_by_eye_known.csv")
    truth = known.photo.str.split("/").str[0].where(~known.photo.str.startswith("other_fungi/"), OTHER_FUNGUS)
    right = known.genus == truth
    named, none = known.genus.isin(GENERA), known.genus == OTHER_FUNGUS
    assert f"of {named.sum()} that were given a genus, {right[named].sum()} had it" in text
    assert f"of {none.sum()} called `other`, {right[none].sum()} were" in text
    assert f"of {len(known) - named.sum() - none.sum()} it was unsure" in text


def test_the_weights_that_ship_stay_within_their_budget() -> None:
    sizes = {folder.name: (folder / WEIGHTS_FILE).stat().st_size / MEGABYTE for folder in SHIPPED}
    assert len(sizes) >= 3
    assert sizes[DEFAULT_MODEL] <= 25
    assert max(sizes.values()) <= 50
    assert sum(sizes.values()) <= 130


def test_the_readme_repeats_the_advice_that_prepare_would_give() -> None:
    curve = learning_curves.read_curve()
    assert curve is not None
    counts = report_of(SHIPPED_CHECKPOINTS / DEFAULT_MODEL)["photos"]["train"]  # type: ignore[index]
    for line in learning_curves.advice(counts, curve):
        assert line in README
