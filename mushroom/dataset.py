"""Folders of photos become a manifest with a split that leaks nothing.

``prepare`` writes three files into a **prepared folder**: ``manifest.csv`` (a row a photo of the nine genera),
``background.csv`` (photos that are none of the nine, if any were given) and ``dataset.json`` (where the photos
lie, what was left out and why). Photos themselves are never copied. A prepared folder that holds its photos, too,
can be moved, or sent to the Hub, as a whole.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import pandas as pd
from tqdm import tqdm

from mushroom.errors import DatasetError, PhotoError
from mushroom.genera import GENERA
from mushroom.photos import PHOTO_SUFFIXES, read_photo_file

MANIFEST_FILE = "manifest.csv"
BACKGROUND_FILE = "background.csv"
DATASET_FILE = "dataset.json"

SPLITS = ("train", "validation", "test")
GENUS_SHARES = {"train": 0.65, "validation": 0.20, "test": 0.15}
BACKGROUND_SHARES = {"train": 0.5, "validation": 0.2, "test": 0.3}
"""Of labels, not photos: a species of background is in one split whole. The test needs several to be honest."""

FILL_ORDER = ("train", "test", "validation")
"""A genus of one photo trains, of two also tests; validation comes last."""

NEAR_DUPLICATE_BITS = 6
"""Perceptual hashes of 64 bits this close are the same photo, re-encoded, resized or slightly cropped."""

OTHER_FUNGUS = "other"
"""Instead of a genus in a table of names: it is none of the nine."""

KAGGLE = "kaggle:"
HUB_DATASET = "hf://datasets/"
KAGGLE_NINE_GENERA = "kaggle:lizhecheng/mushroom-classification"


@dataclass(frozen=True)
class Prepared:
    """A prepared folder: its tables, where its photos lie and a fingerprint of both."""

    folder: Path
    manifest: pd.DataFrame
    background: pd.DataFrame | None
    root: Path
    background_roots: Mapping[str, Path]
    fingerprint: str
    left_out: Sequence[Mapping[str, str]] = field(default_factory=tuple)
    notes: Sequence[str] = field(default_factory=tuple)

    def photo_path(self, row: Mapping[str, Any]) -> Path:
        """The file of a row of ``manifest`` or ``background``."""
        kind = row.get("kind")
        return (self.background_roots[kind] if kind else self.root) / row["photo"]

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Photos per split and genus, in the order of both, zeros included."""
        table = self.manifest.groupby(["split", "genus"]).size()
        return {split: {genus: int(table.get((split, genus), 0)) for genus in GENERA} for split in SPLITS}

    def summary(self) -> str:
        """The photos per genus and split, what was left out, and notes, for a terminal."""
        counts = self.counts
        lines = [f"{'genus':<14}" + "".join(f"{split:>12}" for split in SPLITS) + f"{'all':>8}"]
        for genus in GENERA:
            numbers = [counts[split][genus] for split in SPLITS]
            lines.append(f"{genus:<14}" + "".join(f"{n:>12}" for n in numbers) + f"{sum(numbers):>8}")
        totals = [sum(counts[split].values()) for split in SPLITS]
        lines.append(f"{'all':<14}" + "".join(f"{n:>12}" for n in totals) + f"{sum(totals):>8}")
        if self.background is not None:
            table = self.background.groupby(["kind", "split"]).size()
            for kind in self.background_roots:
                numbers = [int(table.get((kind, split), 0)) for split in SPLITS]
                lines.append(f"{kind:<14}" + "".join(f"{n:>12}" for n in numbers) + f"{sum(numbers):>8}")
        lines += list(self.notes)
        lines += [f"left out: {entry['photo']} ({entry['reason']})" for entry in self.left_out]
        return "\n".join(lines)


@dataclass(frozen=True)
class _Scanned:
    """What one look at a photo file tells."""

    width: int
    height: int
    sha256: str
    phash: int


