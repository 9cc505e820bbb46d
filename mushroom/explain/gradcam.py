"""Feature maps and gradients become heatmaps: every layer from one forward and one backward pass.

    find_layers(model, input_px) -> tuple[Layer, ...]              early to late, stage ends and blocks
    default_layer(layers) -> Layer
    METHODS: dict[str, Method]                                     gradcam, gradcam++, hirescam, xgradcam, ...
    heatmaps(model, images, layers, targets=None, method='gradcam', against=None) -> LayerHeatmaps
    heatmaps_of_every_class(model, image, layers, method='gradcam') -> LayerHeatmaps

``model`` is a ``GenusNet`` (layers are then named from its ``backbone``) or a bare timm or torchvision
network, in eval mode. ``layers`` are layer names. Any thread may call this on a network that others use at
the same time: hooks live for one forward pass and act for the calling thread only; modes, ``requires_grad``
and ``.grad`` of parameters are never touched.

Words: ``evidence`` is what a method computes, of any sign and size; a ``heatmap`` is evidence in [0, 1].
"""

import copy
import difflib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import Tensor, nn
from torch.nn import functional

from mushroom.errors import ExplanationError

NOTEBOOK_ARCHITECTURES = frozenset({"resnet50", "convnext_base"})
"""For these the default layer is the last convolution, as in the notebook that this project grew from."""

STAGE_LABELS = (
    "early: edges and spots",
    "early: colours and textures",
    "middle: repeated patterns",
    "late: single parts",
    "late: whole parts",
)

MASKED_PHOTOS_BATCH = 32


# --- Layers -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layer:
    """A point of the network that a heatmap can be taken from.

    ``name`` is the module's name inside the backbone; ``stage`` counts from 0 and changes where the
    backbone's resolution does; ``height`` and ``width`` are the feature map's, in cells; ``stage_end`` marks
    a stage's last. ``last_convolution`` marks the notebook's own choice in its two networks.
    """

    name: str
    stage: int
    label: str
    height: int
    width: int
    stage_end: bool
    last_convolution: bool = False


_layers_found: WeakKeyDictionary[nn.Module, dict[int, tuple[Layer, ...]]] = WeakKeyDictionary()

_hooks_lock = threading.Lock()
"""Held while hooks come and go: torch numbers them without one, and two threads could get the same number."""


def find_layers(model: nn.Module, input_px: int) -> tuple[Layer, ...]:
    """Every layer worth a heatmap, in the order the network computes them, for photos of ``input_px``
    squared.

    They are the ends of the stages that timm lists in ``feature_info``, and the blocks between them: modules
    in which paths meet (a residual sum, a concatenation), and others of their kind. A network without
    ``feature_info``, such as torchvision's AlexNet, gives the activation after each convolution. Found on a
    copy without weights, so it costs no arithmetic; remembered for each network. Raises ExplanationError for
    a network without two-dimensional feature maps.
    """
    with _hooks_lock:
        known = _layers_found.setdefault(model, {})
        if input_px not in known:
            known[input_px] = _find_layers(_without_weights(backbone_of(model)), input_px)
        return known[input_px]


def default_layer(layers: Sequence[Layer]) -> Layer:
    """The layer to show first: the notebook's for its two networks, otherwise the end of the last stage."""
    last_convolutions = [layer for layer in layers if layer.last_convolution]
    return [*(layer for layer in layers if layer.stage_end), *last_convolutions][-1]


def backbone_of(model: nn.Module) -> nn.Module:
    """The network whose modules the layers are named after."""
    backbone = getattr(model, "backbone", None)
    return backbone if isinstance(backbone, nn.Module) else model


def _architecture(backbone: nn.Module) -> str:
    settings = getattr(backbone, "pretrained_cfg", None) or {}
    return settings.get("architecture", "")


def _without_weights(model: nn.Module) -> nn.Module:
    """A copy in eval mode whose tensors have shapes but no values."""
    tensors = [*model.parameters(), *model.buffers()]
    # deepcopy takes what its memo holds instead of copying it.
    memo = {id(tensor): nn.Parameter(tensor.detach().to("meta"), requires_grad=False) for tensor in tensors}
    return copy.deepcopy(model, memo).eval()


