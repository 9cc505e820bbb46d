"""Checkpoint folders: which are at hand, what the files inside are called, save, load, validate.

A **checkpoint folder** holds ``model.safetensors`` (the tensors), ``config.json`` (how to rebuild the network
and read its logits) and what is known about it (``history.csv``, ``predictions.csv``, ``report.json``,
``README.md``). It may come from a stranger: nothing in it is executed, its file names are fixed, and every
tensor's name and shape is compared with what the config promises before one is loaded.

Torch is imported where a network is built: pages that only list checkpoints start without it.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mushroom import assets
from mushroom.errors import CheckpointError
from mushroom.texts import RANKS

if TYPE_CHECKING:
    import torch

    from mushroom.model import GenusNet, ModelConfig, Provenance

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
HISTORY_FILE = "history.csv"
PREDICTIONS_FILE = "predictions.csv"
REPORT_FILE = "report.json"
CARD_FILE = "README.md"

AGREEMENT_FILE = "agreement.json"
"""Beside checkpoint folders: how far each two of them agree."""

DEFAULT_MODEL = "efficientnetv2_b0_soup"
"""The checkpoint that is used where none is named."""

SHIPPED_TITLES: "Mapping[str, str]" = {
    DEFAULT_MODEL: "Default",
    "resnetv2_50_tuned": "Second opinion",
    "vit_small_dinov2": "Transformer",
}
"""What people read for the networks that ship, by their folders' names."""

HUB_PREFIX = "hf://"
"""A checkpoint that is named so is fetched from the Hugging Face Hub: ``hf://user/name@revision``."""

MODEL_VARIABLE = "MUSHROOM_MODEL"
"""Where it is set, ``hf://user/name``: the app shows that model from the Hub before those at hand."""

CHECKPOINTS_VARIABLE = "MUSHROOM_CHECKPOINTS"
SHIPPED_CHECKPOINTS = assets.MODELS

MAX_WEIGHTS_BYTES = 2 * 1024**3
MAX_CONFIG_BYTES = 1024**2
MAX_GENERA = 2000
MAX_NAME_CHARACTERS = 100

GENERA_METADATA = "genera"
"""The weights file's own record of the names, in the order they were learned: compared with the config's on load."""


# --- At hand ------------------------------------------------------------------------------------------------


def checkpoints_folder() -> Path:
    """Where checkpoint folders are looked for: those that ship, or ``MUSHROOM_CHECKPOINTS``."""
    return Path(os.environ.get(CHECKPOINTS_VARIABLE, SHIPPED_CHECKPOINTS))


def list_checkpoints() -> list[Path]:
    """All checkpoint folders at hand, the default first, then by name.

    ``MUSHROOM_CHECKPOINTS`` may also name one checkpoint folder: then it is the only one.
    """
    if (checkpoints_folder() / WEIGHTS_FILE).is_file():
        return [checkpoints_folder()]
    folders = sorted(path.parent for path in checkpoints_folder().glob(f"*/{WEIGHTS_FILE}"))
    return sorted(folders, key=lambda folder: folder.name != DEFAULT_MODEL)


def find_checkpoint(name: str | Path) -> Path:
    """The checkpoint folder at the path ``name``, or the one of that name at hand; CheckpointError otherwise."""
    folder = Path(name)
    if folder.is_dir():
        return folder
    at_hand = {path.name: path for path in list_checkpoints()}
    if str(name) in at_hand:
        return at_hand[str(name)]
    known = f"At hand in {checkpoints_folder()}: {', '.join(at_hand)}." if at_hand else ""
    raise CheckpointError(f"There is no checkpoint folder at {folder}. {known}".rstrip())


def weights_hash(folder: Path) -> str:
    """SHA-256 of the weights file: tells whether two reports speak of the same network."""
    return _file_hash(folder / WEIGHTS_FILE)


def checkpoint_identity(folder: Path, weights_sha256: str | None = None) -> str:
    """A hash of all that an answer depends on: the weights, and the config with its temperature and threshold.

    ``weights_sha256`` spares reading the weights again where ``weights_hash`` has just been asked for.
    """
    hashes = (weights_sha256 or weights_hash(folder)) + _file_hash(folder / CONFIG_FILE)
    return hashlib.sha256(hashes.encode()).hexdigest()


def _file_hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"{path.name} of the checkpoint {path.parent.name} can't be read.") from error


# --- Save ---------------------------------------------------------------------------------------------------