def prepare(
    source: str | Path, out: Path, *, seed: int = 0, backgrounds: Sequence[Path] = (), progress: bool = True
) -> Prepared:
    """Scan photos, group near-duplicates, split, and write the prepared folder ``out`` whole or not at all.

    ``source`` is a folder of genus folders, ``kaggle:owner/dataset`` or ``hf://datasets/owner/name``. Each of
    ``backgrounds`` is a folder of photos that are none of the nine: one kind, named as the folder; its
    subfolders are labels that stay in one split. Raises DatasetError with a sentence.
    """
    root = genus_root(fetch(str(source)))
    listed = list_genus_photos(root)
    notes = [f"note: there are no photos of {genus}" for genus in GENERA if genus not in set(listed.genus)]
    known, left_out = _scan(root, listed, "scanning photos", progress)
    if known.empty:
        raise DatasetError(f"None of the {len(listed)} photos in {root} can be read.")
    known["group"], conflicts = group_near_duplicates(known, "genus")
    notes += conflicts
    known["split"] = split_groups(known, "genus", seed)
    columns = ["photo", "genus", "split", "group", "width", "height", "sha256"]
    manifest = known[columns + (["source"] if "source" in known else [])]

    kinds, roots = [], {}
    for folder in backgrounds:
        kind, photos, missing = _prepare_background(Path(folder), seed, progress)
        if kind in roots:
            raise DatasetError(f"Two background folders are named {kind}: give them different names.")
        roots[kind] = Path(folder).resolve()
        kinds.append(photos)
        left_out += missing
    background = pd.concat(kinds, ignore_index=True) if kinds else None

    prepared = Prepared(
        folder=out,
        manifest=manifest.reset_index(drop=True),
        background=background,
        root=root.resolve(),
        background_roots=roots,
        fingerprint=fingerprint(manifest, background),
        left_out=left_out,
        notes=notes,
    )
    _write(prepared, seed)
    return prepared


def load_prepared(folder: Path) -> Prepared:
    """A folder that ``prepare`` wrote; DatasetError says what is missing or was changed."""
    try:
        facts = json.loads((folder / DATASET_FILE).read_text(encoding="utf-8"))
        manifest = pd.read_csv(folder / MANIFEST_FILE, keep_default_na=False)
        path = folder / BACKGROUND_FILE
        background = pd.read_csv(path, keep_default_na=False) if path.exists() else None
    except FileNotFoundError as error:
        raise DatasetError(f"{folder} was not written by prepare: it has no {Path(error.filename).name}.") from error
    except (ValueError, OSError) as error:
        raise DatasetError(f"{folder} can't be read: {error}.") from error
    if fingerprint(manifest, background) != facts["fingerprint"]:
        raise DatasetError(f"The tables in {folder} were changed since prepare wrote them: run prepare again.")
    for photo in manifest.photo:
        if Path(photo).is_absolute() or ".." in Path(photo).parts:
            raise DatasetError(f"The manifest in {folder} names a photo outside its folder: {photo}.")
    return Prepared(
        folder=folder,
        manifest=manifest,
        background=background,
        root=folder / facts["root"],
        background_roots={kind: folder / root for kind, root in facts["background_roots"].items()},
        fingerprint=facts["fingerprint"],
        left_out=facts["left_out"],
        notes=facts["notes"],
    )


def fetch(source: str) -> Path:
    """The local folder of a source, downloaded first where it is a Kaggle or Hugging Face dataset."""
    if source.startswith(KAGGLE):
        import kagglehub

        return _downloaded(source, lambda: kagglehub.dataset_download(source.removeprefix(KAGGLE)))
    if source.startswith(HUB_DATASET):
        from huggingface_hub import snapshot_download

        name = source.removeprefix(HUB_DATASET)
        return _downloaded(source, lambda: snapshot_download(name, repo_type="dataset"))
    folder = Path(source)
    if not folder.is_dir():
        raise DatasetError(f"There is no folder {folder}: give a folder of genus folders, or {KAGGLE_NINE_GENERA}.")
    return folder


def _downloaded(source: str, download: Any) -> Path:
    try:
        return Path(download())
    # Both libraries raise their transport's errors, of many unrelated types, when the network or account fails.
    except Exception as error:
        raise DatasetError(
            f"{source} can't be downloaded ({type(error).__name__}): check the name, the network and your account, "
            "or give a folder on this machine."
        ) from error


def genus_root(folder: Path) -> Path:
    """The folder that holds the genus folders: ``folder``, or the one folder inside it that does."""
    names = {genus.lower() for genus in GENERA}

    def holds_genera(place: Path) -> bool:
        return any(child.is_dir() and child.name.lower() in names for child in place.iterdir())

    if holds_genera(folder):
        return folder
    inside = [child for child in sorted(folder.iterdir()) if child.is_dir() and holds_genera(child)]
    if len(inside) == 1:
        return inside[0]
    raise DatasetError(f"{folder} holds no genus folders: name them {', '.join(GENERA)}.")


