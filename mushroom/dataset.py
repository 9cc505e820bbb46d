"""A prepared folder as it is read: its tables, its splits, its names of genera and its fingerprint.

``mushroom.training.prepare`` writes one: ``manifest.csv`` (a row a photo of the genera to learn), ``background.csv``
(photos that are none of them, if any were given) and ``dataset.json`` (names of genera, where the photos lie, what
was left out and why). A prepared folder that holds its photos, too, can be moved, or sent to the Hub, as a whole.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pandas as pd

from mushroom.errors import DatasetError, PhotoError
from mushroom.genera import GENERA

if TYPE_CHECKING:
    from PIL import Image

MANIFEST_FILE = "manifest.csv"
BACKGROUND_FILE = "background.csv"
DATASET_FILE = "dataset.json"

SPLITS = ("train", "validation", "test")

TABLE_ENCODING: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape"}
"""A file name may hold bytes that are no UTF-8; they come out of a table as they went in."""

FORMAT = 2
"""1: the fingerprint does not cover the genus of a photo, and the genera are the nine."""

MANIFEST_COLUMNS = ("photo", "genus", "split", "group", "width", "height", "sha256")
BACKGROUND_COLUMNS = ("photo", "kind", "split", "group", "width", "height", "sha256")

TRAINABLE_PHOTOS = 3
"""Photos of a genus, no two the same, that training needs at least: one for each split."""


KAGGLE = "kaggle:"
HUB_DATASET = "hf://datasets/"


@dataclass(frozen=True)
class Prepared:
    """A prepared folder: its tables, where its photos lie and a fingerprint of both.

    ``manifest``: ``photo`` (relative to ``root``), ``genus``, ``split``, ``group`` (photos that no split may part),
    ``width``, ``height``, ``sha256`` and, where known, ``source`` and ``species``. ``background``: the same with
    ``kind`` (which folder of ``background_roots``), its ``genus`` empty where nobody named one. ``genera``: the names
    to learn, in the order of a network's answers.
    """

    folder: Path
    manifest: pd.DataFrame
    background: pd.DataFrame | None
    root: Path
    background_roots: Mapping[str, Path]
    fingerprint: str
    genera: tuple[str, ...]
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
        return {split: {genus: int(table.get((split, genus), 0)) for genus in self.genera} for split in SPLITS}

    def without_split(self, split: str) -> "Prepared":
        """The same without the photos of one split: ``test``, while a network is still being chosen."""
        background = None if self.background is None else self.background[self.background.split != split]
        return replace(self, manifest=self.manifest[self.manifest.split != split], background=background)

    def summary(self) -> str:
        """The photos per genus and split, what was left out, and notes, for a terminal."""
        counts = self.counts
        rows = {genus: [counts[split][genus] for split in SPLITS] for genus in self.genera}
        rows["all"] = [sum(counts[split].values()) for split in SPLITS]
        if self.background is not None:
            table = self.background.groupby(["kind", "split"]).size()
            rows |= {kind: [int(table.get((kind, split), 0)) for split in SPLITS] for kind in self.background_roots}
        width = max(14, *(len(name) + 2 for name in rows))
        lines = [f"{'genus':<{width}}" + "".join(f"{split:>12}" for split in SPLITS) + f"{'all':>8}"]
        for name, numbers in rows.items():
            lines.append(f"{name:<{width}}" + "".join(f"{n:>12}" for n in numbers) + f"{sum(numbers):>8}")
        lines += list(self.notes)
        lines += [f"left out: {entry['photo']} ({entry['reason']})" for entry in self.left_out]
        return "\n".join(lines)

    def require_trainable(self) -> None:
        """Raise DatasetError unless every genus can be trained and validated, and there are two to tell apart."""
        if len(self.genera) < 2:
            raise DatasetError(f"There is one genus only, {self.genera[0]}: add a folder of photos of another.")
        groups = self.manifest.groupby("genus").group.nunique()
        for genus in self.genera:
            found = int(groups.get(genus, 0))
            trained = self.counts["train"][genus]
            # A network may answer genera that a folder has no photos of.
            if found and (found < TRAINABLE_PHOTOS or not trained):
                look = "photo that looks" if found == 1 else "photos that look"
                raise DatasetError(
                    f"{genus} has {found} {look} different, {trained} of them in training: it needs at least "
                    f"{TRAINABLE_PHOTOS}, better 30. Add some and prepare again."
                )
        for split in ("train", "validation"):
            if not any(self.counts[split].values()):
                raise DatasetError(f"There are no photos in the split {split}: add some and prepare again.")


def load_prepared(folder: Path) -> Prepared:
    """A folder that ``prepare`` wrote; DatasetError says what is missing or was changed."""
    facts = _read_facts(folder)
    manifest = _read_table(folder / MANIFEST_FILE, MANIFEST_COLUMNS)
    background = _read_table(folder / BACKGROUND_FILE, BACKGROUND_COLUMNS) if facts["background_roots"] else None
    if fingerprint(manifest, background, facts["format"]) != facts["fingerprint"]:
        raise DatasetError(f"The tables in {folder} were changed since prepare wrote them: run prepare again.")
    strange = set(manifest.genus) - set(facts["genera"])
    if strange:
        raise DatasetError(f"{folder / DATASET_FILE} does not know the genus {sorted(strange)[0]}: run prepare again.")
    kinds = set() if background is None else set(background.kind)
    if kinds - set(facts["background_roots"]):
        raise DatasetError(f"{folder / DATASET_FILE} does not say where all background photos are: run prepare again.")
    return Prepared(
        folder=folder,
        manifest=manifest,
        background=background,
        root=folder / facts["root"],
        background_roots={kind: folder / root for kind, root in facts["background_roots"].items()},
        fingerprint=facts["fingerprint"],
        genera=tuple(facts["genera"]),
        left_out=facts["left_out"],
        notes=facts["notes"],
    )


def read_prepared_photo(path: Path) -> "Image.Image":
    """The photo of a prepared folder; DatasetError with its path where it is gone or damaged since."""
    # The tables alone are read without what it takes to read photos.
    from mushroom.photos import read_photo_file

    try:
        return read_photo_file(path)
    except PhotoError as error:
        raise DatasetError(f"{path} can't be read any more: {error} Run prepare again.") from error


def fingerprint(manifest: pd.DataFrame, background: pd.DataFrame | None, form: int = FORMAT) -> str:
    """SHA-256 over which photos there are, by content, what they are called and how they are split."""
    named = form > 1
    lines = [f"{row.photo} {row.sha256} {row.split}{f' {row.genus}' * named}" for row in manifest.itertuples()]
    if background is not None:
        rows = background.itertuples()
        lines += [f"{row.kind}/{row.photo} {row.sha256} {row.split}{f' {row.genus}' * named}" for row in rows]
    return hashlib.sha256("\n".join(sorted(lines)).encode(**TABLE_ENCODING)).hexdigest()


def _read_facts(folder: Path) -> dict[str, Any]:
    """``dataset.json`` with every field there and of its type."""
    path = folder / DATASET_FILE
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DatasetError(f"{folder} was not written by prepare: it has no {DATASET_FILE}.") from error
    except (ValueError, OSError, RecursionError) as error:
        raise DatasetError(f"{path} can't be read: run prepare again.") from error
    if not isinstance(read, dict):
        raise DatasetError(f"{path} holds no facts about photos: run prepare again.")
    facts: dict[str, Any] = {"format": 1, "left_out": [], "notes": [], **read}
    if facts["format"] == 1:
        # Such folders could be of no others, and name none.
        facts.setdefault("genera", list(GENERA))
    kinds: dict[str, type] = {"root": str, "fingerprint": str, "genera": list, "background_roots": dict, "format": int}
    for name, kind in (kinds | {"left_out": list, "notes": list}).items():
        if not isinstance(facts.get(name), kind):
            raise DatasetError(f"{path} lacks {name}, or it is not what prepare writes: run prepare again.")
    if facts["format"] > FORMAT:
        raise DatasetError(f"{path} was written by a newer version: run prepare again with this one.")
    entries = [*facts["genera"], *facts["background_roots"].values()]
    if not facts["genera"] or not all(isinstance(entry, str) for entry in entries):
        raise DatasetError(f"{path} has names that are no text: run prepare again.")
    return facts


def _read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """A table of ``prepare``: text, but for sizes in pixels."""
    types: defaultdict[str, Any] = defaultdict(lambda: str, {"width": int, "height": int})
    try:
        with path.open(newline="", **TABLE_ENCODING) as file:
            table = pd.read_csv(file, keep_default_na=False, dtype=types)
    except FileNotFoundError as error:
        raise DatasetError(f"{path.parent} was not written by prepare: it has no {path.name}.") from error
    except (ValueError, OSError) as error:
        raise DatasetError(f"{path} can't be read as a table of photos: run prepare again.") from error
    lacking = [name for name in columns if name not in table]
    if lacking:
        raise DatasetError(f"{path} has no column {lacking[0]}: run prepare again.")
    if path.name == BACKGROUND_FILE and "genus" not in table:
        table["genus"] = table.get("label", "")
    for photo in table.photo:
        if PurePosixPath(photo).is_absolute() or Path(photo).is_absolute() or ".." in PurePosixPath(photo).parts:
            raise DatasetError(f"{path} names a photo outside its folder: {photo}.")
    if strange := set(table.split) - set(SPLITS):
        raise DatasetError(f"{path} names a split {sorted(strange)[0]!r}, which is none of {', '.join(SPLITS)}.")
    return table
