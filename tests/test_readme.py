"""What the README and the app say of the weights that ship is what their reports say."""

import json
from pathlib import Path

import pytest

from mushroom.checkpoint import DEFAULT_MODEL, REPORT_FILE, SHIPPED_CHECKPOINTS, WEIGHTS_FILE
from mushroom.evaluation.metrics import build_report, read_predictions

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
SHIPPED = sorted(path.parent for path in SHIPPED_CHECKPOINTS.glob(f"*/{WEIGHTS_FILE}"))
MEGABYTE = 1e6


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


def test_the_weights_that_ship_stay_within_their_budget() -> None:
    sizes = {folder.name: (folder / WEIGHTS_FILE).stat().st_size / MEGABYTE for folder in SHIPPED}
    assert len(sizes) >= 2
    assert sizes[DEFAULT_MODEL] <= 25
    assert max(sizes.values()) <= 50
    assert sum(sizes.values()) <= 130
