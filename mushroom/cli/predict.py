"""Name the genus on photos: one JSON line or one CSV row a photo."""

import argparse
import csv
import json
import os
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mushroom.checkpoint import HUB_PREFIX
from mushroom.classifier import Classifier
from mushroom.errors import CheckpointError, PredictError, RayMissing
from mushroom.genera import GENERA
from mushroom.ray_streaming import answered_lines
from mushroom.streaming import WEIGHTS_DIGITS, answer_line, answers, photo_files
from mushroom.texts import NONE_OF_THE_NINE, percent

CSV_COLUMNS = ("photo", "genus", "confidence", "unknown", "unknown_score", *GENERA, "weights", "error")
ENGINES = ("local", "ray")

# A file name may hold bytes that are no UTF-8; they come out of the table as they went in.
TABLE_ENCODING: dict[str, str] = {"encoding": "utf-8", "errors": "surrogateescape"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` takes."""
    parser.add_argument("photos", nargs="+", metavar="PHOTO_OR_FOLDER", help="also s3://BUCKET/FOLDER")
    parser.add_argument("--checkpoint", help="checkpoint folder or hf://USER/NAME; else the one that ships")
    parser.add_argument("--json", action="store_true", help="print one JSON line a photo")
    parser.add_argument("--csv", type=Path, metavar="OUT", help="write a table, with a progress bar")
    parser.add_argument("--resume", action="store_true", help="go on with the table OUT where it ends")
    parser.add_argument("--engine", choices=ENGINES, default="local", help="ray: on all machines of a Ray cluster")


def run(args: argparse.Namespace) -> int:
    """Predict every photo; 1 if any failed, 2 if nothing could be done, 130 if stopped."""
    failed = 0
    try:
        if args.resume and not args.csv:
            raise PredictError("--resume goes on with a table: add --csv OUT.")
        require_photos(args.photos)
        classifier = Classifier.load(args.checkpoint)
        with ExitStack() as stack:
            done = stack.enter_context(DonePhotos())
            writer = None
            if args.csv:
                if args.resume and args.csv.exists():
                    take_up(args.csv, classifier.weights_sha256, done)
                begun = len(done) > 0
                mode = "a" if begun else "w"
                file = stack.enter_context(args.csv.open(mode, newline="", buffering=1, **TABLE_ENCODING))
                writer = csv.DictWriter(file, CSV_COLUMNS, restval="")
                if not begun:
                    writer.writeheader()
            files = (path for place in args.photos for path in photo_files(place) if path not in done)
            bar = stack.enter_context(tqdm(initial=len(done), unit="photo", disable=not args.csv))
            for line in lines_of(classifier, args, files):
                failed += "error" in line
                if writer:
                    writer.writerow(csv_row(line))
                if args.json:
                    print(json.dumps(line), flush=True)
                elif not args.csv:
                    print(sentence(line))
                bar.update()
    except (PredictError, CheckpointError, RayMissing) as error:
        print(error, file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Whoever read the lines (head, say) has closed the pipe; Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        print(f"{error.filename or args.csv} can't be used: {error.strerror or error}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        hint = " Go on with the same command and --resume." if args.csv else ""
        print(f"\nStopped.{hint}", file=sys.stderr)
        return 130
    return 1 if failed else 0


def lines_of(classifier: Classifier, args: argparse.Namespace, files: Iterable[str]) -> Iterator[dict[str, Any]]:
    """A line for each file: in order from this machine, as they come from a cluster."""
    if args.engine == "ray":
        checkpoint = args.checkpoint
        if checkpoint and checkpoint.startswith(HUB_PREFIX):
            # The commit that was fetched here, whatever is sent there while the archive is worked through.
            checkpoint = f"{checkpoint.partition('@')[0]}@{classifier.folder.name}"
        return answered_lines(checkpoint, files)
    weights = classifier.weights_sha256
    return (answer_line(file, answer, weights) for file, answer in answers(classifier, files))


def require_photos(places: Iterable[str]) -> None:
    """PredictError where a folder holds no photos or can't be reached."""
    for place in places:
        try:
            first = next(photo_files(place), None)
        # pyarrow refuses an address that it can't read with a ValueError.
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
            raise PredictError(f"{place} can't be reached: {reason}.") from error
        if first is None:
            raise PredictError(f"There are no photos in {place}.")


# --- A table that was begun ---------------------------------------------------------------------------------


class DonePhotos:
    """Photos that are in the table already. Kept on disk, for there may be millions of them."""

    def __init__(self) -> None:
        # SQLite's own temporary file, gone when this is closed.
        self._database = sqlite3.connect("")
        self._database.execute("CREATE TABLE done (photo BLOB PRIMARY KEY) WITHOUT ROWID")

    def __enter__(self) -> "DonePhotos":
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def add(self, photo: str) -> None:
        """Count a photo as done."""
        self._database.execute("INSERT OR IGNORE INTO done VALUES (?)", (os.fsencode(photo),))

    def __contains__(self, photo: str) -> bool:
        found = self._database.execute("SELECT 1 FROM done WHERE photo = ?", (os.fsencode(photo),))
        return found.fetchone() is not None

    def __len__(self) -> int:
        return int(self._database.execute("SELECT COUNT(*) FROM done").fetchone()[0])


def take_up(table: Path, weights_sha256: str, done: DonePhotos) -> None:
    """Put into ``done`` what ``table`` holds, and cut off a last row that was not written to its end.

    Raises PredictError where it is another kind of table, or other weights gave its answers.
    """
    whole_bytes = 0
    for number, (row, end) in enumerate(_whole_rows(table)):
        if number == 0:
            if row != list(CSV_COLUMNS):
                raise PredictError(f"{table} is no table that predict began: name another, or leave --resume away.")
        else:
            line = dict(zip(CSV_COLUMNS, row, strict=True))
            if line["weights"] not in ("", weights_sha256[:WEIGHTS_DIGITS]):
                raise PredictError(f"{table} has the answers of another network: name that one with --checkpoint.")
            done.add(line["photo"])
        whole_bytes = end
    os.truncate(table, whole_bytes)


def _whole_rows(table: Path) -> Iterator[tuple[list[str], int]]:
    """The rows of a table that were written to their end, each with the bytes of the table until there."""
    read_bytes = 0
    ended = False

    def lines() -> Iterator[str]:
        nonlocal read_bytes, ended
        with table.open("rb") as file:
            for line in file:
                read_bytes += len(line)
                ended = line.endswith(b"\n")
                yield line.decode(**TABLE_ENCODING)

    for row in csv.reader(lines()):
        if ended and len(row) == len(CSV_COLUMNS):
            yield row, read_bytes


# --- What is told of a photo --------------------------------------------------------------------------------


def csv_row(line: dict[str, Any]) -> dict[str, Any]:
    """A line of ``--json`` as a row of ``--csv``, with a column for each genus's probability."""
    row = {name: value for name, value in line.items() if name != "probabilities"}
    return row | line.get("probabilities", {})


def sentence(line: dict[str, Any]) -> str:
    """A line for people."""
    if "error" in line:
        return f"{line['photo']}: {line['error']}"
    if line["unknown"]:
        return f"{line['photo']}: {NONE_OF_THE_NINE} (nearest: {line['genus']})"
    return f"{line['photo']}: {line['genus']}, {percent(line['confidence'])} sure"
