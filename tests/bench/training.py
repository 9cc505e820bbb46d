"""An epoch of the head on cached features against the same epoch through the frozen backbone.

Same photos (random ones: only the time counts), same head, same batch size, same optimizer. Prints medians and
their ratio; the issue asks for at least 20.
"""

import statistics
import sys
import time
from pathlib import Path

import torch
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mushroom.model import GenusNet, ModelConfig, build_model, freeze_backbone
from mushroom.training.recipes import DEFAULT, NOTEBOOK

PHOTOS = 256
REPEATS = 3


def epoch(network: torch.nn.Module, trained: torch.nn.Module, inputs: TensorDataset, batch: int) -> float:
    """Seconds for one epoch of training ``trained``, which is ``network`` or its last part."""
    optimizer = torch.optim.AdamW(trained.parameters(), lr=1e-3)
    trained.train()
    started = time.perf_counter()
    for values, labels in DataLoader(inputs, batch_size=batch, shuffle=True):
        loss = functional.cross_entropy(network(values), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return time.perf_counter() - started


def through_backbone(model: GenusNet, inputs: TensorDataset, batch: int) -> float:
    """The notebook's way: every epoch sends every photo through the frozen backbone."""
    model.backbone.eval()
    return epoch(lambda images: model.head(_features(model, images)), model.head, inputs, batch)  # type: ignore[arg-type]


@torch.no_grad()
def _features(model: GenusNet, images: torch.Tensor) -> torch.Tensor:
    return model.backbone(images)


def main() -> None:
    labels = torch.randint(0, 9, (PHOTOS,))
    print(f"{PHOTOS} photos, median of {REPEATS} epochs, {torch.get_num_threads()} threads")
    for backbone, recipe in (("tf_efficientnetv2_b0", DEFAULT), ("resnet50", NOTEBOOK)):
        torch.manual_seed(0)
        model = build_model(ModelConfig(name="bench", backbone=backbone, input_px=recipe.train_px))
        freeze_backbone(model)
        images = torch.randn(PHOTOS, 3, recipe.train_px, recipe.train_px)
        model.eval()
        features = torch.cat([_features(model, chunk) for chunk in images.split(recipe.batch)])
        cached, uncached = [], []
        for _ in range(REPEATS + 1):
            cached.append(epoch(model.head, model.head, TensorDataset(features, labels), recipe.batch))
            uncached.append(through_backbone(model, TensorDataset(images, labels), recipe.batch))
        # The first round of each warms up.
        fast, slow = statistics.median(cached[1:]), statistics.median(uncached[1:])
        print(
            f"{backbone:<22} {recipe.train_px} px: cached {fast * 1e3:8.1f} ms, through the backbone "
            f"{slow * 1e3:9.1f} ms, ratio {slow / fast:7.1f}"
        )


if __name__ == "__main__":
    main()
