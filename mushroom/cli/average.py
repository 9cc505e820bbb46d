"""The mean of checkpoints that were fine-tuned from the same start becomes a checkpoint."""

import argparse
from pathlib import Path

from mushroom.training.average import average_checkpoints
from mushroom.training.state import claim_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` takes."""
    parser.add_argument("checkpoints", type=Path, nargs="+", metavar="CHECKPOINT", help="one named twice counts twice")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint folder to write")


def run(args: argparse.Namespace) -> int:
    """Write the mean, and say what is next: its temperature and threshold are not fitted yet."""
    average_checkpoints(args.checkpoints, claim_folder(args.out))
    print(f"{args.out} is written; python train.py evaluate {args.out} PREPARED fits and measures it.")
    return 0
