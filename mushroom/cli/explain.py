"""Show what the network looked at: for each photo an overlay a layer, a film strip, explanation.json."""

import argparse
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from mushroom.classifier import Classifier, Explanation
from mushroom.cli import RESUME
from mushroom.cli.predict import add_device_arguments, json_line, require_photos, shown, summary
from mushroom.errors import DONE, SOME_PHOTOS_FAILED, ExplanationError, PhotoError
from mushroom.explain import faithfulness, overlays
from mushroom.explain.methods import METHODS
from mushroom.explain.regions import hottest_mask, hottest_regions
from mushroom.streaming import ListedFile, listed_files, network_names, read_ahead, read_file
from mushroom.texts import SAFETY

EXPLANATION_FILE = "explanation.json"
FILM_STRIP_FILE = "film_strip.png"

SCHEMA_VERSION = 2
"""Of ``explanation.json``; grows when a field changes its meaning or goes. 1 had no version in it."""

TOP_REGION_PERCENT = 20
"""The top region encloses the hottest fifth of the photo."""

BATCH = 4
"""Photos explained at a time: every layer's activations and gradients are in memory meanwhile."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` takes."""
    parser.add_argument("photo", metavar="PHOTO_OR_FOLDER", help="also s3://BUCKET/FOLDER")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write; one a photo in it")
    parser.add_argument("--checkpoint", help="checkpoint folder or hf://USER/NAME; else the one that ships")
    parser.add_argument("--genus", help="genus to explain; the predicted one otherwise")
    parser.add_argument("--against", metavar="GENUS", help="explain one genus against this other one")
    parser.add_argument("--method", help=f"one of {', '.join(METHODS)}; gradcam otherwise")
    parser.add_argument("--layers", nargs="+", default=["stages"], metavar="LAYER", help="stages, all, or layer names")
    parser.add_argument("--faithfulness", action="store_true", help="also measure whether the hot places matter")
    add_device_arguments(parser, BATCH)
    parser.add_argument("--resume", action="store_true", help="of a folder: leave the photos explained already")


def when_stopped(args: argparse.Namespace) -> str:
    """How to go on after Ctrl-C."""
    return RESUME


def run(args: argparse.Namespace) -> int:
    """Explain a photo, or each of a folder; 3 if some could not be read. Raises MushroomError if none can."""
    # Asking for a second genus is asking for the method that argues against it.
    args.method = args.method or ("contrastive" if args.against else "gradcam")
    args.layers = args.layers[0] if args.layers in (["stages"], ["all"]) else args.layers
    require_photos([args.photo])
    if args.out.exists() and not args.resume and (not args.out.is_dir() or any(args.out.iterdir())):
        raise ExplanationError(f"{args.out} is there already: name another folder, or add --resume to go on.")
    classifier = Classifier.load(args.checkpoint, device=args.device)
    first = next(listed_files(args.photo))
    return explain_one(args, classifier, first) if first.path == args.photo else explain_folder(args, classifier)


def explain_one(args: argparse.Namespace, classifier: Classifier, file: ListedFile) -> int:
    """Explain one photo into the folder DIR itself."""
    if is_explained(args.out, file, args, classifier):
        return DONE
    photo = read_file(file.path)
    if isinstance(photo, str):
        raise PhotoError(photo)
    [explanation] = explanations_of([photo], args, classifier)
    for path in write_explanation(args.out, file, photo, explanation, args, classifier):
        print(path)
    return DONE


def explain_folder(args: argparse.Namespace, classifier: Classifier) -> int:
    """Explain each photo of a folder into a folder of its own in DIR; a photo that can't be read is told."""
    skipped: Counter[str] = Counter()
    asked: dict[str, ListedFile] = {}
    done = failed = 0

    def files() -> Iterator[str]:
        for file in listed_files(args.photo, skipped):
            if not (args.resume and is_explained(folder_of(args, file), file, args, classifier)):
                asked[file.path] = file
                yield file.path

    photos = read_ahead(files(), read_file, 2 * args.batch)
    while batch := list(islice(photos, args.batch)):
        for path, photo in batch:
            if isinstance(photo, str):
                failed += 1
                print(f"{shown(path)}: {photo}", file=sys.stderr)
        read = [(asked.pop(path), photo) for path, photo in batch if not isinstance(photo, str)]
        explained = explanations_of([photo for _, photo in read], args, classifier)
        for (file, photo), explanation in zip(read, explained, strict=True):
            write_explanation(folder_of(args, file), file, photo, explanation, args, classifier)
            done += 1
            print(shown(str(folder_of(args, file))))
    print(summary(done, failed, skipped), file=sys.stderr)
    return SOME_PHOTOS_FAILED if failed else DONE


def folder_of(args: argparse.Namespace, file: ListedFile) -> Path:
    """Where a photo of the folder is explained: named as the photo is, in folders as the photo is."""
    return args.out / file.path.removeprefix(args.photo.partition("?")[0]).partition("?")[0].lstrip("/")


def explanations_of(photos: list[Image.Image], args: argparse.Namespace, classifier: Classifier) -> list[Explanation]:
    """The explanation of each photo, as it is asked for."""
    if not photos:
        return []
    return classifier.explain_photos(photos, args.genus, args.against, args.method, args.layers)


