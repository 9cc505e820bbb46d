"""Name the genus on photos: one JSON line or one CSV row a photo."""

import argparse
import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from mushroom.classifier import BATCH, Classifier, Prediction
from mushroom.genera import GENERA
from mushroom.model import CheckpointError
from mushroom.photos import PHOTO_SUFFIXES, PhotoError, read_photo_file
from mushroom.texts import NONE_OF_THE_NINE, percent

CSV_COLUMNS = ("photo", "genus", "confidence", "unknown", "unknown_score", *GENERA, "error")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` takes."""
    parser.add_argument("photos", nargs="+", type=Path, metavar="PHOTO_OR_FOLDER")
    parser.add_argument("--checkpoint", help="checkpoint folder or hf://USER/NAME; else the one that ships")
    parser.add_argument("--json", action="store_true", help="print one JSON line a photo")
    parser.add_argument("--csv", type=Path, metavar="OUT", help="write a table, with a progress bar")


def run(args: argparse.Namespace) -> int:
    """Predict every photo; 1 if any failed, 2 if nothing could be done."""
    try:
        paths = photo_paths(args.photos)
        classifier = Classifier.load(args.checkpoint)
    except (CheckpointError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    failed = 0
    try:
        with ExitStack() as stack:
            writer = None
            if args.csv:
                file = stack.enter_context(args.csv.open("w", newline="", encoding="utf-8"))
                writer = csv.DictWriter(file, CSV_COLUMNS, restval="")
                writer.writeheader()
            bar = tqdm(total=len(paths), unit="photo", disable=not args.csv)
            for line in predicted_lines(classifier, paths):
                failed += "error" in line
                if writer:
                    writer.writerow(csv_row(line))
                if args.json:
                    print(json.dumps(line), flush=True)
                elif not args.csv:
                    print(sentence(line))
                bar.update()
            bar.close()
    except BrokenPipeError:
        # Whoever read the lines (head, say) has closed the pipe; Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        print(f"{args.csv} can't be written: {error.strerror}.", file=sys.stderr)
        return 2
    return 1 if failed else 0


def photo_paths(places: Iterable[Path]) -> list[Path]:
    """The photos named and those inside the folders named, sorted; FileNotFoundError with a sentence otherwise."""
    paths: list[Path] = []
    for place in places:
        if place.is_dir():
            inside = sorted(path for path in place.rglob("*") if path.suffix.lower() in PHOTO_SUFFIXES)
            if not inside:
                raise FileNotFoundError(f"There are no photos in {place}.")
            paths += inside
        else:
            paths.append(place)
    return paths


def predicted_lines(classifier: Classifier, paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """For each path in order, what is predicted or why it could not be; reads one batch of photos at a time."""
    for start in range(0, len(paths), BATCH):
        batch = paths[start : start + BATCH]
        read = [_read(path) for path in batch]
        predictions = iter(classifier.predict([photo for photo in read if isinstance(photo, Image.Image)]))
        for path, photo in zip(batch, read, strict=True):
            if isinstance(photo, Image.Image):
                yield prediction_line(path, next(predictions))
            else:
                yield {"photo": str(path), "error": photo}


def _read(path: Path) -> Image.Image | str:
    try:
        return read_photo_file(path)
    except PhotoError as error:
        return str(error)


def prediction_line(path: Path, prediction: Prediction) -> dict[str, Any]:
    """What ``--json`` prints for a photo."""
    return {
        "photo": str(path),
        "genus": prediction.genus,
        "confidence": prediction.confidence,
        "probabilities": prediction.probabilities,
        "unknown": prediction.unknown,
        "unknown_score": prediction.unknown_score,
    }


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