@dataclass
class _Call:
    """One call of a module during the walk; ``calls`` are those that it made itself."""

    name: str
    module: nn.Module
    given: object = None
    output: object = None
    calls: list["_Call"] = field(default_factory=list)

    @property
    def has_feature_map(self) -> bool:
        return isinstance(self.output, Tensor) and self.output.ndim == 4 and min(self.output.shape[2:]) > 1

    def is_chain(self) -> bool:
        """Whether it only hands on: its input to its first part, each part's output to the next, and out."""
        current = self.given
        for call in self.calls:
            if call.given is not current:
                return False
            current = call.output
        return self.output is current

    def weight_layers(self) -> int:
        return sum(isinstance(module, nn.Conv2d | nn.Linear) for module in self.module.modules())

    def inside(self) -> Iterator["_Call"]:
        """All calls below this one, in the order in which they ended."""
        for call in self.calls:
            yield from call.inside()
            yield call


def _find_layers(backbone: nn.Module, input_px: int) -> tuple[Layer, ...]:
    walked = _walk(backbone, input_px)
    calls = list(walked.inside())
    names = [call.name for call in calls]
    # A module that is called twice has no one feature map.
    mapped = [call for call in calls if call.has_feature_map and names.count(call.name) == 1]

    # Comparing channels keeps out networks that hand on something else than (B, C, h, w).
    listed = {entry["module"]: entry["num_chs"] for entry in getattr(backbone, "feature_info", [])}
    ends = [call for call in mapped if listed.get(call.name) == _channels(call)]
    blocks = [call for call in _blocks(walked) if call in mapped]
    if not ends:
        blocks = [call for call in mapped if _follows_convolution(call, calls)]
        ends = [
            call for index, call in enumerate(blocks) if call is blocks[-1] or _size(call) != _size(blocks[index + 1])
        ]
    if not ends:
        raise ExplanationError("This network has no two-dimensional feature maps to take a heatmap from.")

    last_convolution = None
    if _architecture(backbone) in NOTEBOOK_ARCHITECTURES:
        convolutions = [call for call in blocks[-1].inside() if isinstance(call.module, nn.Conv2d)]
        last_convolution = convolutions[-1]
    chosen = [call for call in mapped if call in ends or call in blocks or call is last_convolution]
    # A stage and its last block may hand on the very same feature map; it keeps the stage's name.
    end_maps = {id(call.output) for call in ends}
    chosen = [call for call in chosen if call in ends or id(call.output) not in end_maps]
    return tuple(_describe(chosen, ends, last_convolution))


def _walk(backbone: nn.Module, input_px: int) -> _Call:
    """Run one photo through ``backbone`` and tell which module called which with what."""
    root = _Call("", backbone)
    open_calls = [root]

    def entering(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[object, ...]) -> None:
            call = _Call(name, module, given=args[0] if args else None)
            open_calls[-1].calls.append(call)
            open_calls.append(call)

        return hook

    def leaving(module: nn.Module, args: tuple[object, ...], output: object) -> None:
        open_calls.pop().output = output

    for name, module in backbone.named_modules():
        if name:
            module.register_forward_pre_hook(entering(name))
            module.register_forward_hook(leaving)
    with torch.inference_mode(False), torch.no_grad():
        backbone(torch.zeros(1, 3, input_px, input_px, device="meta"))
    return root


def _blocks(root: _Call) -> list[_Call]:
    """The outermost modules in which paths meet, and others of their classes (those without a shortcut)."""

    def outermost(call: _Call, is_block: Callable[[_Call], bool]) -> Iterator[_Call]:
        for part in call.calls:
            if is_block(part):
                yield part
            else:
                yield from outermost(part, is_block)

    meeting = outermost(root, lambda call: call.weight_layers() > 1 and not call.is_chain())
    kinds = {type(call.module) for call in meeting if call.has_feature_map}
    return list(outermost(root, lambda call: type(call.module) in kinds))


def _follows_convolution(call: _Call, calls: Sequence[_Call]) -> bool:
    """Whether ``call`` is the parameterless activation right after a convolution."""
    if call.calls or next(call.module.parameters(), None) is not None:
        return False
    before = [other for other in calls if isinstance(other.module, nn.Conv2d) and other.output is call.given]
    return any(_size(other) == _size(call) for other in before)


