"""Measure how far checkpoints agree on the genus and on where they look."""

import argparse
from pathlib import Path

from mushroom.checkpoint import WEIGHTS_FILE
from mushroom.dataset import load_prepared
from mushroom.evaluation import agreement


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` takes."""
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--models", type=Path, default=Path("assets/models"), help="folder of checkpoint folders")


def run(args: argparse.Namespace) -> int:
    """Measure how far all checkpoints of a folder agree, keep it there, and print it."""
    folders = sorted(path.parent for path in args.models.glob(f"*/{WEIGHTS_FILE}"))
    found = agreement.measure_agreement(folders, load_prepared(args.prepared))
    agreement.write_agreement(args.models, found)
    for pair in found["pairs"]:
        print(
            f"{pair['models'][0]} and {pair['models'][1]}: same genus {pair['same_genus']:.3f} of {pair['photos']}, "
            f"heatmaps' rank correlation {pair['rank_correlation']:.3f} over {pair['sample']}"
        )
        for score in ("accuracy", "macro_f1"):
            low, high = pair[f"{score}_difference_interval"]
            print(f"  {score} of the first less that of the other: {pair[f'{score}_difference']:+.3f}", end="")
            print(f" (95 % interval {low:+.3f} to {high:+.3f})")
    return 0
