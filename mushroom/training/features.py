"""What a network answers to photos: read ahead, passed in batches, shared between processes, and kept."""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import nn
from tqdm import tqdm

from mushroom.checkpoint import read_safetensors, write_safetensors
from mushroom.dataset import read_prepared_photo
from mushroom.model import ModelConfig
from mushroom.photos import Preprocessing, to_tensor
from mushroom.training.data import AugmentedViews, TrainingPhotos, batches_ahead

BATCH = 32


Batches = Iterator[tuple[torch.Tensor, torch.Tensor]]
"""Pictures or their features, each with the indices of its photos."""


@dataclass(frozen=True)
class Features:
    """What a frozen backbone made of photos: float32 (n, d) for each training view, and for validation."""

    views: Sequence[torch.Tensor]
    validation: torch.Tensor


def normalised(views: torch.Tensor, config: ModelConfig) -> torch.Tensor:
    """Views of 8 bits (n, 3, h, w) as the network takes them: float32, normalised, channels last in memory."""
    mean = torch.tensor(config.mean, device=views.device).view(1, 3, 1, 1)
    std = torch.tensor(config.std, device=views.device).view(1, 3, 1, 1)
    return ((views.float() / 255 - mean) / std).contiguous(memory_format=torch.channels_last)


def answers(
    accelerator: Accelerator, network: nn.Module, photos: TrainingPhotos, config: ModelConfig, workers: int = 1
) -> torch.Tensor:
    """What ``network`` answers, float32 (n, ...), to photos exactly as the finished network will see them."""
    preprocessing = Preprocessing(config.input_px, config.mean, config.std)

    def read(index: int) -> torch.Tensor:
        return to_tensor(read_prepared_photo(photos.paths[index]), preprocessing)

    return passed(accelerator, network.eval(), read, len(photos), "validation", workers)


def progress(accelerator: Accelerator, batches: Batches, title: str, count: int) -> tqdm:
    """``batches`` with a bar, which the first of several processes shows."""
    silent = not accelerator.is_main_process
    return tqdm(batches, desc=title, unit="batch", total=count, disable=silent, leave=False)


@torch.inference_mode()
def passed(
    accelerator: Accelerator,
    network: nn.Module,
    read: Callable[[int], torch.Tensor],
    count: int,
    title: str,
    workers: int,
    to_images: Callable[[torch.Tensor], torch.Tensor] = torch.Tensor.contiguous,
) -> torch.Tensor:
    """What ``network`` answers to each of ``count`` pictures, in order, on the CPU; processes share the work."""
    own = list(range(count))[accelerator.process_index :: accelerator.num_processes]
    batches = batches_ahead(read, own, BATCH, workers)
    found: list[tuple[int, np.ndarray]] = []
    for images, indices in progress(accelerator, batches, title, math.ceil(len(own) / BATCH)):
        with accelerator.autocast():
            answer = network(to_images(images.to(accelerator.device)))
        found += zip(indices.tolist(), answer.float().cpu().numpy(), strict=True)
    gathered = gather_object(found) if accelerator.num_processes > 1 else found
    return torch.from_numpy(np.stack([answer for _, answer in sorted(gathered, key=lambda pair: pair[0])]))


def cached_features(
    accelerator: Accelerator,
    backbone: nn.Module,
    views: AugmentedViews,
    validation: TrainingPhotos,
    config: ModelConfig,
    folder: Path,
    workers: int,
) -> Features:
    """Features of ``views.count`` views of each training photo, and of the plain validation photos.

    They are kept in ``folder`` under a name made from all that decides them, for resuming.
    """
    path = folder / f"features-{_features_key(backbone, views, validation)}.safetensors"
    if path.exists():
        stored = read_safetensors(path)
        return Features([stored[f"view-{view}"] for view in range(views.count)], stored["validation"])
    backbone.eval()
    found = []
    for number in range(views.count):
        read = partial(views.view, round_number=-1 - number)
        to_images = partial(normalised, config=config)
        title = f"features {number + 1}/{views.count}"
        found.append(passed(accelerator, backbone, read, len(views.photos), title, workers, to_images))
    features = Features(found, answers(accelerator, backbone, validation, config, workers))
    if accelerator.is_main_process:
        tensors = {f"view-{number}": values for number, values in enumerate(features.views)}
        write_safetensors(path, tensors | {"validation": features.validation})
    return features


def _features_key(backbone: nn.Module, views: AugmentedViews, validation: TrainingPhotos) -> str:
    """A hash of the photos, the views and the backbone's numbers."""
    key = hashlib.sha256()
    for paths in (views.photos.paths, validation.paths):
        key.update("\n".join(map(str, paths)).encode())
    key.update(f"{views.augment.__name__} {views.train_px} {views.seed} {views.count}".encode())
    for name, value in backbone.state_dict().items():
        key.update(f"{name} {float(value.float().sum())}".encode())
    return key.hexdigest()[:16]
