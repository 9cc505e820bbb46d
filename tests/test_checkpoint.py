"""Checkpoint folders: saved and loaded, found by name, whole and damaged."""

import json
import os
import pickle
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from networks import SMALL, small_model, untrained_checkpoint
from safetensors.torch import load_file, save_file

from mushroom.checkpoint import (
    CHECKPOINTS_VARIABLE,
    CONFIG_FILE,
    WEIGHTS_FILE,
    checkpoint_identity,
    find_checkpoint,
    load_checkpoint,
    read_config,
    save_checkpoint,
    weights_hash,
    write_config,
    write_json,
)
from mushroom.classifier import Classifier
from mushroom.errors import CheckpointError
from mushroom.genera import GENERA
from mushroom.model import Ancestor, Provenance, build_model


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return untrained_checkpoint(tmp_path / "small")


@pytest.mark.parametrize("half", [False, True])
def test_a_checkpoint_answers_after_loading_as_before_saving(tmp_path: Path, half: bool) -> None:
    model = small_model().eval()
    save_checkpoint(tmp_path, model, replace(SMALL, temperature=1.5, unknown_threshold=-2.0), half=half)
    loaded, config = load_checkpoint(tmp_path)
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(images), model(images), atol=1e-2 if half else 0, rtol=0)
    assert (config.temperature, config.unknown_threshold, config.genera) == (1.5, -2.0, GENERA)
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert {value.dtype for value in loaded.state_dict().values()} <= {torch.float32, torch.int64}


def edit_config(folder: Path, **changes: object) -> None:
    values = json.loads((folder / CONFIG_FILE).read_text())
    (folder / CONFIG_FILE).write_text(json.dumps(values | changes))


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    state = load_file(folder / WEIGHTS_FILE)
    change(state)
    save_file(state, folder / WEIGHTS_FILE)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "no checkpoint folder"),
    "no config": (lambda f: (f / CONFIG_FILE).unlink(), "no config.json"),
    "no weights": (lambda f: (f / WEIGHTS_FILE).unlink(), "no weights file"),
    "config not json": (lambda f: (f / CONFIG_FILE).write_text("{"), "config.json can't be read"),
    "config a list": (lambda f: (f / CONFIG_FILE).write_text("[]"), "config.json can't be read"),
    "config not text": (lambda f: (f / CONFIG_FILE).write_bytes(b"\xff\xfe\x00"), "config.json can't be read"),
    "config deep": (lambda f: (f / CONFIG_FILE).write_text("[" * 100_000), "config.json can't be read"),
    "config huge": (lambda f: (f / CONFIG_FILE).write_text(" " * 2_000_000), "larger than"),
    "genera in another order than learned": (lambda f: edit_config(f, genera=list(GENERA[::-1])), "another order"),
    "genera missing": (lambda f: edit_config(f, genera=list(GENERA[:8])), "has shape"),
    "genera twice": (lambda f: edit_config(f, genera=["boletus", *GENERA[1:]]), "names a genus twice"),
    "genera not text": (lambda f: edit_config(f, genera=[1, *GENERA[1:]]), "can't be the name"),
    "genera a word": (lambda f: edit_config(f, genera="Agaricus"), "must be a list"),
    "genera only one": (lambda f: edit_config(f, genera=["Agaricus"]), "fewer than two"),
    "genera too many": (lambda f: edit_config(f, genera=[str(i) for i in range(10_000)]), "at most"),
    "other genera that are the genera": (lambda f: edit_config(f, other_genera=["Boletus"]), "among the other"),
    "rank unknown": (lambda f: edit_config(f, rank="kingdom"), "none of genus, species"),
    "provenance odd": (lambda f: edit_config(f, provenance={"ancestors": [1]}), "provenance can't be read"),
    "threshold infinite": (lambda f: edit_config(f, unknown_threshold=float("inf")), "Infinity is not a number"),
    "mean minus infinite": (lambda f: edit_config(f, mean=[0, 0, float("-inf")]), "-Infinity is not a number"),
    "recipe nan": (lambda f: edit_config(f, recipe={"deep": [float("nan")]}), "NaN is not a number"),
    "temperature beyond floats": (lambda f: edit_config(f, temperature=10**400), "not a number from"),
    "backbone a path": (lambda f: edit_config(f, backbone="../../weights"), "timm model name"),
    "backbone a link": (lambda f: edit_config(f, backbone="hf-hub:a/b"), "timm model name"),
    "backbone unknown": (lambda f: edit_config(f, backbone="no_such_net"), "no backbone named"),
    "other backbone": (lambda f: edit_config(f, backbone="mobilenetv3_small_100"), "has shape|lacks"),
    "size absurd": (lambda f: edit_config(f, input_px=10**9), "not a number from 32 to 1024"),
    "size not a number": (lambda f: edit_config(f, input_px="big"), "not a number"),
    "temperature zero": (lambda f: edit_config(f, temperature=0), "not a number from"),
    "temperature nan": (lambda f: edit_config(f, temperature=float("nan")), "NaN is not a number"),
    "std zero": (lambda f: edit_config(f, std=[0, 1, 1]), "not a number from"),
    "mean of four": (lambda f: edit_config(f, mean=[0, 0, 0, 0]), "config.json can't be read"),
    "head too deep": (lambda f: edit_config(f, head_widths=[8] * 100), "too many layers"),
    "tensor missing": (lambda f: edit_weights(f, lambda s: s.pop("head.1.bias")), "lacks the tensor head.1.bias"),
    "tensor of another shape": (
        lambda f: edit_weights(f, lambda s: s.update({"head.1.bias": torch.zeros(8)})),
        "head.1.bias has shape",
    ),
    "tensor too many": (lambda f: edit_weights(f, lambda s: s.update(extra=torch.zeros(1))), "does not call for"),
    "weight nan": (lambda f: edit_weights(f, lambda s: s["head.1.weight"][0, 0].fill_(float("nan"))), "not finite"),
    "weight infinite": (lambda f: edit_weights(f, lambda s: s["head.1.bias"][2].fill_(float("-inf"))), "not finite"),
    "weights a pickle": (
        lambda f: (f / WEIGHTS_FILE).write_bytes(pickle.dumps({"a": [1.0]})),
        "not a safetensors file",
    ),
    "weights truncated": (lambda f: os.truncate(f / WEIGHTS_FILE, 100_000), "damaged"),
    "weights with a huge header": (lambda f: (f / WEIGHTS_FILE).write_bytes(struct.pack("<Q", 2**60)), "damaged"),
    "weights empty": (lambda f: os.truncate(f / WEIGHTS_FILE, 0), "damaged"),
}


