"""Prepared photos become a checkpoint folder."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from accelerate import PartialState

from mushroom.cli import RESUME
from mushroom.dataset import Prepared, load_prepared
from mushroom.evaluation.evaluate import evaluate
from mushroom.evaluation.report_text import report_text
from mushroom.model import GenusNet
from mushroom.texts import RANKS
from mushroom.training.data import TrainingPhotos, learned_photos, training_photos
from mushroom.training.pictures import draw_heatmap, draw_views
from mushroom.training.probe import train_probe
from mushroom.training.recipes import RECIPES, Recipe, with_epochs, with_setting
from mushroom.training.start import PRETRAINED, backbone_of, check_sizes, new_config, new_network
from mushroom.training.state import STATE_FOLDER
from mushroom.training.trainer import Trainer, TrainingOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` takes."""
    parser.add_argument("--out", type=Path, required=True, help="checkpoint folder to write")
    add_training_arguments(parser)
    parser.add_argument("--rank", choices=sorted(RANKS), default="genus", help="what the names of the folders are")
    parser.add_argument("--resume", action="store_true", help="go on after the last finished epoch")


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """What ``train`` and ``cross-validate`` share."""
    parser.add_argument("prepared", type=Path, help="folder that prepare wrote")
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="default")
    parser.add_argument("--backbone", help="timm name, or alexnet; else that of --start, or tf_efficientnet_lite2")
    parser.add_argument(
        "--start",
        "--backbone-weights",
        default=PRETRAINED,
        metavar="CHECKPOINT",
        help="checkpoint folder, or safetensors with timm's names, whose backbone training starts from; or random",
    )
    parser.add_argument("--epochs", type=int, nargs="+", metavar="N", help="epochs of each phase of the recipe")
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=NUMBER",
        help="change the recipe, batch=16 for instance, or input_px, the side that the network sees: see recipes.py",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="threads that read photos ahead of the network")
    parser.add_argument(
        "--mixed-precision",
        choices=("no", "bf16", "fp16"),
        help="as accelerate's launcher; without it bf16 on a processor that computes in it",
    )


def when_stopped(args: argparse.Namespace) -> str:
    """How to go on after Ctrl-C."""
    return RESUME


def run(args: argparse.Namespace) -> int:
    """Train, then evaluate what came out best."""
    prepared = load_prepared(args.prepared)
    prepared.require_trainable()
    recipe = recipe_of(args)
    manifest, background = prepared.manifest, prepared.background
    background = None if background is None else background[background.split == "train"]
    training, others = learned_photos(prepared, manifest[manifest.split == "train"], background, recipe)
    validation = training_photos(prepared, manifest[manifest.split == "validation"])
    train_network(args, prepared, recipe, training, validation, others)
    if not PartialState().is_main_process:
        return 0
    draw_views(training, recipe, args.out / STATE_FOLDER, args.seed)
    # The test split is looked at by `evaluate` alone, once a network that ships.
    report = evaluate(args.out, prepared.without_split("test"), device="auto")
    print(report_text(report, "validation"))
    return 0


def train_network(
    args: argparse.Namespace,
    prepared: Prepared,
    recipe: Recipe,
    training: TrainingPhotos,
    validation: TrainingPhotos,
    others: Sequence[str],
) -> None:
    """Train by ``recipe`` into the checkpoint folder ``args.out``."""
    backbone = backbone_of(args.backbone, args.start)
    sources = training.sources.tolist()
    config = new_config(args.out.name, backbone, args.start, recipe, prepared, others, args.seed, args.rank, sources)
    model = new_network(config, args.start, args.seed)
    check_sizes(model, config, recipe)

    def after_epoch(network: GenusNet, epoch: int) -> None:
        draw_heatmap(network, config, validation.paths[0], args.out / STATE_FOLDER, epoch)

    options = TrainingOptions(args.out, args.seed, args.workers, args.mixed_precision, args.resume, after_epoch)
    if recipe.phases:
        Trainer(model, config, recipe, training, validation, options).run()
    else:
        train_probe(model, config, recipe, training, validation, options)


def recipe_of(args: argparse.Namespace) -> Recipe:
    """The recipe that the command line names, with what it changes."""
    recipe = RECIPES[args.recipe]
    if args.epochs:
        recipe = with_epochs(recipe, args.epochs)
    for setting in args.set:
        recipe = with_setting(recipe, setting)
    return recipe
