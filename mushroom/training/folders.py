"""What lies in a folder of photos: genus folders, photo files, and what a table beside them says of these."""

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mushroom.dataset import DATASET_FILE, MANIFEST_FILE, SPLITS
from mushroom.errors import DatasetError
from mushroom.genera import GENERA
from mushroom.photos import is_photo_name, is_system_name

SPLIT_FOLDERS = frozenset({*SPLITS, "training", "val", "valid", "testing", "eval"})

UNNAMED_FOLDERS = frozenset({"by_eye", "by_common_name", "unnamed"})
"""Folders of background photos whose genus nobody knows for certain."""

NAMES_IN_BYTES = "name is no text"

NONE_OF_THESE = frozenset({"", "none", "other"})
"""In a table of corrections: the photo is of no genus here."""


@dataclass(frozen=True)
class Listing:
    """Photo files under ``root``: a table of ``photo``, ``genus``, ``source``, ``species`` and ``split``, and notes.

    ``kind`` is empty for the genera to learn, else the name of the background folder.
    """

    root: Path
    kind: str
    photos: pd.DataFrame
    notes: list[str]


def genus_root(folder: Path, corrections: Mapping[str, str] | None = None) -> Path:
    """The folder that holds the genus folders: ``folder``, or the one folder inside it that does."""
    if corrections and any((folder / photo).is_file() for photo in corrections):
        return folder
    inside = _subfolders(folder)
    if parts := [child.name for child in inside if clean_name(child.name).lower() in SPLIT_FOLDERS]:
        above = ", ".join(f"{folder / name}" for name in parts)
        raise DatasetError(
            f"{folder} holds no genus folders but {above}: give one of these, or put all photos of a genus into one "
            f"folder and say in a {MANIFEST_FILE} with the columns photo and split which photo tests."
        )
    alone = inside[0] if len(inside) == 1 else None
    if alone and _subfolders(alone) and not any(is_photo_name(path.name) for path in alone.iterdir()):
        return genus_root(alone)
    if not any(True for child in inside for _ in walk_files(child)):
        raise DatasetError(f"{folder} holds no genus folders: put the photos of each genus into a folder of its name.")
    return folder


def list_genus_photos(root: Path, corrections: Mapping[str, str]) -> Listing:
    """Photo files in genus folders; the names of the folders are the genera. Raises DatasetError."""
    rows, passed_over = [], Counter[str]()
    for folder in _subfolders(root):
        photos = _photo_files(folder, passed_over)
        if not photos:
            raise DatasetError(f"The genus folder {folder} holds no photos: add some or remove it.")
        rows += [(path.relative_to(root).as_posix(), genus_name(folder.name)) for path in photos]
    rows, notes = _corrected(root, rows, corrections)
    if not rows:
        raise DatasetError(f"{root} holds no photos of any genus.")
    return Listing(root, "", _with_known_columns(root, rows), notes + _passed_over_notes(root, passed_over))


def list_background_photos(folder: Path) -> Listing:
    """Photos that are of none of the genera; the name of a subfolder is their genus. Raises DatasetError."""
    if not folder.is_dir():
        raise DatasetError(f"There is no background folder {folder}.")
    passed_over = Counter[str]()
    photos = [path.relative_to(folder) for path in _photo_files(folder, passed_over)]
    if not photos:
        raise DatasetError(f"The background folder {folder} holds no photos.")
    rows = []
    for path in photos:
        genus = genus_name(path.parts[0]) if len(path.parts) > 1 else ""
        rows.append((path.as_posix(), "" if genus.lower() in UNNAMED_FOLDERS else genus))
    kind = clean_name(folder.resolve().name)
    return Listing(folder, kind, _with_known_columns(folder, rows), _passed_over_notes(folder, passed_over))


