"""How far two networks agree: on the genus, and on where they look."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter
from tqdm import tqdm

from mushroom.checkpoint import AGREEMENT_FILE, PREDICTIONS_FILE, weights_hash, write_json
from mushroom.classifier import Classifier
from mushroom.dataset import Prepared, read_prepared_photo
from mushroom.errors import CheckpointError
from mushroom.evaluation.metrics import accuracy_difference, macro_f1_difference
from mushroom.evaluation.predictions import KNOWN, Predictions, read_predictions
from mushroom.evaluation.report import Interval, read_json
from mushroom.explain.similarity import on_grid, overlap, rank_correlation

SAMPLE = 96
SEED = 0


@dataclass(frozen=True)
class Pair:
    """How two networks, of these weights, agree on the test photos.

    ``same_genus`` is the share of ``photos`` whose most probable genus is the same; the differences are the first
    network's scores less the second's. ``rank_correlation`` and ``overlap`` are means over the heatmaps of ``sample``
    photos; of ``empty`` more one of the two heatmaps had no evidence.
    """

    models: tuple[str, str]
    weights: tuple[str, str]
    same_genus: float
    photos: int
    accuracy_difference: float
    accuracy_difference_interval: Interval
    macro_f1_difference: float
    macro_f1_difference_interval: Interval
    rank_correlation: float | None
    overlap: float | None
    sample: int
    empty: int


@dataclass(frozen=True)
class Agreement:
    """All pairs of checkpoints that were measured on the same photos."""

    data_fingerprint: str
    pairs: tuple[Pair, ...]


_AGREEMENT = TypeAdapter(Agreement)


def read_agreement(folder: Path) -> Agreement | None:
    """What was measured of the checkpoints of ``folder``; None where nothing was. CheckpointError where damaged."""
    refusal = f"{AGREEMENT_FILE} is damaged: run `python train.py agreement` again."
    return read_json(folder / AGREEMENT_FILE, _AGREEMENT, refusal)


def write_agreement(folder: Path, found: Agreement) -> None:
    """Keep what was found beside the checkpoint folders."""
    write_json(folder / AGREEMENT_FILE, asdict(found))


def measure_agreement(folders: Sequence[Path], prepared: Prepared) -> Agreement:
    """For each two of the checkpoint folders, on the test split: how often both name the same genus, how much better
    the first one is, and the mean rank correlation of their heatmaps.

    Heatmaps are Grad-CAM for the true genus in each network's own deepest layer, over a seeded sample; photos where
    one of the two is empty are left out, and their number is given. Raises CheckpointError for a checkpoint that
    was not evaluated on these photos.
    """
    test = prepared.manifest[prepared.manifest.split == "test"]
    sample = test.sample(min(SAMPLE, len(test)), random_state=SEED).sort_values("photo").to_dict("records")
    answers, heatmaps = {}, {}
    for folder in folders:
        answers[folder] = _test_answers(folder)
        if answers[folder].photo.tolist() != test.photo.tolist():
            raise CheckpointError(f"{folder} was not evaluated on these photos: run train.py evaluate first.")
        classifier = Classifier.load(folder)
        layer = classifier.default_layer.name
        heatmaps[folder] = [
            on_grid(classifier.explain(read_prepared_photo(prepared.photo_path(row)), row["genus"]).heatmaps[layer])
            for row in tqdm(sample, desc=folder.name, unit="photo")
        ]
    pairs = [
        _pair(one, other, answers[one], answers[other], _compared(heatmaps[one], heatmaps[other]))
        for one, other in itertools.combinations(folders, 2)
    ]
    return Agreement(prepared.fingerprint, tuple(pairs))


def agreement_again(folder: Path) -> Agreement:
    """What predictions say of each measured pair of checkpoints in ``folder``, anew; heatmaps as they were measured.

    Pairs of which a checkpoint is gone or has other weights are left out. Raises CheckpointError without any.
    """
    last = read_agreement(folder)
    if last is None:
        raise CheckpointError(f"There is no {AGREEMENT_FILE} in {folder}: measure it on prepared photos first.")
    pairs = []
    for pair in last.pairs:
        folders = [folder / name for name in pair.models]
        if all(each.is_dir() for each in folders) and tuple(map(weights_hash, folders)) == pair.weights:
            one, other = folders
            measured = {name: getattr(pair, name) for name in ("rank_correlation", "overlap", "sample", "empty")}
            pairs.append(_pair(one, other, _test_answers(one), _test_answers(other), measured))
    return Agreement(last.data_fingerprint, tuple(pairs))


def _pair(one: Path, other: Path, first: Predictions, second: Predictions, heatmaps: Mapping[str, Any]) -> Pair:
    """How the answers of two checkpoints agree, with what was found of their ``heatmaps``."""
    if first.photo.tolist() != second.photo.tolist() or first.genera != second.genera:
        raise CheckpointError(f"{one.name} and {other.name} were not evaluated on the same photos and genera.")
    truth, said, also_said = first.labels, first.most_probable, second.most_probable
    accuracy, accuracy_interval = accuracy_difference(said == truth, also_said == truth)
    f1, f1_interval = macro_f1_difference(truth, said, also_said)
    return Pair(
        models=(one.name, other.name),
        weights=(weights_hash(one), weights_hash(other)),
        same_genus=float((said == also_said).mean()),
        photos=len(truth),
        accuracy_difference=accuracy,
        accuracy_difference_interval=accuracy_interval,
        macro_f1_difference=f1,
        macro_f1_difference_interval=f1_interval,
        **heatmaps,
    )


def _compared(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> dict[str, Any]:
    """What a ``Pair`` says of the heatmaps of two networks for the same photos."""
    both = list(zip(one, other, strict=True))
    correlations = np.array([rank_correlation(*maps) for maps in both])
    ranked = np.isfinite(correlations)
    if not ranked.any():
        return {"rank_correlation": None, "overlap": None, "sample": 0, "empty": len(both)}
    overlaps = [overlap(*maps) for maps, finite in zip(both, ranked, strict=True) if finite]
    return {
        "rank_correlation": float(correlations[ranked].mean()),
        "overlap": float(np.mean(overlaps)),
        "sample": len(overlaps),
        "empty": len(both) - len(overlaps),
    }


def _test_answers(folder: Path) -> Predictions:
    """The known test photos of a checkpoint's predictions.csv."""
    path = folder / PREDICTIONS_FILE
    if not path.is_file():
        raise CheckpointError(f"{folder} was not evaluated on these photos: run train.py evaluate first.")
    return read_predictions(path).where(KNOWN, "test")
