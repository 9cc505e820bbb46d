"""How well it goes on a source that was left out; recorded in a table."""

import argparse
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mushroom.classifier import Classifier
from mushroom.cli.train import (
    add_training_arguments,
    background_of,
    blended_network,
    config_of,
    finished,
    more_photos,
    new_model,
    recipe_of,
    with_targets,
)
from mushroom.dataset import SPLITS, load_prepared
from mushroom.model import ModelConfig
from mushroom.training import cross_validation
from mushroom.training.probe import Features, backbone_features
from mushroom.training.provenance import command_line, git_commit
from mushroom.training.trainer import KeptMaps, TrainingPhotos, plain_logits, train, training_photos, with_more


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` takes."""
    parser.add_argument("--out", type=Path, required=True, help="folder to work in; its name names the trial")
    parser.add_argument("--what", required=True, help="a few words for the table")
    parser.add_argument("--record", type=Path, default=Path("assets/models"), help="folder of the table")
    parser.add_argument("--probe", action="store_true", help="only a linear layer on the backbone as it comes")
    add_training_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Train without each source in turn, measure on it, and record."""
    prepared = load_prepared(args.prepared)
    recipe = recipe_of(args)
    folds = cross_validation.list_folds(prepared)
    more = more_photos(args, prepared, SPLITS)
    kept: KeptMaps = {}
    seen: dict[Path, np.ndarray] = {}

    def learned_from(fold: cross_validation.Fold) -> TrainingPhotos:
        return with_more(training_photos(prepared, fold.train, background_of(prepared, recipe)), *more)

    def measured(network: nn.Module, config: ModelConfig, fold: cross_validation.Fold) -> np.ndarray:
        return plain_logits(network, training_photos(prepared, fold.measured), config, args.workers).numpy()

    def blended(fold: cross_validation.Fold, folder: Path) -> np.ndarray:
        tuned = [trial / folder.name for trial in args.tuned]
        return measured(*blended_network(args, recipe, prepared, tuned, learned_from(fold)), fold)

    def trained(fold: cross_validation.Fold, folder: Path) -> np.ndarray:
        teacher = Classifier.load(args.teacher / folder.name) if args.teacher else None
        torch.manual_seed(args.seed)
        config = config_of(args, recipe, prepared, teacher)
        validation = training_photos(prepared, fold.validation)
        model = new_model(args, config)
        training = with_targets(learned_from(fold), model, config, recipe, teacher, seen, args.workers)
        options = {"seed": args.seed, "workers": args.workers, "mixed_precision": args.mixed_precision}
        train(model, config, recipe, training, validation, folder, resume=args.resume, kept=kept, **options)
        return measured(finished(folder, training, recipe), config, fold)

    @cache
    def features() -> Features:
        config = config_of(args, recipe, prepared)
        return backbone_features(new_model(args, config).backbone, config, prepared, args.workers)

    answer = cross_validation.probed(features, recipe) if args.probe else blended if args.tuned else trained
    # Asked for before the hours in which the code may change.
    named = {"name": args.out.name, "what": args.what, "git_commit": git_commit(), "command": command_line()}
    found = cross_validation.run_trial(folds, args.out, answer)
    cross_validation.record(args.record, named | found)
    print(cross_validation.trials_text(cross_validation.read_trials(args.record)))
    return 0
