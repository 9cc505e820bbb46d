"""Folders of photos become a prepared folder with a split that leaks nothing. Photos themselves are never copied."""

import hashlib
import os
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import pandas as pd
from tqdm.contrib.concurrent import thread_map

from mushroom.dataset import HUB_DATASET, KAGGLE, TRAINABLE_PHOTOS, Prepared, fingerprint
from mushroom.errors import DatasetError, PhotoError
from mushroom.photos import read_photo_file
from mushroom.training.crops import copied_pairs, thumbnail
from mushroom.training.duplicates import group_photos, joined_sources, near_duplicate_pairs
from mushroom.training.folders import Listing, genus_root, list_background_photos, list_genus_photos, read_corrections
from mushroom.training.prepared_folder import write_prepared
from mushroom.training.splits import BACKGROUND_SHARES, held_out_genera, split_groups, split_sources

KAGGLE_NINE_GENERA = "kaggle:lizhecheng/mushroom-classification"

COLUMNS = ["photo", "split", "group", "width", "height", "sha256"]
KNOWN_COLUMNS = ["source", "species"]


@dataclass(frozen=True)
class BySource:
    """How whole sources are split: those that must train, and those that are one although they share no photo."""

    must_train: Sequence[str] = ()
    same: Sequence[Sequence[str]] = ()


def prepare(
    source: str | Path,
    out: Path,
    *,
    seed: int = 0,
    backgrounds: Sequence[Path] = (),
    by_source: BySource | None = None,
    corrections: Path | None = None,
    progress: bool = True,
) -> Prepared:
    """Scan photos, group near-duplicates, split, and write the prepared folder ``out`` whole or not at all.

    ``source`` is a folder of genus folders, ``kaggle:owner/dataset`` or ``hf://datasets/owner/name``. Each of
    ``backgrounds`` is a folder of photos that are none of these genera: one kind, named as the folder; its
    subfolders are genera that stay in one split. A ``manifest.csv`` in either may give ``source``, ``species`` and
    ``split`` of a photo; a split that is given is kept. ``by_source`` keeps every source whole in one split.
    ``corrections`` is a CSV of ``photo`` and ``genus`` that overrules the folders. Raises DatasetError.
    """
    if out.exists() and not out.is_dir():
        raise DatasetError(f"{out} is a file: give a folder for what prepare writes.")
    corrected = read_corrections(corrections) if corrections else {}
    root = genus_root(fetch(str(source)), corrected)
    listings = [list_genus_photos(root, corrected), *(list_background_photos(Path(folder)) for folder in backgrounds)]
    kinds = [listing.kind for listing in listings[1:]]
    if twice := [kind for kind in kinds if kinds.count(kind) > 1]:
        raise DatasetError(f"Two background folders are named {twice[0]}: give them different names.")
    notes = [note for listing in listings for note in listing.notes]
    photos, left_out = _scan_all(listings, progress)
    photos["group"], conflicts = _grouped(photos, listings, across_sources=by_source is not None)
    notes += conflicts
    if by_source:
        photos, copies, reached = _split_by_source(photos, by_source, seed)
        left_out += copies
        notes += reached
    else:
        photos["split"] = _split_by_group(photos, seed)
    notes += _given_apart(photos)
    manifest = _table(photos[photos.kind == ""], ["genus"])
    background = _table(photos[photos.kind != ""], ["kind", "genus"]) if kinds else None
    prepared = Prepared(
        folder=out,
        manifest=manifest,
        background=background,
        root=root.resolve(),
        background_roots={listing.kind: listing.root.resolve() for listing in listings[1:]},
        fingerprint=fingerprint(manifest, background),
        genera=tuple(sorted(set(manifest.genus))),
        left_out=left_out,
        notes=notes + _too_few(manifest),
    )
    write_prepared(prepared, seed)
    return prepared


