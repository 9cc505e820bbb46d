"""Command line for making a model: prepare photos, train, evaluate, publish."""

import argparse
import math
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import nn
from torchvision.transforms.v2.functional import to_pil_image

from mushroom.checkpoint import WEIGHTS_FILE
from mushroom.classifier import Classifier
from mushroom.dataset import SPLITS, Prepared, load_prepared, prepare, read_names, unlabelled_photos
from mushroom.errors import CheckpointError, DatasetError, PhotoError, TrainingError
from mushroom.evaluation.report import FAITHFULNESS_SAMPLE, evaluate
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
    load_checkpoint,
    notebook_head_widths,
    save_checkpoint,
    write_text,
)
from mushroom.photos import Preprocessing, read_photo_file, to_tensor
from mushroom.training import learning_curves
from mushroom.training.average import average, blend
from mushroom.training.probe import Features, backbone_features, probe_logits
from mushroom.training.recipes import AUGMENTATIONS, RECIPES, Phase, Recipe
from mushroom.training.trainer import (
    STATE_FOLDER,
    KeptMaps,
    TrainingPhotos,
    augmented,
    expect_alike,
    plain_logits,
    taught,
    train,
    training_photos,
    with_more,
)

VERSIONED = ("torch", "torchvision", "timm", "accelerate", "safetensors", "numpy", "scikit-learn", "pillow")
LINEAR_HEAD_DROPOUT = 0.3
TRAINED_FOLDER = "trained"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    args = parse(arguments)
    try:
        return args.run(args)
    except (CheckpointError, DatasetError, PhotoError, TrainingError) as error:
        print(f"{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        hint = " Go on with the same command and --resume." if args.run in (run_train, run_trial) else ""
        print(f"\nStopped.{hint}", file=sys.stderr)
        return 130


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line's values."""
    parser = argparse.ArgumentParser(prog="train.py", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("prepare", help="photos in genus folders become a manifest with a leak-free split")
    command.add_argument("source", help="folder of genus folders, kaggle:OWNER/DATASET, or hf://datasets/OWNER/NAME")
    command.add_argument("--out", type=Path, required=True, help="folder for manifest.csv and its kin")
    command.add_argument(
        "--background",
        type=Path,
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="photos that are none of the nine; a folder is one kind, its subfolders are held back whole",
    )
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(run=run_prepare)

    command = commands.add_parser("train", help="prepared photos become a checkpoint folder")
    command.add_argument("--out", type=Path, required=True, help="checkpoint folder to write")
    add_training_arguments(command)
    command.set_defaults(run=run_train)

    command = commands.add_parser("trial", help="how well it goes on a source that was left out; recorded in a table")
    command.add_argument("--out", type=Path, required=True, help="folder to work in; its name names the trial")
    command.add_argument("--what", required=True, help="a few words for the table")
    command.add_argument("--record", type=Path, default=Path("assets/models"), help="folder of the table")
    command.add_argument("--probe", action="store_true", help="only a linear layer on the backbone as it comes")
    add_training_arguments(command)
    command.set_defaults(run=run_trial)

    command = commands.add_parser("curves", help="what more photos of a genus would buy, from those at hand")
    command.add_argument("--record", type=Path, default=Path("assets/models"), help="folder of the points")
    add_training_arguments(command)
    command.set_defaults(run=run_curves, out=Path("curves"))

    command = commands.add_parser("evaluate", help="predictions.csv, report.json and the model card of a checkpoint")
    command.add_argument("checkpoint", type=Path)
    command.add_argument("prepared", type=Path)
    command.add_argument("--split", choices=("train", "validation", "test"), default="test", help="split to print")
    command.add_argument(
        "--faithfulness",
        type=int,
        nargs="?",
        const=FAITHFULNESS_SAMPLE,
        default=0,
        metavar="PHOTOS",
        help="also measure heatmaps, every method and stage, over so many test photos",
    )
    command.add_argument("--latency", action="store_true", help="also measure the time a photo takes")
    command.set_defaults(run=run_evaluate)

    command = commands.add_parser("agreement", help="how far checkpoints agree on the genus and on where they look")
    command.add_argument("prepared", type=Path)
    command.add_argument("--models", type=Path, default=Path("assets/models"), help="folder of checkpoint folders")
    command.set_defaults(run=run_agreement)

    command = commands.add_parser("publish", help="send a checkpoint folder to the Hugging Face Hub, in one commit")
    command.add_argument("checkpoint", type=Path)
    command.add_argument("--repo", required=True, metavar="USER/NAME")
    command.add_argument("--private", action="store_true", help="where the repository does not exist yet")
    command.add_argument("--dry-run", action="store_true", help="only say what would be sent")
    command.set_defaults(run=run_publish)
    return parser.parse_args(arguments)


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


def run_prepare(args: argparse.Namespace) -> int:
    """Write the prepared folder, its figure, and print its table."""
    from mushroom.app.figures import photos_per_genus

    prepared = prepare(args.source, args.out, seed=args.seed, backgrounds=args.background)
    print(prepared.summary())
    if curve := learning_curves.read_curve():
        print("\n".join(learning_curves.advice(prepared.counts["train"], curve)))
    figure = photos_per_genus(prepared.counts)
    write_text(args.out / "photos_per_genus.html", figure.to_html(include_plotlyjs=True))
    return 0


def run_train(args: argparse.Namespace) -> int:
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


def run_trial(args: argparse.Namespace) -> int:
    """Train without each source in turn, measure on it, and record."""
    from mushroom.training import cross_validation

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


def run_curves(args: argparse.Namespace) -> int:
    """Measure what photos of a genus are worth, keep the points, and print the advice for these photos."""
    prepared = load_prepared(args.prepared)
    recipe = recipe_of(args)
    config = config_of(args, recipe, prepared)
    features = backbone_features(new_model(args, config).backbone, config, prepared, args.workers)
    points = learning_curves.measure_points(features, prepared, recipe)
    learning_curves.write_curve(args.record, points, args.backbone, command_line())
    print("\n".join(f"{point['genus']:<14}{point['photos']:>6}  F1 {point['f1']:.3f}" for point in points))
    print("\n".join(learning_curves.advice(prepared.counts["train"], learning_curves.fit_curve(points))))
    return 0


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
        versions={name: version(name) for name in VERSIONED} | {"python": platform.python_version()},
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
        missing = load_backbone_weights(model.backbone, args.backbone_weights)
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


def command_line() -> str:
    """The command that runs, as one that was never interrupted would be given."""
    return shlex.join(["python", "train.py", *(word for word in sys.argv[1:] if word != "--resume")])


def run_evaluate(args: argparse.Namespace) -> int:
    """Write the report and print one split of it."""
    return print_evaluation(args.checkpoint, load_prepared(args.prepared), args.split, args.faithfulness, args.latency)


def run_agreement(args: argparse.Namespace) -> int:
    """Measure how far all checkpoints of a folder agree, keep it there, and print it."""
    from mushroom.evaluation import agreement

    folders = sorted(path.parent for path in args.models.glob(f"*/{WEIGHTS_FILE}"))
    found = agreement.measure_agreement(folders, load_prepared(args.prepared))
    agreement.write_agreement(args.models, found)
    for pair in found["pairs"]:
        print(
            f"{pair['models'][0]} and {pair['models'][1]}: same genus {pair['same_genus']:.3f} of {pair['photos']}, "
            f"heatmaps' rank correlation {pair['rank_correlation']:.3f} over {pair['sample']}"
        )
        for score in ("accuracy", "macro_f1"):
            low, high = pair[f"{score}_difference_interval"]
            print(f"  {score} of the first less that of the other: {pair[f'{score}_difference']:+.3f}", end="")
            print(f" (95 % interval {low:+.3f} to {high:+.3f})")
    return 0


def run_publish(args: argparse.Namespace) -> int:
    """Send the checkpoint, and print where it is."""
    from mushroom.hub import publish

    print(publish(args.checkpoint, args.repo, private=args.private, dry_run=args.dry_run))
    return 0


def print_evaluation(
    checkpoint: Path, prepared: Prepared, split: str, faithfulness: int = 0, latency: bool = False
) -> int:
    """Evaluate a checkpoint folder and print one split's report."""
    from mushroom.evaluation.metrics import report_text

    report = evaluate(checkpoint, prepared, faithfulness=faithfulness, latency=latency)
    print(report_text(report, split))
    return 0


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


def git_commit() -> str:
    """The commit this code is at, empty outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


if __name__ == "__main__":
    sys.exit(main())
