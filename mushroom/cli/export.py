"""Write a checkpoint as an ONNX file that needs nothing of this project, or as a folder that timm loads."""

import argparse
import math
from pathlib import Path

from PIL import Image

from mushroom.assets import DRAWINGS
from mushroom.classifier import Classifier
from mushroom.errors import ExportError, PhotoError
from mushroom.onnx_file import PRECISIONS, write_onnx
from mushroom.photos import read_photo_file
from mushroom.streaming import photo_files
from mushroom.timm_folder import write_timm

CHECKED_PHOTOS = 200
"""Of a folder with more, so many, evenly spread over its files."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` takes."""
    parser.add_argument("checkpoint", help="checkpoint folder, the name of one at hand, or hf://USER/NAME")
    parser.add_argument("--format", choices=("onnx", "timm"), default="onnx")
    parser.add_argument("--out", type=Path, required=True, help="the ONNX file, or timm's folder")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="of the ONNX file's network")
    parser.add_argument(
        "--photos", default=str(DRAWINGS), metavar="FOLDER", help="photos to compare answers on; else the drawings"
    )


def run(args: argparse.Namespace) -> int:
    """Write it, if its answers are the checkpoint's, and print by how much they differ."""
    if args.out.exists() and not (args.format == "timm" and args.out.is_dir() and not any(args.out.iterdir())):
        raise ExportError(f"{args.out} is there already: name another.")
    classifier = Classifier.load(args.checkpoint)
    if args.format == "timm":
        found = write_timm(args.out, classifier)
        print(f"{args.out}: logits differ by at most {found:.2g}.")
        return 0
    difference = write_onnx(args.out, classifier, photos_of(args.photos), args.precision)
    print(
        f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB; over {difference.photos} photos probabilities differ by "
        f"at most {difference.probability:.2g}, {difference.mean:.2g} in the mean, and {difference.same_genus:.1%} "
        "have the same genus."
    )
    return 0


def photos_of(folder: str) -> list[Image.Image]:
    """Some photos of a folder that can be read."""
    files = list(photo_files(folder))
    photos = []
    for file in files[:: math.ceil(len(files) / CHECKED_PHOTOS) or 1]:
        try:
            photos.append(read_photo_file(Path(file)))
        except PhotoError:
            # What can't be read can't be compared on; if nothing can be, that is told.
            continue
    if not photos:
        raise ExportError(f"There are no photos in {folder} to compare answers on: name others with --photos.")
    return photos
