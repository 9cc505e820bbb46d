"""timm and torchvision without torch's compiler: what a command waits for before its first photo, halved.

While they are imported, both only ask the compiler whether they could be compiled with, and that some functions be
left alone by it: seconds of imports. Nothing here compiles a network, and whoever does imports the compiler itself.
"""

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

COMPILER = "torch._dynamo"


def import_timm() -> None:
    """Import timm and torchvision with an empty stand-in for the compiler, unless it or they are there already."""
    if any(name in sys.modules for name in ("timm", "torchvision", COMPILER)):
        return
    package, utils = ModuleType(COMPILER), ModuleType(f"{COMPILER}.utils")
    utils.is_compile_supported = lambda device_type: False  # type: ignore[attr-defined]
    stand_ins, disable = {COMPILER: package, f"{COMPILER}.utils": utils}, torch.compiler.disable
    sys.modules.update(stand_ins)
    torch.compiler.disable = _left_alone  # type: ignore[assignment]
    try:
        importlib.import_module("timm")
    except (ImportError, AttributeError):
        # Another version asks the compiler for more: it gets the real one.
        for name in [name for name in sys.modules if name.split(".")[0] in ("timm", "torchvision")]:
            del sys.modules[name]
    finally:
        torch.compiler.disable = disable
        for name in stand_ins:
            sys.modules.pop(name, None)


def _left_alone(function: Callable[..., Any] | None = None, *_: Any, **__: Any) -> Callable[..., Any]:
    """``torch.compiler.disable`` where nothing is compiled: the function as it is; a decorator without one."""
    return function if function is not None else _left_alone


class NoRandomNumbers(TorchFunctionMode):
    """A network that is built in this context has its weights' shapes and none of their random numbers.

    On the meta device, which has no numbers anyway, drawing them would bring the compiler.
    """

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        is_drawn = getattr(function, "__name__", "") in ("normal_", "uniform_", "erfinv_")
        if is_drawn or getattr(function, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return function(*args, **kwargs)
