"""A checkpoint folder that was evaluated goes to the Hugging Face Hub with its model card, in one commit."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from huggingface_hub import CommitOperationAdd

from mushroom.checkpoint import (
    CARD_FILE,
    CONFIG_FILE,
    HISTORY_FILE,
    HUB_PREFIX,
    PREDICTIONS_FILE,
    REPORT_FILE,
    WEIGHTS_FILE,
    load_checkpoint,
)
from mushroom.errors import HubError
from mushroom.evaluation.model_card import model_card
from mushroom.evaluation.report import read_report
from mushroom.hub import parse_address, send

PUBLISHED_FILES = (WEIGHTS_FILE, CONFIG_FILE, HISTORY_FILE, PREDICTIONS_FILE, REPORT_FILE)
"""What is sent, beside the model card; nothing else that may lie in the folder."""


def publish(
    folder: Path,
    repo: str,
    *,
    private: bool = False,
    dry_run: bool = False,
    more: Mapping[str, bytes] = MappingProxyType({}),
) -> str:
    """Send a checkpoint folder with its model card to ``repo``; a line for a terminal on what was, or would be, sent.

    ``more`` is sent along: other forms of the checkpoint, by file name. The folder must load and have been evaluated.
    A dry run sends nothing. Raises CheckpointError or HubError with a sentence; then nothing of it is published.
    """
    address = parse_address(HUB_PREFIX + repo)
    model, config = load_checkpoint(folder)
    report = read_report(folder)
    if report is None:
        raise HubError(f"{folder} has no {REPORT_FILE}: run `python train.py evaluate` on it first.")
    card = model_card(config, report, sum(p.numel() for p in model.parameters()), HUB_PREFIX + address.repo)
    paths = [folder / name for name in PUBLISHED_FILES if (folder / name).is_file()]
    contents = {path.name: path for path in paths} | {CARD_FILE: card.encode()} | dict(more)
    operations = [CommitOperationAdd(name, content) for name, content in contents.items()]
    if dry_run:
        lines = [f"  {each.path_in_repo}  {size_text(each.upload_info.size)}" for each in operations]
        return "\n".join([f"Would be sent to {address.repo}:", *lines])
    return "Published: " + send(address.repo, operations, f"Publish {config.name}", private=private)


def size_text(count: int) -> str:
    """A number of bytes for people, in the unit that leaves it at least 1: "512 bytes", "2.1 kB", "11.90 MB"."""
    if count >= 1e6:
        return f"{count / 1e6:.2f} MB"
    return f"{count / 1e3:.1f} kB" if count >= 1e3 else f"{count} bytes"
