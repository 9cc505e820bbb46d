"""What can go wrong, as types: each message is a sentence that says what to do. One exit status for each.

Nothing here imports anything of Mushroom's, so that every room may raise and catch these.
"""


class MushroomError(Exception):
    """Something can't be done as asked; the message is a sentence for whoever asked."""

    exit_status = 1
    """What a command that ends with this returns to the shell."""


class PhotoError(MushroomError, ValueError):
    """The bytes are no photo that is safe to use; the message is a sentence for the visitor."""


class DatasetError(MushroomError, ValueError):
    """The photos can't be prepared or read as prepared; the message says what to do."""


class CheckpointError(MushroomError, ValueError):
    """A checkpoint folder or weights file can't be used; the message says which file and why."""


class HubError(CheckpointError):
    """The Hub could not be used as asked; the message says what to do."""


class ExplanationError(MushroomError, ValueError):
    """A heatmap can't be had as asked for; the message names the valid choices."""


class TrainingError(MushroomError, RuntimeError):
    """Training can't go on; the message says why and what to do. The last good checkpoint is kept."""


class PredictError(MushroomError, ValueError):
    """Nothing can be predicted as asked; the message says what to do."""


class RayMissing(MushroomError, RuntimeError):
    """Ray is not installed; the message says how to."""