def clean_name(name: str) -> str:
    """A folder's name as people read it: composed letters, single blanks, none at the ends."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def genus_name(folder: str) -> str:
    """The genus that a folder is named after: a known one in any capitals, any other as it is written."""
    name = clean_name(folder)
    return {genus.lower(): genus for genus in GENERA}.get(name.lower(), name)


def read_corrections(path: Path) -> dict[str, str]:
    """Genera that somebody gave to photos: a CSV of ``photo`` and ``genus``, as the app's download is one.

    Raises DatasetError where it is no such table or names a photo twice with two genera.
    """
    try:
        table = _read_text(path, "utf-8-sig")
        rows = list(zip(table["photo"], table["genus"], strict=True))
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(f"{path} can't be read as a table with the columns photo and genus.") from error
    corrections: dict[str, str] = {}
    for written, genus in rows:
        # The app's table guards names that a spreadsheet would take for a formula.
        photo = written[1:] if written[:1] == "'" and written[1:2] in "=+-@\t\r" else written
        name = genus_name(genus)
        if corrections.setdefault(photo, name) != name:
            raise DatasetError(f"{path} names {photo} twice, {corrections[photo]} and {name}: keep one of the rows.")
    return corrections


def _read_text(path: Path, encoding: str) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False, encoding=encoding, encoding_errors="surrogateescape")


def walk_files(folder: Path) -> Iterator[Path]:
    """Files in a folder and below, in order; links are followed, but no folder is entered twice.

    Passed over: what systems leave behind, and folders that ``prepare`` wrote.
    """
    entered = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        folders[:] = sorted(name for name in folders if _is_ours(Path(place, name)))
        for name in sorted(files):
            if not _is_hidden(name) and name != MANIFEST_FILE:
                yield Path(place, name)


def _is_ours(folder: Path) -> bool:
    return not _is_hidden(folder.name) and not (folder / DATASET_FILE).exists()


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or is_system_name(name)


def _subfolders(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir() and _is_ours(child))


def _photo_files(folder: Path, passed_over: Counter[str]) -> list[Path]:
    """Photo files in order; the others are counted by their endings, or as names that are no text."""
    files = [path for path in walk_files(folder) if path.is_file()]
    passed_over.update(path.suffix.lower() or "none" for path in files if not is_photo_name(path.name))
    photos = [path for path in files if is_photo_name(path.name)]
    # A table holds text; a name with a line break, or in another encoding as old archives unpack, is none.
    readable = [path for path in photos if not {"Cc", "Cs"} & set(map(unicodedata.category, str(path)))]
    passed_over.update({NAMES_IN_BYTES: len(photos) - len(readable)} if len(readable) < len(photos) else {})
    return readable


def _passed_over_notes(root: Path, passed_over: Counter[str]) -> list[str]:
    in_bytes = passed_over.pop(NAMES_IN_BYTES, 0)
    notes = [f"note: {_files(in_bytes)} in {root} left out: rename them, their names are no text"] if in_bytes else []
    if passed_over:
        kinds = ", ".join(f"{ending} {count}" for ending, count in passed_over.most_common(5))
        notes.append(f"note: {_files(passed_over.total())} in {root} passed over for the ending ({kinds})")
    return notes


def _files(number: int) -> str:
    return f"{number} file{'s' * (number > 1)}"


def _corrected(
    root: Path, listed: Iterable[tuple[str, str]], corrections: Mapping[str, str]
) -> tuple[list[tuple[str, str]], list[str]]:
    """Rows of photo and genus with what the corrections say, which know a photo by its path or by its name alone."""
    rows = dict(listed)
    genera = {*rows.values(), *GENERA}
    by_name = defaultdict[str, list[str]](list)
    for photo in rows:
        by_name[Path(photo).name].append(photo)
    notes = []
    for written, genus in corrections.items():
        found = [written] if written in rows else by_name[written]
        if not found and "/" not in written and (root / written).is_file() and is_photo_name(written):
            found = [written]
        if not found:
            notes.append(f"note: the corrections name {written}, which is not here")
        elif len(found) > 1:
            raise DatasetError(f"The corrections name {written}, but there are {len(found)}: write {found[0]} in full.")
        elif genus.lower() in NONE_OF_THESE:
            rows.pop(found[0], None)
            notes.append(f"note: {found[0]} is left out: the corrections say it is none of these genera")
        elif rows and genus not in genera and any("/" in photo for photo in rows):
            raise DatasetError(f"The corrections name the genus {genus}, of which there is no folder: add one.")
        else:
            rows[found[0]] = genus
    return list(rows.items()), notes


def _with_known_columns(root: Path, rows: list[tuple[str, str]]) -> pd.DataFrame:
    """Photos with ``source``, ``species`` and ``split`` as a manifest beside them gives them, else empty."""
    listed = pd.DataFrame(rows, columns=["photo", "genus"]).assign(source="", species="", split="")
    path = root / MANIFEST_FILE
    if not path.exists():
        return listed
    try:
        known = _read_text(path, "utf-8")
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} can't be read as a table: mend or remove it.") from error
    if "photo" not in known:
        raise DatasetError(f"{path} has no column photo: name it so, or remove the table.")
    known = known.drop_duplicates("photo").set_index("photo")
    for name in ("source", "species", "split"):
        if name in known:
            listed[name] = listed.photo.map(known[name]).fillna("").astype(str).str.strip()
    if strange := set(listed.split) - {"", *SPLITS}:
        raise DatasetError(f"{path} names the split {sorted(strange)[0]!r}: they are {', '.join(SPLITS)}.")
    return listed
