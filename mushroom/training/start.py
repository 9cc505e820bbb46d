"""The network that a run starts from, checked at both sizes before the first epoch."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from mushroom.checkpoint import load_checkpoint, read_config, read_safetensors, weights_hash
from mushroom.dataset import Prepared
from mushroom.errors import TrainingError
from mushroom.model import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    NOTEBOOK_HEAD_DROPOUTS,
    Ancestor,
    GenusNet,
    ModelConfig,
    Provenance,
    backbone_normalisation,
    build_model,
    create_backbone,
    feature_count,
    load_backbone_weights,
    notebook_head_widths,
)
from mushroom.training.provenance import command_line, git_commit, library_versions
from mushroom.training.recipes import Recipe

DEFAULT_BACKBONE = "tf_efficientnet_lite2"
"""Its ImageNet weights lie in a package of the Python registry."""

LINEAR_HEAD_DROPOUT = 0.3
RANDOM = "random"
PRETRAINED = "pretrained"
USUAL_STEP_PX = 32
"""Sizes that are tried for a network that does not take one are multiples of this, or of its patches."""

SMALLEST_PX, LARGEST_PX = 64, 518


def backbone_of(backbone: str | None, start: str) -> str:
    """The backbone to train: the one named, else that of the checkpoint to start from, else the default."""
    if backbone is None and Path(start).is_dir():
        return read_config(Path(start)).backbone
    return backbone or DEFAULT_BACKBONE


def new_config(
    name: str,
    backbone: str,
    start: str,
    recipe: Recipe,
    prepared: Prepared,
    others: Sequence[str],
    seed: int,
    rank: str = "genus",
    sources: Sequence[str] = (),
) -> ModelConfig:
    """The config of the checkpoint that training makes, as far as it is known before."""
    features = feature_count(create_backbone(backbone))
    imagenet = IMAGENET_MEAN, IMAGENET_STD
    mean, std = imagenet if recipe.name == "notebook" else backbone_normalisation(backbone)
    return ModelConfig(
        name=name,
        backbone=backbone,
        input_px=recipe.input_px,
        mean=mean,
        std=std,
        head_widths=notebook_head_widths(features) if recipe.notebook_head else (),
        head_dropouts=NOTEBOOK_HEAD_DROPOUTS if recipe.notebook_head else (LINEAR_HEAD_DROPOUT,),
        genera=prepared.genera,
        other_genera=tuple(others),
        rank=rank,
        recipe={**asdict(recipe), "seed": seed},
        provenance=provenance_of(start, sources),
        data_fingerprint=prepared.fingerprint,
        versions=library_versions(),
        git_commit=git_commit(),
    )


def provenance_of(start: str, sources: Sequence[str] = ()) -> Provenance:
    """Where the knowledge comes from of what begins as ``start`` and learns from photos of ``sources``."""
    path = Path(start)
    own = {source for source in sources if source}
    if start in (RANDOM, PRETRAINED):
        return Provenance(command_line(), start, sources=tuple(sorted(own)))
    if not path.is_dir():
        notes = (f"The backbone's pretrained tensors were read from `{path.name}`.",)
        return Provenance(command_line(), PRETRAINED, sources=tuple(sorted(own)), notes=notes)
    before = read_config(path)
    ancestor = Ancestor("start", before.name, weights_hash(path))
    return Provenance(command_line(), "checkpoint", (ancestor,), tuple(sorted(own | set(before.provenance.sources))))


def new_network(config: ModelConfig, start: str, seed: int) -> GenusNet:
    """The network of ``config``: its head random, its backbone as ``start`` has it.

    ``start``: RANDOM, PRETRAINED (timm's weights), a checkpoint folder, or a safetensors file with timm's names.
    """
    torch.manual_seed(seed)
    model = build_model(config, pretrained=start == PRETRAINED)
    if start in (RANDOM, PRETRAINED):
        return model
    path = Path(start)
    if path.is_dir():
        source, other = load_checkpoint(path)
        if other.backbone != config.backbone:
            raise TrainingError(f"{path} has the backbone {other.backbone}, not {config.backbone}: name no --backbone.")
        load_backbone_weights(model.backbone, source.backbone.state_dict())
        return model
    if missing := load_backbone_weights(model.backbone, read_safetensors(path)):
        print(f"{len(missing)} tensors are not in {path.name} and start random.")
    return model


def check_sizes(model: GenusNet, config: ModelConfig, recipe: Recipe) -> None:
    """One forward pass at the sizes of training and of the finished network; a probe has only the latter.

    Raises TrainingError with a size that fits where the network takes one of them not.
    """
    training = [("train_px", recipe.train_px)] if recipe.phases else []
    for name, size_px in (*training, ("input_px", config.input_px)):
        if not _takes(model, size_px):
            nearest_first = sorted(_likely_sizes(model), key=lambda px: abs(px - size_px))
            advice = "none of the usual sizes fits either; choose another backbone."
            if fitting := next((px for px in nearest_first if _takes(model, px)), None):
                advice = f"try --set {name}={fitting}."
            raise TrainingError(f"{config.backbone} takes no photos of {size_px} px: {advice}")


def _likely_sizes(model: GenusNet) -> range:
    """Sides of photos that such a network may take."""
    patches = getattr(getattr(model.backbone, "patch_embed", None), "patch_size", None)
    patch_px = patches[0] if isinstance(patches, tuple) else USUAL_STEP_PX
    step_px = patch_px if USUAL_STEP_PX % patch_px else USUAL_STEP_PX
    return range(-(-SMALLEST_PX // step_px) * step_px, LARGEST_PX + 1, step_px)


@torch.inference_mode()
def _takes(model: GenusNet, size_px: int) -> bool:
    model.eval()
    device = next(model.parameters()).device
    try:
        logits = model(torch.zeros(2, 3, size_px, size_px, device=device))
    # Networks raise what they like on a size that they don't take: assertions, runtime errors, anything.
    except Exception:
        return False
    return logits.shape[0] == 2 and logits.dim() == 2 and bool(torch.isfinite(logits).all())
