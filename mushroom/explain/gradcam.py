"""Feature maps and gradients become heatmaps: every layer from one forward and one backward pass.

``model`` is a ``GenusNet`` (layers are then named from its ``backbone``) or a bare timm or torchvision
network, in eval mode. ``layers`` are layer names. Any thread may call this on a network that others use at
the same time: hooks live for one forward pass and act for the calling thread only; modes, ``requires_grad``
and ``.grad`` of parameters are never touched.

Words: ``evidence`` is what a method computes, of any sign and size; a ``heatmap`` is evidence in [0, 1].
"""

import difflib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from weakref import WeakSet

import torch
from torch import Tensor, nn
from torch.nn import functional

from mushroom.errors import ExplanationError
from mushroom.explain.grid import Grid, grid_of
from mushroom.explain.layers import backbone_of, hooks_lock, unwrapped
from mushroom.explain.methods import METHODS, Method, grad_cam, normalise, score_cam, why_not

MASKED_PHOTOS_BATCH = 32


# --- One forward pass, one backward pass --------------------------------------------------------------------


@dataclass(frozen=True)
class _Captured:
    """A layer's output, how often it had been written over when the layer gave it, and how it covers the photo."""

    output: Tensor
    version: int
    grid: Grid

    @property
    def feature_map(self) -> Tensor:
        """(B, C, h, w), without a graph."""
        return self.grid.fold(self.output.detach())


def _forward(
    model: nn.Module, images: Tensor, layers: Sequence[str], *, with_graph: bool
) -> tuple[dict[str, _Captured], Tensor]:
    """What each of ``layers`` hands on while ``model`` runs, in the order in which they are reached, and the logits.

    The graph for a backward pass starts at the first of them.
    """
    # Where the caller is in inference mode its images must be copied to take part in a graph.
    with torch.inference_mode(False), torch.no_grad():
        if images.is_inference():
            images = images.clone()
        captured, logits = _captured(model, images, layers, with_graph=with_graph)
        if _remember_overwritten(model, captured):
            captured, logits = _captured(model, images, layers, with_graph=with_graph)
    missing = [name for name in layers if name not in captured]
    if missing:
        raise ExplanationError(f"The network's layer {missing[0]} was not reached, so it has no heatmap.")
    return captured, logits


_overwritten: WeakSet[nn.Module] = WeakSet()
"""Layers whose output is written over by what comes next, an activation say, so that a copy must go on.

To copy every output would cost a tenth of the time of a pass. That a layer belongs here shows when it was
captured without: the pass is made again, once in the life of a network.
"""


def _remember_overwritten(model: nn.Module, captured: Mapping[str, _Captured]) -> bool:
    """Whether any of these outputs is no longer what its layer gave."""
    # Autograd counts the writes; there is no public name for its count.
    altered = [name for name, layer in captured.items() if layer.output._version != layer.version]
    _overwritten.update(_layer_modules(backbone_of(model), altered).values())
    return bool(altered)


def _captured(
    model: nn.Module, images: Tensor, layers: Sequence[str], *, with_graph: bool
) -> tuple[dict[str, _Captured], Tensor]:
    """One forward pass: the outputs of ``layers`` as the calling thread computes them, and the logits."""
    captured: dict[str, _Captured] = {}
    owner = threading.get_ident()
    backbone = backbone_of(model)
    size = (images.shape[2], images.shape[3])

    def capturing(name: str) -> Callable[..., object]:
        def hook(module: nn.Module, args: tuple[object, ...], output: object) -> object:
            if threading.get_ident() != owner:
                return None
            grid = grid_of(output, args, backbone, len(images), size)
            if grid is None:
                raise ExplanationError(f"The network's layer {name} has no two-dimensional feature map.")
            tensor = grid.tensor(output)
            starts_graph = with_graph and not tensor.requires_grad
            if starts_graph:
                torch.set_grad_enabled(True)
                tensor = tensor.detach().requires_grad_()
            captured[name] = _Captured(tensor, tensor._version, grid)
            # Autograd forbids to write over the tensor that its graph starts from.
            return grid.replaced(output, tensor.clone()) if starts_graph or module in _overwritten else None

        return hook

    modules = _layer_modules(backbone, layers)
    handles = []
    try:
        with hooks_lock:
            for name, module in modules.items():
                handles.append(module.register_forward_hook(capturing(name)))
        return captured, model(images)
    finally:
        with hooks_lock:
            for handle in handles:
                handle.remove()


