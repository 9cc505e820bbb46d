"""What training spends its time on.

First an epoch of the head on cached features against the same epoch through the frozen backbone: same photos (random
ones: only the time counts), same head, same batch size, same optimizer. Then fine-tuning by the default recipe: how
many photos a second are read and altered, how many the network learns from, and how many both together, on photos of
the size that a prepared folder has. Prints medians and ratios.
"""

import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mushroom.genera import GENERA
from mushroom.model import GenusNet, ModelConfig, build_model, freeze_backbone
from mushroom.training.data import AugmentedViews, TrainingPhotos, batches_ahead
from mushroom.training.features import normalised
from mushroom.training.optimisation import genus_loss, make_optimizer
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


def write_photos(folder: Path) -> TrainingPhotos:
    """Photos of noise that look to a decoder like those of a prepared folder."""
    random = np.random.default_rng(0)
    paths = [folder / f"{number}.jpg" for number in range(PHOTOS)]
    for path in paths:
        coarse = random.integers(0, 256, (32, 43, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((341, 256), Image.Resampling.BICUBIC).save(path, quality=90)
    labels = np.arange(PHOTOS) % 9
    names = np.array([f"genus {label}" for label in labels], dtype=object)
    return TrainingPhotos(paths, labels, names, names, 9, np.arange(PHOTOS))


def photos_a_second(work: Callable[[], object], count: int) -> float:
    """Of ``count`` photos; the first round warms up."""
    seconds = []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return count / statistics.median(seconds[1:])


def fine_tuning() -> None:
    """Photos a second of an epoch's parts and of the whole."""
    config = ModelConfig(name="bench", backbone="tf_efficientnetv2_b0", input_px=DEFAULT.input_px, genera=GENERA)
    model = build_model(config).to(memory_format=torch.channels_last).train()
    optimizer = make_optimizer(model, DEFAULT.phases[1], DEFAULT)
    with tempfile.TemporaryDirectory() as folder:
        photos = write_photos(Path(folder))
        rounds = itertools.count()
        views = AugmentedViews(photos, DEFAULT, seed=0)
        few = list(range(4 * DEFAULT.batch))

        def read() -> None:
            number = next(rounds)
            for _ in batches_ahead(lambda index: views.view(index, number), range(PHOTOS), DEFAULT.batch, 1):
                pass

        def step(images: torch.Tensor, labels: torch.Tensor) -> None:
            genus_loss(model(normalised(images, config)), labels, 9, 0.1).backward()
            optimizer.step()
            optimizer.zero_grad()

        def learn() -> None:
            images = torch.randint(0, 256, (DEFAULT.batch, 3, DEFAULT.train_px, DEFAULT.train_px), dtype=torch.uint8)
            for _ in range(len(few) // DEFAULT.batch):
                step(images, torch.arange(DEFAULT.batch) % 9)

        def both() -> None:
            number = next(rounds)
            for images, indices in batches_ahead(lambda index: views.view(index, number), few, DEFAULT.batch, 1):
                step(images, indices % 9)

        reading, learning, together = (
            photos_a_second(work, count) for work, count in ((read, PHOTOS), (learn, len(few)), (both, len(few)))
        )
    print(
        f"fine-tuning at {DEFAULT.train_px} px: {reading:.0f} photos a second read and altered, {learning:.1f} learned "
        f"from, {together:.1f} both; reading costs {1 - together / learning:.0%}"
    )


def main() -> None:
    labels = torch.randint(0, 9, (PHOTOS,))
    print(f"{PHOTOS} photos, median of {REPEATS} epochs, {torch.get_num_threads()} threads")
    for backbone, recipe in (("tf_efficientnetv2_b0", DEFAULT), ("resnet50", NOTEBOOK)):
        torch.manual_seed(0)
        model = build_model(ModelConfig(name="bench", backbone=backbone, input_px=recipe.train_px, genera=GENERA))
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

    fine_tuning()


if __name__ == "__main__":
    main()
