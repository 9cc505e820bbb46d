"""Do the hot places matter? Cover them, uncover them, shuffle what was learned, and watch the network's
answer.

The measures take heatmaps (B, h, w) in [0, 1], as many target class indices, and as many normalised images,
float (B, 3, S, S), or one (1, 3, S, S) that all are about; "confidence" is the softmax probability of the
target. The network is only ever called.
"""

import copy
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from mushroom.explain.gradcam import heatmaps, score_cam_of_heads
from mushroom.explain.layers import Layer
from mushroom.explain.methods import METHODS
from mushroom.explain.regions import upsample
from mushroom.explain.similarity import rank_correlation

BATCH = 32

STEPS = 8
"""Points of a deletion or insertion curve after the first: an eighth of the photo goes or comes at each."""

PATCHES = 14
"""Deletion and insertion take the photo away in 14 x 14 patches, whatever the heatmap's own size. Taken pixel
by pixel, the speckles of an early layer's heatmap would wreck a photo merely by being speckles."""

BLUR_SHARE = 1 / 16
"""Standard deviation of the blur that covers, as a share of the image's side: a cap becomes a smudge."""

BLUR_PX = 256
"""Photos are blurred at no more than this many pixels on a side."""

CHANGED_BELOW = 0.5
"""With the head shuffled, a heatmap whose rank correlation stays at or above this is not about the genus."""

CHANCE_MAPS = 4


# --- Cover and see ------------------------------------------------------------------------------------------


def cover(photo: Image.Image, mask: np.ndarray) -> Image.Image:
    """The RGB ``photo`` blurred beyond recognition where ``mask``, bool (height, width), is true.

    What a page shows as covered and what the network is then asked about are this one picture.
    """
    small = photo.copy()
    # So wide a blur leaves nothing that a larger picture could hold; and of a large one it would take seconds.
    small.thumbnail((BLUR_PX, BLUR_PX), Image.Resampling.BOX)
    pixels = torch.from_numpy(np.array(small)).permute(2, 0, 1)[None].float()
    blurred = Image.fromarray(blur(pixels)[0].permute(1, 2, 0).round().clamp(0, 255).byte().numpy())
    return Image.composite(blurred.resize(photo.size, Image.Resampling.BICUBIC), photo, Image.fromarray(mask))


def blur(images: Tensor) -> Tensor:
    """Images (B, 3, h, w) through a Gaussian as wide as ``BLUR_SHARE`` of their side; edges are mirrored."""
    channels, height, width = images.shape[1:]
    sigma = BLUR_SHARE * max(height, width)
    reach = min(math.ceil(3 * sigma), height - 1, width - 1)
    offsets = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    weights = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = (weights / weights.sum()).expand(channels, 1, 1, -1)
    padded = functional.pad(images, (reach, reach, reach, reach), mode="reflect")
    rows = functional.conv2d(padded, kernel, groups=channels)
    return functional.conv2d(rows, kernel.transpose(2, 3), groups=channels)


# --- Deletion and insertion ---------------------------------------------------------------------------------


def deletion_curves(model: nn.Module, images: Tensor, targets: Tensor, maps: Tensor) -> Tensor:
    """Confidence (B, STEPS + 1) while the hottest patches give way to the mean colour, hottest first.

    Petsiuk et al. 2018, "RISE: Randomized Input Sampling for Explanation of Black-box Models". A faithful
    heatmap makes it fall at once.
    """
    return _curves(model, images, torch.zeros_like(images), targets, maps)


def insertion_curves(model: nn.Module, images: Tensor, targets: Tensor, maps: Tensor) -> Tensor:
    """Confidence (B, STEPS + 1) while the blurred photo becomes sharp, hottest patches first.

    Petsiuk et al. 2018. A faithful heatmap makes it rise at once.
    """
    return _curves(model, blur(images), images, targets, maps)


def area_under(curves: Tensor) -> Tensor:
    """Area (B,) in [0, 1] under curves (B, points) whose points are evenly spaced from 0 to 1."""
    return torch.trapezoid(curves, dx=1 / (curves.shape[1] - 1), dim=1)


