"""The checkpoint folder and the Hugging Face Hub; the model card."""

from collections.abc import Mapping
from typing import Any

from mushroom.metrics import SUPPORTED_PHOTOS
from mushroom.model import ModelConfig

CARD = """\
---
license: apache-2.0
library_name: timm
pipeline_tag: image-classification
base_model: timm/{backbone}
tags: [mushrooms, image-classification, grad-cam]
---

# {name}: nine genera of mushrooms

A photo in, one of nine genera out: {genera}.

**A prediction is never a reason to eat a mushroom.** This model has not seen most species, and its mistakes do
not look like mistakes. Deadly species lie within and beside these genera.

## What it is
- Backbone `{backbone}` on {input_px} x {input_px} px (the whole photo, squashed to a square), head
  {head}, {parameters}.
- Trained by `{command}` (recipe *{recipe}*, seed {seed}, commit `{git_commit}`).
- Temperature {temperature:.4f}; photos whose energy exceeds {threshold} are answered "none of the nine, as far as
  I can tell".

## What it was trained on
Photos gathered from public repositories, {photo_count} in all; the split keeps near-duplicates together.

| genus | train | validation | test |
| --- | --- | --- | --- |
{photo_rows}

Data fingerprint `{data_fingerprint}`.

## What it does on photos it has not seen
{scores}

### Where it will fail
{failures}

## How to load it
```python
from mushroom.classifier import Classifier
classifier = Classifier.load("path/to/this/folder")
print(classifier.predict([photo]))
```

Every number on this page is computed from `predictions.csv` in this folder by `python train.py evaluate`.
"""


def model_card(config: ModelConfig, report: Mapping[str, Any], parameters: int) -> str:
    """The text of a checkpoint folder's README.md, from its config and report alone; ``parameters`` of the net."""
    photos = report["photos"]
    rows = [
        f"| {genus} | {photos['train'][genus]} | {photos['validation'][genus]} | {photos['test'][genus]} |"
        for genus in config.genera
    ]
    threshold = config.unknown_threshold
    return CARD.format(
        name=config.name,
        genera=", ".join(config.genera),
        backbone=config.backbone,
        input_px=config.input_px,
        head=" - ".join(map(str, (*config.head_widths, len(config.genera)))),
        parameters=f"{parameters / 1e6:.1f} million parameters",
        command=config.recipe.get("command", "train.py train"),
        recipe=config.recipe.get("name", "?"),
        seed=config.recipe.get("seed", "?"),
        git_commit=config.git_commit or "unknown",
        temperature=config.temperature,
        threshold="(not measured)" if threshold is None else f"{threshold:.3f}",
        photo_count=sum(sum(counts.values()) for counts in photos.values()),
        photo_rows="\n".join(rows),
        data_fingerprint=config.data_fingerprint or "unknown",
        scores=_scores(report),
        failures="\n".join(_failures(config, report)),
    )


def _scores(report: Mapping[str, Any]) -> str:
    if "test" not in report["splits"]:
        return "Not measured: the data had no test split."
    test = report["splits"]["test"]
    low, high = test["accuracy_interval"]
    f1_low, f1_high = test["macro_f1_interval"]
    lines = [
        f"Test split, {test['count']} photos.",
        "",
        "| measure | value |",
        "| --- | --- |",
        f"| accuracy | {test['accuracy']:.3f} (95 % interval {low:.3f} to {high:.3f}) |",
        f"| right among the first two | {test['top2']:.3f} |",
        f"| macro-F1 | {test['macro_f1']:.3f} (95 % interval {f1_low:.3f} to {f1_high:.3f}) |",
    ]
    if test["macro_f1_supported"] is not None:
        lines.append(
            f"| macro-F1 of genera with {SUPPORTED_PHOTOS} or more test photos "
            f"({', '.join(test['supported_genera'])}) | {test['macro_f1_supported']:.3f} |"
        )
    lines.append(f"| calibration error | {test['ece_after']:.3f} (uncalibrated {test['ece_before']:.3f}) |")
    measured = report["unknown"]["measured"]["test"]
    lines += [
        f"| {kind.replace('_', ' ')}: AUROC, turned away | {values['auroc']:.3f}, {values['rejected']:.3f} of "
        f"{values['count']} |"
        for kind, values in measured.items()
        if isinstance(values, Mapping)
    ]
    lines += ["", "| genus | precision | recall | F1 | test photos |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {row['genus']} | {row['precision']:.3f} | {row['recall']:.3f} | {row['f1']:.3f} | {row['support']} |"
        for row in test["per_genus"]
    ]
    return "\n".join(lines)


def _failures(config: ModelConfig, report: Mapping[str, Any]) -> list[str]:
    """What the numbers themselves say about where not to trust it."""
    train = report["photos"]["train"]
    scarce = [f"{genus} ({train[genus]})" for genus in config.genera if train[genus] < 50]
    lines = [
        "- Photos from elsewhere than the training sources: the split shares its sources with training, so a "
        "stranger's phone will do worse than the numbers above.",
        "- Species it has never seen, of these genera or of others; the unknown answer catches only part of them.",
    ]
    if scarce:
        lines.append(f"- Genera with fewer than 50 training photos: {', '.join(scarce)}. Take these as guesses.")
    if "test" in report["splits"]:
        sources = [row for row in report["splits"]["test"]["per_source"] if row["count"] >= 5]
        for row in sorted(sources, key=lambda row: row["accuracy"])[:3]:
            lines.append(f"- On {row['source']}: {row['accuracy']:.2f} of {row['count']} test photos right.")
    return lines
