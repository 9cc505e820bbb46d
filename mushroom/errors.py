"""What can go wrong, as types: each message is a sentence that says what to do. And how a command says it.

Nothing here imports anything of Mushroom's, so that every room may raise and catch these.
"""

import os
import sys
from collections.abc import Callable

DONE = 0
FAILED = 1
"""It can't be done as asked; one sentence on the error output says why. (2 is argparse's, for a wrong usage.)"""

SOME_PHOTOS_FAILED = 3
"""All was done, but for photos that could not be read; each is told with its reason."""

STOPPED = 130
"""Stopped by Ctrl-C, as shells have it."""


class MushroomError(Exception):
    """Something can't be done as asked; the message is a sentence for whoever asked."""


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


class ExportError(MushroomError, ValueError):
    """A checkpoint can't be written in another form; the message says why."""


class RayMissing(MushroomError, RuntimeError):
    """Ray is not installed; the message says how to."""


def run_command(command: Callable[[], int], *, when_stopped: str = "") -> int:
    """The exit status of a command, whose faults become one sentence on the error output.

    The same fault has the same status whatever the command. ``when_stopped`` says how to go on after Ctrl-C.
    """
    try:
        return command()
    except MushroomError as error:
        print(error, file=sys.stderr)
    except BrokenPipeError:
        # Whoever read the lines (head, say) has closed the pipe; Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:
        print(f"{error.filename or 'A file'} can't be used: {error.strerror or error}.", file=sys.stderr)
    except KeyboardInterrupt:
        print(f"\nStopped. {when_stopped}".rstrip(), file=sys.stderr)
        return STOPPED
    return FAILED
