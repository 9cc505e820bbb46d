"""What an epoch is given: labels, sampling weights, and batches that are read ahead of the network.

Labels number the network's logits: first the genera, then other genera of fungi that it knows by name. A photo that is
none of the genera and has no name among the others is labelled ANY_OTHER.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch

from mushroom.dataset import Prepared, read_prepared_photo
from mushroom.streaming import BATCHES_AHEAD, read_ahead
from mushroom.training.augmentation import AUGMENTATIONS, resized
from mushroom.training.recipes import Recipe

# OpenCV must not take threads from the network: the work is spread over photos, not within one.
cv2.setNumThreads(1)

ANY_OTHER = -1
"""The label of a photo of none of the genera: the loss asks for any of the other logits."""

OTHER_GENUS_PHOTOS = 8
"""An other genus with fewer training photos has no logit of its own."""

OTHER = "other"
"""Name of the one logit for all other photos where no other genus has enough of them."""

KEPT_BYTES = 1536 * 1024**2
"""Decoded photos that are kept in memory during training, together."""


@dataclass(frozen=True)
class TrainingPhotos:
    """Photo files with what training needs to know of them; all arrays are (n,).

    ``labels``: int, logit index or ANY_OTHER. ``names``: what a photo is drawn as: its genus, or its kind of other.
    ``sources``: whose it is, empty where nobody knows. ``genera``: how many logits are genera. ``numbers``: int, tell
    photos apart, the same in every choice of photos.
    """

    paths: Sequence[Path]
    labels: np.ndarray
    names: np.ndarray
    sources: np.ndarray
    genera: int
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def known(self) -> np.ndarray:
        """bool (n,): the photo is of one of the genera."""
        return (self.labels >= 0) & (self.labels < self.genera)


def other_genera(prepared: Prepared, background: pd.DataFrame | None) -> tuple[str, ...]:
    """Other genera that get a logit of their own: named, with enough photos; in alphabetical order.

    ``background``: rows to train with. Where no genus has enough photos, all of them share the one logit OTHER.
    """
    if background is None or background.empty:
        return ()
    names = background.genus.astype(str)
    counts = names[~names.isin(["", *prepared.genera])].value_counts()
    return tuple(sorted(map(str, counts[counts >= OTHER_GENUS_PHOTOS].index))) or (OTHER,)


def learned_photos(
    prepared: Prepared, known: pd.DataFrame, background: pd.DataFrame | None, recipe: Recipe
) -> tuple[TrainingPhotos, tuple[str, ...]]:
    """Photos to learn from, those that are none of the genera where the recipe wants them; and ``other_genera``."""
    background = background if recipe.background else None
    others = other_genera(prepared, background)
    return training_photos(prepared, known, background, others), others


def training_photos(
    prepared: Prepared,
    known: pd.DataFrame,
    background: pd.DataFrame | None = None,
    others: Sequence[str] = (),
) -> TrainingPhotos:
    """The photos of rows of the manifest and of the background table, labelled for logits of genera and ``others``."""
    index_of = {genus: index for index, genus in enumerate((*prepared.genera, *others))}
    rows = known.to_dict("records")
    labels = [index_of[row["genus"]] for row in rows]
    names = [str(row["genus"]) for row in rows]
    numbers = known.index.to_numpy()
    if background is not None and len(background):
        kinds = background.to_dict("records")
        called = background.genus.astype(str).tolist()
        index_of = {name: index for name, index in index_of.items() if name not in prepared.genera}
        labels += [index_of.get(name, ANY_OTHER) for name in called]
        names += [f"{row['kind']}/{name}" for row, name in zip(kinds, called, strict=True)]
        rows += kinds
        numbers = np.r_[numbers, len(prepared.manifest) + background.index.to_numpy()]
    return TrainingPhotos(
        [prepared.photo_path(row) for row in rows],
        np.array(labels, dtype=np.int64),
        np.array(names, dtype=object),
        np.array([str(row.get("source") or "") for row in rows], dtype=object),
        len(prepared.genera),
        np.asarray(numbers),
    )


def draw_weights(photos: TrainingPhotos, recipe: Recipe) -> np.ndarray:
    """Chance (n,) of each photo to be drawn, relative to the others'.

    Within the genera and within the others, a photo's chance falls with the count of its name to the power of
    ``balance``. The others together have ``background``.
    """
    names = pd.Series(photos.names)
    values = (names.groupby(names).transform("size").astype(float) ** -recipe.balance).to_numpy().copy()
    known = photos.known
    share = other_share(photos, recipe)
    if share:
        values[~known] *= values[known].sum() * share / (1 - share) / values[~known].sum()
    return values


def other_share(photos: TrainingPhotos, recipe: Recipe) -> float:
    """The share of an epoch that is none of the genera: ``recipe.background`` where there are such photos."""
    return recipe.background if (~photos.known).any() and photos.known.any() else 0.0


def epoch_length(photos: TrainingPhotos, recipe: Recipe) -> int:
    """Photos drawn in an epoch: as many as there are of the genera, and the others' share on top."""
    return round(int(photos.known.sum()) / (1 - other_share(photos, recipe)))


