"""Command line for making a model: prepare photos, train, evaluate, publish."""

import sys
from collections.abc import Sequence

from mushroom.cli import run_one

COMMANDS = {
    "prepare": "Photos in genus folders become a prepared folder: a manifest with a leak-free split.",
    "train": "Prepared photos become a checkpoint folder.",
    "average": "The mean of checkpoints that were fine-tuned from the same start becomes a checkpoint.",
    "cross-validate": "Train without each source in turn, measure on it, and print how well that goes.",
    "evaluate": "Write predictions.csv, report.json and the model card of a checkpoint.",
    "agreement": "Measure how far checkpoints agree on the genus and on where they look.",
    "neighbours": "Keep a network's features of the photos it learned from, so that the app finds the nearest at once.",
    "summary": "Write the numbers of all checkpoints of a folder into the marked block of the README.",
    "export": "Write a checkpoint as an ONNX file that needs nothing of this project, or as a folder that timm loads.",
    "publish": "Send a checkpoint folder to the Hugging Face Hub, in one commit.",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    return run_one("train.py", __doc__, COMMANDS, arguments, "COMMAND")


if __name__ == "__main__":
    sys.exit(main())