def _size(call: _Call) -> tuple[int, int]:
    assert isinstance(call.output, Tensor)
    return call.output.shape[2], call.output.shape[3]


def _channels(call: _Call) -> int:
    assert isinstance(call.output, Tensor)
    return call.output.shape[1]


def _describe(chosen: Sequence[_Call], ends: Sequence[_Call], last_convolution: _Call | None) -> Iterator[Layer]:
    stage, last_stage = 0, max(len(ends) - 1, 1)
    for call in chosen:
        # What comes after the last stage's end still belongs to the last stage.
        stage = min(stage, len(ends) - 1)
        label = STAGE_LABELS[round(stage / last_stage * (len(STAGE_LABELS) - 1))]
        yield Layer(call.name, stage, label, *_size(call), call in ends, call is last_convolution)
        stage += call in ends


# --- One forward pass, one backward pass --------------------------------------------------------------------


@dataclass(frozen=True)
class _Trace:
    """One forward pass: logits (B, K), and the feature map (B, C, h, w) of each layer asked for."""

    logits: Tensor
    feature_maps: dict[str, Tensor]


def _forward(model: nn.Module, images: Tensor, layers: Sequence[str], *, with_graph: bool) -> _Trace:
    """Run ``model``; the graph for a backward pass starts at the first of ``layers`` that is reached."""
    # Where the caller is in inference mode its images must be copied to take part in a graph.
    with torch.inference_mode(False), torch.no_grad():
        if images.is_inference():
            images = images.clone()
        feature_maps, logits = _captured(model, images, layers, with_graph=with_graph)
        if _remember_overwritten(model, feature_maps):
            feature_maps, logits = _captured(model, images, layers, with_graph=with_graph)
    missing = [name for name in layers if name not in feature_maps]
    if missing:
        raise ExplanationError(f"The network's layer {missing[0]} was not reached, so it has no heatmap.")
    return _Trace(logits, {name: captured.feature_map for name, captured in feature_maps.items()})


@dataclass(frozen=True)
class _Captured:
    """A layer's output, and how often it had been written over when the layer gave it."""

    feature_map: Tensor
    version: int


def _captured(
    model: nn.Module, images: Tensor, layers: Sequence[str], *, with_graph: bool
) -> tuple[dict[str, _Captured], Tensor]:
    feature_maps: dict[str, _Captured] = {}
    with _capture(model, layers, feature_maps, with_graph=with_graph):
        return feature_maps, model(images)


_overwritten: WeakSet[nn.Module] = WeakSet()
"""Layers whose output is written over by what comes next, an activation say, so that a copy must go on.

To copy every output would cost a tenth of the time of a pass. That a layer belongs here shows when it was
captured without: the pass is made again, once in the life of a network.
"""


def _remember_overwritten(model: nn.Module, feature_maps: Mapping[str, _Captured]) -> bool:
    """Whether any of these feature maps is no longer what its layer gave."""
    # Autograd counts the writes; there is no public name for its count.
    altered = [name for name, captured in feature_maps.items() if captured.feature_map._version != captured.version]
    _overwritten.update(_layer_modules(backbone_of(model), altered).values())
    return bool(altered)


@contextmanager
def _capture(
    model: nn.Module, layers: Sequence[str], feature_maps: dict[str, _Captured], *, with_graph: bool
) -> Iterator[None]:
    """Put the outputs of ``layers`` into ``feature_maps`` as the calling thread computes them."""
    owner = threading.get_ident()
    backbone = backbone_of(model)

    def capturing(name: str) -> Callable[..., Tensor | None]:
        def hook(module: nn.Module, args: tuple[object, ...], output: object) -> Tensor | None:
            if threading.get_ident() != owner:
                return None
            if not isinstance(output, Tensor) or output.ndim != 4:
                raise ExplanationError(f"The network's layer {name} has no two-dimensional feature map.")
            starts_graph = with_graph and not output.requires_grad
            if starts_graph:
                torch.set_grad_enabled(True)
                output = output.detach().requires_grad_()
            feature_maps[name] = _Captured(output, output._version)
            # Autograd forbids to write over the tensor that its graph starts from.
            return output.clone() if starts_graph or module in _overwritten else None

        return hook

    modules = _layer_modules(backbone, layers)
    handles = []
    try:
        with _hooks_lock:
            for name, module in modules.items():
                handles.append(module.register_forward_hook(capturing(name)))
        yield
    finally:
        with _hooks_lock:
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