def _layer_modules(backbone: nn.Module, names: Sequence[str]) -> dict[str, nn.Module]:
    found = {}
    for name in names:
        try:
            # Looked up one by one: to walk all modules takes as long as a block of the network.
            found[name] = backbone.get_submodule(name or "?")
        except AttributeError:
            known = [other for other, _ in backbone.named_modules() if other]
            near = difflib.get_close_matches(name, known, n=5, cutoff=0.4)
            hint = f" Near it are: {', '.join(near)}." if near else ""
            raise ExplanationError(f"This network has no layer {name!r}.{hint}") from None
    return found


def _gradients(weights: Tensor, captured: Mapping[str, _Captured], logits: Tensor) -> dict[str, Tensor]:
    """Gradient of the logits' sum, weighted by ``weights`` (B, K), by each feature map; zeros where one has
    no say in it.
    """
    outputs = [layer.output for layer in captured.values()]
    # A weighted sum would have to join the graph, which can't grow where the caller forbids gradients.
    with torch.inference_mode(False):
        found = torch.autograd.grad(logits, outputs, weights.to(logits.dtype), materialize_grads=True)
    return {name: layer.grid.fold(gradient) for (name, layer), gradient in zip(captured.items(), found, strict=True)}


def _logit_weights(classes: Tensor, others: Tensor | None, count: int) -> Tensor:
    """Int (B, count): 1 for each target and -1 for the class it is contrasted with."""
    weights = functional.one_hot(classes, count)
    return weights if others is None else weights - functional.one_hot(others, count)


def masked_logits(model: nn.Module, images: Tensor, feature_map: Tensor) -> Tensor:
    """Logits (B, C, K) of each image seen through each channel of its feature map, stretched to [0, 1]."""
    batch, channels = feature_map.shape[:2]
    size = (images.shape[2], images.shape[3])
    logits = []
    for image, maps in zip(images, feature_map.float(), strict=True):
        for part in maps.unsqueeze(1).split(MASKED_PHOTOS_BATCH):
            masks = functional.interpolate(part, size, mode="bilinear", align_corners=False)
            low, high = masks.amin((2, 3), keepdim=True), masks.amax((2, 3), keepdim=True)
            masks = (masks - low) / (high - low).clamp_min(torch.finfo(masks.dtype).tiny)
            logits.append(model(image * masks).float())
    return torch.cat(logits).view(batch, channels, -1)


# --- Heatmaps -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LayerHeatmaps:
    """Heatmaps of a batch, one target class each.

    ``logits`` float32 (B, K); ``targets`` and ``against`` class indices (B,), ``against`` None where
    nothing is contrasted; ``maps`` by layer name, float32 (B, h, w) in [0, 1]; ``has_evidence`` by layer
    name, bool (B,), false where nothing speaks for the target and the map is all zeros; ``evidence`` by layer name,
    float32 (B, h, w), what the maps were before they were cut off at 0 and divided by their maximum: of one
    network, layer and method, it can be compared between photos and targets.
    """

    logits: Tensor
    targets: Tensor
    against: Tensor | None
    maps: dict[str, Tensor]
    has_evidence: dict[str, Tensor]
    evidence: dict[str, Tensor]


def heatmaps(
    model: nn.Module,
    images: Tensor,
    layers: Sequence[str],
    targets: int | Sequence[int] | Tensor | None = None,
    method: str = "gradcam",
    against: int | Sequence[int] | Tensor | None = None,
    answers: int | None = None,
) -> LayerHeatmaps:
    """Heatmaps of ``images``, float (B, 3, h, w) normalised, at ``layers`` (names), one target class each.

    ``targets`` are class indices, one for all or one each; the predicted classes where None. ``against``, for
    the contrastive method only, are the classes to argue against; where None the strongest other class. Where
    ``answers`` is given, only the first so many logits are classes that may be predicted or strongest. One
    forward and one backward pass for all layers; Eigen-CAM takes no backward pass, Score-CAM instead a forward
    pass per channel of each layer. ``model`` must be in eval mode. Raises ExplanationError with a
    sentence otherwise.
    """
    model = unwrapped(model)
    chosen = _checked(model, images, layers, method, against)
    captured, raw_logits = _forward(model, images, layers, with_graph=chosen.needs == "gradient")
    for layer in captured.values():
        if reason := why_not(method, tokens=layer.grid.layout == "tokens"):
            raise ExplanationError(reason)
    logits = raw_logits.detach().float()
    answered = logits.clone()
    answered[:, answers if answers is not None else logits.shape[1] :] = -torch.inf
    classes = answered.argmax(1) if targets is None else _class_indices(targets, logits, "target")
    others = _others(against, answered, classes) if chosen.contrasts else None

    needed: dict[str, Tensor] = {}
    if chosen.needs == "gradient":
        needed = _gradients(_logit_weights(classes, others, logits.shape[1]), captured, raw_logits)
    maps, has_evidence, evidence = {}, {}, {}
    with torch.inference_mode(False), torch.no_grad():
        for name, layer in captured.items():
            feature_map = layer.feature_map
            if chosen.needs == "masked scores":
                needed[name] = masked_logits(model, images, feature_map)[torch.arange(len(classes)), :, classes]
            given = [needed[name].to(feature_map.dtype)] if needed else []
            found = chosen.evidence(feature_map, *given)
            maps[name], has_evidence[name] = normalise(found)
            evidence[name] = found.float()
    return LayerHeatmaps(logits, classes, others, maps, has_evidence, evidence)


