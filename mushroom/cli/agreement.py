"""Measure how far checkpoints agree on the genus and on where they look."""

import argparse
from pathlib import Path

from mushroom.checkpoint import WEIGHTS_FILE
from mushroom.dataset import load_prepared
from mushroom.errors import DatasetError
from mushroom.evaluation.agreement import agreement_again, measure_agreement, write_agreement


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` takes."""
    parser.add_argument("prepared", type=Path, nargs="?", help="folder that prepare wrote")
    parser.add_argument("--models", type=Path, default=Path("assets/models"), help="folder of checkpoint folders")
    parser.add_argument(
        "--from-predictions",
        action="store_true",
        help="without photos: the genera anew from the checkpoints' predictions, heatmaps as they were measured",
    )


def run(args: argparse.Namespace) -> int:
    """Measure how far all checkpoints of a folder agree, keep it there, and print it."""
    if args.from_predictions:
        found = agreement_again(args.models)
    elif args.prepared is None:
        raise DatasetError("Name the prepared folder, or use --from-predictions to do without photos.")
    else:
        folders = sorted(path.parent for path in args.models.glob(f"*/{WEIGHTS_FILE}"))
        found = measure_agreement(folders, load_prepared(args.prepared))
    write_agreement(args.models, found)
    for pair in found.pairs:
        heatmaps = "not measured" if pair.rank_correlation is None else f"{pair.rank_correlation:.3f}"
        print(
            f"{pair.models[0]} and {pair.models[1]}: same genus {pair.same_genus:.3f} of {pair.photos}, "
            f"heatmaps' rank correlation {heatmaps} over {pair.sample}"
        )
        for score, difference, (low, high) in (
            ("accuracy", pair.accuracy_difference, pair.accuracy_difference_interval),
            ("macro-F1", pair.macro_f1_difference, pair.macro_f1_difference_interval),
        ):
            interval = f"(95 % interval {low:+.3f} to {high:+.3f})"
            print(f"  {score} of the first less that of the other: {difference:+.3f} {interval}")
    return 0
