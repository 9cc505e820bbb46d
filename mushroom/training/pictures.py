"""Pictures for the eye beside the training state: photos, their views, and where the network looks after an epoch."""

from pathlib import Path

import numpy as np
from PIL import Image

from mushroom.dataset import read_prepared_photo
from mushroom.explain.gradcam import heatmaps
from mushroom.explain.layers import default_layer, find_layers
from mushroom.explain.overlays import NOTEBOOK_COLOURS, NOTEBOOK_OPACITY, overlay
from mushroom.model import GenusNet, ModelConfig
from mushroom.photos import Preprocessing, to_tensor
from mushroom.training.data import AugmentedViews, TrainingPhotos
from mushroom.training.recipes import Recipe

VIEWS = 9
COLUMNS = 5


def draw_views(training: TrainingPhotos, recipe: Recipe, folder: Path, seed: int) -> None:
    """Write ``one_of_each.jpg``, a random photo of each genus, and ``nine_views.jpg``, nine views of one photo."""
    random = np.random.default_rng(seed)
    side = (recipe.train_px, recipe.train_px)
    genera = sorted(set(training.labels[training.known]))
    chosen = [random.choice(np.flatnonzero(training.labels == label)) for label in genera]
    photos = [read_prepared_photo(training.paths[index]).resize(side) for index in chosen]
    views = AugmentedViews(training, recipe, seed)
    altered = [views.view(int(chosen[0]), number).permute(1, 2, 0).numpy() for number in range(VIEWS)]
    for name, pictures in (("one_of_each", photos), ("nine_views", [Image.fromarray(view) for view in altered])):
        sheet = Image.new("RGB", (COLUMNS * side[0], -(-len(pictures) // COLUMNS) * side[1]), "white")
        for place, picture in enumerate(pictures):
            sheet.paste(picture, (place % COLUMNS * side[0], place // COLUMNS * side[1]))
        sheet.save(folder / f"{name}.jpg")


def draw_heatmap(network: GenusNet, config: ModelConfig, path: Path, folder: Path, epoch: int) -> None:
    """Write the heatmap of one photo after an epoch, ``epoch-001.jpg``."""
    photo = read_prepared_photo(path)
    network.eval()
    device = next(network.parameters()).device
    images = to_tensor(photo, Preprocessing(config.input_px, config.mean, config.std))[None].to(device)
    layer = default_layer(find_layers(network, config.input_px)).name
    heatmap = heatmaps(network, images, [layer], answers=len(config.genera)).maps[layer][0].cpu().numpy()
    overlay(photo, heatmap, NOTEBOOK_OPACITY, NOTEBOOK_COLOURS).save(folder / f"epoch-{epoch:03}.jpg")