def save_checkpoint(folder: Path, model: "GenusNet", config: "ModelConfig", *, half: bool = False) -> None:
    """Write ``model.safetensors`` and ``config.json`` into ``folder``, each file whole or not at all.

    ``half`` stores floating-point tensors in 16 bits; they are read back as float32. Raises CheckpointError for
    numbers that are not finite: such a network answers nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    if half:
        state = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    _refuse_infinite(state, WEIGHTS_FILE)
    names = json.dumps([*config.genera, *config.other_genera], allow_nan=False)
    write_safetensors(folder / WEIGHTS_FILE, state, {GENERA_METADATA: names})
    write_config(folder, config)


def write_config(folder: Path, config: "ModelConfig") -> None:
    """Write ``config.json`` whole or not at all."""
    write_json(folder / CONFIG_FILE, asdict(config), indent=2)


def write_json(path: Path, values: Any, indent: int = 1) -> None:
    """Write a JSON file whole or not at all. Raises ValueError for numbers that JSON has no word for."""
    write_text(path, json.dumps(values, indent=indent, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


def write_safetensors(
    path: Path, tensors: Mapping[str, "torch.Tensor"], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a safetensors file whole or not at all."""
    from safetensors.torch import save_file

    partial = path.with_suffix(".partial")
    save_file(dict(tensors), partial, dict(metadata) if metadata else None)
    # safetensors makes the file readable for its owner alone; a checkpoint is for whoever may read the folder.
    os.chmod(partial, 0o644)
    os.replace(partial, path)


# --- Load ---------------------------------------------------------------------------------------------------


def load_checkpoint(folder: Path) -> tuple["GenusNet", "ModelConfig"]:
    """Network and config from a checkpoint folder; in eval mode, without gradients, on the CPU, float32.

    Raises CheckpointError naming the file and the reason: missing, damaged, too large, not safetensors, other
    names than were learned, tensors that don't fit the config or are not finite.
    """
    import torch

    from mushroom.model import build_model
    from mushroom.quick_start import NoRandomNumbers

    if not folder.is_dir():
        raise CheckpointError(f"There is no checkpoint folder at {folder}.")
    config = read_config(folder)
    with torch.device("meta"), NoRandomNumbers():
        expected = {key: tuple(value.shape) for key, value in build_model(config).state_dict().items()}
    stored, metadata = _read_header(folder / WEIGHTS_FILE)
    for key, shape in expected.items():
        if key not in stored:
            raise CheckpointError(f"{WEIGHTS_FILE} lacks the tensor {key} that {CONFIG_FILE} calls for.")
        if stored[key] != shape:
            raise CheckpointError(
                f"{WEIGHTS_FILE}: the tensor {key} has shape {stored[key]}, {CONFIG_FILE} calls for {shape}."
            )
    surplus = sorted(set(stored) - set(expected))
    if surplus:
        raise CheckpointError(f"{WEIGHTS_FILE} holds a tensor that {CONFIG_FILE} does not call for: {surplus[0]}.")
    _check_learned_order(config, metadata)
    model = build_model(config)
    state = read_safetensors(folder / WEIGHTS_FILE)
    model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    return model.eval().requires_grad_(False), config


def read_safetensors(path: Path) -> dict[str, "torch.Tensor"]:
    """All tensors of a safetensors file; CheckpointError where it is missing, too large, damaged or not finite."""
    from safetensors.torch import load_file

    _read_header(path)
    state = load_file(path)
    _refuse_infinite(state, path.name)
    return state