def fetch(source: str) -> Path:
    """The local folder of a source, downloaded first where it is a Kaggle or Hugging Face dataset."""
    try:
        if source.startswith(KAGGLE):
            import kagglehub

            return Path(kagglehub.dataset_download(source.removeprefix(KAGGLE)))
        if source.startswith(HUB_DATASET):
            from huggingface_hub import snapshot_download

            return Path(snapshot_download(source.removeprefix(HUB_DATASET), repo_type="dataset"))
    # Both libraries raise their transport's errors, of many unrelated types, when the network or account fails.
    except Exception as error:
        raise DatasetError(
            f"{source} can't be downloaded ({type(error).__name__}): check the name, the network and your account, "
            "or give a folder on this machine."
        ) from error
    folder = Path(source)
    if not folder.is_dir():
        raise DatasetError(f"There is no folder {folder}: give a folder of genus folders, or {KAGGLE_NINE_GENERA}.")
    return folder


def _grouped(photos: pd.DataFrame, listings: Sequence[Listing], *, across_sources: bool) -> tuple[list[str], list[str]]:
    """Near-duplicates share a group, whatever they are called; so do crops of other sources' photos."""
    labelled = photos.assign(label=photos.genus.where(photos.kind == "", photos.kind + " " + photos.genus))
    pairs = near_duplicate_pairs(photos)
    if across_sources:
        thumbnails = np.stack(photos.thumbnail.tolist())
        pairs = np.concatenate([pairs, copied_pairs(thumbnails, _paths(photos, listings), photos.source.tolist())])
    return group_photos(labelled, "label", pairs)


def _paths(photos: pd.DataFrame, listings: Sequence[Listing]) -> list[Path]:
    roots = {listing.kind: listing.root for listing in listings}
    return [roots[kind] / photo for kind, photo in zip(photos.kind, photos.photo, strict=True)]


def _split_by_group(photos: pd.DataFrame, seed: int) -> list[str]:
    """Genera by their photos; a named genus of background whole, other background by near-duplicate group."""
    split = pd.Series("", index=photos.index)
    known = photos[photos.kind == ""]
    split[known.index] = split_groups(known, "genus", seed)
    for _, rows in photos[photos.kind != ""].groupby("kind"):
        # A genus is held back whole, so for the split it is one group of its own.
        units = rows.assign(group=rows.genus.where(rows.genus != "", rows.group))
        firsts = units.sort_values("split", ascending=False, kind="stable").drop_duplicates("group").sort_index()
        split_of = dict(zip(firsts.group, split_groups(firsts, "kind", seed, BACKGROUND_SHARES), strict=True))
        split[rows.index] = [given or split_of[group] for group, given in zip(units.group, rows.split, strict=True)]
    return split.tolist()


def _split_by_source(
    photos: pd.DataFrame, by_source: BySource, seed: int
) -> tuple[pd.DataFrame, list[dict[str, str]], list[str]]:
    """``photos`` with the split; which of them are left out as copies of what is measured; and notes.

    Sources that share photos are one, but for those whose split is given: of these the copies are left out. Left out
    are also photos of held-out genera in sources that train.
    """
    known = photos.kind == ""
    named = photos[known]
    if (named.source == "").all():
        raise DatasetError("No source is known of these photos: give it in a manifest.csv beside them, column source.")
    sources = set(photos.source)
    if strange := [name for name in chain(*by_source.same) if name not in sources]:
        raise DatasetError(f"No photo is of the source {strange[0]}: check its name.")
    given = sorted({*by_source.must_train, *photos.source[(photos.split != "") & (photos.source != "")]})
    units = joined_sources(photos, by_source.same, given)
    photos = photos.assign(unit=units, stratum=photos.genus.where(known, photos.kind))
    # A kind of background that is all from one source, as a collection of everyday pictures, can't be parted by it.
    single = photos[~known].groupby("kind").source.nunique()
    for kind in single[single == 1].index:
        rows = photos.kind == kind
        photos.loc[rows, "unit"] = kind + "/" + photos.group[rows]
    photos["split"] = split_sources(photos, sorted(set(named.genus)), seed, by_source.must_train)
    held_out = held_out_genera(photos[~known])
    dropped = (photos.kind != "") & photos.genus.isin(held_out) & (photos.split == "train")
    notes = []
    if held_out:
        names = ", ".join(held_out)
        left = "photos of them are left out, for their sources train"
        notes.append(f"note: genera of background in no training: {names}; {dropped.sum()} {left}")
    joined = photos[photos.source != ""].groupby("unit").source.unique()
    notes += [f"note: one source, for they share photos: {', '.join(s)}" for s in joined if len(s) > 1]
    measured_groups = set(photos.group[photos.split != "train"])
    copies = (photos.split == "train") & photos.group.isin(measured_groups)
    reason = "a copy of a photo that is measured on, in a source that trains"
    left_out = [{"photo": _name(row), "reason": reason} for row in photos[copies].to_dict("records")]
    return photos[~dropped & ~copies].reset_index(drop=True), left_out, notes


