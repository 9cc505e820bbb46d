"""Figures say what the numbers say, in plotly and in words."""

import pytest

from mushroom.app import figures
from mushroom.evaluation.report import Bin
from mushroom.genera import GENERA

EVEN = dict.fromkeys(GENERA, 0.05)
SURE = EVEN | {"Russula": 0.6}
BINS = [
    Bin(lower=0.5, upper=0.6, confidence=0.55, accuracy=0.5, count=10),
    Bin(lower=0.9, upper=1.0, confidence=0.95, accuracy=0.97, count=90),
]
HISTORY = [
    {"epoch": "1", "phase": "head", "train_loss": "1", "validation_loss": "2", "train_accuracy": "0.5",
     "validation_accuracy": "0.6"},
    {"epoch": "2", "phase": "fine-tuning", "train_loss": "0.5", "validation_loss": "1", "train_accuracy": "0.8",
     "validation_accuracy": "0.9"},
]  # fmt: skip


def test_before_and_after_stand_side_by_side_for_every_genus() -> None:
    after, before = figures.bars_before_after(SURE, EVEN).data
    assert list(after.y) == list(before.y)
    assert max(before.x) == pytest.approx(60)
    assert max(after.x) == pytest.approx(5)


def test_reliability_is_told_by_its_fullest_bin() -> None:
    assert len(figures.reliability(BINS, BINS).data) == 3
    assert "90 photos" in figures.describe_reliability(BINS, BINS)


def test_training_curves_mark_the_phases() -> None:
    figure = figures.training_curves(HISTORY)
    assert [note.text for note in figure.layout.annotations] == ["head", "fine-tuning"]
    assert "fine-tuning from epoch 2" in figures.describe_training(HISTORY)
    assert "90.0%, in epoch 2" in figures.describe_training(HISTORY)
    assert figures.describe_training(HISTORY[1:]).endswith("with a validation accuracy of 90.0%.")


def test_of_many_names_a_chart_shows_those_that_count_and_tells_the_ends() -> None:
    before = {f"Genus {number}": 1 / 60 for number in range(60)} | {"Genus 7": 0.4}
    after = before | {"Genus 31": 0.5}
    bars = figures.bars_before_after(before, after).data
    assert all(len(bar.y) == figures.BARS for bar in bars)
    assert {"Genus 7", "Genus 31"} <= set(bars[0].y)
    counts = {"train": {f"Sp. {'very ' * 9}{number}": number for number in range(60)}}
    assert figures.describe_photos(counts, "species").startswith("Photos of 60 species: most of")
    axis = figures.photos_per_genus(counts).layout.yaxis
    assert max(map(len, axis.ticktext)) == figures.NAME_CHARACTERS
    assert len(axis.ticktext) == 60


def test_photos_are_stacked_by_split() -> None:
    counts = {"train": dict.fromkeys(GENERA, 3), "test": dict.fromkeys(GENERA, 1)}
    assert len(figures.photos_per_genus(counts).data) == 3
    assert "Amanita 4" in figures.describe_photos(counts)
