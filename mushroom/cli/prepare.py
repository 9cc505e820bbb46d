"""Photos in genus folders become a manifest with a leak-free split."""

import argparse
from pathlib import Path

from mushroom.dataset import prepare


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
        help="photos that are none of the genera; a folder is one kind, its subfolders are held back whole",
    )
    parser.add_argument("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> int:
    """Write the prepared folder and print its table."""
    print(prepare(args.source, args.out, seed=args.seed, backgrounds=args.background).summary())
    return 0
