"""Prepared photos become a checkpoint folder."""

import argparse
import math
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import nn
from torchvision.transforms.v2.functional import to_pil_image

from mushroom.checkpoint import load_checkpoint, read_safetensors, save_checkpoint
from mushroom.classifier import Classifier
from mushroom.cli.evaluate import print_evaluation
from mushroom.dataset import Prepared, load_prepared
from mushroom.errors import TrainingError
from mushroom.explain.gradcam import default_layer, find_layers, heatmaps
from mushroom.explain.overlays import NOTEBOOK_COLOURS, NOTEBOOK_OPACITY, overlay
from mushroom.model import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    NOTEBOOK_HEAD_DROPOUTS,
    GenusNet,
    ModelConfig,
    backbone_normalisation,
    build_model,
    create_backbone,
    feature_count,
    load_backbone_weights,
    notebook_head_widths,
)
from mushroom.photos import Preprocessing, read_photo_file, to_tensor
from mushroom.training.average import average, blend
from mushroom.training.probe import probe_logits
from mushroom.training.provenance import command_line, git_commit, library_versions
from mushroom.training.recipes import AUGMENTATIONS, RECIPES, Phase, Recipe
from mushroom.training.trainer import (
    STATE_FOLDER,
    TrainingPhotos,
    augmented,
    expect_alike,
    plain_logits,
    taught,
    train,
    training_photos,
    with_more,
)
from mushroom.training.unlabelled import read_names, unlabelled_photos

