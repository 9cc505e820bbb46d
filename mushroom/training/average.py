"""The mean of networks that were fine-tuned from the same start (Wortsman et al. 2022, "Model soups")."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from mushroom.checkpoint import load_checkpoint, save_checkpoint, weights_hash
from mushroom.errors import TrainingError
from mushroom.model import Ancestor, Provenance
from mushroom.training.provenance import command_line, git_commit, library_versions

SAME = ("backbone", "input_px", "mean", "std", "head_widths", "genera", "other_genera", "data_fingerprint")
"""What must be the same of all configs for a mean to make sense."""


def average_checkpoints(folders: Sequence[Path], out: Path) -> None:
    """Write the checkpoint ``out`` whose every tensor is the mean of those of ``folders``.

    All must have been fine-tuned from the same start: between others lie networks worse than any of them. A folder
    named twice counts twice. Raises TrainingError where they don't fit together.
    """
    loaded = [load_checkpoint(folder) for folder in folders]
    first = loaded[0][1]
    for folder, (_, config) in zip(folders, loaded, strict=True):
        for name in SAME:
            if getattr(config, name) != getattr(first, name):
                raise TrainingError(f"{folder} and {folders[0]} differ in {name}: only networks that are built alike.")
    names = [config.name for _, config in loaded]
    ancestors = [Ancestor("mean", name, weights_hash(folder)) for name, folder in zip(names, folders, strict=True)]
    sources = {source for _, config in loaded for source in config.provenance.sources}
    config = replace(
        first,
        name=out.name,
        temperature=1.0,
        unknown_threshold=None,
        provenance=Provenance(command_line(), "checkpoint", tuple(ancestors), tuple(sorted(sources))),
        versions=library_versions(),
        git_commit=git_commit(),
    )
    network = loaded[0][0]
    states = [model.state_dict() for model, _ in loaded]
    for key, value in states[0].items():
        # Counters stay the first's.
        if value.is_floating_point():
            value.copy_(torch.stack([state[key] for state in states]).mean(dim=0))
    save_checkpoint(out, network, config, half=bool(first.recipe.get("half")))
