"""The table of answers that the app lets a visitor download and ``predict --csv`` writes: a row a photo.

A spreadsheet runs a cell that begins like a formula, and file names are a stranger's: ``guarded`` makes them text.
"""

import csv
import io
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mushroom.errors import PredictError
from mushroom.streaming import HASH_DIGITS, ListedFile

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "'")
ABOUT_FILE = ("photo", "bytes", "modified")
ABOUT_ANSWER = ("genus", "confidence", "unknown", "unknown_score")
ABOUT_NETWORK = ("model", "weights", "checkpoint", "error")
CHECKPOINT = -2
"""Where in a row the hash of the checkpoint is."""

BYTE_ORDER_MARK = "\ufeff"

# A file name may hold bytes that are no UTF-8; they come out of the table as they went in.
ENCODING: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape"}


def columns(genera: Sequence[str]) -> list[str]:
    """The columns of a table of answers: what they say of a file, the answer, and which network gave it."""
    return [*ABOUT_FILE, *ABOUT_ANSWER, *map(guarded, genera), *ABOUT_NETWORK]


def row(line: dict[str, Any], file: ListedFile, genera: Sequence[str]) -> list[Any]:
    """A line of ``streaming.answer_line`` as the cells of a row, in the order of ``columns``."""
    about_file = [guarded(line["photo"]), file.size_bytes, file.modified]
    answer = [line.get(name) for name in ABOUT_ANSWER]
    if answer[0] is not None:
        answer[0] = guarded(answer[0])
    probabilities = line.get("probabilities", {})
    return [*about_file, *answer, *map(probabilities.get, genera), *map(line.get, ABOUT_NETWORK)]


def guarded(name: str) -> str:
    """A file name as a cell that no spreadsheet takes for a formula; ``unguarded`` takes it back."""
    return f"'{name}" if name.startswith(FORMULA_STARTS) else name


def unguarded(cell: str) -> str:
    """The file name that ``guarded`` made the cell from."""
    return cell.removeprefix("'")


def download(rows: Iterable[list[Any]], genera: Sequence[str]) -> str:
    """A whole table for a visitor; the mark at its start tells a spreadsheet that it is UTF-8."""
    text = io.StringIO()
    text.write(BYTE_ORDER_MARK)
    csv.writer(text).writerows([columns(genera), *rows])
    return text.getvalue()


# --- A table that was begun ---------------------------------------------------------------------------------


class DonePhotos:
    """Photos that are in the table already, with size and time of change. On disk, for there may be millions."""

    def __init__(self) -> None:
        # SQLite's own temporary file, gone when this is closed.
        self._database = sqlite3.connect("")
        self._database.execute("CREATE TABLE done (photo BLOB PRIMARY KEY, stamp TEXT, row INTEGER) WITHOUT ROWID")

    def __enter__(self) -> "DonePhotos":
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def add(self, file: ListedFile, row_number: int = 0) -> bool:
        """Count a photo as done; whether it was in the table already, as another file of that name."""
        replaced = self._one("SELECT 1 FROM done WHERE photo = ?", os.fsencode(file.path)) is not None
        values = (os.fsencode(file.path), _stamp(file), row_number)
        self._database.execute("INSERT OR REPLACE INTO done VALUES (?, ?, ?)", values)
        return replaced

    def __contains__(self, file: ListedFile) -> bool:
        known = self._one("SELECT stamp FROM done WHERE photo = ?", os.fsencode(file.path))
        return known == _stamp(file)

    def last_row(self, photo: str) -> int:
        """The number of the last row that tells of a photo."""
        return int(self._one("SELECT row FROM done WHERE photo = ?", os.fsencode(photo)))

    def __len__(self) -> int:
        return int(self._one("SELECT COUNT(*) FROM done"))

    def _one(self, query: str, *values: object) -> Any:
        found = self._database.execute(query, values).fetchone()
        return found[0] if found else None


def _stamp(file: ListedFile) -> str:
    return f"{'' if file.size_bytes is None else file.size_bytes} {file.modified or ''}"


def take_up(table: Path, genera: Sequence[str], identity: str, done: DonePhotos) -> bool:
    """Put into ``done`` what ``table`` holds, and cut off a last row that was not written to its end.

    Returns whether some photos have more rows than one. Raises PredictError where it is another kind of table, or
    another checkpoint than that of ``identity`` gave its answers.
    """
    whole_bytes = 0
    superseded = False
    for number, (cells, end) in enumerate(_whole_rows(table, len(columns(genera)))):
        if number == 0:
            if cells != columns(genera):
                raise PredictError(
                    f"{table} is no table that this version's predict began with this network: name another, or "
                    "leave --resume away."
                )
        else:
            if cells[CHECKPOINT] not in ("", identity[:HASH_DIGITS]):
                raise PredictError(f"{table} has the answers of another network: name that one with --checkpoint.")
            superseded |= done.add(_file_of(cells), number)
        whole_bytes = end
    os.truncate(table, whole_bytes)
    return superseded


def drop_superseded(table: Path, genera: Sequence[str]) -> None:
    """Leave the last row of each photo, where it was answered anew because its file had changed."""
    width = len(columns(genera))
    aside = table.with_name(f".{table.name}.aside")
    with DonePhotos() as last:
        for number, (cells, _) in enumerate(_whole_rows(table, width)):
            last.add(ListedFile(unguarded(cells[0])), number)
        with aside.open("w", newline="", **ENCODING) as file:
            rows = csv.writer(file)
            for number, (cells, _) in enumerate(_whole_rows(table, width)):
                if last.last_row(unguarded(cells[0])) == number:
                    rows.writerow(cells)
    shutil.copymode(table, aside)
    os.replace(aside, table)


def _file_of(cells: Sequence[str]) -> ListedFile:
    photo, size, modified = cells[: len(ABOUT_FILE)]
    return ListedFile(unguarded(photo), int(size) if size.isdecimal() else None, modified or None)


def _whole_rows(table: Path, width: int) -> Iterator[tuple[list[str], int]]:
    """The rows of a table that were written to their end, each with the bytes of the table until there."""
    read_bytes = 0
    ended = False

    def lines() -> Iterator[str]:
        nonlocal read_bytes, ended
        with table.open("rb") as file:
            for line in file:
                read_bytes += len(line)
                ended = line.endswith(b"\n")
                yield line.decode(**ENCODING)

    for cells in csv.reader(lines()):
        if ended and len(cells) == width:
            yield cells, read_bytes
