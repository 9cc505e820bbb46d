"""A linear layer on a backbone as it comes: the cheapest way to ask what photos or a backbone are worth."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from mushroom.dataset import Prepared
from mushroom.model import ModelConfig
from mushroom.recipes import Recipe
from mushroom.training import BACKGROUND, draw_weights, plain_logits, training_photos

STRENGTH = 0.01
"""Inverse strength of the regularisation: scikit-learn's C."""

ROUNDS = 1000


@dataclass(frozen=True)
class Features:
    """What a backbone makes of the photos of the train and validation split, and of background to train with.

    ``values`` float32 (n, d); ``labels`` int (n,), class indices or BACKGROUND; ``row_of`` gives the row of a known
    photo by its name in the manifest; ``background`` are the rows that have no genus.
    """

    values: np.ndarray
    labels: np.ndarray
    row_of: dict[str, int]
    background: np.ndarray

    def rows(self, photos: list[str]) -> np.ndarray:
        """The rows of known photos."""
        return np.array([self.row_of[photo] for photo in photos], dtype=int)


def backbone_features(backbone: nn.Module, config: ModelConfig, prepared: Prepared, workers: int) -> Features:
    """Every photo of the train and validation split passes the backbone once, plain."""
    known = prepared.manifest[prepared.manifest.split != "test"]
    others = None if prepared.background is None else prepared.background[prepared.background.split == "train"]
    photos = training_photos(prepared, known, others)
    values = plain_logits(backbone, photos, config, workers).numpy()
    row_of = {photo: row for row, photo in enumerate(known.photo)}
    return Features(values, photos.labels, row_of, np.flatnonzero(photos.labels == BACKGROUND))


def linear_layer(values: np.ndarray, labels: np.ndarray, recipe: Recipe) -> Callable[[np.ndarray], np.ndarray]:
    """A layer fitted to features (n, d); gives logits (m, genera) for features (m, d).

    A photo weighs as much as ``recipe`` would draw it often. A genus that was not learned has a logit of -inf.
    """
    weights = draw_weights(labels, recipe)
    scaler = StandardScaler().fit(values)
    layer = LogisticRegression(C=STRENGTH, max_iter=ROUNDS)
    layer.fit(scaler.transform(values), labels, sample_weight=weights / weights.mean())

    def logits(measured: np.ndarray) -> np.ndarray:
        found = np.full((len(measured), BACKGROUND + 1), -np.inf)
        found[:, layer.classes_] = layer.predict_log_proba(scaler.transform(measured))
        return found[:, :BACKGROUND]

    return logits