def list_genus_photos(root: Path) -> pd.DataFrame:
    """Photo files in genus folders as a table of ``photo`` and ``genus``, with ``source`` where it is known."""
    by_name = {genus.lower(): genus for genus in GENERA}
    folders = sorted(child for child in root.iterdir() if child.is_dir() and not child.name.startswith("."))
    unknown = [folder.name for folder in folders if folder.name.lower() not in by_name]
    if unknown:
        raise DatasetError(
            f"The folder {unknown[0]} in {root} is none of the nine genera: rename or move it. "
            f"They are {', '.join(GENERA)}."
        )
    rows = []
    for folder in folders:
        photos = _photo_files(folder)
        if not photos:
            raise DatasetError(f"The genus folder {folder} holds no photos: add some or remove it.")
        genus = by_name[folder.name.lower()]
        rows += [{"photo": path.relative_to(root).as_posix(), "genus": genus} for path in photos]
    return _with_known_columns(root, pd.DataFrame(rows), ["source"])


def group_near_duplicates(photos: pd.DataFrame, label: str) -> tuple[list[str], list[str]]:
    """Group name of each photo, shared by identical and near-identical ones, and notes on differing labels.

    A group is named after its first photo's hash, so it stays when other photos come or go.
    """
    hashes = photos.phash.to_numpy(np.uint64)
    parent = np.arange(len(photos))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for index in range(len(hashes) - 1):
        distances = np.bitwise_count(hashes[index + 1 :] ^ hashes[index])
        for other in np.flatnonzero(distances <= NEAR_DUPLICATE_BITS) + index + 1:
            parent[root(int(other))] = root(index)
    first_with: dict[str, int] = {}
    for index, sha256 in enumerate(photos.sha256):
        parent[root(index)] = root(first_with.setdefault(sha256, index))
    roots = [root(index) for index in range(len(photos))]
    labels = photos[label].tolist()
    names = photos.photo.tolist()
    notes = [
        f"note: {names[i]} and {names[r]} look the same but are {labels[i]} and {labels[r]}; kept in one split"
        for i, r in enumerate(roots)
        if labels[i] != labels[r]
    ]
    return [photos.sha256.iloc[index][:12] for index in roots], notes


def split_groups(
    photos: pd.DataFrame, stratum: str, seed: int, shares: Mapping[str, float] = GENUS_SHARES
) -> list[str]:
    """The split of each photo: ``shares`` of each ``stratum``'s photos, whole groups, the same for the same seed.

    Each group goes where its stratum lacks most; at the start, and so for a genus of two or three photos, in
    the order train, test, validation.
    """
    random = np.random.default_rng(seed)
    split_of: dict[str, str] = {}
    for _, members in photos.sort_values("photo").groupby(stratum, sort=True):
        sizes = members.groupby("group", sort=True).size()
        taken = dict.fromkeys(SPLITS, 0)
        for group in sizes.index:
            if group in split_of:
                taken[split_of[group]] += int(sizes[group])
        open_groups = [group for group in sizes.index if group not in split_of]
        shuffled = [open_groups[index] for index in random.permutation(len(open_groups))]
        # The largest groups first: a small one still fits where a large one would overshoot.
        for group in sorted(shuffled, key=lambda name: -sizes[name]):
            empty = [split for split in FILL_ORDER if taken[split] == 0]
            lacking = min(SPLITS, key=lambda split: (taken[split] + sizes[group] / 2) / shares[split])
            chosen = empty[0] if empty else lacking
            split_of[group] = chosen
            taken[chosen] += int(sizes[group])
    return [split_of[group] for group in photos.group]


def unlabelled_photos(
    folder: Path, prepared: Prepared, measured: Sequence[str] = ("validation", "test"), *, progress: bool = True
) -> list[Path]:
    """Readable photos in ``folder``, for training, that nearly duplicate none of the splits ``measured``."""
    paths = _photo_files(folder)
    if not paths:
        raise DatasetError(f"The folder {folder} holds no photos.")
    listed = pd.DataFrame({"photo": [path.relative_to(folder).as_posix() for path in paths]})
    photos, _ = _scan(folder, listed, f"scanning {folder.name}", progress)
    kept = prepared.manifest[prepared.manifest.split.isin(measured)][["photo"]]
    others, _ = _scan(prepared.root, kept, "scanning what is measured on", progress)
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