def _name(row: Mapping[Hashable, Any]) -> str:
    return f"{row['kind']}/{row['photo']}" if row["kind"] else str(row["photo"])


def _given_apart(photos: pd.DataFrame) -> list[str]:
    """Near-duplicates in two splits: only a manifest beside the photos can put them there."""
    parted = photos.groupby("group").split.transform("nunique") > 1
    return [
        f"note: {' and '.join(rows.photo)} look the same but are given to {' and '.join(rows.split)}"
        for _, rows in photos[parted].groupby("group")
    ]


def _too_few(manifest: pd.DataFrame) -> list[str]:
    groups = manifest.groupby("genus").group.nunique()
    return [
        f"note: {genus} has {number} photo{'s' * (number > 1)} that look{'s' * (number == 1)} different: "
        f"training needs at least {TRAINABLE_PHOTOS}, better 30"
        for genus, number in groups.items()
        if number < TRAINABLE_PHOTOS
    ]


def _table(photos: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    columns = [COLUMNS[0], *names, *COLUMNS[1:]]
    columns += [name for name in KNOWN_COLUMNS if (photos[name] != "").any() or (name == "source" and "kind" in names)]
    return photos[columns].reset_index(drop=True)


def _scan_all(listings: Sequence[Listing], progress: bool) -> tuple[pd.DataFrame, list[dict[str, str]]]:
    """All listed photos that can be read, with size, hash and perceptual hash; the others, with reasons."""
    listed = pd.concat([listing.photos.assign(kind=listing.kind) for listing in listings], ignore_index=True)
    paths = _paths(listed, listings)
    bar = {"desc": "scanning", "unit": "photo", "disable": not progress}
    scanned = thread_map(_scan_photo, paths, max_workers=os.cpu_count(), **bar)
    readable = np.array([isinstance(found, dict) for found in scanned])
    reasons = [found for found in scanned if isinstance(found, str)]
    rows = listed[~readable].to_dict("records")
    left_out = [{"photo": _name(row), "reason": reason} for row, reason in zip(rows, reasons, strict=True)]
    for listing in listings:
        if not readable[listed.kind == listing.kind].any():
            raise DatasetError(f"None of the {len(listing.photos)} photos in {listing.root} can be read.")
    facts = pd.DataFrame([found for found in scanned if isinstance(found, dict)])
    return listed[readable].reset_index(drop=True).join(facts), left_out


def _scan_photo(path: Path) -> dict[str, Any] | str:
    """What one look at a photo file tells, or why it can't be read."""
    try:
        photo = read_photo_file(path)
        return {
            "width": photo.width,
            "height": photo.height,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "phash": int(str(imagehash.phash(photo)), 16),
            "thumbnail": thumbnail(np.asarray(photo)),
        }
    except PhotoError as error:
        return str(error)
    except OSError as error:
        return f"This file can't be read ({error.strerror})."
