"""Photos that are the same photo: identical, re-encoded, resized or slightly cropped."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

NEAR_DUPLICATE_BITS = 6
"""Perceptual hashes of 64 bits this close are the same photo, re-encoded, resized or slightly cropped."""


def near_duplicate_pairs(photos: pd.DataFrame) -> np.ndarray:
    """Pairs (n, 2) of row numbers whose ``phash`` is near, as those of one and the same file are."""
    hashes = photos.phash.to_numpy(np.uint64)
    pairs = []
    for index in range(len(hashes) - 1):
        distances = np.bitwise_count(hashes[index + 1 :] ^ hashes[index])
        pairs += [(index, index + 1 + int(other)) for other in np.flatnonzero(distances <= NEAR_DUPLICATE_BITS)]
    return np.array(pairs, int).reshape(-1, 2)


def components(size: int, pairs: np.ndarray) -> np.ndarray:
    """For each of ``size`` rows the first row that it is connected with by ``pairs`` (n, 2), itself included."""
    links = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(size, size))
    _, labels = connected_components(links, directed=False)
    _, firsts = np.unique(labels, return_index=True)
    return firsts[labels]


def group_photos(photos: pd.DataFrame, label: str, pairs: np.ndarray) -> tuple[list[str], list[str]]:
    """Group name of each photo, shared by those that ``pairs`` connect, and notes on differing labels.

    A group is named after its first photo's hash, so it stays when other photos come or go.
    """
    firsts = components(len(photos), pairs)
    names, labels = photos.photo.tolist(), photos[label].tolist()
    notes = [
        f"note: {names[i]} and {names[first]} look the same but are {labels[i]} and {labels[first]}"
        for i, first in enumerate(firsts)
        if labels[i] != labels[first] and labels[i] and labels[first]
    ]
    return [photos.sha256.iloc[first][:12] for first in firsts], notes


def joined_sources(
    photos: pd.DataFrame, same_sources: Sequence[Sequence[str]] = (), apart: Sequence[str] = ()
) -> list[str]:
    """The unit of each photo: its source with all that share a group with it or are said to be the same.

    Sources in ``apart`` are joined only where ``same_sources`` says so. A unit is named after its first source in
    the alphabet; a photo without a source is one with its group.
    """
    keys = photos.source.where(photos.source != "", "group " + photos.group)
    names, numbers = np.unique(keys.to_numpy(object), return_inverse=True)
    joinable = photos.assign(number=numbers)[~photos.source.isin(apart)]
    first_of_group = joinable.groupby("group").number.transform("first")
    pairs = np.column_stack([first_of_group, joinable.number])
    for same in same_sources:
        found = np.searchsorted(names, list(same))
        pairs = np.concatenate([pairs, np.column_stack([np.full_like(found, found[0]), found])])
    return names[components(len(names), pairs)[numbers]].tolist()
