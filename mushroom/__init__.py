"""Mushroom: which genus is on a photo, how sure the model is, and what it looked at."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mushroom.classifier import Classifier
    from mushroom.photos import read_photo

__all__ = ["Classifier", "__version__", "read_photo"]
__version__ = "0.2.0"

_ROOMS = {"Classifier": "mushroom.classifier", "read_photo": "mushroom.photos"}


def __getattr__(name: str) -> Any:
    """What a person imports, fetched from its room when it is asked for: torch takes seconds to import."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_ROOMS[name]), name)
