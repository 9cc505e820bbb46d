"""How far two networks agree: on the genus, and on where they look."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from mushroom.checkpoint import AGREEMENT_FILE, PREDICTIONS_FILE, write_json
from mushroom.classifier import Classifier
from mushroom.dataset import Prepared
from mushroom.errors import CheckpointError
from mushroom.evaluation.metrics import KNOWN, accuracy_difference, bootstrap_interval, macro_f1, read_predictions
from mushroom.explain.similarity import on_grid, overlap, rank_correlation
from mushroom.genera import GENERA
from mushroom.photos import read_photo_file

SAMPLE = 96
SEED = 0


def measure_agreement(folders: Sequence[Path], prepared: Prepared) -> dict[str, Any]:
    """For each two of the checkpoint folders, on the test split: how often both name the same genus, how much better
    the first one is, and the mean rank correlation of their heatmaps.

    Heatmaps are Grad-CAM for the true genus in each network's own deepest layer, over a seeded sample; photos where
    one of the two is empty are left out, and their number is given. Raises CheckpointError for a checkpoint that
    was not evaluated on these photos.
    """
    test = prepared.manifest[prepared.manifest.split == "test"]
    sample = test.sample(min(SAMPLE, len(test)), random_state=SEED).sort_values("photo").to_dict("records")
    truth = np.array([GENERA.index(genus) for genus in test.genus])
    named, looked, weights = {}, {}, {}
    for folder in folders:
        named[folder.name] = _named_genera(folder, test.photo.tolist())
        classifier = Classifier.load(folder)
        weights[folder.name] = classifier.weights_sha256
        layer = classifier.default_layer.name
        looked[folder.name] = [
            on_grid(classifier.explain(read_photo_file(prepared.photo_path(row)), row["genus"]).heatmaps[layer])
            for row in tqdm(sample, desc=folder.name, unit="photo")
        ]
    return {
        "data_fingerprint": prepared.fingerprint,
        "pairs": [
            {
                "models": [one, other],
                "weights": [weights[one], weights[other]],
                "same_genus": float((named[one] == named[other]).mean()),
                "photos": len(test),
                **_better(truth, named[one], named[other]),
                **_look_alike(looked[one], looked[other]),
            }
            for one, other in itertools.combinations(named, 2)
        ],
    }


def write_agreement(folder: Path, found: dict[str, Any]) -> None:
    """Keep what was found beside the checkpoint folders."""
    write_json(folder / AGREEMENT_FILE, found)


def _better(truth: np.ndarray, one: np.ndarray, other: np.ndarray) -> dict[str, Any]:
    """How much higher accuracy and macro-F1 of the first are, with 95 % intervals over the same photos drawn anew."""

    def f1(truth: np.ndarray, one: np.ndarray, other: np.ndarray) -> float:
        return macro_f1(truth, one) - macro_f1(truth, other)

    columns = (truth, one, other)
    difference, interval = accuracy_difference(one == truth, other == truth)
    return {
        "accuracy_difference": difference,
        "accuracy_difference_interval": interval,
        "macro_f1_difference": f1(*columns),
        "macro_f1_difference_interval": bootstrap_interval(f1, *columns),
    }


def _look_alike(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> dict[str, Any]:
    pairs = list(zip(one, other, strict=True))
    correlations = np.array([rank_correlation(*pair) for pair in pairs])
    both = np.isfinite(correlations)
    return {
        "rank_correlation": float(correlations[both].mean()),
        "overlap": float(np.mean([overlap(*pair) for pair, kept in zip(pairs, both, strict=True) if kept])),
        "sample": int(both.sum()),
        "empty": int((~both).sum()),
    }


def _named_genera(folder: Path, photos: Sequence[str]) -> np.ndarray:
    """Class indices that the checkpoint's predictions.csv gives the photos."""
    path = folder / PREDICTIONS_FILE
    known = read_predictions(path).where(KNOWN, "test") if path.exists() else None
    if known is None or known.photo.tolist() != list(photos):
        raise CheckpointError(f"{folder} was not evaluated on these photos: run train.py evaluate first.")
    return known.logits.argmax(axis=1)
