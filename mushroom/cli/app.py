"""Open the app in a browser: ``mushroom app``, with ``--checkpoint runs/mine`` for a network of one's own."""

import argparse
import os
from pathlib import Path

from mushroom.assets import CHECKOUT, IN_CHECKOUT, PACKAGE
from mushroom.checkpoint import CHECKPOINTS_VARIABLE, HUB_PREFIX, MODEL_VARIABLE, WEIGHTS_FILE
from mushroom.errors import CheckpointError

SCRIPT = CHECKOUT / "app.py" if IN_CHECKOUT else PACKAGE / "app" / "installed_app.py"
"""What Streamlit runs, with its settings in ``.streamlit`` beside it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` takes."""
    parser.add_argument(
        "--checkpoint", help="checkpoint folder, folder of such, or hf://USER/NAME; else those that ship"
    )
    parser.add_argument("--port", type=int, help="port to listen on; 8501 otherwise")


def run(args: argparse.Namespace) -> int:
    """Serve the app; does not come back. Raises CheckpointError where there is no such checkpoint."""
    os.environ.update(environment(args.checkpoint))
    options = ["--server.port", str(args.port)] if args.port else []
    from streamlit.web import cli

    cli.main(["run", str(SCRIPT), *options])
    return 0


def environment(checkpoint: str | None) -> dict[str, str]:
    """The variables by which the app finds a checkpoint, or the checkpoints in a folder."""
    if checkpoint is None:
        return {}
    if checkpoint.startswith(HUB_PREFIX):
        return {MODEL_VARIABLE: checkpoint}
    folder = Path(checkpoint).resolve()
    if (folder / WEIGHTS_FILE).is_file() or any(folder.glob(f"*/{WEIGHTS_FILE}")):
        return {CHECKPOINTS_VARIABLE: str(folder)}
    raise CheckpointError(
        f"There is no checkpoint in {checkpoint}: name a folder with {WEIGHTS_FILE}, or one above it."
    )