def fingerprint(manifest: pd.DataFrame, background: pd.DataFrame | None) -> str:
    """SHA-256 over which photos there are, by content, and how they are split."""
    lines = [f"{row.photo} {row.sha256} {row.split}" for row in manifest.itertuples()]
    if background is not None:
        lines += [f"{row.kind}/{row.photo} {row.sha256} {row.split}" for row in background.itertuples()]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _prepare_background(folder: Path, seed: int, progress: bool) -> tuple[str, pd.DataFrame, list[dict[str, str]]]:
    """One kind of background photos, split by label; flat folders by near-duplicate group."""
    if not folder.is_dir():
        raise DatasetError(f"There is no background folder {folder}.")
    paths = _photo_files(folder)
    if not paths:
        raise DatasetError(f"The background folder {folder} holds no photos.")
    relative = [path.relative_to(folder) for path in paths]
    listed = pd.DataFrame(
        {
            "photo": [path.as_posix() for path in relative],
            "label": [path.parts[0] if len(path.parts) > 1 else "" for path in relative],
        }
    )
    listed = _with_known_columns(folder, listed, ["source"])
    photos, left_out = _scan(folder, listed, f"scanning {folder.name}", progress)
    photos["group"], _ = group_near_duplicates(photos, "label")
    photos["kind"] = folder.name
    if "source" not in photos:
        photos["source"] = ""
    # A label is held back whole, so for the split it is one group of its own.
    units = photos.assign(group=photos.label.where(photos.label != "", photos.group), stratum=folder.name)
    units["photo"] = units.photo
    photos["split"] = _split_units(units, seed)
    columns = ["photo", "kind", "label", "split", "group", "width", "height", "sha256", "source"]
    return folder.name, photos[columns], left_out


def _split_units(units: pd.DataFrame, seed: int) -> list[str]:
    """Background shares by number of units (labels or groups), however many photos each has."""
    firsts = units.drop_duplicates("group")
    split_of = dict(zip(firsts.group, split_groups(firsts, "stratum", seed, BACKGROUND_SHARES), strict=True))
    return [split_of[group] for group in units.group]


def _photo_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in PHOTO_SUFFIXES and path.is_file())


def _with_known_columns(root: Path, listed: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """``listed`` with columns that a manifest in the folder itself gives for its photos."""
    path = root / MANIFEST_FILE
    if not path.exists():
        return listed
    known = pd.read_csv(path, keep_default_na=False, dtype=str)
    names = [name for name in names if name in known]
    if "photo" not in known or not names:
        return listed
    return listed.merge(known.drop_duplicates("photo")[["photo", *names]], on="photo", how="left").fillna("")


def _scan(root: Path, listed: pd.DataFrame, title: str, progress: bool) -> tuple[pd.DataFrame, list[dict[str, str]]]:
    """``listed`` with size, hash and perceptual hash of each readable photo; the others, with reasons."""
    paths = [root / photo for photo in listed.photo]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        scanned = list(
            tqdm(pool.map(_scan_photo, paths), total=len(paths), desc=title, unit="photo", disable=not progress)
        )
    readable = [isinstance(result, _Scanned) for result in scanned]
    left_out = [
        {"photo": photo, "reason": result}
        for photo, result in zip(listed.photo, scanned, strict=True)
        if isinstance(result, str)
    ]
    table = listed[readable].reset_index(drop=True)
    results = [result for result in scanned if isinstance(result, _Scanned)]
    for name in ("width", "height", "sha256", "phash"):
        table[name] = [getattr(result, name) for result in results]
    return table, left_out


def _scan_photo(path: Path) -> _Scanned | str:
    try:
        photo = read_photo_file(path)
    except PhotoError as error:
        return str(error)
    bits = np.packbits(imagehash.phash(photo).hash.flatten()).tobytes()
    return _Scanned(*photo.size, hashlib.sha256(path.read_bytes()).hexdigest(), int.from_bytes(bits))


def _write(prepared: Prepared, seed: int) -> None:
    """All files into a folder beside the goal, then each into its place: a failure leaves nothing half-written."""
    out = prepared.folder
    out.parent.mkdir(parents=True, exist_ok=True)
    facts = {
        "root": _relative_inside(prepared.root, out),
        "background_roots": {kind: _relative_inside(root, out) for kind, root in prepared.background_roots.items()},
        "seed": seed,
        "counts": prepared.counts,
        "left_out": list(prepared.left_out),
        "notes": list(prepared.notes),
        "fingerprint": prepared.fingerprint,
    }
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as partial:
        folder = Path(partial)
        prepared.manifest.to_csv(folder / MANIFEST_FILE, index=False)
        if prepared.background is not None:
            prepared.background.to_csv(folder / BACKGROUND_FILE, index=False)
        (folder / DATASET_FILE).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        out.mkdir(exist_ok=True)
        (out / BACKGROUND_FILE).unlink(missing_ok=True)
        for file in folder.iterdir():
            shutil.move(file, out / file.name)


def _relative_inside(place: Path, folder: Path) -> str:
    """``place`` as seen from ``folder`` where it lies inside, so that both can be moved together; else absolute."""
    place, folder = place.resolve(), folder.resolve()
    return place.relative_to(folder).as_posix() if place.is_relative_to(folder) else str(place)