def _gradients(weights: Tensor, trace: _Trace, *, keep_graph: bool = False) -> dict[str, Tensor]:
    """Gradient of the logits' sum, weighted by ``weights`` (B, K), by each feature map; zeros where one has
    no say in it.
    """
    maps = list(trace.feature_maps.values())
    # A weighted sum would have to join the graph, which can't grow where the caller forbids gradients.
    with torch.inference_mode(False):
        found = torch.autograd.grad(
            trace.logits, maps, weights.to(trace.logits.dtype), retain_graph=keep_graph, allow_unused=True
        )
    return {
        name: torch.zeros_like(feature_map) if gradient is None else gradient
        for (name, feature_map), gradient in zip(trace.feature_maps.items(), found, strict=True)
    }


def _logit_weights(classes: Tensor, others: Tensor | None, count: int) -> Tensor:
    """Int (B, count): 1 for each target and -1 for the class it is contrasted with."""
    weights = functional.one_hot(classes, count)
    return weights if others is None else weights - functional.one_hot(others, count)


# --- Methods: feature map (B, C, h, w) and what else they need, to evidence (B, h, w) -----------------------


def _weighted_sum(weights: Tensor, feature_map: Tensor) -> Tensor:
    """Sum of the channels (B, C, h, w), each times its weight (B, C)."""
    height, width = feature_map.shape[2:]
    return torch.bmm(weights.unsqueeze(1), feature_map.flatten(2)).view(-1, height, width)


def grad_cam(feature_map: Tensor, gradient: Tensor) -> Tensor:
    """Grad-CAM: channels weighted by their mean gradient.

    Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization".
    """
    return _weighted_sum(gradient.mean((2, 3)), feature_map)


def grad_cam_plus_plus(feature_map: Tensor, gradient: Tensor) -> Tensor:
    """Grad-CAM++: channels weighted by their positive gradients, where several places may share the credit.

    Chattopadhay et al. 2018, "Grad-CAM++: Generalized Gradient-based Visual Explanations", equation 19. Its
    alpha = g^2 / (2 g^2 + S g^3), S being the channel's sum, is 1 / (2 + S g) wherever g is not zero: written
    this way it needs no small constant that would drown small gradients.
    """
    denominator = 2 + feature_map.sum((2, 3), keepdim=True) * gradient
    alpha = torch.where(denominator == 0, 0, 1 / denominator)
    return _weighted_sum((alpha * gradient.relu()).sum((2, 3)), feature_map)


def hires_cam(feature_map: Tensor, gradient: Tensor) -> Tensor:
    """HiResCAM: gradient times feature map at every place, so no place lends its weight to another.

    Draelos and Carin 2020, "Use HiResCAM instead of Grad-CAM for faithful explanations of CNNs".
    """
    return (gradient * feature_map).sum(1)


def xgrad_cam(feature_map: Tensor, gradient: Tensor) -> Tensor:
    """XGrad-CAM: channels weighted by their gradients' mean, in which active places count for more.

    Fu et al. 2020, "Axiom-based Grad-CAM". A channel whose values sum to zero gets no weight.
    """
    total = feature_map.sum((2, 3))
    weights = (gradient * feature_map).sum((2, 3)) / total
    return _weighted_sum(torch.where(total == 0, 0, weights), feature_map)


def layer_cam(feature_map: Tensor, gradient: Tensor) -> Tensor:
    """LayerCAM: positive gradient times feature map at every place; made for early layers too.

    Jiang et al. 2021, "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization".
    """
    return (gradient.relu() * feature_map).sum(1)


