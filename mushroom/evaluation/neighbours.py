"""Which training photos look most like a photo, by the network's own features.

An index is the features of a prepared folder's training photos. ``python train.py neighbours`` makes it once and keeps
it in that folder for each network; without that the app makes one when it is asked. It holds numbers, never photos.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mushroom.checkpoint import read_safetensors, write_safetensors
from mushroom.classifier import Classifier
from mushroom.dataset import Prepared
from mushroom.errors import CheckpointError, PhotoError
from mushroom.photos import read_photo_file

HASH_DIGITS = 16
FEATURES, ROWS = "features", "rows"

Batch = tuple[list[int], np.ndarray]
"""Rows of the training photos of a batch that can be read, and their features (n, features)."""


@dataclass(frozen=True)
class Neighbour:
    """A training photo: its file, genus and source, and how alike it is, the cosine of the features, -1 to 1."""

    path: Path
    genus: str
    source: str
    similarity: float


@dataclass(frozen=True)
class NeighbourIndex:
    """Training photos with their features, float32 (n, features) of length 1.

    ``rows`` (n,) number the manifest's training photos; those that can't be read have none.
    """

    prepared: Prepared
    rows: np.ndarray
    features: np.ndarray

    def nearest(self, own: np.ndarray, count: int) -> list[Neighbour]:
        """The ``count`` training photos whose features point most in the direction of ``own`` (features,)."""
        similarity = self.features @ _unit_length(own[None])[0]
        photos = training_rows(self.prepared)
        places = np.argsort(-similarity, kind="stable")[:count].tolist()
        rows = [photos[self.rows[place]] for place in places]
        return [
            Neighbour(self.prepared.photo_path(row), row["genus"], row.get("source", ""), float(similarity[place]))
            for row, place in zip(rows, places, strict=True)
        ]


def build_index(
    classifier: Classifier,
    prepared: Prepared,
    *,
    run: Callable[[Callable[[], Batch]], Batch] = lambda batch: batch(),
    on_progress: Callable[[float], object] = lambda share: None,
) -> NeighbourIndex:
    """Look at all training photos once, a batch at a time; photos that can't be read are left out.

    ``run`` is given each batch's work and calls it; ``on_progress`` is told the share that is done, 0 to 1.
    """
    count = len(training_rows(prepared))
    rows: list[int] = []
    features = [np.zeros((0, 1), np.float32)] if not count else []
    for start in range(0, count, classifier.batch):
        chosen = range(start, min(start + classifier.batch, count))
        read, found = run(partial(_look_at, classifier, prepared, chosen))
        rows += read
        features.append(found)
        on_progress((chosen[-1] + 1) / count)
    return NeighbourIndex(prepared, np.array(rows, dtype=np.int64), _unit_length(np.concatenate(features)))


def keep_index(classifier: Classifier, index: NeighbourIndex) -> Path:
    """Write the index into its prepared folder, features in 16 bits; the file."""
    path = index_path(classifier, index.prepared)
    features, rows = torch.from_numpy(index.features), torch.from_numpy(index.rows)
    write_safetensors(path, {FEATURES: features.half(), ROWS: rows})
    return path


def load_index(classifier: Classifier, prepared: Prepared) -> NeighbourIndex | None:
    """The index as it was kept; None where this network made none of these photos. CheckpointError where damaged."""
    path = index_path(classifier, prepared)
    if not path.is_file():
        return None
    tensors = read_safetensors(path)
    features, rows = tensors.get(FEATURES), tensors.get(ROWS)
    count = len(training_rows(prepared))
    if features is None or rows is None or features.ndim != 2 or rows.shape != features.shape[:1] or len(rows) > count:
        raise CheckpointError(f"{path.name} is damaged: remove it, and it is made anew.")
    if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < count:
        raise CheckpointError(f"{path.name} is damaged: remove it, and it is made anew.")
    return NeighbourIndex(prepared, rows.numpy(), features.float().numpy())


def index_path(classifier: Classifier, prepared: Prepared) -> Path:
    """Where the index of a network over a prepared folder is kept."""
    name = f"features-{classifier.weights_sha256[:HASH_DIGITS]}-{prepared.fingerprint[:HASH_DIGITS]}.safetensors"
    return prepared.folder / name


def training_rows(prepared: Prepared) -> list[dict[str, Any]]:
    """The rows of the manifest that a network learns from, in its order."""
    return prepared.manifest[prepared.manifest.split == "train"].to_dict("records")


def _look_at(classifier: Classifier, prepared: Prepared, chosen: Sequence[int]) -> Batch:
    photos = training_rows(prepared)
    read, pictures = [], []
    for row in chosen:
        # A photo that has gone since is no neighbour; the page Browse says that photos are missing.
        with suppress(PhotoError):
            pictures.append(read_photo_file(prepared.photo_path(photos[row])))
            read.append(row)
    return read, classifier.features(pictures)


def _unit_length(features: np.ndarray) -> np.ndarray:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
