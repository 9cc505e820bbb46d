"""Write predictions.csv, report.json and the model card of a checkpoint."""

import argparse
from pathlib import Path

from mushroom.dataset import Prepared, load_prepared
from mushroom.evaluation.metrics import report_text
from mushroom.evaluation.report import FAITHFULNESS_SAMPLE, evaluate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` takes."""
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--split", choices=("train", "validation", "test"), default="test", help="split to print")
    parser.add_argument(
        "--faithfulness",
        type=int,
        nargs="?",
        const=FAITHFULNESS_SAMPLE,
        default=0,
        metavar="PHOTOS",
        help="also measure heatmaps, every method and stage, over so many test photos",
    )
    parser.add_argument("--latency", action="store_true", help="also measure the time a photo takes")


def run(args: argparse.Namespace) -> int:
    """Write the report and print one split of it."""
    return print_evaluation(args.checkpoint, load_prepared(args.prepared), args.split, args.faithfulness, args.latency)


def print_evaluation(
    checkpoint: Path, prepared: Prepared, split: str, faithfulness: int = 0, latency: bool = False
) -> int:
    """Evaluate a checkpoint folder and print one split's report."""
    report = evaluate(checkpoint, prepared, faithfulness=faithfulness, latency=latency)
    print(report_text(report, split))
    return 0
