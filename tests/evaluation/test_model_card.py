"""The model card and the summary: any names, what a visitor is told first, nothing that the report does not hold."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from answers import joined, photos
from huggingface_hub import ModelCard

from mushroom.errors import CheckpointError
from mushroom.evaluation.model_card import model_card
from mushroom.evaluation.report import Latency, Report, write_report
from mushroom.evaluation.scoring import build_report, calibrate
from mushroom.evaluation.summary import BEGIN, END, read_block, summary, write_block
from mushroom.model import Ancestor, ModelConfig, Provenance

NAMES = ("Зонтик пёстрый", "松茸", "Champiñón")
CONFIG = ModelConfig(name="mine", backbone="resnet18", input_px=64, genera=NAMES, rank="species")


@cache
def report(train_source: str, genera: tuple[str, ...] = NAMES) -> Report:
    splits = [
        photos([0, 1] * 10, labels=[0, 1] * 10, split=split, genera=genera, scores=range(20), sources=(source,))
        for split, source in (("train", train_source), ("validation", "b"), ("test", "c"))
    ]
    others = [photos([0], kind="other_fungi", split=split, genera=genera, scores=[50]) for split in ("train", "test")]
    predictions = joined(*splits, *others)
    return build_report(predictions, calibrate(predictions))


def test_the_card_leads_with_what_a_visitor_is_told_and_with_the_checkpoints_names() -> None:
    card = model_card(CONFIG, report("a"), 1_000_000, "hf://someone/mine")
    text = ModelCard(card).text
    assert all(name in text for name in NAMES)
    assert "mine: these 3 species" in text
    assert "| told right | 0.900" in text
    assert "| turned away as none of these 3 | 0.100 |" in text
    assert "1 sources that the network learned nothing from" in text.replace("\n", " ")
    assert "nine" not in text
    assert "genus" not in text
    assert "genera" not in text
    assert "| other fungi | 1.000 | 1.000 of 1 |" in text
    assert 'Classifier.load("hf://someone/mine")' in text
    assert text.index("told right") < text.index("accuracy of the most probable")


def test_the_card_says_where_test_photos_share_their_sources_with_training() -> None:
    assert "share their source with training photos" in model_card(CONFIG, report("c"), 1).replace("\n", " ")


def test_the_card_says_what_the_provenance_says_and_no_more() -> None:
    provenance = Provenance(
        "python train.py train x", "random", (Ancestor("mean", "one", "ab" * 32), Ancestor("mean", "two", "cd" * 32))
    )
    card = model_card(replace(CONFIG, provenance=replace(provenance, notes=("A note.",))), report("a"), 1)
    assert "started from random numbers" in card
    assert "mean of networks that were fine-tuned on these photos: one (weights `abababababab`), two" in card
    assert "- A note." in card
    assert ModelCard(card).data.base_model is None
    assert "Wortsman" not in model_card(CONFIG, report("a"), 1)


def test_other_genera_that_are_known_by_name_are_counted_on_the_card() -> None:
    config = replace(CONFIG, other_genera=("A", "B"))
    assert "2 others by name" in model_card(config, report("a"), 1)
    assert "2 other genera by name" in model_card(replace(config, rank="genus"), report("a"), 1)


def test_the_card_says_what_the_time_was_measured_on() -> None:
    latency = Latency(0.25, 0.2, 0.3, repeats=50, layers=4, threads=2, processor="x86_64")
    on_cpu = model_card(CONFIG, replace(report("a"), latency=latency), 1)
    assert "0.25 s, median of 50 on 2 threads of a processor |" in on_cpu
    gpu = replace(latency, processor="NVIDIA H100", device="cuda")
    assert "median of 50 on NVIDIA H100 (cuda) |" in model_card(CONFIG, replace(report("a"), latency=gpu), 1)


def test_a_card_without_a_test_split_says_so() -> None:
    known = photos([0, 1], labels=[0, 1], split="validation", genera=NAMES)
    assert "Not measured" in model_card(CONFIG, build_report(known, calibrate(known)), 1)


def test_the_summary_is_written_between_its_marks_and_nowhere_else(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_report(tmp_path / name, report("a"))
    text = summary([tmp_path / "two", tmp_path / "one"])
    assert text.index("`one`") < text.index("`two`")
    assert "| `one` | 20 from 1 sources | 0.900 (" in text
    assert "learned nothing from" in text
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_block(readme, text)
    assert read_block(readme) == text
    assert readme.read_text().startswith("before\n")
    assert readme.read_text().endswith(f"{END}\nafter\n")
    readme.write_text("no marks")
    with pytest.raises(CheckpointError, match="no block"):
        write_block(readme, text)
    with pytest.raises(CheckpointError, match="evaluate"):
        summary([tmp_path])