@pytest.mark.parametrize("damage", sorted(DAMAGES))
def test_a_damaged_checkpoint_is_refused_with_the_file_and_the_reason(checkpoint: Path, damage: str) -> None:
    spoil, reason = DAMAGES[damage]
    spoil(checkpoint)
    with pytest.raises(CheckpointError, match=reason):
        load_checkpoint(checkpoint)


def test_a_checkpoint_can_be_read_by_whoever_may_read_its_folder(checkpoint: Path) -> None:
    assert {path.stat().st_mode & 0o777 for path in checkpoint.iterdir() if path.is_file()} == {0o644}


def test_the_sentence_for_a_name_without_a_folder_says_what_is_at_hand(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CHECKPOINTS_VARIABLE, str(checkpoint.parent))
    assert find_checkpoint("small") == Classifier.load("small").folder == checkpoint
    assert find_checkpoint(checkpoint) == checkpoint
    with pytest.raises(CheckpointError, match=f"At hand in {checkpoint.parent}: small"):
        find_checkpoint("convnext_atto")


def test_a_checkpoint_has_another_identity_when_its_config_or_its_weights_change(checkpoint: Path) -> None:
    first, weights = checkpoint_identity(checkpoint), weights_hash(checkpoint)
    edit_config(checkpoint, temperature=2.0)
    second = checkpoint_identity(checkpoint)
    assert weights_hash(checkpoint) == weights
    edit_weights(checkpoint, lambda state: state["head.1.bias"].add_(1))
    assert len({first, second, checkpoint_identity(checkpoint)}) == 3


@pytest.mark.parametrize(
    ("genera", "rank"),
    [
        (("Ja", "Nein"), "species"),
        (("Зонтик пёстрый", "松茸", "Champiñón"), "genus"),
        (tuple(map(str, range(300))), "family"),
    ],
)
def test_any_names_of_any_number_and_script_come_back_in_order(
    tmp_path: Path, genera: tuple[str, ...], rank: str
) -> None:
    provenance = Provenance("python train.py", "random", (Ancestor("mean", "a", "1f"),), ("me",), ("A sentence.",))
    others = ("Tricholoma", "none known")
    config = replace(SMALL, genera=genera, other_genera=others, rank=rank, provenance=provenance)
    save_checkpoint(tmp_path, build_model(config), config)
    model, loaded = load_checkpoint(tmp_path)
    assert loaded == config == read_config(tmp_path)
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, len(genera) + 2)


def test_a_checkpoint_from_before_names_were_recorded_loads_unchanged(checkpoint: Path) -> None:
    save_file(load_file(checkpoint / WEIGHTS_FILE), checkpoint / WEIGHTS_FILE)
    values = json.loads((checkpoint / CONFIG_FILE).read_text())
    for name in ("other_genera", "rank", "provenance"):
        del values[name]
    (checkpoint / CONFIG_FILE).write_text(json.dumps(values))
    assert load_checkpoint(checkpoint)[1] == SMALL


def test_numbers_that_are_not_finite_are_never_written(checkpoint: Path) -> None:
    model = build_model(SMALL)
    with torch.no_grad():
        model.head[1].bias[0] = 1e6
    save_checkpoint(checkpoint, model, SMALL)
    with pytest.raises(CheckpointError, match="not finite"):
        save_checkpoint(checkpoint, model, SMALL, half=True)
    before = (checkpoint / CONFIG_FILE).read_text()
    with pytest.raises(ValueError, match="JSON"):
        write_config(checkpoint, replace(SMALL, temperature=float("nan")))
    with pytest.raises(ValueError, match="JSON"):
        write_json(checkpoint / CONFIG_FILE, {"a": [float("inf")]})
    assert (checkpoint / CONFIG_FILE).read_text() == before