def eigen_cam(feature_map: Tensor) -> Tensor:
    """Eigen-CAM: what the channels have most in common; asks for no genus.

    Muhammad and Yeasin 2020, "Eigen-CAM: Class Activation Map using Principal Components": the projection of
    the feature map on its first right singular vector, without centring. A singular vector has no sign of its
    own: the strongest place counts as positive.
    """
    height, width = feature_map.shape[2:]
    places = feature_map.flatten(2).transpose(1, 2).double()
    if height * width < places.shape[2]:
        # The smaller of both Gram matrices has the same first eigenvalue and costs less.
        strengths, vectors = torch.linalg.eigh(places @ places.transpose(1, 2))
        projection = vectors[..., -1] * strengths[..., -1:].clamp_min(0).sqrt()
    else:
        vectors = torch.linalg.eigh(places.transpose(1, 2) @ places)[1]
        projection = (places @ vectors[..., -1:]).squeeze(-1)
    strongest = projection.gather(1, projection.abs().argmax(1, keepdim=True))
    return (projection * strongest.sign()).float().view(-1, height, width)


def score_cam(feature_map: Tensor, masked_scores: Tensor) -> Tensor:
    """Score-CAM: channels weighted by the score of the photo seen through them, (B, C); no gradients.

    Wang et al. 2020, "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks". The
    unmasked photo's score, which the paper subtracts, cancels in its softmax over channels.
    """
    return _weighted_sum(masked_scores.softmax(1), feature_map)


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


@dataclass(frozen=True)
class Method:
    """A way from feature map to evidence: ``evidence(feature_map)``, or with what it ``needs`` as second
    argument."""

    title: str
    evidence: Callable[..., Tensor]
    explanation: str
    needs: Literal["gradient", "masked scores", "nothing"] = "gradient"
    contrasts: bool = False


METHODS: Mapping[str, Method] = {
    "gradcam": Method("Grad-CAM", grad_cam, "Which patterns speak for this genus, and where they are."),
    "gradcam++": Method(
        "Grad-CAM++",
        grad_cam_plus_plus,
        "Like Grad-CAM, but better at showing several mushrooms in one photo.",
    ),
    "hirescam": Method("HiResCAM", hires_cam, "Only places that themselves raised this genus's score."),
    "xgradcam": Method("XGrad-CAM", xgrad_cam, "Like Grad-CAM, but places where a pattern is strong count for more."),
    "layercam": Method("LayerCAM", layer_cam, "Fine detail: every place judged by itself, also in early layers."),
    "eigencam": Method("Eigen-CAM", eigen_cam, "What stands out to the network, whatever the genus.", needs="nothing"),
    "scorecam": Method(
        "Score-CAM",
        score_cam,
        "Shows the photo through each pattern and keeps what scores; slow.",
        needs="masked scores",
    ),
    "contrastive": Method(
        "Contrastive",
        grad_cam,
        "Why this genus rather than another: evidence for one against the other.",
        contrasts=True,
    ),
}
"""The methods by key. ``contrastive`` is Grad-CAM of the difference of two scores, after Zhang et al. 2025,
"Finer-CAM: Spotting the Difference Reveals Finer Details for Visual Explanation", with one reference."""


# --- Heatmaps -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LayerHeatmaps:
    """Heatmaps of a batch: one photo with one target each, or one photo with every class.

    ``logits`` float32 (photos, K); ``targets`` and ``against`` class indices (B,), ``against`` None where
    nothing is contrasted; ``maps`` by layer name, float32 (B, h, w) in [0, 1]; ``has_evidence`` by layer
    name, bool (B,), false where nothing speaks for the target and the map is all zeros.
    """

    logits: Tensor
    targets: Tensor
    against: Tensor | None
    maps: dict[str, Tensor]
    has_evidence: dict[str, Tensor]


def heatmaps(
    model: nn.Module,
    images: Tensor,
    layers: Sequence[str],
    targets: int | Sequence[int] | Tensor | None = None,
    method: str = "gradcam",
    against: int | Sequence[int] | Tensor | None = None,
) -> LayerHeatmaps:
    """Heatmaps of ``images``, float (B, 3, h, w) normalised, at ``layers`` (names), one target class each.

    ``targets`` are class indices, one for all or one each; the predicted classes where None. ``against``, for
    the contrastive method only, are the classes to argue against; where None the strongest other class. One
    forward and one backward pass for all layers; Eigen-CAM takes no backward pass, Score-CAM instead a
    forward pass per channel of each layer. ``model`` must be in eval mode. Raises ExplanationError with a
    sentence otherwise.
    """
    chosen = _checked(model, images, layers, method, against)
    trace = _forward(model, images, layers, with_graph=chosen.needs == "gradient")
    logits = trace.logits.detach().float()
    classes = logits.argmax(1) if targets is None else _class_indices(targets, logits, "target")
    others = _others(against, logits, classes) if chosen.contrasts else None

    needed: dict[str, Tensor] = {}
    if chosen.needs == "gradient":
        needed = _gradients(_logit_weights(classes, others, logits.shape[1]), trace)
    elif chosen.needs == "masked scores":
        every = _every_masked_logits(model, images, trace)
        needed = {name: values[torch.arange(len(classes)), :, classes] for name, values in every.items()}
    return _finished(chosen, trace, needed, classes, others)


