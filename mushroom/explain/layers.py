"""Which points of a network give a heatmap: convolutional, transformer or both.

``model`` is a ``GenusNet`` (layers are then named from its ``backbone``) or a bare timm or torchvision network.
"""

import copy
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from mushroom.errors import ExplanationError
from mushroom.explain.grid import Grid, grid_of

NOTEBOOK_ARCHITECTURES = frozenset({"resnet50", "convnext_base"})
"""For these the default layer is the last convolution, as in the notebook that this project grew from."""

STAGE_LABELS = (
    "early: edges and spots",
    "early: colours and textures",
    "middle: repeated patterns",
    "late: single parts",
    "late: whole parts",
)

PATCH_LABELS = (
    "early: single patches",
    "early: patches and what is around them",
    "middle: patches that belong together",
    "late: single parts",
    "late: the photo as a whole",
)
"""For networks that cut the photo into patches once and never make the grid coarser."""

QUARTERS = 4
"""A network whose grid never changes has no stages of its own: the ends of its quarters stand for them, as in
Ranftl et al. 2021, "Vision Transformers for Dense Prediction"."""

# --- Layers -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layer:
    """A point of the network that a heatmap can be taken from.

    ``name`` is the module's name inside the backbone; ``stage`` counts from 0 and changes where the backbone's
    resolution does; ``height`` and ``width`` are the feature map's, in cells; ``stage_end`` marks a stage's last.
    ``last_convolution`` marks the notebook's own choice in its two networks. ``tokens`` says that the feature map is
    a transformer's tokens laid out on the photo.
    """

    name: str
    stage: int
    label: str
    height: int
    width: int
    stage_end: bool
    last_convolution: bool = False
    tokens: bool = False


WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel, torch.optim.swa_utils.AveragedModel)

_layers_found: WeakKeyDictionary[nn.Module, dict[int, tuple[Layer, ...]]] = WeakKeyDictionary()

hooks_lock = threading.Lock()
"""Held while hooks come and go: torch numbers them without one, and two threads could get the same number."""


def find_layers(model: nn.Module, input_px: int) -> tuple[Layer, ...]:
    """Every layer worth a heatmap, in the order the network computes them, for photos of ``input_px`` squared.

    They are the ends of the stages that timm lists in ``feature_info``, and the blocks between them: modules in
    which paths meet (a residual sum, a concatenation), and others of their kind. A network that lists no stages, or
    such as no module's output is, ends its stages with the last module at each resolution, or where there are no
    blocks, as in torchvision's AlexNet, with the activations after its convolutions. Where the grid is the same from
    the first block to the last, the ends of its quarters count as stages.

    **Class tokens.** A network that answers from its class token reads, after its last block, that token alone: by
    the patches at the end of this block the answer has no gradient, and a heatmap taken there would always be
    empty. The last point at which the patches still matter is where they enter the block's attention, the output of
    the norm before it (``blocks.11.norm1``): the usual target for these networks, which pytorch-grad-cam's guide to
    vision transformers advises for the same reason. So each layer without a gradient is replaced by the last norm
    inside it that has one. Which have one is found by a backward pass, not guessed from names.

    Found on a copy without weights, so it costs no arithmetic but for networks with class tokens; remembered for
    each network. Raises ExplanationError with a sentence for a network without feature maps, or one that can't take
    photos of this size.
    """
    with hooks_lock:
        known = _layers_found.setdefault(model, {})
        if input_px not in known:
            known[input_px] = tuple(_find_layers(backbone_of(model), input_px))
        return known[input_px]


def default_layer(layers: Sequence[Layer]) -> Layer:
    """The layer to show first: the notebook's for its two networks, otherwise the end of the last stage."""
    last_convolutions = [layer for layer in layers if layer.last_convolution]
    return [*(layer for layer in layers if layer.stage_end), *last_convolutions][-1]


def unwrapped(model: nn.Module) -> nn.Module:
    """The network itself, out of what spreads it over devices, averages or compiles it."""
    while True:
        inner = model.module if isinstance(model, WRAPPERS) else getattr(model, "_orig_mod", None)
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def backbone_of(model: nn.Module) -> nn.Module:
    """The network whose modules the layers are named after."""
    model = unwrapped(model)
    backbone = getattr(model, "backbone", None)
    return backbone if isinstance(backbone, nn.Module) else model