def read_config(folder: Path) -> "ModelConfig":
    """``config.json`` of a checkpoint folder, every value checked; CheckpointError says what is wrong."""
    from mushroom.model import ModelConfig

    path = folder / CONFIG_FILE
    if not path.is_file():
        raise CheckpointError(f"The checkpoint folder {folder.name} has no {CONFIG_FILE}.")
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise CheckpointError(f"{CONFIG_FILE} is larger than {MAX_CONFIG_BYTES // 1024} KiB.")
    try:
        values = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
        threshold = values["unknown_threshold"]
        config = ModelConfig(
            name=str(values["name"]),
            backbone=_checked_backbone(values["backbone"]),
            input_px=_number(values["input_px"], 32, 1024, int),
            mean=_channels(values["mean"], -10, 10),
            std=_channels(values["std"], 1e-6, 10),
            head_widths=tuple(_number(width, 1, 16384, int) for width in values["head_widths"]),
            head_dropouts=tuple(_number(rate, 0, 1, float) for rate in values["head_dropouts"]),
            genera=_names(values["genera"]),
            other_genera=_names(values.get("other_genera", ())),
            rank=_one_of(values.get("rank", "genus"), tuple(RANKS)),
            temperature=_number(values["temperature"], 1e-3, 1e3, float),
            unknown_threshold=None if threshold is None else _number(threshold, -1e6, 1e6, float),
            recipe=dict(values["recipe"]),
            provenance=_provenance(dict(values.get("provenance", {}))),
            data_fingerprint=str(values["data_fingerprint"]),
            versions={str(name): str(version) for name, version in dict(values["versions"]).items()},
            git_commit=str(values["git_commit"]),
        )
    except CheckpointError:
        raise
    except KeyError as error:
        raise CheckpointError(f"{CONFIG_FILE} lacks the entry {error}.") from error
    except (TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise CheckpointError(f"{CONFIG_FILE} can't be read: {error}.") from error
    if len(config.genera) < 2:
        raise CheckpointError(f"{CONFIG_FILE} names fewer than two genera: there is nothing to tell apart.")
    twice = {name.casefold() for name in config.genera} & {name.casefold() for name in config.other_genera}
    if twice:
        raise CheckpointError(f"{CONFIG_FILE} names {min(twice)} among the genera and among the other genera.")
    if len(config.head_widths) > 8 or len(config.head_dropouts) > len(config.head_widths) + 1:
        raise CheckpointError(f"{CONFIG_FILE}: the head has too many layers or dropouts.")
    return config


def _read_header(path: Path) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    """Shapes of a safetensors file's tensors, and its metadata."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise CheckpointError(f"There is no weights file {path.name} in {path.parent}.")
    if path.stat().st_size > MAX_WEIGHTS_BYTES:
        raise CheckpointError(f"{path.name} is larger than {MAX_WEIGHTS_BYTES // 1024**3} GiB.")
    try:
        with safe_open(path, framework="pt") as tensors:
            shapes = {key: tuple(tensors.get_slice(key).get_shape()) for key in tensors.keys()}  # noqa: SIM118
            return shapes, tensors.metadata() or {}
    except SafetensorError as error:
        raise CheckpointError(f"{path.name} is damaged or not a safetensors file: {error}.") from error


def _check_learned_order(config: "ModelConfig", metadata: Mapping[str, str]) -> None:
    """Weights that record their names must have learned the config's, in its order; older ones record none."""
    if GENERA_METADATA not in metadata:
        return
    try:
        learned = json.loads(metadata[GENERA_METADATA])
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{WEIGHTS_FILE}: its record of the genera can't be read.") from error
    if learned != [*config.genera, *config.other_genera]:
        raise CheckpointError(
            f"{CONFIG_FILE} names other genera, or in another order, than the weights learned: "
            f"{', '.join(map(str, learned)) if isinstance(learned, list) else learned}."
        )


def _refuse_infinite(state: Mapping[str, "torch.Tensor"], file: str) -> None:
    for key, value in state.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise CheckpointError(f"{file}: the tensor {key} holds numbers that are not finite (NaN or infinity).")


# --- Values of config.json ----------------------------------------------------------------------------------


def _provenance(values: Mapping[str, Any]) -> "Provenance":
    from mushroom.model import Ancestor, Provenance

    try:
        ancestors = tuple(
            Ancestor(str(one["how"]), str(one["name"]), str(one["weights_sha256"]))
            for one in values.get("ancestors", ())
        )
        sources = tuple(str(source) for source in values.get("sources", ()))
        notes = tuple(str(note) for note in values.get("notes", ()))
    except (TypeError, KeyError) as error:
        raise CheckpointError(f"{CONFIG_FILE}: the provenance can't be read: {error}.") from error
    return Provenance(str(values.get("command", "")), str(values.get("start", "")), ancestors, sources, notes)


def _refuse_constant(name: str) -> float:
    raise CheckpointError(f"{CONFIG_FILE}: {name} is not a number that can be used.")


def _checked_backbone(name: object) -> str:
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_.]{1,100}", name):
        raise CheckpointError(f"{CONFIG_FILE}: the backbone must be a timm model name.")
    return name


def _names(values: Sequence[object]) -> tuple[str, ...]:
    """Names of genera: any script, blanks inside, none twice whatever their capitals."""
    if isinstance(values, str) or len(values) > MAX_GENERA:
        raise CheckpointError(f"{CONFIG_FILE}: the genera must be a list of at most {MAX_GENERA} names.")
    for name in values:
        valid = isinstance(name, str) and name.isprintable() and name == name.strip()
        if not valid or not 1 <= len(str(name)) <= MAX_NAME_CHARACTERS:
            raise CheckpointError(f"{CONFIG_FILE}: {str(name)[:MAX_NAME_CHARACTERS]!r} can't be the name of a genus.")
    names = tuple(str(name) for name in values)
    if len({name.casefold() for name in names}) < len(names):
        raise CheckpointError(f"{CONFIG_FILE} names a genus twice.")
    return names


def _one_of(value: object, choices: Sequence[str]) -> str:
    if value not in choices:
        raise CheckpointError(f"{CONFIG_FILE}: {str(value)[:MAX_NAME_CHARACTERS]!r} is none of {', '.join(choices)}.")
    return str(value)


def _number(value: object, lowest: float, highest: float, kind: type) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value <= highest:
        raise CheckpointError(f"{CONFIG_FILE}: {value!r} is not a number from {lowest} to {highest}.")
    return kind(value)


def _channels(values: Sequence[object], lowest: float, highest: float) -> tuple[float, float, float]:
    red, green, blue = (_number(value, lowest, highest, float) for value in values)
    return red, green, blue
