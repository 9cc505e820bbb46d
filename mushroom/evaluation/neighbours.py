"""Which training photos look most like a photo, by the network's own features.

An index is the features of a prepared folder's training photos, made once and kept in that folder for each network. It
holds numbers and file names, never photos.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from tqdm import tqdm

from mushroom.checkpoint import read_safetensors, write_safetensors
from mushroom.classifier import Classifier
from mushroom.dataset import Prepared
from mushroom.errors import CheckpointError
from mushroom.photos import read_photo_file

NEAREST = 5
HASH_DIGITS = 16
FEATURES = "features"


@dataclass(frozen=True)
class Neighbour:
    """A training photo: its file, genus and source, and how alike it is, the cosine of the features, -1 to 1."""

    path: Path
    genus: str
    source: str
    similarity: float


@dataclass(frozen=True)
class NeighbourIndex:
    """Training photos, rows of the manifest, with their features, float32 (n, features) of length 1."""

    prepared: Prepared
    photos: pd.DataFrame
    features: np.ndarray

    def nearest(self, classifier: Classifier, photo: Image.Image, count: int = NEAREST) -> list[Neighbour]:
        """The training photos that look most like an RGB photo to the network that made the index, nearest first."""
        [wanted] = _unit_length(classifier.features([photo]))
        similarity = self.features @ wanted
        rows = np.argsort(-similarity, kind="stable")[:count]
        table = self.photos.to_dict("records")
        return [
            Neighbour(
                self.prepared.photo_path(table[row]),
                str(table[row]["genus"]),
                str(table[row].get("source") or ""),
                float(similarity[row]),
            )
            for row in rows.tolist()
        ]


def index_path(classifier: Classifier, prepared: Prepared) -> Path:
    """Where the index of a network over a prepared folder is kept."""
    name = f"features-{classifier.weights_sha256[:HASH_DIGITS]}-{prepared.fingerprint[:HASH_DIGITS]}.safetensors"
    return prepared.folder / name


def build_index(classifier: Classifier, prepared: Prepared) -> NeighbourIndex:
    """The features of all training photos, made now and kept. Raises PhotoError where a photo can't be read."""
    photos = training_rows(prepared)
    paths = [prepared.photo_path(row) for row in photos.to_dict("records")]
    starts = tqdm(range(0, len(paths), classifier.batch), desc="features", unit="batch")
    rows = [
        classifier.features([read_photo_file(path) for path in paths[start : start + classifier.batch]])
        for start in starts
    ]
    features = _unit_length(np.concatenate(rows) if rows else np.zeros((0, 1), np.float32))
    write_safetensors(index_path(classifier, prepared), {FEATURES: torch.from_numpy(features).half()})
    return NeighbourIndex(prepared, photos, features)


def load_index(classifier: Classifier, prepared: Prepared) -> NeighbourIndex | None:
    """The index as it was kept; None where this network made none of these photos. CheckpointError where damaged."""
    path = index_path(classifier, prepared)
    if not path.is_file():
        return None
    photos = training_rows(prepared)
    features = read_safetensors(path).get(FEATURES)
    if features is None or features.ndim != 2 or len(features) != len(photos):
        raise CheckpointError(f"{path.name} is damaged: remove it, and it is made anew.")
    return NeighbourIndex(prepared, photos, features.float().numpy())


def training_rows(prepared: Prepared) -> pd.DataFrame:
    """The rows of the manifest that a network learns from."""
    return prepared.manifest[prepared.manifest.split == "train"].reset_index(drop=True)


def _unit_length(features: np.ndarray) -> np.ndarray:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