def write_explanation(
    out: Path,
    file: ListedFile,
    photo: Image.Image,
    explanation: Explanation,
    args: argparse.Namespace,
    classifier: Classifier,
) -> list[Path]:
    """Write the explanation of one photo into ``out``; the paths of what was written."""
    numbers = explanation_numbers(file, photo, explanation, classifier) | {"asked": asked_for(args)}
    if args.faithfulness:
        add_faithfulness(numbers, classifier, photo, explanation)
    return write(out, photo, explanation, numbers)


def asked_for(args: argparse.Namespace) -> dict[str, Any]:
    """What of the arguments changes an explanation."""
    return {name: getattr(args, name) for name in ("genus", "against", "method", "layers", "faithfulness")}


def is_explained(out: Path, file: ListedFile, args: argparse.Namespace, classifier: Classifier) -> bool:
    """Whether ``out`` holds the explanation of this very file, by this network, as it is asked for now."""
    found = numbers_in(out)
    expected = {**about(file, classifier), "schema_version": SCHEMA_VERSION, "asked": asked_for(args)}
    return all(found.get(name) == value for name, value in expected.items())


def numbers_in(out: Path) -> dict[str, Any]:
    """What the explanation in ``out`` says; empty where there is none that can be read."""
    try:
        found = json.loads((out / EXPLANATION_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def about(file: ListedFile, classifier: Classifier) -> dict[str, Any]:
    """Which file, and which network."""
    return {
        "photo": file.path,
        "bytes": file.size_bytes,
        "modified": file.modified,
        **network_names(classifier),
    }


def explanation_numbers(
    file: ListedFile, photo: Image.Image, explanation: Explanation, classifier: Classifier
) -> dict[str, Any]:
    """What ``explanation.json`` holds."""
    prediction = explanation.prediction
    return {
        "schema_version": SCHEMA_VERSION,
        **about(file, classifier),
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
                "hottest_percent": TOP_REGION_PERCENT,
                "hottest_regions_percent": hottest_regions(
                    explanation.heatmaps[layer.name], TOP_REGION_PERCENT, photo.size
                ),
            }
            for layer in explanation.layers
        ],
        "safety": SAFETY,
    }


def top_region(heatmap: np.ndarray, size: tuple[int, int]) -> dict[str, int] | None:
    """The box around the hottest fifth of a photo of ``size`` (width, height), in pixels; None where it is empty."""
    mask = hottest_mask(heatmap, TOP_REGION_PERCENT, size)
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return {"left": left, "top": top, "right": left + width, "bottom": top + height} if width else None


def add_faithfulness(
    numbers: dict[str, Any], classifier: Classifier, photo: Image.Image, explanation: Explanation
) -> None:
    """Put each layer's deletion, insertion, average drop and increase into ``numbers``."""
    image = classifier.to_images([photo])[0].to(classifier.device)
    target = classifier.class_index(explanation.genus)
    for layer in numbers["layers"]:
        heatmap = torch.from_numpy(explanation.heatmaps[layer["name"]]).to(classifier.device)
        [measured] = faithfulness.measure(classifier.model, image, target, heatmap[None])
        layer["faithfulness"] = asdict(measured)


def write(out: Path, photo: Image.Image, explanation: Explanation, numbers: dict[str, Any]) -> list[Path]:
    """Write an overlay for each layer, the film strip and the numbers; returns their paths.

    All is written aside and renamed to ``out`` at once, the numbers last: a folder of this name is whole.
    """
    overlay_files = {
        layer.name: f"{number:02}_{layer.name.replace('.', '_')}.png"
        for number, layer in enumerate(explanation.layers, start=1)
    }
    names = [*overlay_files.values(), FILM_STRIP_FILE, EXPLANATION_FILE]
    text = json_line(numbers | {"files": names}, indent=1)
    aside = Path(os.path.abspath(out)).with_name(f".{out.name}.aside")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for layer in explanation.layers:
        overlays.overlay(photo, explanation.heatmaps[layer.name]).save(aside / overlay_files[layer.name])
    captions = {layer.name: f"{layer.name}: {layer.label}" for layer in explanation.layers}
    overlays.film_strip(photo, explanation.heatmaps, captions=captions).save(aside / FILM_STRIP_FILE)
    (aside / EXPLANATION_FILE).write_text(text + "\n", encoding="utf-8")
    _put_in_place(aside, out, names)
    return [out / name for name in names]


def _put_in_place(aside: Path, out: Path, names: list[str]) -> None:
    """Rename ``aside`` to ``out``; where that has files already, the new take the place of the old, numbers last."""
    if not out.exists() or not any(out.iterdir()):
        os.replace(aside, out)
        return
    before = numbers_in(out).get("files", [])
    (out / EXPLANATION_FILE).unlink(missing_ok=True)
    for name in before:
        if isinstance(name, str) and name == Path(name).name and name.endswith(".png"):
            (out / name).unlink(missing_ok=True)
    for name in names:
        os.replace(aside / name, out / name)
    aside.rmdir()