def _curves(model: nn.Module, start: Tensor, end: Tensor, targets: Tensor, maps: Tensor) -> Tensor:
    """Confidences on the way from ``start`` to ``end``, patch by patch in the order of the heatmaps."""
    ranks = _patch_ranks(maps)
    points = [_confidence(model, start, targets)]
    for step in range(1, STEPS):
        taken = ranks < round(step / STEPS * PATCHES**2)
        masks = functional.interpolate(taken[:, None].float(), start.shape[2:], mode="nearest") > 0
        points.append(_confidence(model, torch.where(masks, end, start), targets))
    points.append(_confidence(model, end, targets))
    return torch.stack(points, 1)


def _patch_ranks(maps: Tensor) -> Tensor:
    """Rank (B, PATCHES, PATCHES) of each patch by its mean heat, 0 the hottest; ties in a fixed random
    order."""
    if max(maps.shape[1:]) > PATCHES:
        heat = functional.adaptive_avg_pool2d(maps[:, None], PATCHES)[:, 0]
    else:
        heat = _enlarged(maps, (PATCHES, PATCHES))
    shuffled = torch.randperm(PATCHES**2, generator=torch.Generator().manual_seed(0)).to(maps.device)
    order = shuffled[heat.flatten(1)[:, shuffled].argsort(stable=True, dim=1, descending=True)]
    return order.argsort(1).view(-1, PATCHES, PATCHES)


# --- Average drop and increase ------------------------------------------------------------------------------


