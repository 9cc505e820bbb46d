"""Do the hot places matter? Cover them, uncover them, shuffle what was learned, and watch the network's
answer.

    cover(photo, mask) -> photo                                   blurred where the mask is true
    deletion_curves / insertion_curves(model, images, targets, heatmaps) -> (B, STEPS + 1)
    area_under(curves) -> (B,)
    confidence_change(model, images, targets, heatmaps) -> (drop, increased)
    shuffled_head(model, seed) -> model
    faithfulness_table(model, images, layers, ...) -> dict        what report.json holds

The measures take heatmaps (B, h, w) in [0, 1], as many target class indices, and as many normalised images,
float (B, 3, S, S), or one (1, 3, S, S) that all are about; "confidence" is the softmax probability of the
target. The network is only ever called.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from mushroom.explain.gradcam import LayerHeatmaps, heatmaps, heatmaps_of_every_class
from mushroom.explain.layers import Layer
from mushroom.explain.methods import METHODS, methods_for
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
    values = zip(deletion.tolist(), insertion.tolist(), drop.tolist(), increased.tolist(), strict=True)
    return [Faithfulness(d, i, lost, float(grew)) for d, i, lost, grew in values]


# --- The randomisation check --------------------------------------------------------------------------------


class ShuffledHead(nn.Module):
    """The same backbone, shared, under a head whose learned numbers were shuffled."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        # A new module is in training mode; eval() would reach into the shared backbone.
        self.training = backbone.training

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, K)."""
        return self.head(self.backbone(images))


def shuffled_head(model: Any, seed: int) -> nn.Module:
    """``model`` (with ``backbone`` and ``head``) under a copy of its head with every tensor's numbers
    shuffled.

    Adebayo et al. 2018, "Sanity Checks for Saliency Maps": an explanation that survives this explains
    something else than what was learned. ``model`` itself is not touched.
    """
    generator = torch.Generator().manual_seed(seed)
    head = copy.deepcopy(model.head)
    with torch.no_grad():
        for parameter in head.parameters():
            order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return ShuffledHead(model.backbone, head)


# --- The table of a network ---------------------------------------------------------------------------------


def faithfulness_table(
    model: Any,
    images: Tensor,
    layers: Sequence[Layer],
    targets: Tensor | None = None,
    methods: Sequence[str] = (),
    seed: int = 0,
) -> dict[str, Any]:
    """Faithfulness of every method at every layer, averaged over ``images``, with a progress bar.

    ``model`` has ``backbone`` and ``head``; ``targets`` (B,) are the predicted classes where None,
    ``methods`` all that make sense at these layers where none is named. Returns
    what ``report.json`` holds: ``rows`` (method, layer, stage, deletion, insertion, average_drop, increase,
    randomisation_correlation, which is None where no heatmap had evidence), ``chance`` (the same measures for
    heatmaps of smooth noise: what no heatmap should fall short of) and ``best`` (see ``most_faithful``).
    """
    names = [layer.name for layer in layers]
    methods = methods or methods_for(layers)
    shuffled = shuffled_head(model, seed)
    noise = torch.rand(len(images), CHANCE_MAPS, 7, 7, generator=torch.Generator().manual_seed(seed))
    measured: dict[tuple[str, str], list[Faithfulness]] = {(m, n): [] for n in names for m in methods}
    correlations: dict[tuple[str, str], list[float]] = {key: [] for key in measured}
    chance: list[Faithfulness] = []
    for index, image in enumerate(tqdm(images, desc="measuring faithfulness", unit="photo")):
        target = int(_logits(model, image[None]).argmax() if targets is None else targets[index])
        found = {m: _with_and_without(model, shuffled, image[None], names, target, m) for m in methods}
        for name in names:
            maps = torch.stack([found[method][0][name] for method in methods])
            for method, faithfulness in zip(methods, measure(model, image, target, maps), strict=True):
                measured[method, name].append(faithfulness)
                original, changed = (maps_of[name] for maps_of in found[method])
                correlation = _correlation(original, changed)
                correlations[method, name] += [] if correlation is None else [correlation]
        chance += measure(model, image, target, noise[index].to(image.device))
    rows = [
        {
            "method": method,
            "layer": layer.name,
            "stage": layer.stage,
            **asdict(_average(measured[method, layer.name])),
            "randomisation_correlation": _mean(correlations[method, layer.name]),
        }
        for layer in layers
        for method in methods
    ]
    return {"rows": rows, "chance": asdict(_average(chance)), "best": most_faithful(rows)}


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
    model: nn.Module, shuffled: nn.Module, image: Tensor, names: Sequence[str], target: int, method: str
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Heatmaps (h, w) by layer with the learned head and with the shuffled one."""
    if METHODS[method].needs == "masked scores":
        # Backbone passes are what Score-CAM costs: both heads look at the same ones.
        both = BothHeads(model, shuffled)
        found = heatmaps_of_every_class(both, image, names, method)
        second = target + found.logits.shape[1] // 2
        return _of_row(found, target), _of_row(found, second)
    one, other = (heatmaps(net, image, names, target, method) for net in (model, shuffled))
    return _of_row(one, 0), _of_row(other, 0)


class BothHeads(nn.Module):
    """One backbone under two heads: logits (B, 2 K), the first head's before the second's."""

    def __init__(self, model: Any, other: Any) -> None:
        super().__init__()
        self.backbone = model.backbone
        self.first, self.second = model.head, other.head
        self.training = model.training

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, 2 K)."""
        features = self.backbone(images)
        return torch.cat([self.first(features), self.second(features)], 1)


def _of_row(found: LayerHeatmaps, row: int) -> dict[str, Tensor]:
    return {name: maps[row] for name, maps in found.maps.items()}


def _average(measured: Sequence[Faithfulness]) -> Faithfulness:
    sums = {name: sum(asdict(one)[name] for one in measured) for name in asdict(measured[0])}
    return replace(measured[0], **{name: total / len(measured) for name, total in sums.items()})


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
