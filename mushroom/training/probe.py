"""A linear layer on a backbone as it comes: the cheapest way to ask what photos or a backbone are worth.

It can teach, too. Fine-tuning makes a network better on photos like those it learned from and worse on others: on
sources left out, the linear layer is right more often. A network that learns to answer as it does, on photos of
nobody knows what above all, forgets less of what its backbone came with (Li & Hoiem 2016, "Learning without
forgetting").
"""

from collections.abc import MutableMapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from mushroom.dataset import Prepared
from mushroom.model import ModelConfig
from mushroom.training.recipes import Recipe
from mushroom.training.trainer import (
    BACKGROUND,
    UNLABELLED,
    TrainingPhotos,
    draw_weights,
    plain_logits,
    training_photos,
)

STRENGTH = 0.01
"""Inverse strength of the regularisation: scikit-learn's C."""

ROUNDS = 1000

UNLEARNED = -100.0
"""The bias of a genus without photos: its softmax is zero beside any other's, and still a number."""


@dataclass(frozen=True)
class Features:
    """What a backbone makes of the photos of the train and validation split, and of background to train with.

    ``values`` float32 (n, d); ``labels`` int (n,), class indices or BACKGROUND; ``row_of`` gives the row of a known
    photo by its name in the manifest; ``background`` are the rows that have no genus; ``sources`` (n,) say whose each
    photo is.
    """

    values: np.ndarray
    labels: np.ndarray
    row_of: dict[str, int]
    background: np.ndarray
    sources: np.ndarray | None = None

    def rows(self, photos: list[str]) -> np.ndarray:
        """The rows of known photos."""
        return np.array([self.row_of[photo] for photo in photos], dtype=int)

    def fit(self, rows: np.ndarray, recipe: Recipe) -> "LinearLayer":
        """The linear layer of some rows."""
        sources = None if self.sources is None else self.sources[rows]
        return linear_layer(self.values[rows], self.labels[rows], recipe, sources)


def backbone_features(backbone: nn.Module, config: ModelConfig, prepared: Prepared, workers: int) -> Features:
    """Every photo of the train and validation split passes the backbone once, plain."""
    known = prepared.manifest[prepared.manifest.split != "test"]
    others = None if prepared.background is None else prepared.background[prepared.background.split == "train"]
    photos = training_photos(prepared, known, others)
    values = plain_logits(backbone, photos, config, workers).numpy()
    row_of = {photo: row for row, photo in enumerate(known.photo)}
    return Features(values, photos.labels, row_of, np.flatnonzero(photos.labels == BACKGROUND), photos.sources)


def probe_logits(
    backbone: nn.Module,
    config: ModelConfig,
    photos: TrainingPhotos,
    recipe: Recipe,
    seen: MutableMapping[Path, np.ndarray],
    workers: int,
) -> torch.Tensor:
    """Logits (n, genera) of ``photos`` from a linear layer that is fitted to those of them that have a label.

    It learns every genus alike, whatever ``recipe`` draws: so it is best on photos from elsewhere. ``seen``
    keeps what ``backbone`` made of a photo, by its file, for the next call with the same backbone.
    """
    new = [row for row, path in enumerate(photos.paths) if path not in seen]
    if new:
        unseen = TrainingPhotos([photos.paths[row] for row in new], photos.labels[new])
        seen.update(zip(unseen.paths, plain_logits(backbone, unseen, config, workers).numpy(), strict=True))
    values = np.stack([seen[path] for path in photos.paths])
    known = np.flatnonzero(photos.labels != UNLABELLED)
    sources = None if photos.sources is None else photos.sources[known]
    evenly = replace(recipe, balance=1.0)
    return torch.from_numpy(linear_layer(values[known], photos.labels[known], evenly, sources)(values))


@dataclass(frozen=True)
class LinearLayer:
    """Nine logits from features: ``weight`` (genera, d) and ``bias`` (genera,), float64.

    They stand beside a logit of zero for background, as everywhere in training.
    """

    weight: np.ndarray
    bias: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Logits (n, genera) of features (n, d)."""
        return features @ self.weight.T + self.bias


def linear_layer(
    values: np.ndarray, labels: np.ndarray, recipe: Recipe, sources: np.ndarray | None = None
) -> LinearLayer:
    """A layer fitted to features (n, d) by logistic regression.

    A photo weighs as much as ``recipe`` would draw it often. A genus that was not learned is never the answer.
    """
    weights = draw_weights(labels, recipe, sources)
    scaler = StandardScaler().fit(values)
    fitted = LogisticRegression(C=STRENGTH, max_iter=ROUNDS)
    fitted.fit(scaler.transform(values), labels, sample_weight=weights / weights.mean())
    weight = np.zeros((BACKGROUND + 1, values.shape[1]))
    bias = np.full(BACKGROUND + 1, UNLEARNED)
    # Of two classes, scikit-learn keeps the weights of the second alone.
    learned = fitted.classes_ if len(fitted.classes_) > 2 else fitted.classes_[1:]
    bias[fitted.classes_] = 0.0
    weight[learned] = fitted.coef_ / scaler.scale_
    bias[learned] = fitted.intercept_ - weight[learned] @ scaler.mean_
    if BACKGROUND in fitted.classes_:
        bias[fitted.classes_] -= bias[BACKGROUND]
        weight[fitted.classes_] -= weight[BACKGROUND]
    return LinearLayer(weight[:BACKGROUND], bias[:BACKGROUND])
