"""Networks that teach another what they answer to the same views (Hinton et al. 2015; Beyer et al. 2022)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.nn import functional

from mushroom.checkpoint import load_checkpoint, weights_hash
from mushroom.errors import TrainingError
from mushroom.model import Ancestor, GenusNet, ModelConfig
from mushroom.training.features import normalised


@dataclass(frozen=True)
class Teacher:
    """A trained network with its config, and how it is named in a student's provenance."""

    model: GenusNet
    config: ModelConfig
    ancestor: Ancestor

    @property
    def view_px(self) -> int:
        """Side of the views that it learned from itself."""
        return int(self.config.recipe.get("train_px", self.config.input_px))


def load_teacher(folder: Path, student: ModelConfig) -> Teacher:
    """The teacher of a checkpoint folder. TrainingError where it answers other names than the student."""
    model, config = load_checkpoint(folder)
    if (config.genera, config.other_genera) != (student.genera, student.other_genera):
        raise TrainingError(f"{folder} answers other genera than the network that it should teach.")
    return Teacher(model, config, Ancestor("teacher", config.name, weights_hash(folder)))


def taught_by(config: ModelConfig, teachers: Sequence[Teacher]) -> ModelConfig:
    """``config`` with the teachers among its ancestors."""
    ancestors = (*config.provenance.ancestors, *(teacher.ancestor for teacher in teachers))
    return replace(config, provenance=replace(config.provenance, ancestors=ancestors))


@torch.no_grad()
def soft_labels(teachers: Sequence[Teacher], views: torch.Tensor) -> torch.Tensor:
    """Mean probabilities (n, logits) that ``teachers`` give views (n, 3, h, w) of 8 bits, each at its own size."""
    found = []
    for teacher in teachers:
        model = teacher.model.to(views.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        images = normalised(views, teacher.config)
        if images.shape[-1] != teacher.view_px:
            images = functional.interpolate(images, size=teacher.view_px, mode="bilinear", antialias=True)
        found.append(model(images).float().softmax(1))
    return torch.stack(found).mean(dim=0)
