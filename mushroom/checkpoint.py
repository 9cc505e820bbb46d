"""Which checkpoint folders are at hand, and what the files inside are called. Knows names, not networks."""

import os
from pathlib import Path

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
HISTORY_FILE = "history.csv"
PREDICTIONS_FILE = "predictions.csv"
REPORT_FILE = "report.json"
CARD_FILE = "README.md"

AGREEMENT_FILE = "agreement.json"
"""Beside checkpoint folders: how far each two of them agree."""

DEFAULT_MODEL = "efficientnetv2_b0_averaged"
"""The checkpoint that is used where none is named."""

HUB_PREFIX = "hf://"
"""A checkpoint that is named so is fetched from the Hugging Face Hub: ``hf://user/name@revision``."""

MODEL_VARIABLE = "MUSHROOM_MODEL"
"""Where it is set, ``hf://user/name``: the app shows that model from the Hub before those at hand."""

CHECKPOINTS_VARIABLE = "MUSHROOM_CHECKPOINTS"
SHIPPED_CHECKPOINTS = Path(__file__).resolve().parent.parent / "assets" / "models"


def checkpoints_folder() -> Path:
    """Where checkpoint folders are looked for: those that ship, or ``MUSHROOM_CHECKPOINTS``."""
    return Path(os.environ.get(CHECKPOINTS_VARIABLE, SHIPPED_CHECKPOINTS))


def list_checkpoints() -> list[Path]:
    """All checkpoint folders at hand, the default first, then by name."""
    folders = sorted(path.parent for path in checkpoints_folder().glob(f"*/{WEIGHTS_FILE}"))
    return sorted(folders, key=lambda folder: folder.name != DEFAULT_MODEL)
