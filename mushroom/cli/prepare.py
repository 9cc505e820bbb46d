"""Photos in genus folders become a prepared folder: a manifest with a leak-free split."""

import argparse
from pathlib import Path

from mushroom.errors import DatasetError
from mushroom.training.prepare import BySource, prepare


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` takes."""
    parser.add_argument("source", help="folder of genus folders, kaggle:OWNER/DATASET, or hf://datasets/OWNER/NAME")
    parser.add_argument("--out", type=Path, required=True, help="folder for manifest.csv and its kin")
    parser.add_argument(
        "--background",
        type=Path,
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="photos that are none of these genera; a folder is one kind, its subfolders are other genera",
    )
    parser.add_argument("--corrections", type=Path, metavar="CSV", help="photo and genus, in place of what folders say")
    parser.add_argument("--by-source", action="store_true", help="keep every source whole in one split")
    parser.add_argument(
        "--train-sources", nargs="+", default=[], metavar="SOURCE", help="with --by-source: these train in any case"
    )
    parser.add_argument(
        "--same-source",
        nargs="+",
        action="append",
        default=[],
        metavar="SOURCE",
        help="with --by-source: these are one source; may be given several times",
    )
    parser.add_argument("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> int:
    """Write the prepared folder and print its table."""
    if (args.train_sources or args.same_source) and not args.by_source:
        raise DatasetError("--train-sources and --same-source say how sources are split: add --by-source.")
    by_source = BySource(args.train_sources, args.same_source) if args.by_source else None
    prepared = prepare(
        args.source,
        args.out,
        seed=args.seed,
        backgrounds=args.background,
        by_source=by_source,
        corrections=args.corrections,
    )
    print(prepared.summary())
    return 0