def score_cam_of_heads(
    model: nn.Module, image: Tensor, layers: Sequence[str], target: int, heads: int
) -> dict[str, Tensor]:
    """Score-CAM of one ``image`` (1, 3, h, w) for class ``target`` of each of the ``heads``, from the same passes.

    ``model`` gives logits (B, heads * K), those of each head in turn. Returns heatmaps by layer name, (heads, h, w).
    """
    captured, _ = _forward(model, image, layers, with_graph=False)
    maps = {}
    with torch.inference_mode(False), torch.no_grad():
        for name, layer in captured.items():
            feature_map = layer.feature_map
            scores = masked_logits(model, image, feature_map)[0].unflatten(1, (heads, -1))[..., target].T
            found = score_cam(feature_map.expand(heads, -1, -1, -1), scores.to(feature_map.dtype))
            maps[name], _ = normalise(found)
    return maps


def _checked(model: nn.Module, images: Tensor, layers: Sequence[str], method: str, against: object) -> Method:
    if method not in METHODS:
        raise ExplanationError(f"There is no method {method!r}: choose from {', '.join(METHODS)}.")
    if against is not None and not METHODS[method].contrasts:
        able = ", ".join(key for key, value in METHODS.items() if value.contrasts)
        raise ExplanationError(f"Only {able} argues against another genus; {method} does not.")
    if isinstance(layers, str) or not layers:
        raise ExplanationError("Name at least one layer, as a list of names.")
    if images.ndim != 4 or images.shape[1] != 3 or not len(images):
        raise ExplanationError(f"Images must be a batch of shape (B, 3, h, w), not {tuple(images.shape)}.")
    if _in_training(model):
        raise ExplanationError("The network is in training mode: call its eval() before asking for heatmaps.")
    return METHODS[method]


def _in_training(model: nn.Module) -> bool:
    # Like model.modules(), which takes ten times as long to tell.
    waiting = [model]
    while waiting:
        module = waiting.pop()
        if module.training:
            return True
        waiting.extend(module.children())
    return False


def _class_indices(given: int | Sequence[int] | Tensor, logits: Tensor, what: str) -> Tensor:
    batch, count = logits.shape
    indices = torch.as_tensor(given, device=logits.device)
    indices = indices.expand(batch) if indices.ndim == 0 else indices
    if indices.shape != (batch,) or indices.is_floating_point():
        raise ExplanationError(f"Give one {what} class index for all {batch} photos, or one each.")
    if not ((indices >= 0) & (indices < count)).all():
        raise ExplanationError(f"A {what} class index must be from 0 to {count - 1}, not {indices.tolist()}.")
    return indices.long()


def _others(given: int | Sequence[int] | Tensor | None, logits: Tensor, classes: Tensor) -> Tensor:
    """The classes to argue against: those given, or the strongest apart from the target."""
    if given is None:
        return logits.scatter(1, classes[:, None], -torch.inf).argmax(1)
    others = _class_indices(given, logits, "contrasted")
    if (others == classes).any():
        raise ExplanationError("A genus can't be contrasted with itself: choose another one to argue against.")
    return others


# --- Inside one heatmap -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Channels:
    """What Grad-CAM adds up: ``feature_map`` (C, h, w), each channel's ``weights`` (C,), and their ``heatmap``
    (h, w)."""

    feature_map: Tensor
    weights: Tensor
    heatmap: Tensor


def channels(model: nn.Module, image: Tensor, layer: str, target: int) -> Channels:
    """Grad-CAM of one ``image`` (1, 3, h, w) for class ``target`` at ``layer``, taken apart to be shown.

    Raises ExplanationError as ``heatmaps`` does.
    """
    model = unwrapped(model)
    _checked(model, image, [layer], "gradcam", None)
    captured, logits = _forward(model, image, [layer], with_graph=True)
    classes = _class_indices(target, logits.detach(), "target")
    gradient = _gradients(_logit_weights(classes, None, logits.shape[1]), captured, logits)[layer]
    feature_map = captured[layer].feature_map.float()
    heatmap, _ = normalise(grad_cam(feature_map, gradient.float()))
    return Channels(feature_map[0], gradient.float().mean((2, 3))[0], heatmap[0])