def draw_epoch(photos: TrainingPhotos, recipe: Recipe, seed: int) -> torch.Tensor:
    """Indices of the photos that an epoch is made of, int (epoch_length,), in the order in which they are seen."""
    weights = torch.from_numpy(draw_weights(photos, recipe))
    generator = torch.Generator().manual_seed(seed)
    return torch.multinomial(weights, epoch_length(photos, recipe), replacement=recipe.balance > 0, generator=generator)


def logit_adjustment(photos: TrainingPhotos, recipe: Recipe, logits: int) -> torch.Tensor:
    """What is added to the logits (logits,) in the loss, so that they don't learn how often a genus was drawn.

    A network learns the shares in which genera are drawn, too, and elsewhere other genera are common. The logarithm
    of each share takes that part (Menon et al. 2021, "Long-tail learning via logit adjustment"). Genera are compared
    with genera and others with others: how many photos are none of the genera stays learned.
    """
    weights = draw_weights(photos, recipe)
    named = photos.labels >= 0
    drawn = np.bincount(photos.labels[named], weights=weights[named], minlength=logits)
    adjustment = np.zeros(logits)
    for group in (slice(0, photos.genera), slice(photos.genera, logits)):
        shares = drawn[group]
        if (shares > 0).any():
            shares = np.where(shares > 0, shares, shares[shares > 0].min())
            adjustment[group] = recipe.logit_adjustment * np.log(shares / shares.mean())
    return torch.tensor(adjustment, dtype=torch.float32)


def class_weights(labels: np.ndarray, classes: int) -> torch.Tensor:
    """Weight (classes,) of each class in the loss: inverse to its count, mean 1 over the photos."""
    counts = np.bincount(labels[labels >= 0], minlength=classes).astype(np.float64)
    weights = np.where(counts > 0, len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1)), 0.0)
    return torch.tensor(weights, dtype=torch.float32)


class AugmentedViews:
    """Views of photos, uint8 (3, train_px, train_px): each depends on seed, round and photo alone.

    Decoded photos are kept in memory, as large as views need them, as long as they fit. ``count``: as many views of a
    photo does a frozen phase take turns with.
    """

    def __init__(self, photos: TrainingPhotos, recipe: Recipe, seed: int) -> None:
        self.photos = photos
        self.augment = AUGMENTATIONS[recipe.augmentation]
        self.train_px = recipe.train_px
        self.count = recipe.views
        self.seed = seed
        self.decoded: dict[int, np.ndarray] = {}
        self.bytes_left = KEPT_BYTES

    def view(self, index: int, round_number: int) -> torch.Tensor:
        """The view of one photo in one round, an epoch for instance."""
        key = hashlib.sha256(f"{self.seed} {round_number} {int(self.photos.numbers[index])}".encode()).digest()
        random = np.random.default_rng(int.from_bytes(key[:8]))
        view = self.augment(self.picture(index), self.train_px, random)
        return torch.from_numpy(np.ascontiguousarray(view.transpose(2, 0, 1)))

    def picture(self, index: int) -> np.ndarray:
        """The decoded photo, uint8 (height, width, 3), its shorter side at most twice that of a view."""
        if index in self.decoded:
            return self.decoded[index]
        picture = np.asarray(read_prepared_photo(self.photos.paths[index]))
        height, width = picture.shape[:2]
        scale = 2 * self.train_px / min(height, width)
        if scale < 1:
            picture = resized(picture, max(1, round(width * scale)), max(1, round(height * scale)))
        if picture.nbytes <= self.bytes_left:
            self.bytes_left -= picture.nbytes
            self.decoded[index] = picture
        return picture


def batches_ahead(
    read: Callable[[int], torch.Tensor], indices: Sequence[int], batch: int, workers: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """What ``read`` gives for ``indices``, stacked in batches, with the indices int (batch,).

    Threads read ahead of whoever takes the batches: decoding and OpenCV hold no lock that the network needs.
    """
    read_photos = read_ahead(indices, read, BATCHES_AHEAD * batch, max(1, workers))
    while part := list(islice(read_photos, batch)):
        numbers, images = zip(*part, strict=True)
        yield torch.stack(images), torch.tensor(numbers)
