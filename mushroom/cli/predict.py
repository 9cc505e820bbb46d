"""Name the genus on photos: one JSON line or one CSV row a photo."""

import argparse
import csv
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import chain, islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mushroom import table
from mushroom.checkpoint import HUB_PREFIX
from mushroom.classifier import BATCH, DEVICES, Classifier
from mushroom.cli import RESUME
from mushroom.engine import WORTH_EXPORTING, speed_up
from mushroom.errors import DONE, SOME_PHOTOS_FAILED, PhotoError, PredictError
from mushroom.ray_streaming import answered_lines
from mushroom.streaming import ListedFile, answer_line, answer_together, answers, listed_files, photo_files
from mushroom.texts import percent, third_answer

ENDINGS_TOLD = 4
"""Of the files that were skipped for their ending, the commonest endings are named."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` takes."""
    parser.add_argument("photos", nargs="+", metavar="PHOTO_OR_FOLDER", help="also s3://BUCKET/FOLDER")
    parser.add_argument("--checkpoint", help="checkpoint folder or hf://USER/NAME; else the one that ships")
    parser.add_argument("--json", action="store_true", help="print one JSON line a photo")
    parser.add_argument("--csv", type=Path, metavar="OUT", help="write a table, with a progress bar")
    parser.add_argument("--resume", action="store_true", help="go on with the table OUT where it ends")
    parser.add_argument("--together", action="store_true", help="one answer: all photos show one mushroom")
    add_device_arguments(parser, BATCH)
    parser.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="ray: on all machines of a Ray cluster"
    )


def add_device_arguments(parser: argparse.ArgumentParser, batch: int) -> None:
    """Declare where the network runs, and how many photos it takes at a time."""
    parser.add_argument("--device", choices=DEVICES, default="auto", help="auto: the fastest there is")
    parser.add_argument("--batch", type=photo_count, default=batch, metavar="N", help=f"photos at a time ({batch})")


def photo_count(text: str) -> int:
    """A number of photos, 1 or more."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of photos: 1 or more")
    return int(text)


def when_stopped(args: argparse.Namespace) -> str:
    """How to go on after Ctrl-C: lines that were printed can't be gone on with, a table can."""
    return RESUME if args.csv else ""


def run(args: argparse.Namespace) -> int:
    """Predict every photo; 3 if some could not be read. Raises MushroomError where nothing can be done."""
    require_possible(args)
    require_photos(args.photos)
    classifier = Classifier.load(args.checkpoint, device=args.device, batch=args.batch)
    if args.together:
        return predict_together(args, classifier)
    genera = classifier.genera
    skipped: Counter[str] = Counter()
    failed = answered = 0
    with ExitStack() as stack:
        done = stack.enter_context(table.DonePhotos())
        superseded = False
        rows = None
        if args.csv:
            if args.csv.exists():
                superseded = table.take_up(args.csv, genera, classifier.identity, done)
            file = stack.enter_context(args.csv.open("a", newline="", buffering=1, **table.ENCODING))
            rows = csv.writer(file)
            if not file.tell():
                rows.writerow(table.columns(genera))
        asked: dict[str, ListedFile] = {}

        def files() -> Iterator[str]:
            nonlocal superseded
            for place in args.photos:
                for each in listed_files(place, skipped):
                    if args.csv:
                        if each in done:
                            continue
                        superseded |= done.add(each)
                        asked[each.path] = each
                    yield each.path

        bar = stack.enter_context(tqdm(initial=len(done), unit="photo", disable=not args.csv))
        for line in lines_of(classifier, args, files()):
            failed += "error" in line
            answered += "error" not in line
            if rows:
                rows.writerow(table.row(line, asked.pop(line["photo"]), genera))
            if args.json:
                print(json_line(line), flush=True)
            elif not args.csv:
                print(sentence(line))
            bar.update()
    if superseded:
        table.drop_superseded(args.csv, genera)
    if args.csv or skipped:
        print(summary(answered, failed, skipped), file=sys.stderr)
    return SOME_PHOTOS_FAILED if failed else DONE


