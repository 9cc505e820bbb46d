"""Photos a second of fine-tuning, this tree beside an earlier commit: ``training_before.py [COMMIT] [PHOTOS]``.

Both read the same photos of a prepared folder's size, alter them by their own ``strong`` augmentation to views of the
same size, and learn from them with the same network, optimizer, clipping and moving average, as a fine-tuning epoch of
each does. The trees take turns, each in a process of its own; what is told is the median of the rounds' ratios.
"""

import statistics
import sys
import tempfile
from pathlib import Path

from all_benches import REPOSITORY, by_turns, earlier_tree, ratio, run_in, verdict, write_photos

COMMIT = "c0495f3"
"""The last one before views were made by OpenCV, photos kept decoded, and processors with bfloat16 used it."""

PHOTOS = 320
ROUNDS = 3
WANTED = 1.4

COMMON = """
import sys, time
from dataclasses import replace
from pathlib import Path
import numpy as np
import torch
from accelerate import Accelerator
from mushroom.model import ModelConfig, build_model

paths = sorted(Path(sys.argv[1]).iterdir())
labels = np.arange(len(paths), dtype=np.int64) % 9

def learn(accelerator, model, optimizer, loss_of, batches, average, normalise=lambda images: images):
    model.train()
    for images, indices in batches:
        with accelerator.autocast():
            logits = model(normalise(images))
        loss = loss_of(logits.float(), torch.from_numpy(labels)[indices])
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        optimizer.zero_grad()
        average(model)
        float(loss.detach())

def report_speed(epoch):
    # The first epoch warms up: it fills what is kept of the photos, too.
    epoch(1)
    began = time.perf_counter()
    epoch(2)
    print(len(paths) // 32 * 32 / (time.perf_counter() - began))
"""

BEFORE = """
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader
from mushroom.recipes import DEFAULT
from mushroom.training import AugmentedViews, TrainingPhotos, make_optimizer

config = ModelConfig(name="bench", backbone="tf_efficientnetv2_b0", input_px=256)
model = build_model(config).to(memory_format=torch.channels_last)
optimizer = make_optimizer(model, DEFAULT.phases[1], DEFAULT)
ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.99), use_buffers=True)
recipe = replace(DEFAULT, train_px=192)
photos = TrainingPhotos(paths, labels)

def epoch(number):
    views = AugmentedViews(photos, recipe, config, 0, number)
    batches = DataLoader(views, batch_size=32, shuffle=True, num_workers=2, drop_last=True)
    learn(Accelerator(cpu=True), model, optimizer, functional.cross_entropy, batches, ema.update_parameters)

report_speed(epoch)
"""

AFTER = """
from timm.utils import ModelEmaV3
from mushroom.training.data import AugmentedViews, TrainingPhotos, batches_ahead
from mushroom.training.features import normalised
from mushroom.training.optimisation import genus_loss, make_optimizer
from mushroom.training.recipes import DEFAULT
from mushroom.training.trainer import TrainingOptions, quickest_precision

names = np.array([f"genus {label}" for label in labels], dtype=object)
config = ModelConfig(name="bench", backbone="tf_efficientnetv2_b0", input_px=256, genera=tuple(sorted(set(names))))
model = build_model(config).to(memory_format=torch.channels_last)
optimizer = make_optimizer(model, DEFAULT.phases[1], DEFAULT)
ema = ModelEmaV3(model, decay=0.99)
views = AugmentedViews(
    TrainingPhotos(paths, labels, names, names, 9, np.arange(len(paths))), replace(DEFAULT, train_px=192), 0
)
workers = TrainingOptions(Path()).workers
accelerator = Accelerator(cpu=True, mixed_precision=quickest_precision())

def epoch(number):
    order = torch.randperm(len(paths))[: len(paths) // 32 * 32].tolist()
    batches = batches_ahead(lambda index: views.view(index, number), order, 32, workers)
    loss_of = lambda logits, labels: genus_loss(logits, labels, 9, 0.1)
    learn(accelerator, model, optimizer, loss_of, batches, ema.update, lambda images: normalised(images, config))

report_speed(epoch)
"""


def main(commit: str = COMMIT, count: str = str(PHOTOS)) -> int:
    """Print both speeds and their ratio."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        write_photos(root / "photos", int(count), (341, 256))
        scripts = {earlier_tree(commit, root / "earlier"): BEFORE, REPOSITORY: AFTER}
        ways = {
            tree: lambda tree=tree: float(run_in(tree, COMMON + scripts[tree], root / "photos").split()[-1])
            for tree in scripts
        }
        before, after = by_turns(ways, ROUNDS).values()
    quicker = ratio(after, before)
    print(
        f"fine-tuning at 192 px, {count} photos, medians of {ROUNDS} rounds: {commit} "
        f"{statistics.median(before):.1f} photos a second, this tree {statistics.median(after):.1f}; ratio "
        f"{quicker:.2f} (wanted {WANTED}: {verdict(quicker >= WANTED)})"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
