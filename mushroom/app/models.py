"""The networks at hand: which there are, which one the visitor chose, and each loaded once for all sessions.

Nothing here imports torch until a classifier is asked for: the first page is there before the network is.
"""

import atexit
import gc
import logging
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st
from PIL import Image

from mushroom.app import records
from mushroom.app.layout import note_once
from mushroom.app.url_state import choice, widget
from mushroom.checkpoint import CONFIG_FILE, HUB_PREFIX, MODEL_VARIABLE, SHIPPED_TITLES, WEIGHTS_FILE, list_checkpoints

if TYPE_CHECKING:
    from mushroom.classifier import Classifier

_log = logging.getLogger(__name__)

LOOK_AGAIN = "10m"
"""How long the app takes it that what it last found on the Hub is what is there."""

ARCHITECTURES = {
    re.sub("[ -]", "", title).lower(): title
    for title in (
        *("ConvNeXt", "ConvNeXt V2", "DeiT", "DINOv2", "EfficientNet", "EfficientNetV2", "HRNet", "MobileNetV3"),
        *("MobileNetV4", "ResNet", "ResNet-50", "ResNetV2", "Swin", "ViT"),
    )
}
"""Architectures as their authors write them, by the first word of timm's names."""

CLASSIFIERS_KEPT = 5
"""Networks held in memory at once; the one that was not used for longest goes first."""


def choose_checkpoint() -> Path | None:
    """The checkpoint folder that the visitor chose in the URL or with the selectbox this draws.

    The selectbox is only there where more than one checkpoint is. None, with a sentence on the page, where
    there is none at all.
    """
    at_hand = checkpoints()
    if not at_hand:
        st.warning(
            "There is no trained model on this machine yet. Train one with `python train.py train`, or put a "
            "checkpoint folder into `assets/models`.",
            icon=":material/info:",
        )
        return None
    chosen = choice("model", list(at_hand), next(iter(at_hand)), what="model")
    assert chosen is not None
    if len(at_hand) > 1:
        titles = human_names(list(at_hand))
        st.selectbox("Model", list(at_hand), format_func=titles.__getitem__, width=420, **widget("model", chosen))
        lines = records.when_to_use(at_hand)
        if lines[chosen]:
            st.caption(lines[chosen])
    return at_hand[chosen]


def human_names(names: Sequence[str]) -> dict[str, str]:
    """What people read for the folder names of checkpoints: "Default", "EfficientNetV2 B0"; no two alike."""
    titles = {name: SHIPPED_TITLES.get(name) or _in_words(name) for name in names}
    times_used = Counter(titles.values())
    return {name: title if times_used[title] == 1 else f"{title} ({name})" for name, title in titles.items()}


def _in_words(name: str) -> str:
    return " ".join(_word(part) for part in name.split("_") if part) or name


def _word(part: str) -> str:
    return ARCHITECTURES.get(part, part.upper() if re.fullmatch(r"[a-z]\d+", part) else part)


def checkpoints() -> Mapping[str, Path]:
    """Checkpoint folders at hand by name: the one on the Hub that ``MUSHROOM_MODEL`` names, the default, the others."""
    at_hand = {folder.name: folder for folder in list_checkpoints()}
    address = os.environ.get(MODEL_VARIABLE)
    if not address:
        return at_hand
    folder, failure = _fetched_model(address)
    if folder is None:
        note_once(f"{failure} Showing the model that ships with the app instead.")
        return at_hand
    return {address.removeprefix(HUB_PREFIX): folder} | at_hand


@st.cache_resource(ttl=LOOK_AGAIN, max_entries=1, show_spinner="Fetching the model …")
def _fetched_model(address: str) -> tuple[Path | None, str]:
    """The checkpoint folder of a model on the Hub; without one, the sentence that says why."""
    from mushroom.errors import HubError
    from mushroom.hub import fetch, parse_address

    try:
        return fetch(parse_address(address), records=True), ""
    except HubError as error:
        return None, str(error)


def open_classifier() -> "Classifier | None":
    """The classifier of the chosen checkpoint; None, with a sentence on the page, where there is none to use."""
    folder = choose_checkpoint()
    return _loaded_or_noted(folder) if folder else None


def chosen_classifier() -> "Classifier | None":
    """The classifier of the chosen checkpoint, whose selectbox stands elsewhere; None where there is none to use."""
    at_hand = checkpoints()
    if not at_hand:
        return None
    name = choice("model", list(at_hand), next(iter(at_hand)), what="model")
    return _loaded_or_noted(at_hand[str(name)])


def _loaded_or_noted(folder: Path) -> "Classifier | None":
    from mushroom.errors import CheckpointError

    try:
        with st.spinner("Waking the network …"):
            return load_classifier(folder)
    except CheckpointError as error:
        st.error(str(error))
        return None


def load_classifier(folder: Path) -> "Classifier":
    """The classifier of a checkpoint folder, loaded once for all sessions and again when weights or config change.

    Raises CheckpointError with a sentence where it can't be used.
    """
    files = [folder / name for name in (WEIGHTS_FILE, CONFIG_FILE)]
    changed = tuple(path.stat().st_mtime_ns if path.is_file() else 0 for path in files)
    return _load(str(folder), changed)


@st.cache_resource(max_entries=CLASSIFIERS_KEPT, show_spinner=False)
def _load(folder: str, changed_ns: tuple[int, ...]) -> "Classifier":
    from mushroom.classifier import Classifier
    from mushroom.engine import WORTH_LOADING, speed_up

    loaded = Classifier.load(folder)
    # Only where an exported network is kept on this machine: see engine.py for what exporting costs.
    if reason := speed_up(loaded, photos=WORTH_LOADING):
        _log.warning(reason)
    # A network's first pass is slower than those after: better now than under a visitor's photo.
    loaded.explain(Image.new("RGB", (loaded.preprocessing.input_px,) * 2))
    _pass_over_in_collections()
    return loaded


def _pass_over_in_collections() -> None:
    """Have the garbage collector pass over all that is in memory now, until the next network is loaded.

    Streamlit has it go through all of memory after every run, a slider's, too. Libraries and networks are most of it
    and hardly ever garbage; passing them over makes every answer a third of a second faster. What was dropped since
    the last network was loaded is collected first.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    atexit.unregister(gc.unfreeze)
    atexit.register(gc.unfreeze)
