"""Coloured squares as training photos of two genera, another genus and of none; tables of photos without files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from networks import SMALL

from mushroom.training.data import ANY_OTHER, TrainingPhotos

SQUARES = {"red": (200, 40, 40), "brown": (120, 90, 30), "blue": (40, 60, 200), "unnamed": (30, 170, 60)}
GENERA = 2
CONFIG = replace(SMALL, genera=("red", "brown"), other_genera=("blue",))
LABELS = {"red": 0, "brown": 1, "blue": 2, "unnamed": ANY_OTHER}
"""Two genera, one other genus that has a logit, and photos of nobody knows what else."""


def chosen(photos: TrainingPhotos, rows: np.ndarray) -> TrainingPhotos:
    """Some of ``photos``."""
    columns = {name: getattr(photos, name)[rows] for name in ("labels", "names", "sources", "numbers")}
    return replace(photos, paths=[photos.paths[row] for row in rows], **columns)


def labelled(names: list[str], sources: list[str] | None = None) -> TrainingPhotos:
    """Photos without files, for what needs no pictures."""
    count = len(names)
    return TrainingPhotos(
        [Path(f"{number}.png") for number in range(count)],
        np.array([LABELS[name] for name in names], dtype=np.int64),
        np.array(names, dtype=object),
        np.array(sources or [""] * count, dtype=object),
        GENERA,
        np.arange(count),
    )


def table(counts: dict[tuple[str, str, str], int], **columns: str) -> pd.DataFrame:
    """A manifest with so many photos of each (genus, source, split), each its own group."""
    rows = [
        {"photo": f"{genus}/{source}-{split}-{number}.jpg", "genus": genus, "source": source, "split": split}
        for (genus, source, split), count in counts.items()
        for number in range(count)
    ]
    return pd.DataFrame(rows).assign(group=lambda found: found.photo, **columns)
