"""Send a checkpoint folder to the Hugging Face Hub, in one commit."""

import argparse
from pathlib import Path

from mushroom.checkpoint import find_checkpoint
from mushroom.evaluation.publish import publish


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` takes."""
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--repo", required=True, metavar="USER/NAME")
    parser.add_argument("--private", action="store_true", help="where the repository does not exist yet")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be sent")


def run(args: argparse.Namespace) -> int:
    """Send the checkpoint, and print where it is."""
    print(publish(find_checkpoint(args.checkpoint), args.repo, private=args.private, dry_run=args.dry_run))
    return 0