def _find_layers(backbone: nn.Module, input_px: int) -> Iterator[Layer]:
    walked = _walk(backbone, input_px)
    calls = list(walked.inside())
    names = [call.name for call in calls]
    # A module that is called twice has no one feature map.
    mapped = [call for call in calls if call.grid and names.count(call.name) == 1]
    if any(call.grid and call.grid.prefix for call in calls):
        alive = _with_gradient(backbone, mapped, input_px)
        mapped = [call for call in mapped if call.name in alive]

    blocks = [call for call in (_living(call, mapped) for call in _blocks(walked)) if call]
    ends = [call for call in (_living(call, mapped) for call in _listed(backbone, calls)) if call]
    if not ends and blocks:
        ends = _last_at_each_size([call for call in mapped if call in blocks or call in walked.calls])
    elif not ends:
        blocks = [call for call in mapped if _follows_convolution(call, calls)]
        ends = _last_at_each_size(blocks)
    if not ends:
        why = ": it keeps its patches in an order of its own" if hasattr(backbone, "reroll") else ""
        raise ExplanationError(f"This network has no two-dimensional feature maps to take a heatmap from{why}.")
    one_size = len({_size(call) for call in ends}) == 1
    if one_size and len(ends) > QUARTERS:
        blocks = [*blocks, *ends]
        ends = [ends[len(ends) * quarter // QUARTERS - 1] for quarter in range(1, QUARTERS + 1)]

    last_convolution = None
    if (getattr(backbone, "pretrained_cfg", None) or {}).get("architecture") in NOTEBOOK_ARCHITECTURES:
        convolutions = [call for call in blocks[-1].inside() if isinstance(call.module, nn.Conv2d)]
        last_convolution = convolutions[-1]
    chosen = [call for call in mapped if call in ends or call in blocks or call is last_convolution]
    # A stage and its last block may hand on the very same feature map; it keeps the stage's name.
    end_maps = {id(call.map) for call in ends}
    chosen = [call for call in chosen if call in ends or id(call.map) not in end_maps]
    labels = PATCH_LABELS if one_size and len(ends) > 1 else STAGE_LABELS
    return _described(chosen, ends, last_convolution, labels)


def _listed(backbone: nn.Module, calls: Sequence["_Call"]) -> list["_Call"]:
    """The calls of the modules that timm lists as ends of stages."""
    listed = {entry["module"]: entry["num_chs"] for entry in getattr(backbone, "feature_info", ())}
    # Comparing channels keeps out networks that hand on something else than their list says.
    return [call for call in calls if call.grid and listed.get(call.name) == call.grid.channels]


def _living(call: "_Call", mapped: Sequence["_Call"]) -> "_Call | None":
    """``call``, or where the answer does not depend on its places the last norm inside it on whose it does."""
    if call in mapped:
        return call
    norms = [
        inner
        for inner in call.inside()
        if inner in mapped and "Norm" in type(inner.module).__name__ and call.grid and _size(inner) == _size(call)
    ]
    return norms[-1] if norms else None


def _last_at_each_size(calls: Sequence["_Call"]) -> list["_Call"]:
    last = {_size(call): call for call in calls}
    return [call for call in calls if last[_size(call)] is call]


def _described(
    chosen: Sequence["_Call"], ends: Sequence["_Call"], last_convolution: "_Call | None", labels: Sequence[str]
) -> Iterator[Layer]:
    stage, last_stage = 0, max(len(ends) - 1, 1)
    for call in chosen:
        # What comes after the last stage's end still belongs to the last stage.
        stage = min(stage, len(ends) - 1)
        label = labels[round(stage / last_stage * (len(labels) - 1))]
        tokens = call.grid is not None and call.grid.layout == "tokens"
        yield Layer(call.name, stage, label, *_size(call), call in ends, call is last_convolution, tokens)
        stage += call in ends


# --- One photo walks through a copy of the network ----------------------------------------------------------


@dataclass(eq=False)
class _Call:
    """One call of a module during the walk; ``calls`` are those that it made itself."""

    name: str
    module: nn.Module
    given: object = None
    output: object = None
    grid: Grid | None = None
    calls: list["_Call"] = field(default_factory=list)

    @property
    def map(self) -> Tensor:
        """The tensor that covers the photo."""
        assert self.grid is not None
        return self.grid.tensor(self.output)

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


def _copied(model: nn.Module, tensor: Callable[[Tensor], Tensor]) -> nn.Module:
    """A copy in eval mode, to put hooks on, whose parameters and buffers are what ``tensor`` makes of the model's."""
    # deepcopy takes what its memo holds instead of copying it.
    memo = {id(each): tensor(each) for each in [*model.parameters(), *model.buffers()]}
    return copy.deepcopy(model, memo).eval()


def _walk(backbone: nn.Module, input_px: int) -> _Call:
    """Run one photo through a copy of ``backbone`` and tell which module called which with what."""
    without_weights = _copied(backbone, lambda tensor: nn.Parameter(tensor.detach().to("meta"), requires_grad=False))
    try:
        return _walked(without_weights, torch.zeros(1, 3, input_px, input_px, device="meta"))
    except (RuntimeError, NotImplementedError, AssertionError):
        # Some networks compute with numbers of their own on the way; and some take no photo of this size.
        pass
    try:
        return _walked(_copied(backbone, lambda tensor: tensor), _noise(backbone, input_px))
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise ExplanationError(f"This network can't take photos of {input_px} px: {reason}.") from error


def _noise(backbone: nn.Module, input_px: int) -> Tensor:
    any_weight = next(backbone.parameters())
    noise = torch.randn(1, 3, input_px, input_px, generator=torch.Generator().manual_seed(0))
    return noise.to(any_weight.device, any_weight.dtype)


def _walked(backbone: nn.Module, photo: Tensor) -> _Call:
    root = _Call("", backbone)
    open_calls = [root]
    size = (photo.shape[2], photo.shape[3])

    def entering(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[object, ...]) -> None:
            call = _Call(name, module, given=args[0] if args else None)
            open_calls[-1].calls.append(call)
            open_calls.append(call)

        return hook

    def leaving(module: nn.Module, args: tuple[object, ...], output: object) -> None:
        call = open_calls.pop()
        call.output, call.grid = output, grid_of(output, args, backbone, 1, size)

    for name, module in backbone.named_modules():
        if name:
            module.register_forward_pre_hook(entering(name))
            module.register_forward_hook(leaving)
    with torch.inference_mode(False), torch.no_grad():
        backbone(photo)
    return root


def _with_gradient(backbone: nn.Module, calls: Sequence[_Call], input_px: int) -> set[str]:
    """Names of those ``calls`` on whose places the features depend, by one backward pass with noise."""
    net = _copied(backbone, lambda tensor: tensor)
    grids = {call.name: call.grid for call in calls if call.grid}
    outputs: dict[str, Tensor] = {}

    def keeping(name: str) -> Callable[..., None]:
        return lambda module, args, output: outputs.update({name: grids[name].tensor(output)})

    for name in grids:
        net.get_submodule(name).register_forward_hook(keeping(name))
    with torch.inference_mode(False), torch.enable_grad():
        features = net(_noise(backbone, input_px).requires_grad_()).flatten(1)
        # A plain sum of normalised features would be the same for every photo.
        weights = torch.linspace(-1, 1, features.shape[1], device=features.device, dtype=features.dtype).square()
        found = torch.autograd.grad(features @ weights, list(outputs.values()), allow_unused=True)
    return {
        name
        for (name, grid), gradient in zip(grids.items(), found, strict=True)
        if gradient is not None and grid.fold(gradient).any()
    }


def _blocks(root: _Call) -> list[_Call]:
    """The outermost modules in which paths meet, and others of their classes (those without a shortcut)."""

    def outermost(call: _Call, is_block: Callable[[_Call], bool]) -> Iterator[_Call]:
        for part in call.calls:
            if is_block(part):
                yield part
            else:
                yield from outermost(part, is_block)

    meeting = outermost(root, lambda call: call.weight_layers() > 1 and not call.is_chain())
    kinds = {type(call.module) for call in meeting if call.grid}
    return list(outermost(root, lambda call: type(call.module) in kinds))


def _follows_convolution(call: _Call, calls: Sequence[_Call]) -> bool:
    """Whether ``call`` is the parameterless activation right after a convolution."""
    if call.calls or next(call.module.parameters(), None) is not None:
        return False
    before = [other for other in calls if isinstance(other.module, nn.Conv2d) and other.output is call.given]
    return any(other.grid and _size(other) == _size(call) for other in before)


def _size(call: _Call) -> tuple[int, int]:
    assert call.grid is not None
    return call.grid.height, call.grid.width
