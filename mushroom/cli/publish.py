"""Send a checkpoint folder to the Hugging Face Hub, in one commit."""

import argparse
import tempfile
from pathlib import Path

from mushroom.assets import DRAWINGS
from mushroom.checkpoint import find_checkpoint
from mushroom.classifier import Classifier
from mushroom.cli.export import photos_of
from mushroom.evaluation.publish import publish
from mushroom.onnx_file import write_onnx

ONNX_FILE = "model.onnx"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` takes."""
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--repo", required=True, metavar="USER/NAME")
    parser.add_argument("--private", action="store_true", help="where the repository does not exist yet")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be sent")
    parser.add_argument("--with", choices=("onnx",), dest="also", help="send the exported ONNX file along")


def run(args: argparse.Namespace) -> int:
    """Send the checkpoint, and print where it is."""
    folder = find_checkpoint(args.checkpoint)
    more = {}
    if args.also == "onnx":
        with tempfile.TemporaryDirectory() as temporary:
            file = Path(temporary) / ONNX_FILE
            write_onnx(file, Classifier.load(folder), photos_of(str(DRAWINGS)), "float32")
            more[ONNX_FILE] = file.read_bytes()
    print(publish(folder, args.repo, private=args.private, dry_run=args.dry_run, more=more))
    return 0
