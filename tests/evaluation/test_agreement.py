"""How far networks agree, how long a photo takes, and what the pages make of both."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from networks import SMALL, untrained_checkpoint

from mushroom.app import records
from mushroom.checkpoint import AGREEMENT_FILE
from mushroom.dataset import Prepared
from mushroom.errors import CheckpointError, DatasetError
from mushroom.evaluation.agreement import Agreement, agreement_again, measure_agreement, read_agreement, write_agreement
from mushroom.evaluation.evaluate import LATENCY_REPEATS, evaluate, with_faithfulness, with_latency
from mushroom.evaluation.report import read_report


@pytest.fixture(scope="module")
def models(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three evaluated checkpoints: two of the same weights, one of others."""
    folder = tmp_path_factory.mktemp("models")
    for name, seed in (("one", 0), ("other", 1)):
        evaluate(untrained_checkpoint(folder / name, seed=seed), prepared)
    shutil.copytree(folder / "one", folder / "same")
    return folder


@pytest.fixture(scope="module")
def found(models: Path, prepared: Prepared) -> Agreement:
    return measure_agreement([models / "one", models / "other", models / "same"], prepared)


def test_networks_of_the_same_weights_agree_and_others_less(found: Agreement, prepared: Prepared) -> None:
    pairs = {tuple(pair.models): pair for pair in found.pairs}
    assert set(pairs) == {("one", "other"), ("one", "same"), ("other", "same")}
    same = pairs["one", "same"]
    assert (same.same_genus, same.rank_correlation, same.overlap) == (1.0, pytest.approx(1.0), 1.0)
    assert (same.accuracy_difference, same.macro_f1_difference_interval) == (0.0, (0.0, 0.0))
    assert pairs["one", "other"].rank_correlation < 0.99
    assert same.sample + same.empty == same.photos == int((prepared.manifest.split == "test").sum())


@pytest.mark.parametrize("score", ["accuracy", "macro_f1"])
def test_a_difference_is_told_with_what_chance_would_make_of_it(models: Path, found: Agreement, score: str) -> None:
    pair = found.pairs[0]
    difference = getattr(pair, f"{score}_difference")
    low, high = getattr(pair, f"{score}_difference_interval")
    assert low <= difference <= high
    first, second = (getattr(read_report(models / name).test, score) for name in pair.models)
    assert difference == pytest.approx(first - second)


def test_agreement_is_told_anew_from_predictions_alone(models: Path, found: Agreement) -> None:
    write_agreement(models, found)
    assert agreement_again(models) == found == read_agreement(models)
    for damaged in ("{", (models / AGREEMENT_FILE).read_text().replace('"sample"', '"simple"')):
        (models / AGREEMENT_FILE).write_text(damaged)
        with pytest.raises(CheckpointError, match="damaged"):
            read_agreement(models)
    (models / AGREEMENT_FILE).unlink()
    assert read_agreement(models) is None
    with pytest.raises(CheckpointError, match="measure it"):
        agreement_again(models)


def test_the_pages_find_an_agreement_only_for_the_weights_it_was_measured_with(models: Path, found: Agreement) -> None:
    one, other = models / "one", models / "other"
    assert records.agreement(one, other, ["a", "b"]) is None
    write_agreement(models, found)
    weights = found.pairs[0].weights
    read = records.agreement(other, one, weights[::-1])
    assert read is not None
    assert read.same_genus == found.pairs[0].same_genus
    assert records.agreement(one, other, ["changed", weights[1]]) is None


def test_a_checkpoint_that_was_not_evaluated_on_these_photos_is_refused(
    models: Path, prepared: Prepared, tmp_path: Path
) -> None:
    shutil.copytree(models / "one", tmp_path / "bare")
    (tmp_path / "bare" / "predictions.csv").unlink()
    with pytest.raises(CheckpointError, match="evaluate first"):
        measure_agreement([models / "one", tmp_path / "bare"], prepared)


def test_latency_is_kept_while_the_weights_are_the_same_and_evaluating_again_changes_nothing(
    models: Path, prepared: Prepared
) -> None:
    report = with_latency(models / "same", evaluate(models / "same", prepared))
    latency = report.latency
    assert latency is not None
    assert 0 < latency.fastest_s <= latency.median_s <= latency.slowest_s
    assert latency.repeats == LATENCY_REPEATS >= 50
    before = (models / "same" / "report.json").read_bytes()
    evaluate(models / "same", prepared)
    assert (models / "same" / "report.json").read_bytes() == before


def test_a_photo_that_is_gone_since_prepare_is_named(models: Path, prepared: Prepared, tmp_path: Path) -> None:
    moved = replace(prepared, root=tmp_path)
    shutil.copytree(models / "one", tmp_path / "one")
    with pytest.raises(DatasetError, match=rf"{tmp_path}.*Run prepare again"):
        evaluate(tmp_path / "one", moved)
    with pytest.raises(DatasetError, match="Run prepare again"):
        measure_agreement([models / "one", models / "other"], moved)


def test_photos_of_genera_that_the_checkpoint_does_not_answer_are_refused(prepared: Prepared, tmp_path: Path) -> None:
    folder = untrained_checkpoint(tmp_path, replace(SMALL, genera=("Amanita", "Tricholoma")))
    with pytest.raises(CheckpointError, match="does not answer: Boletus"):
        evaluate(folder, prepared)


def test_a_transformers_heatmaps_are_measured_by_the_methods_that_make_sense_in_it(
    prepared: Prepared, tmp_path: Path
) -> None:
    folder = untrained_checkpoint(tmp_path / "vit", replace(SMALL, backbone="test_vit"))
    report = with_faithfulness(folder, evaluate(folder, prepared), prepared, 1)
    assert report.faithfulness is not None
    measured = {row.method for row in report.faithfulness.rows}
    assert "gradcam" in measured
    assert "gradcam++" not in measured
    assert read_report(folder) == report
