"""How a module's output covers the photo, and how it becomes a feature map (B, C, h, w).

Convolutions hand on maps with channels first, some networks (Swin) with channels last, transformers rows of tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

USUAL_PREFIXES = (0, 1, 2)
"""Numbers of tokens that stand for no place: none, a class token, a distillation token beside it. Looked for where a
network does not say how many it has, or where they are not there yet."""


@dataclass(frozen=True)
class Grid:
    """How a tensor covers the photo: ``height`` x ``width`` cells with ``channels`` values each.

    ``layout`` is "channels first" (B, C, h, w), "channels last" (B, h, w, C) or "tokens" (B, prefix + h w, C); the
    ``prefix`` tokens (class, distillation, registers) stand for no place. ``index`` says which element of a tuple
    or list the tensor is, None where the output is the tensor itself.
    """

    layout: Literal["channels first", "channels last", "tokens"]
    height: int
    width: int
    channels: int
    prefix: int = 0
    index: int | None = None

    def tensor(self, output: Any) -> Tensor:
        """The tensor inside a module's output."""
        return output if self.index is None else output[self.index]

    def replaced(self, output: Any, tensor: Tensor) -> Any:
        """A module's output with another tensor in this one's place."""
        if self.index is None:
            return tensor
        elements = [tensor if place == self.index else element for place, element in enumerate(output)]
        return type(output)(elements)

    def fold(self, tensor: Tensor) -> Tensor:
        """The tensor as a feature map (B, C, h, w): prefix tokens cut off, the others laid out on the photo."""
        if self.layout == "channels first":
            return tensor
        if self.layout == "tokens":
            tensor = tensor[:, self.prefix :].unflatten(1, (self.height, self.width))
        return tensor.permute(0, 3, 1, 2)


def grid_of(
    output: object, given: Sequence[object], backbone: nn.Module, batch: int, size: tuple[int, int]
) -> Grid | None:
    """How the ``output`` of a module that was ``given`` some inputs covers photos of ``size`` (height, width).

    A grid has the photo's proportions, which tells channels-first from channels-last. Of a tuple or list the first
    element counts that covers the photo and is not handed on as it came. None where nothing covers the photo.
    """
    if isinstance(output, Tensor):
        return _grid_of_tensor(output, backbone, batch, size, None)
    if isinstance(output, tuple | list):
        grids = (
            _grid_of_tensor(element, backbone, batch, size, index)
            for index, element in enumerate(output)
            if isinstance(element, Tensor) and not any(element is one for one in given)
        )
        return next((grid for grid in grids if grid), None)
    return None


def _grid_of_tensor(
    tensor: Tensor, backbone: nn.Module, batch: int, size: tuple[int, int], index: int | None
) -> Grid | None:
    shape = tensor.shape
    if shape[:1] != (batch,):
        return None
    if len(shape) == 4:
        first, last = _has_proportions(shape[2:], size), _has_proportions(shape[1:3], size)
        if last and (not first or getattr(backbone, "output_fmt", None) == "NHWC"):
            return Grid("channels last", shape[1], shape[2], shape[3], index=index)
        if first:
            return Grid("channels first", shape[2], shape[3], shape[1], index=index)
    # Such a network (Hiera) keeps its patches in an order of its own.
    if len(shape) == 3 and not hasattr(backbone, "reroll"):
        declared = getattr(backbone, "num_prefix_tokens", None) or 0
        for prefix in (declared, *USUAL_PREFIXES):
            height = round(((shape[1] - prefix) * size[0] / size[1]) ** 0.5) if shape[1] > prefix else 0
            width = (shape[1] - prefix) // height if height else 0
            if height * width == shape[1] - prefix and _has_proportions((height, width), size):
                return Grid("tokens", height, width, shape[2], prefix, index)
    return None


def _has_proportions(cells: Sequence[int], size: tuple[int, int]) -> bool:
    """Whether so many cells, more than one, have the photo's proportions, to within a cell."""
    (height, width), (photo_height, photo_width) = cells, size
    if min(height, width) < 2 or height > photo_height or width > photo_width:
        return False
    return height == width if photo_height == photo_width else abs(height - width * photo_height / photo_width) <= 1
