"""Train without each source in turn, measure on it, and print how well that goes."""

import argparse
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np

from mushroom.checkpoint import load_checkpoint, write_json
from mushroom.cli.train import add_training_arguments, recipe_of, train_network
from mushroom.dataset import Prepared, load_prepared
from mushroom.training.cross_validation import Fold, Logits, cross_validate, list_folds, score_lines
from mushroom.training.data import TrainingPhotos, learned_photos, training_photos
from mushroom.training.features import answers
from mushroom.training.optimisation import new_accelerator
from mushroom.training.probe import fit_head
from mushroom.training.provenance import command_line, git_commit
from mushroom.training.recipes import Recipe
from mushroom.training.start import backbone_of, check_sizes, new_config, new_network
from mushroom.training.state import STATE_FILE, STATE_FOLDER, claim_folder

Answer = Callable[[Fold, Path], Logits]
RESULT_FILE = "cross_validation.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` takes."""
    parser.add_argument("--out", type=Path, required=True, help="folder to work in, and for cross_validation.json")
    parser.add_argument("--folds", type=int, metavar="N", help="N folds of whole sources instead of a source each")
    add_training_arguments(parser)


def when_stopped(args: argparse.Namespace) -> str:
    """How to go on after Ctrl-C: finished folds are read again."""
    return "Go on with the same command."


def run(args: argparse.Namespace) -> int:
    """Train and measure every fold; one that is finished is not trained again."""
    prepared = load_prepared(args.prepared)
    prepared.require_trainable()
    recipe = recipe_of(args)
    claim_folder(args.out)
    # Asked for before the hours in which the code may change.
    what = {"command": command_line(), "git_commit": git_commit(), "data_fingerprint": prepared.fingerprint}

    answer = trained_answer(args, prepared, recipe) if recipe.phases else probe_answer(args, prepared, recipe)
    result = cross_validate(list_folds(prepared, args.folds), prepared.genera, args.out, answer)
    write_json(args.out / RESULT_FILE, what | asdict(result))
    print("\n".join(score_lines(result)))
    return 0


def trained_answer(args: argparse.Namespace, prepared: Prepared, recipe: Recipe) -> Answer:
    """Logits of a fold's photos by a network that is trained without their sources."""

    def answer(fold: Fold, folder: Path) -> Logits:
        training, others = learned_photos(prepared, fold.train, fold.background, recipe)
        validation = training_photos(prepared, fold.validation)
        own = {"out": folder, "resume": (folder / STATE_FOLDER / STATE_FILE).exists(), "rank": "genus"}
        train_network(argparse.Namespace(**vars(args) | own), prepared, recipe, training, validation, others)
        network, config = load_checkpoint(folder)
        # In single precision, as networks that ship answer, whatever the fold was trained in.
        accelerator = new_accelerator("no")
        network.to(accelerator.device)
        known, rest = measured_photos(prepared, fold)
        found = answers(accelerator, network, known, config, args.workers).numpy()
        if not len(rest):
            return found, found[:0]
        return found, answers(accelerator, network, rest, config, args.workers).numpy()

    return answer


def probe_answer(args: argparse.Namespace, prepared: Prepared, recipe: Recipe) -> Answer:
    """Logits of a fold's photos by a linear layer that never saw their sources, on features that are passed once."""
    backbone = backbone_of(args.backbone, args.start)
    config = new_config("probe", backbone, args.start, recipe, prepared, (), args.seed)
    network = new_network(config, args.start, args.seed)
    check_sizes(network, config, recipe)

    @cache
    def features() -> dict[Path, np.ndarray]:
        seen = prepared.without_split("test")
        photos = training_photos(seen, seen.manifest, seen.background)
        accelerator = new_accelerator(args.mixed_precision)
        network.to(accelerator.device)
        found = answers(accelerator, network.backbone, photos, config, args.workers).numpy()
        return dict(zip(photos.paths, found, strict=True))

    def answer(fold: Fold, folder: Path) -> Logits:
        training, others = learned_photos(prepared, fold.train, fold.background, recipe)
        logits = len(prepared.genera) + len(others)
        weight, bias = fit_head(np.stack([features()[path] for path in training.paths]), training, recipe, logits)
        known, rest = (
            np.array([features()[path] @ weight.T + bias for path in photos.paths]).reshape(-1, logits)
            for photos in measured_photos(prepared, fold)
        )
        return known, rest

    return answer


def measured_photos(prepared: Prepared, fold: Fold) -> tuple[TrainingPhotos, TrainingPhotos]:
    """The photos to measure a fold on: those of the genera, and the others."""
    known = training_photos(prepared, fold.measured)
    return known, training_photos(prepared, fold.measured.iloc[:0], fold.others)
