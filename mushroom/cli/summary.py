"""Write the numbers of all checkpoints of a folder into the marked block of the README."""

import argparse
from pathlib import Path

from mushroom.checkpoint import WEIGHTS_FILE
from mushroom.evaluation.summary import summary, write_block


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` takes."""
    parser.add_argument("--models", type=Path, default=Path("assets/models"), help="folder of checkpoint folders")
    parser.add_argument("--into", type=Path, default=Path("README.md"), help="Markdown file with the marked block")


def run(args: argparse.Namespace) -> int:
    """Write the table, and print it."""
    text = summary([path.parent for path in args.models.glob(f"*/{WEIGHTS_FILE}")])
    write_block(args.into, text)
    print(text)
    return 0
