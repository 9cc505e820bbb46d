"""Resuming: what a run leaves in the folder ``training`` of its checkpoint after every epoch. Never published."""

import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from mushroom.checkpoint import write_text
from mushroom.errors import TrainingError
from mushroom.model import ModelConfig
from mushroom.training.data import TrainingPhotos
from mushroom.training.recipes import Recipe

STATE_FOLDER = "training"
STATE_FILE = "state.json"


def claim_folder(out: Path) -> Path:
    """Make the checkpoint folder ``out`` with room for the training state; TrainingError where it can't be one."""
    try:
        (out / STATE_FOLDER).mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise TrainingError(f"{error.filename} is a file: --out takes a folder.") from error
    except OSError as error:
        raise TrainingError(f"{out} can't be written: {error.strerror}.") from error
    return out


def run_identity(config: ModelConfig, recipe: Recipe, training: TrainingPhotos, seed: int) -> dict[str, Any]:
    """What must be the same for a run to be resumed; values as JSON has them."""
    return {
        "recipe": json.loads(json.dumps(asdict(recipe), allow_nan=False)),
        "backbone": config.backbone,
        "data": config.data_fingerprint,
        "seed": seed,
        "labels": hashlib.sha256(training.labels.tobytes()).hexdigest(),
    }


def save_state(folder: Path, accelerator: Accelerator, facts: dict[str, Any]) -> None:
    """Keep what ``accelerator`` holds and ``facts`` of the finished epoch in place of the epoch's before."""
    name = f"epoch-{facts['epoch']}"
    accelerator.save_state(str(folder / name))
    if accelerator.is_main_process:
        write_text(folder / STATE_FILE, json.dumps(facts, allow_nan=False))
        for old in folder.glob("epoch-*"):
            if old.is_dir() and old.name != name:
                shutil.rmtree(old)


def load_facts(folder: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """The facts of the last finished epoch; None where there is none. TrainingError where it was another run."""
    path = folder / STATE_FILE
    if not path.exists():
        return None
    facts = json.loads(path.read_text(encoding="utf-8"))
    if facts["identity"] != identity:
        raise TrainingError(
            f"{folder.parent} was trained with other data, another recipe or seed: it can't be resumed with these."
        )
    return facts


def load_state(folder: Path, accelerator: Accelerator, epoch: int) -> None:
    """Take up what ``save_state`` kept of ``epoch``, into what was prepared with ``accelerator``."""
    try:
        accelerator.load_state(str(folder / f"epoch-{epoch}"))
    # Whatever a damaged file makes the loaders raise, it means the same here.
    except Exception as error:
        raise TrainingError(
            f"The run in {folder.parent} can't be resumed ({type(error).__name__}): train anew into another folder."
        ) from error
