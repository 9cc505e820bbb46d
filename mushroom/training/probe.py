"""A linear probe: photos pass the backbone once, and scikit-learn's logistic regression is the head.

Minutes on a CPU, a checkpoint like any other, and the cheapest way to ask what photos or a backbone are worth.
"""

import time
from typing import Any, cast

import numpy as np
import torch
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from mushroom.checkpoint import HISTORY_FILE, save_checkpoint
from mushroom.model import GenusNet, ModelConfig
from mushroom.training.data import TrainingPhotos, draw_weights, logit_adjustment
from mushroom.training.features import answers
from mushroom.training.history import history_row, write_history
from mushroom.training.optimisation import new_accelerator
from mushroom.training.recipes import Recipe
from mushroom.training.state import claim_folder
from mushroom.training.trainer import TrainingOptions

STRENGTH = 0.01
"""Inverse strength of the regularisation: scikit-learn's C."""

ROUNDS = 1000

UNLEARNED = -100.0
"""The bias of a logit without photos: its softmax is zero beside any other's, and still a number."""


def train_probe(
    model: GenusNet,
    config: ModelConfig,
    recipe: Recipe,
    training: TrainingPhotos,
    validation: TrainingPhotos,
    options: TrainingOptions,
) -> list[dict[str, Any]]:
    """Fit ``model``'s head, which is one linear layer, and write the checkpoint; returns its row of ``history.csv``."""
    began = time.perf_counter()
    out = claim_folder(options.out)
    accelerator = new_accelerator(options.mixed_precision)
    backbone = model.backbone.to(accelerator.device)
    features = answers(accelerator, backbone, training, config, options.workers).numpy()
    head = cast(nn.Linear, model.cpu().head[-1])
    weight, bias = fit_head(features, training, recipe, config.logit_count)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.copy_(torch.from_numpy(bias))
    checked = answers(accelerator, backbone, validation, config, options.workers)
    with torch.inference_mode():
        logits = model.eval().head(checked)
        own = model.head(torch.from_numpy(features)).numpy()
    named = training.labels >= 0
    learned = float((own.argmax(1) == training.labels)[named].mean())
    loss = -float(log_softmax(own[named], axis=1)[np.arange(named.sum()), training.labels[named]].mean())
    row = history_row(1, recipe.name, (loss, learned), logits, validation, 0.0, time.perf_counter() - began)
    save_checkpoint(out, model, config, half=recipe.half)
    write_history(out / HISTORY_FILE, [row])
    return [row]


def fit_head(
    features: np.ndarray, photos: TrainingPhotos, recipe: Recipe, logits: int
) -> tuple[np.ndarray, np.ndarray]:
    """Weight (logits, d) and bias (logits,) that logistic regression makes of features (n, d) and their labels.

    A photo weighs as much as ``recipe`` would draw it often. A photo of any of the others, which no label says, is
    given the one that a first fit finds most probable.
    """
    weights = draw_weights(photos, recipe)
    labels = photos.labels.copy()
    unnamed = labels < 0
    if unnamed.any():
        others = np.arange(photos.genera, logits)
        labels[unnamed] = others[0]
        if len(others) > 1:
            weight, bias = fit_linear(features[~unnamed], labels[~unnamed], weights[~unnamed], logits)
            first = features[unnamed] @ weight[others].T + bias[others]
            labels[unnamed] = others[first.argmax(1)]
    weight, bias = fit_linear(features, labels, weights, logits)
    return weight, bias - logit_adjustment(photos, recipe, logits).numpy()


def fit_linear(
    features: np.ndarray, labels: np.ndarray, weights: np.ndarray, logits: int
) -> tuple[np.ndarray, np.ndarray]:
    """Weight (logits, d) and bias (logits,) of a linear layer fitted to features (n, d) by logistic regression."""
    scaler = StandardScaler().fit(features)
    fitted = LogisticRegression(C=STRENGTH, max_iter=ROUNDS)
    fitted.fit(scaler.transform(features), labels, sample_weight=weights / weights.mean())
    # Of two classes, scikit-learn keeps the weights of the second alone.
    learned = fitted.classes_ if len(fitted.classes_) > 2 else fitted.classes_[1:]
    weight = np.zeros((logits, features.shape[1]))
    bias = np.full(logits, UNLEARNED)
    bias[fitted.classes_] = 0.0
    weight[learned] = fitted.coef_ / scaler.scale_
    bias[learned] = fitted.intercept_ - weight[learned] @ scaler.mean_
    return weight, bias
