"""Write predictions.csv, report.json and the model card of a checkpoint."""

import argparse
from pathlib import Path

from mushroom.checkpoint import find_checkpoint
from mushroom.classifier import BATCH
from mushroom.cli.predict import add_device_arguments
from mushroom.dataset import load_prepared
from mushroom.errors import DatasetError
from mushroom.evaluation.evaluate import FAITHFULNESS_SAMPLE, evaluate, report_again, with_faithfulness, with_latency
from mushroom.evaluation.report_text import report_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` takes."""
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("prepared", type=Path, nargs="?", help="folder that prepare wrote")
    parser.add_argument(
        "--from-predictions",
        action="store_true",
        help="predict nothing: report and card anew from the predictions and the calibration in the checkpoint",
    )
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
    add_device_arguments(parser, BATCH)


def run(args: argparse.Namespace) -> int:
    """Write the report and print one split of it."""
    checkpoint = find_checkpoint(args.checkpoint)
    if args.prepared is None and (args.faithfulness or not args.from_predictions):
        raise DatasetError("Name the prepared folder, or use --from-predictions to do without photos.")
    if args.from_predictions:
        report = report_again(checkpoint)
    else:
        report = evaluate(checkpoint, load_prepared(args.prepared), device=args.device, batch=args.batch)
    if args.faithfulness:
        report = with_faithfulness(checkpoint, report, load_prepared(args.prepared), args.faithfulness, args.device)
    if args.latency:
        report = with_latency(checkpoint, report, args.device)
    print(report_text(report, args.split))
    return 0
