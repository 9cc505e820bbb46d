"""The mean of checkpoints, as a function and as a command."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from commands import Run
from networks import untrained_checkpoint
from training_squares import CONFIG

from mushroom.checkpoint import load_checkpoint, weights_hash
from mushroom.model import ModelConfig, Provenance


def checkpoint(folder: Path, seed: int, config: ModelConfig = CONFIG) -> Path:
    provenance = Provenance(sources=(folder.name, "both"))
    return untrained_checkpoint(folder, replace(config, temperature=2.0, provenance=provenance), seed)


def test_every_tensor_is_the_mean_of_its_checkpoints_and_one_named_twice_counts_twice(run: Run, tmp_path: Path) -> None:
    one, other = checkpoint(tmp_path / "one", 1), checkpoint(tmp_path / "other", 2)
    out = tmp_path / "mean"
    assert run("average", one, other, other, "--out", out).status == 0
    found, config = load_checkpoint(out)
    states = [load_checkpoint(folder)[0].state_dict() for folder in (one, other, other)]
    for key, value in found.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, sum(state[key] for state in states) / 3)
    assert (config.name, config.temperature, config.unknown_threshold) == ("mean", 1.0, None)
    provenance = json.loads((out / "config.json").read_text())["provenance"]
    assert provenance["start"] == "checkpoint"
    assert provenance["sources"] == ["both", "one", "other"]
    assert [(each["how"], each["weights_sha256"]) for each in provenance["ancestors"]] == [
        ("mean", weights_hash(folder)) for folder in (one, other, other)
    ]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"backbone": "mobilenetv3_small_075"}, "differ in backbone"),
        ({"genera": ("brown", "red")}, "differ in genera"),
        ({"other_genera": ("green",)}, "differ in other_genera"),
    ],
)
def test_checkpoints_that_do_not_fit_together_are_refused(
    run: Run, tmp_path: Path, change: dict[str, object], what: str
) -> None:
    one = checkpoint(tmp_path / "one", 1)
    other = checkpoint(tmp_path / "other", 2, replace(CONFIG, **change))  # type: ignore[arg-type]
    assert what in run("average", one, other, "--out", tmp_path / "mean").refusal
    assert not (tmp_path / "mean" / "model.safetensors").exists()