LINEAR_HEAD_DROPOUT = 0.3
TRAINED_FOLDER = "trained"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` takes."""
    parser.add_argument("--out", type=Path, required=True, help="checkpoint folder to write")
    add_training_arguments(parser)


def add_training_arguments(command: argparse.ArgumentParser) -> None:
    """What ``train`` and ``trial`` share."""
    command.add_argument("prepared", type=Path, help="folder that prepare wrote")
    command.add_argument("--recipe", choices=sorted(RECIPES), default="default")
    command.add_argument("--backbone", default="tf_efficientnet_lite2", help="timm name, or alexnet")
    weights = command.add_mutually_exclusive_group()
    weights.add_argument("--backbone-weights", type=Path, metavar="FILE", help="safetensors with timm's names")
    weights.add_argument("--random-backbone", action="store_true", help="start from random numbers")
    command.add_argument(
        "--teacher", type=Path, metavar="CHECKPOINT", help="learn its answers, too; of a trial: its folder"
    )
    command.add_argument(
        "--tuned",
        type=Path,
        nargs="+",
        default=[],
        metavar="CHECKPOINT",
        help="with --recipe averaged or blended: of what; of a trial: its folder",
    )
    command.add_argument("--unlabelled", type=Path, metavar="FOLDER", help="photos that a teacher alone speaks of")
    command.add_argument("--names", type=Path, metavar="CSV", help="what some of the --unlabelled photos are after all")
    command.add_argument("--freeze-stages", type=int, metavar="N", help="hold the backbone's first N stages")
    command.add_argument("--input-px", type=int, metavar="PX", help="side that the finished network sees")
    command.add_argument("--train-px", type=int, metavar="PX", help="side of training views")
    command.add_argument("--epochs", type=int, nargs="+", metavar="N", help="epochs of each phase of the recipe")
    command.add_argument(
        "--set", nargs="+", default=[], metavar="NAME=NUMBER", help="change the recipe: see recipes.py"
    )
    command.add_argument("--batch", type=int, help="photos a step")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--workers", type=int, default=2, help="processes that read photos")
    command.add_argument("--mixed-precision", choices=("no", "bf16", "fp16"), help="as accelerate's launcher")
    command.add_argument("--resume", action="store_true", help="go on after the last finished epoch")


def run(args: argparse.Namespace) -> int:
    """Train, then evaluate what came out best."""
    prepared = load_prepared(args.prepared)
    recipe = recipe_of(args)
    teacher = Classifier.load(args.teacher) if args.teacher else None
    torch.manual_seed(args.seed)
    config = config_of(args, recipe, prepared, teacher)
    manifest = prepared.manifest
    training = training_photos(prepared, manifest[manifest.split == "train"], background_of(prepared, recipe))
    training = with_more(training, *more_photos(args, prepared))
    if args.tuned:
        network, config = blended_network(args, recipe, prepared, args.tuned, training)
        save_checkpoint(args.out, network, config, half=recipe.half)
        return print_evaluation(args.out, prepared, "validation")
    validation = training_photos(prepared, manifest[manifest.split == "validation"])
    model = new_model(args, config)
    train(
        model,
        config,
        recipe,
        with_targets(training, model, config, recipe, teacher, {}, args.workers),
        validation,
        args.out,
        seed=args.seed,
        resume=args.resume,
        workers=args.workers,
        mixed_precision=args.mixed_precision,
        after_epoch=lambda network, epoch: draw_heatmap(network, config, validation.paths[0], args.out, epoch),
    )
    save_checkpoint(args.out, finished(args.out, training, recipe), config, half=recipe.half)
    draw_views(training, recipe, config, args.out, args.seed)
    return print_evaluation(args.out, prepared, "validation")


def recipe_of(args: argparse.Namespace) -> Recipe:
    """The recipe that the command line names, with what it changes."""
    recipe = RECIPES[args.recipe]
    if args.batch:
        recipe = replace(recipe, batch=args.batch)
    if args.epochs:
        if len(args.epochs) != len(recipe.phases):
            raise TrainingError(f"--epochs takes {len(recipe.phases)} numbers, one for each phase of {recipe.name}.")
        phases = (replace(p, epochs=n) for p, n in zip(recipe.phases, args.epochs, strict=True))
        recipe = replace(recipe, phases=tuple(phases))
    if args.train_px:
        recipe = replace(recipe, train_px=args.train_px)
    if args.input_px:
        recipe = replace(recipe, input_px=args.input_px)
    if args.freeze_stages is not None:
        recipe = with_tuning(recipe, "frozen_stages", args.freeze_stages)
    for setting in args.set:
        recipe = with_setting(recipe, setting)
    if args.unlabelled and not (args.teacher or args.names or recipe.probe_teaches):
        raise TrainingError("--unlabelled photos have nothing to teach without a --teacher or --names.")
    if args.names and not args.unlabelled:
        raise TrainingError("--names says what --unlabelled photos are: name their folder, too.")
    if args.teacher and recipe.probe_teaches:
        raise TrainingError(f"The recipe {recipe.name} brings its own teacher: leave --teacher out.")
    if bool(args.tuned) != (not recipe.phases):
        raise TrainingError("--tuned CHECKPOINT and the recipes averaged and blended belong together.")
    return recipe


def with_setting(recipe: Recipe, setting: str) -> Recipe:
    """``recipe`` with one number changed, as ``name=number``: of itself, or of its phases that train the backbone."""
    name, _, text = setting.partition("=")
    numbers = {field.name for kind in (Recipe, Phase) for field in fields(kind) if field.type in (int, float)}
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if name not in numbers or not math.isfinite(value):
        raise TrainingError(f"--set takes name=number, where the name is one of {', '.join(sorted(numbers))}.")
    if name in {field.name for field in fields(Phase)}:
        return with_tuning(recipe, name, value)
    return replace(recipe, **{name: type(getattr(recipe, name))(value)})


def with_tuning(recipe: Recipe, name: str, value: float) -> Recipe:
    """``recipe`` with one number changed in each phase that trains the backbone."""
    phases = (p if p.frozen else replace(p, **{name: type(getattr(p, name))(value)}) for p in recipe.phases)
    return replace(recipe, phases=tuple(phases))


def config_of(
    args: argparse.Namespace,
    recipe: Recipe,
    prepared: Prepared,
    teacher: Classifier | None = None,
    tuned: Sequence[Classifier] = (),
) -> ModelConfig:
    """The config of the checkpoint that a training command makes, as far as it is known before."""
    features = feature_count(create_backbone(args.backbone))
    mean, std = (IMAGENET_MEAN, IMAGENET_STD)
    if recipe.name != "notebook":
        mean, std = backbone_normalisation(args.backbone)
    return ModelConfig(
        name=args.out.name,
        backbone=args.backbone,
        input_px=recipe.input_px,
        mean=mean,
        std=std,
        head_widths=notebook_head_widths(features) if recipe.notebook_head else (),
        head_dropouts=NOTEBOOK_HEAD_DROPOUTS if recipe.notebook_head else (LINEAR_HEAD_DROPOUT,),
        recipe={
            **asdict(recipe),
            "seed": args.seed,
            "backbone_weights": args.backbone_weights.name if args.backbone_weights else "",
            "teacher": identity_of(teacher) if teacher else None,
            "tuned": [identity_of(each) for each in tuned],
            "names": args.names.name if args.names else "",
            "command": command_line(),
        },
        data_fingerprint=prepared.fingerprint,
        versions=library_versions(),
        git_commit=git_commit(),
    )


def identity_of(classifier: Classifier) -> dict[str, str]:
    """What a recipe records of a checkpoint that it learned from."""
    return {"name": classifier.config.name, "weights_sha256": classifier.weights_sha256}


def blended_network(
    args: argparse.Namespace, recipe: Recipe, prepared: Prepared, checkpoints: Sequence[Path], training: TrainingPhotos
) -> tuple[GenusNet, ModelConfig]:
    """What a recipe without epochs makes of ``checkpoints``."""
    tuned = [Classifier.load(checkpoint) for checkpoint in checkpoints]
    config = config_of(args, recipe, prepared, tuned=tuned)
    start = new_model(args, config) if recipe.new_head else build_model(config)
    for each in tuned:
        one, other = (each.model.backbone, start.backbone) if recipe.new_head else (each.model, start)
        if _shapes(one) != _shapes(other):
            raise TrainingError(f"{each.config.name} is built otherwise than a {args.backbone}: name its --backbone.")
    models = [each.model for each in tuned]
    if recipe.new_head:
        return blend(start.backbone, models, config, training, recipe, args.workers), config
    network = average(models, config)
    expect_alike(network, training, recipe)
    return network, config


def finished(folder: Path, training: TrainingPhotos, recipe: Recipe) -> GenusNet:
    """What training left in the checkpoint ``folder``, with its head moved as the recipe has it.

    The network as it was trained is kept beside the training state, so that a run which is resumed at its very end
    does not move it twice.
    """
    trained = folder / STATE_FOLDER / TRAINED_FOLDER
    if not trained.exists():
        save_checkpoint(trained, *load_checkpoint(folder), half=recipe.half)
    network, _ = load_checkpoint(trained)
    expect_alike(network, training, recipe)
    return network


def _shapes(network: nn.Module) -> list[torch.Size]:
    return [value.shape for value in network.state_dict().values()]


def new_model(args: argparse.Namespace, config: ModelConfig) -> GenusNet:
    """The network that training starts from."""
    model = build_model(config, pretrained=not (args.random_backbone or args.backbone_weights))
    if args.backbone_weights:
        missing = load_backbone_weights(model.backbone, read_safetensors(args.backbone_weights))
        if missing:
            print(f"{len(missing)} tensors are not in {args.backbone_weights.name} and start random.")
    return model


def background_of(prepared: Prepared, recipe: Recipe) -> pd.DataFrame | None:
    """The background photos to train with, where there are any and the recipe wants them."""
    if prepared.background is None or not recipe.background:
        return None
    return prepared.background[prepared.background.split == "train"]


def more_photos(
    args: argparse.Namespace, prepared: Prepared, measured: Sequence[str] = ("validation", "test")
) -> tuple[list[Path], dict[Path, str]]:
    """The photos of ``--unlabelled`` that there is something to learn of, and the names of those that have one."""
    if not args.unlabelled:
        return [], {}
    given = read_names(args.names) if args.names else {}
    names = {args.unlabelled / photo: genus for photo, genus in given.items()}
    more = unlabelled_photos(args.unlabelled, prepared, measured)
    teaching = args.teacher or RECIPES[args.recipe].probe_teaches
    return [path for path in more if teaching or path in names], names


def with_targets(
    photos: TrainingPhotos,
    model: GenusNet,
    config: ModelConfig,
    recipe: Recipe,
    teacher: Classifier | None,
    seen: dict[Path, np.ndarray],
    workers: int,
) -> TrainingPhotos:
    """``photos`` with what a teacher says of them; ``photos`` themselves where there is none.

    ``model`` is the network of ``config`` before it learns; ``seen`` keeps what its backbone made of photos.
    """
    if teacher:
        logits = plain_logits(teacher.model, photos, teacher.config, workers)
    elif recipe.probe_teaches:
        logits = probe_logits(model.backbone, config, photos, recipe, seen, workers)
    else:
        return photos
    return taught(photos, logits, recipe.taught)


def draw_views(training: TrainingPhotos, recipe: Recipe, config: ModelConfig, out: Path, seed: int) -> None:
    """Two pictures for the eye beside the training state: a photo of each genus, and nine views of one photo."""
    random = np.random.default_rng(seed)
    side = (recipe.train_px, recipe.train_px)
    chosen = [random.choice(np.flatnonzero(training.labels == label)) for label in sorted(set(training.labels))]
    photos = [read_photo_file(training.paths[index]).resize(side) for index in chosen]
    augment = AUGMENTATIONS[recipe.augmentation](recipe.train_px)
    first = read_photo_file(training.paths[chosen[0]])
    views = [to_pil_image(augmented(first, augment, seed + view)) for view in range(9)]
    for name, pictures in (("one_of_each", photos), ("nine_views", views)):
        sheet = Image.new("RGB", (5 * side[0], -(-len(pictures) // 5) * side[1]), "white")
        for place, picture in enumerate(pictures):
            sheet.paste(picture, (place % 5 * side[0], place // 5 * side[1]))
        sheet.save(out / STATE_FOLDER / f"{name}.jpg")


def draw_heatmap(network: GenusNet, config: ModelConfig, path: Path, out: Path, epoch: int) -> None:
    """The heatmap of one fixed validation photo after an epoch, beside the training state."""
    photo = read_photo_file(path)
    network.eval()
    device = next(network.parameters()).device
    images = to_tensor(photo, Preprocessing(config.input_px, config.mean, config.std))[None].to(device)
    layer = default_layer(find_layers(network, config.input_px)).name
    heatmap = heatmaps(network, images, [layer]).maps[layer][0].cpu().numpy()
    overlay(photo, heatmap, NOTEBOOK_OPACITY, NOTEBOOK_COLOURS).save(out / STATE_FOLDER / f"epoch-{epoch:03}.jpg")
