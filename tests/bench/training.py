"""What training spends its time on.

First an epoch of the head on cached features against the same epoch through the frozen backbone: same photos (random
ones: only the time counts), same head, same batch size, same optimizer. Then fine-tuning by the default recipe: how
many photos a second are read and altered, how many the network learns from, and how many both together, on photos of
the size that a prepared folder has. Prints medians and ratios.
"""

import itertools
import statistics
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from all_benches import by_turns, seconds, write_photos
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from mushroom.genera import GENERA
from mushroom.model import ModelConfig, build_model, freeze_backbone
from mushroom.training.data import AugmentedViews, TrainingPhotos, batches_ahead
from mushroom.training.features import normalised
from mushroom.training.optimisation import genus_loss, make_optimizer
from mushroom.training.recipes import DEFAULT, NOTEBOOK

PHOTOS = 256
REPEATS = 3


def epoch(network: torch.nn.Module, trained: torch.nn.Module, inputs: TensorDataset, batch: int) -> None:
    """An epoch of training ``trained``, which is ``network`` or its last part."""
    optimizer = torch.optim.AdamW(trained.parameters(), lr=1e-3)
    trained.train()
    for values, labels in DataLoader(inputs, batch_size=batch, shuffle=True):
        functional.cross_entropy(network(values), labels).backward()
        optimizer.step()
        optimizer.zero_grad()


def fine_tuning() -> None:
    """Photos a second of an epoch's parts and of the whole."""
    config = ModelConfig(name="bench", backbone="tf_efficientnetv2_b0", input_px=DEFAULT.input_px, genera=GENERA)
    model = build_model(config).to(memory_format=torch.channels_last).train()
    optimizer = make_optimizer(model, DEFAULT.phases[1], DEFAULT)
    with tempfile.TemporaryDirectory() as folder:
        paths, numbers = write_photos(Path(folder), PHOTOS, (341, 256)), np.arange(PHOTOS)
        names = np.full(PHOTOS, "genus", dtype=object)
        photos = TrainingPhotos(paths, numbers % 9, names, names, 9, numbers)
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

        counts = {read: PHOTOS, learn: len(few), both: len(few)}
        spent = by_turns({work: partial(seconds, work) for work in counts}, REPEATS)
        reading, learning, together = (count / statistics.median(spent[work]) for work, count in counts.items())
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
        model.backbone.eval()
        images = torch.randn(PHOTOS, 3, recipe.train_px, recipe.train_px)
        features = torch.cat([model.backbone(chunk) for chunk in images.split(recipe.batch)])
        # Through the backbone is the notebook's way: every epoch sends every photo through it.
        ways = {model.head: TensorDataset(features, labels), model: TensorDataset(images, labels)}
        spent = by_turns(
            {way: partial(seconds, partial(epoch, way, model.head, ways[way], recipe.batch)) for way in ways}, REPEATS
        )
        fast, slow = map(statistics.median, spent.values())
        print(
            f"{backbone:<22} {recipe.train_px} px: cached {fast * 1e3:8.1f} ms, through the backbone "
            f"{slow * 1e3:9.1f} ms, ratio {slow / fast:7.1f}"
        )

    fine_tuning()


if __name__ == "__main__":
    main()
