"""Keep a network's features of the photos it learned from, so that the app finds the nearest at once."""

import argparse
from pathlib import Path

from tqdm import tqdm

from mushroom.classifier import BATCH, Classifier
from mushroom.cli.predict import add_device_arguments
from mushroom.dataset import load_prepared
from mushroom.evaluation.neighbours import build_index, keep_index


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` takes."""
    parser.add_argument("checkpoint", help="checkpoint folder, or the name of one at hand")
    parser.add_argument("prepared", type=Path, help="folder that prepare wrote; the features are kept in it")
    add_device_arguments(parser, BATCH)


def run(args: argparse.Namespace) -> int:
    """Look at all training photos, keep their features, and say where."""
    classifier = Classifier.load(args.checkpoint, device=args.device, batch=args.batch)
    prepared = load_prepared(args.prepared)
    with tqdm(total=1.0, desc="features", bar_format="{l_bar}{bar}| {elapsed}<{remaining}") as bar:
        index = build_index(classifier, prepared, on_progress=lambda share: bar.update(share - bar.n))
    print(f"{len(index.rows)} photos: {keep_index(classifier, index)}")
    return 0