def heatmaps_of_every_class(
    model: nn.Module, image: Tensor, layers: Sequence[str], method: str = "gradcam"
) -> LayerHeatmaps:
    """Heatmaps of one ``image``, float (1, 3, h, w), for each of the K classes: maps are (K, h, w).

    One forward pass, and a backward pass for each class. The contrastive method argues against the strongest
    other class. Otherwise as ``heatmaps``.
    """
    chosen = _checked(model, image, layers, method, None)
    if len(image) != 1:
        raise ExplanationError(f"Heatmaps of every class are made from one photo, not {len(image)}.")
    trace = _forward(model, image, layers, with_graph=chosen.needs == "gradient")
    count = trace.logits.shape[1]
    classes = torch.arange(count, device=trace.logits.device)
    others = _others(None, trace.logits.detach().expand(count, -1), classes) if chosen.contrasts else None

    needed: dict[str, Tensor] = {}
    if chosen.needs == "gradient":
        weights = _logit_weights(classes, others, count)
        by_class = [_gradients(weights[k : k + 1], trace, keep_graph=k < count - 1) for k in range(count)]
        needed = {name: torch.cat([found[name] for found in by_class]) for name in trace.feature_maps}
    elif chosen.needs == "masked scores":
        needed = {name: values[0].T for name, values in _every_masked_logits(model, image, trace).items()}
    return _finished(chosen, trace, needed, classes, others)


def normalise(evidence: Tensor) -> tuple[Tensor, Tensor]:
    """Evidence (B, h, w) as heatmaps, float32 in [0, 1], and whether there was any positive, bool (B,).

    What speaks against the target is cut off and the rest divided by its maximum. Without positive evidence,
    or where a value is not finite, the heatmap is all zeros.
    """
    evidence = evidence.float()
    lowest, highest = evidence.flatten(1).aminmax(dim=1)
    has_evidence = (highest > 0) & (highest < torch.inf) & (lowest > -torch.inf)
    divisor = torch.where(has_evidence, highest, 1)[:, None, None]
    maps = torch.where(has_evidence[:, None, None], evidence.relu() / divisor, 0)
    return maps, has_evidence


def _finished(
    method: Method, trace: _Trace, needed: Mapping[str, Tensor], classes: Tensor, others: Tensor | None
) -> LayerHeatmaps:
    maps, has_evidence = {}, {}
    with torch.inference_mode(False), torch.no_grad():
        for name, feature_map in trace.feature_maps.items():
            values = feature_map.detach()
            if name in needed:
                evidence = method.evidence(values.expand(len(classes), -1, -1, -1), needed[name].to(values.dtype))
            else:
                evidence = method.evidence(values).expand(len(classes), -1, -1)
            maps[name], has_evidence[name] = normalise(evidence)
    return LayerHeatmaps(trace.logits.detach().float(), classes, others, maps, has_evidence)


def _every_masked_logits(model: nn.Module, images: Tensor, trace: _Trace) -> dict[str, Tensor]:
    with torch.inference_mode(False), torch.no_grad():
        return {name: masked_logits(model, images, values) for name, values in trace.feature_maps.items()}


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
    _checked(model, image, [layer], "gradcam", None)
    trace = _forward(model, image, [layer], with_graph=True)
    classes = _class_indices(target, trace.logits.detach(), "target")
    gradient = _gradients(_logit_weights(classes, None, trace.logits.shape[1]), trace)[layer]
    feature_map = trace.feature_maps[layer].detach().float()
    heatmap, _ = normalise(grad_cam(feature_map, gradient.float()))
    return Channels(feature_map[0], gradient.float().mean((2, 3))[0], heatmap[0])
