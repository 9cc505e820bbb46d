"""Photos for training only, whose genus nobody or somebody named by eye; goes with ``--unlabelled`` and ``--names``."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mushroom.dataset import OTHER_FUNGUS, Prepared
from mushroom.errors import DatasetError
from mushroom.genera import GENERA
from mushroom.training.duplicates import NEAR_DUPLICATE_BITS
from mushroom.training.folders import Listing, list_background_photos
from mushroom.training.prepare import _scan_all


def unlabelled_photos(
    folder: Path, prepared: Prepared, measured: Sequence[str] = ("validation", "test"), *, progress: bool = True
) -> list[Path]:
    """Readable photos in ``folder``, for training, that nearly duplicate none of the splits ``measured``."""
    photos, _ = _scan_all([list_background_photos(folder)], progress)
    kept = prepared.manifest[prepared.manifest.split.isin(measured)][["photo"]]
    others, _ = _scan_all([Listing(prepared.root, "", kept, [])], progress)
    hashes = photos.phash.to_numpy(np.uint64)
    far = np.ones(len(photos), bool)
    for other in others.phash.to_numpy(np.uint64):
        far &= np.bitwise_count(hashes ^ other) > NEAR_DUPLICATE_BITS
    return [folder / photo for photo in photos.photo[far]]


def read_names(path: Path) -> dict[str, str]:
    """Genera that somebody gave to photos: a CSV of ``photo``, relative to their folder, and ``genus``.

    OTHER_FUNGUS says that it is a fungus of another genus. Photos that are not in it keep no name. Raises
    DatasetError where the table is none, names a photo twice or another genus.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        names = dict(zip(table["photo"], table["genus"], strict=True))
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(f"{path} can't be read as a table with the columns photo and genus.") from error
    if len(names) < len(table):
        raise DatasetError(f"{path} names a photo twice.")
    if strange := sorted(set(names.values()) - {*GENERA, OTHER_FUNGUS}):
        raise DatasetError(f"{path} names {strange[0]!r}, which is neither a genus of the nine nor {OTHER_FUNGUS}.")
    return names
