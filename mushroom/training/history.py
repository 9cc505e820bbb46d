"""``history.csv``: a row an epoch, and which validation photos choose the epoch that is kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import f1_score
from torch.nn import functional

from mushroom.checkpoint import write_text
from mushroom.training.data import TrainingPhotos

SCORED_PHOTOS = 10
"""A genus with fewer validation photos does not choose the epoch: one photo alone would move the mean by far."""


def history_row(
    epoch: int,
    phase: str,
    trained: Sequence[float],
    logits: torch.Tensor,
    validation: TrainingPhotos,
    learning_rate: float,
    seconds: float,
) -> dict[str, Any]:
    """A row of ``history.csv``: training loss and accuracy, and scores of the validation photos' logits (n, logits).

    Validation photos are of the genera, and scored among these alone.
    """
    labels = validation.labels
    known = logits[:, : validation.genera]
    predicted = known.argmax(1).numpy()
    score = f1_score(labels, predicted, labels=scored_genera(labels), average="macro", zero_division=0)
    return {
        "epoch": epoch,
        "phase": phase,
        "train_loss": round(trained[0], 5),
        "train_accuracy": round(trained[1], 5),
        "validation_loss": round(float(functional.cross_entropy(known, torch.from_numpy(labels))), 5),
        "validation_accuracy": round(float((predicted == labels).mean()), 5),
        "validation_macro_f1": round(float(score), 5),
        "learning_rate": float(f"{learning_rate:.4g}"),
        "seconds": round(seconds, 2),
    }


def scored_genera(labels: np.ndarray) -> list[int]:
    """Class indices with enough validation photos to choose the epoch by; all that occur where none has."""
    counts = np.bincount(labels)
    return np.flatnonzero(counts >= SCORED_PHOTOS).tolist() or np.flatnonzero(counts).tolist()


def write_history(path: Path, rows: list[dict[str, Any]]) -> None:
    """``history.csv``, a row an epoch, whole or not at all."""
    write_text(path, pd.DataFrame(rows).to_csv(index=False))