def predict_together(args: argparse.Namespace, classifier: Classifier) -> int:
    """Tell one answer for all photos; the exit status. Raises PhotoError where none can be read."""
    skipped: Counter[str] = Counter()
    files = [file for place in args.photos for file in photo_files(place, skipped)]
    answer, errors = answer_together(classifier, files)
    for file, error in errors.items():
        print(f"{shown(file)}: {error}", file=sys.stderr)
    if answer is None:
        raise PhotoError("None of these photos can be read.")
    read = [file for file in files if file not in errors]
    line = answer_line(f"{len(read)} {'photo' if len(read) == 1 else 'photos'} together", answer, classifier)
    print(json_line(line | {"photos": read}) if args.json else sentence(line))
    if skipped:
        print(skipped_sentence(skipped).strip(), file=sys.stderr)
    return SOME_PHOTOS_FAILED if errors else DONE


def lines_of(classifier: Classifier, args: argparse.Namespace, files: Iterable[str]) -> Iterator[dict[str, Any]]:
    """A line for each file: in order from this machine, as they come from a cluster."""
    if args.engine == "ray":
        checkpoint = args.checkpoint
        if checkpoint and checkpoint.startswith(HUB_PREFIX):
            # The commit that was fetched here, whatever is sent there while the archive is worked through.
            checkpoint = f"{checkpoint.partition('@')[0]}@{classifier.folder.name}"
        return answered_lines(checkpoint, files, args.device, args.batch)
    files = iter(files)
    first = list(islice(files, WORTH_EXPORTING))
    if reason := speed_up(classifier, photos=len(first)):
        print(reason, file=sys.stderr)
    return (answer_line(file, answer, classifier) for file, answer in answers(classifier, chain(first, files)))


def require_possible(args: argparse.Namespace) -> None:
    """PredictError where options don't go together, or the table can't be begun or gone on with."""
    if args.resume and not args.csv:
        raise PredictError("--resume goes on with a table: add --csv OUT.")
    if args.together and (args.csv or args.engine == "ray"):
        raise PredictError("--together gives one answer: leave --csv and --engine ray away.")
    if args.csv and args.csv.exists() and not args.resume:
        raise PredictError(f"{args.csv} is there already: add --resume to go on with it, or name another table.")


def require_photos(places: Iterable[str]) -> None:
    """PredictError where a folder holds no photos or can't be reached."""
    for place in places:
        skipped: Counter[str] = Counter()
        try:
            first = next(listed_files(place, skipped), None)
        # pyarrow refuses an address that it can't read with a ValueError.
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
            raise PredictError(f"{place} can't be reached: {reason}.") from error
        if first is None:
            raise PredictError(f"There are no photos in {shown(place)}.{skipped_sentence(skipped)}")


# --- A photo's line, and the summary ------------------------------------------------------------------------


def json_line(line: dict[str, Any], indent: int | None = None) -> str:
    """A photo's numbers for programs. PredictError where a number is none, which JSON can't say."""
    try:
        return json.dumps(line, allow_nan=False, indent=indent)
    except ValueError as error:
        raise PredictError(
            f"The answer for {shown(line['photo'])} is not a number: this checkpoint can't be used."
        ) from error


def sentence(line: dict[str, Any]) -> str:
    """A line for people."""
    name = shown(line["photo"])
    if "error" in line:
        return f"{name}: {line['error']}"
    if line["unknown"]:
        return f"{name}: {third_answer(len(line['probabilities']))} (nearest: {line['genus']})"
    return f"{name}: {line['genus']}, {percent(line['confidence'])} sure"


def shown(name: str) -> str:
    """A file name on one line, without what would steer a terminal."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in str(name))


def summary(answered: int, failed: int, skipped: Counter[str]) -> str:
    """What was done, after all photos."""
    unread = f", {failed:,} can't be read (each says why)" if failed else ""
    return f"{answered:,} {'photo' if answered == 1 else 'photos'} answered{unread}.{skipped_sentence(skipped)}"


def skipped_sentence(skipped: Counter[str]) -> str:
    """How many files were skipped for their ending, and which endings those are; empty where there are none."""
    if not skipped:
        return ""
    count = skipped.total()
    named = ", ".join(f"{shown(ending)}: {number:,}" for ending, number in skipped.most_common(ENDINGS_TOLD))
    more = "; ..." if len(skipped) > ENDINGS_TOLD else ""
    files, their = ("file was", "its") if count == 1 else ("files were", "their")
    return f" {count:,} {files} skipped for {their} ending ({named}{more})."