def confidence_change(model: nn.Module, images: Tensor, targets: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
    """What showing only the hot places does to the confidence: relative drop (B,) in [0, 1], increased bool
    (B,).

    Chattopadhay et al. 2018, "Grad-CAM++", section 4.1: the photo is multiplied by its heatmap, here towards
    the mean colour; averages over photos are the "average drop" and the "increase in confidence".
    """
    before = _confidence(model, images, targets)
    masks = _enlarged(maps, (images.shape[3], images.shape[2]))
    after = _confidence(model, images * masks[:, None], targets)
    drop = (before - after).clamp_min(0) / before.clamp_min(torch.finfo(before.dtype).tiny)
    return drop, after > before


@dataclass(frozen=True)
class Faithfulness:
    """How one heatmap of one photo fared, or many on average; all in [0, 1].

    Low ``deletion`` and high ``insertion`` are good; ``average_drop`` is the share of the confidence that is
    lost when only the hot places are shown, and ``increase`` the share of photos where it even grew.
    """

    deletion: float
    insertion: float
    average_drop: float
    increase: float


def measure(model: nn.Module, image: Tensor, target: int, maps: Tensor) -> list[Faithfulness]:
    """Faithfulness of each of ``maps`` (M, h, w) as the heatmap of one image (3, S, S) for class
    ``target``."""
    images = image[None]
    targets = torch.full((len(maps),), target, device=image.device)
    deletion = area_under(deletion_curves(model, images, targets, maps))
    insertion = area_under(insertion_curves(model, images, targets, maps))
    drop, increased = confidence_change(model, images, targets, maps)
    return [Faithfulness(*row) for row in torch.stack([deletion, insertion, drop, increased.float()], 1).tolist()]


# --- The randomisation check --------------------------------------------------------------------------------


class UnderHeads(nn.Module):
    """One backbone, shared, under one head, or under several side by side: logits (B, K of each head in turn)."""

    def __init__(self, backbone: nn.Module, *heads: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.heads = nn.ModuleList(heads)
        # New modules are in training mode; eval() would reach into the shared backbone.
        self.training = self.heads.training = backbone.training

    def forward(self, images: Tensor) -> Tensor:
        """Logits of all heads."""
        features = self.backbone(images)
        return torch.cat([head(features) for head in self.heads], 1)


def shuffled_head(head: nn.Module, seed: int) -> nn.Module:
    """A copy of ``head`` with every tensor's numbers shuffled.

    Adebayo et al. 2018, "Sanity Checks for Saliency Maps": an explanation that survives this explains
    something else than what was learned.
    """
    generator = torch.Generator().manual_seed(seed)
    shuffled = copy.deepcopy(head)
    with torch.no_grad():
        for parameter in shuffled.parameters():
            order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return shuffled


# --- The table of a network ---------------------------------------------------------------------------------


def faithfulness_table(
    model: Any, images: Tensor, layers: Sequence[Layer], targets: Tensor, methods: Sequence[str], seed: int
) -> dict[str, Any]:
    """Faithfulness of every one of ``methods`` at every layer, averaged over ``images``, with a progress bar.

    ``model`` has ``backbone`` and ``head``; ``targets`` (B,) are the classes asked for. Returns
    what ``report.json`` holds: ``rows`` (method, layer, stage, deletion, insertion, average_drop, increase,
    randomisation_correlation, which is None where no heatmap had evidence), ``chance`` (the same measures for
    heatmaps of smooth noise: what no heatmap should fall short of) and ``best`` (see ``most_faithful``).
    """
    names = [layer.name for layer in layers]
    shuffled = shuffled_head(model.head, seed)
    noise = torch.rand(len(images), CHANCE_MAPS, 7, 7, generator=torch.Generator().manual_seed(seed))
    measured = defaultdict(list)
    correlations = defaultdict(list)
    chance: list[Faithfulness] = []
    for index, image in enumerate(tqdm(images, desc="measuring faithfulness", unit="photo")):
        target = int(targets[index])
        found = {m: _with_and_without(model, shuffled, image[None], names, target, m) for m in methods}
        for name in names:
            maps = torch.stack([found[method][name][0] for method in methods])
            for method, faithfulness in zip(methods, measure(model, image, target, maps), strict=True):
                measured[method, name].append(faithfulness)
                correlation = _correlation(*found[method][name])
                if correlation is not None:
                    correlations[method, name].append(correlation)
        chance += measure(model, image, target, noise[index].to(image.device))
    rows = [
        {
            "method": method,
            "layer": layer.name,
            "stage": layer.stage,
            **_average(measured[method, layer.name]),
            "randomisation_correlation": _mean(correlations[method, layer.name]),
        }
        for layer in layers
        for method in methods
    ]
    return {"rows": rows, "chance": _average(chance), "best": most_faithful(rows)}


def most_faithful(rows: Sequence[dict[str, Any]]) -> dict[str, str] | None:
    """Layer and method with the largest insertion minus deletion, of those that pass the randomisation check.

    None where none passes.
    """
    passing = [
        row
        for row in rows
        if row["randomisation_correlation"] is not None and row["randomisation_correlation"] < CHANGED_BELOW
    ]
    if not passing:
        return None
    best = max(passing, key=lambda row: row["insertion"] - row["deletion"])
    return {"layer": best["layer"], "method": best["method"]}


def _with_and_without(
    model: Any, shuffled: nn.Module, image: Tensor, names: Sequence[str], target: int, method: str
) -> dict[str, Tensor]:
    """Heatmaps (2, h, w) by layer: with the learned head and with the shuffled one."""
    if METHODS[method].needs == "masked scores":
        # Backbone passes are what Score-CAM costs: both heads look at the same ones.
        both = UnderHeads(model.backbone, model.head, shuffled)
        return score_cam_of_heads(both, image, names, target, len(both.heads))
    nets = (model, UnderHeads(model.backbone, shuffled))
    one, other = (heatmaps(net, image, names, target, method).maps for net in nets)
    return {name: torch.cat([one[name], other[name]]) for name in names}


def _average(measured: Sequence[Faithfulness]) -> dict[str, float]:
    rows = [asdict(one) for one in measured]
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _enlarged(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Heatmaps (B, h, w) at ``size`` (width, height): (B, height, width)."""
    return torch.stack([torch.from_numpy(upsample(one, size)) for one in maps.cpu().numpy()]).to(maps.device)


def _correlation(original: Tensor, shuffled: Tensor) -> float | None:
    """Rank correlation of a heatmap with that of the shuffled head; 0 where all is lost, None where none was."""
    if original.min() == original.max():
        return None
    correlation = rank_correlation(original.cpu().numpy(), shuffled.cpu().numpy())
    return 0.0 if math.isnan(correlation) else correlation


def _logits(model: nn.Module, images: Tensor) -> Tensor:
    with torch.inference_mode():
        return torch.cat([model(part).float() for part in images.split(BATCH)])


def _confidence(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Softmax probability (B,) of each target, on its image or on the only one."""
    return _logits(model, images).softmax(1).expand(len(targets), -1).gather(1, targets[:, None])[:, 0]
