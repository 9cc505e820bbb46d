"""Show what the network looked at on one photo: an overlay a layer, a film strip, explanation.json."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from mushroom.classifier import Classifier, Explanation
from mushroom.errors import CheckpointError, ExplanationError, PhotoError
from mushroom.explain import faithfulness, overlays
from mushroom.explain.gradcam import METHODS
from mushroom.explain.regions import hottest_mask
from mushroom.photos import read_photo_file
from mushroom.texts import SAFETY

EXPLANATION_FILE = "explanation.json"
FILM_STRIP_FILE = "film_strip.png"

TOP_REGION_PERCENT = 20
"""The top region encloses the hottest fifth of the photo."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` takes."""
    parser.add_argument("photo", type=Path, metavar="PHOTO")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write into")
    parser.add_argument("--checkpoint", help="checkpoint folder or hf://USER/NAME; else the one that ships")
    parser.add_argument("--genus", help="genus to explain; the predicted one otherwise")
    parser.add_argument("--against", metavar="GENUS", help="explain one genus against this other one")
    parser.add_argument("--method", help=f"one of {', '.join(METHODS)}; gradcam otherwise")
    parser.add_argument("--layers", nargs="+", default=["stages"], metavar="LAYER", help="stages, all, or layer names")
    parser.add_argument("--faithfulness", action="store_true", help="also measure whether the hot places matter")


def run(args: argparse.Namespace) -> int:
    """Write the pictures and numbers; 0, or 2 with a sentence if it can't be done."""
    # Asking for a second genus is asking for the method that argues against it.
    method = args.method or ("contrastive" if args.against else "gradcam")
    layers = args.layers[0] if args.layers in (["stages"], ["all"]) else args.layers
    try:
        classifier = Classifier.load(args.checkpoint)
        photo = read_photo_file(args.photo)
        explanation = classifier.explain(photo, args.genus, args.against, method, layers)
    except (CheckpointError, ExplanationError, PhotoError) as error:
        print(error, file=sys.stderr)
        return 2
    numbers = explanation_numbers(args.photo, photo, explanation)
    if args.faithfulness:
        add_faithfulness(numbers, classifier, photo, explanation)
    try:
        written = write(args.out, photo, explanation, numbers)
    except OSError as error:
        print(f"{args.out} can't be written: {error.strerror}.", file=sys.stderr)
        return 2
    for path in written:
        print(path)
    return 0


def explanation_numbers(path: Path, photo: Image.Image, explanation: Explanation) -> dict[str, Any]:
    """What ``explanation.json`` holds."""
    prediction = explanation.prediction
    return {
        "photo": str(path),
        "target": explanation.genus,
        "against": explanation.against,
        "method": explanation.method,
        "prediction": prediction.genus,
        "confidence": prediction.confidence,
        "unknown": prediction.unknown,
        "unknown_score": prediction.unknown_score,
        "probabilities": prediction.probabilities,
        "layers": [
            {
                "name": layer.name,
                "label": layer.label,
                "height": layer.height,
                "width": layer.width,
                "has_evidence": explanation.has_evidence[layer.name],
                "top_region": top_region(explanation.heatmaps[layer.name], photo.size),
            }
            for layer in explanation.layers
        ],
        "safety": SAFETY,
    }


def top_region(heatmap: np.ndarray, size: tuple[int, int]) -> dict[str, int] | None:
    """The box around the hottest fifth of a photo of ``size`` (width, height), in pixels; None where it is empty."""
    rows, columns = np.nonzero(hottest_mask(heatmap, TOP_REGION_PERCENT, size))
    if not len(rows):
        return None
    return {
        "left": int(columns.min()),
        "top": int(rows.min()),
        "right": int(columns.max()) + 1,
        "bottom": int(rows.max()) + 1,
    }


def add_faithfulness(
    numbers: dict[str, Any], classifier: Classifier, photo: Image.Image, explanation: Explanation
) -> None:
    """Put each layer's deletion, insertion, average drop and increase into ``numbers``."""
    image = classifier.to_images([photo])[0]
    target = classifier.class_index(explanation.genus)
    for layer in numbers["layers"]:
        heatmap = torch.from_numpy(explanation.heatmaps[layer["name"]])
        [measured] = faithfulness.measure(classifier.model, image, target, heatmap[None])
        layer["faithfulness"] = asdict(measured)


def write(out: Path, photo: Image.Image, explanation: Explanation, numbers: dict[str, Any]) -> list[Path]:
    """Write an overlay for each layer, the film strip and the numbers into ``out``; returns their paths."""
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for number, layer in enumerate(explanation.layers, start=1):
        path = out / f"{number:02}_{layer.name.replace('.', '_')}.png"
        overlays.overlay(photo, explanation.heatmaps[layer.name]).save(path)
        written.append(path)
    captions = {layer.name: f"{layer.name}: {layer.label}" for layer in explanation.layers}
    overlays.film_strip(photo, explanation.heatmaps, captions=captions).save(out / FILM_STRIP_FILE)
    (out / EXPLANATION_FILE).write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    return [*written, out / FILM_STRIP_FILE, out / EXPLANATION_FILE]
