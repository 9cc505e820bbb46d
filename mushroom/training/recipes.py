"""Training recipes: what is trained how long, at what rate, on which views of the photos."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from mushroom.errors import TrainingError


@dataclass(frozen=True)
class Phase:
    """Some epochs under one set of rules. Rates are peaks of a half cosine that falls to zero."""

    name: str
    epochs: int
    frozen: bool
    """The backbone stays as it is: photos pass it once a view, and only the head learns."""
    learning_rate: float
    """Of the backbone's last layer; of the head where the backbone is frozen."""
    weight_decay: float
    head_factor: float = 1.0
    """The head learns so many times faster than the backbone's last layer."""
    layer_decay: float = 1.0
    """Each layer of the backbone learns by this factor slower than the next one towards the head."""
    continues: bool = False
    """Optimizer and cosine of the phase before run on."""
    class_weighted: bool = False
    """Photos weigh in the loss inversely to the count of their genus."""
    label_smoothing: float = 0.0
    ema: float = 0.0
    """Decay per step of the averaged weights that are validated and kept; 0 keeps the trained weights."""
    patience: int = 0
    """Epochs without a better validation score that end the phase; 0 never does."""


@dataclass(frozen=True)
class Recipe:
    """How a network is built and trained."""

    name: str
    input_px: int
    """Side that the finished network sees."""
    train_px: int
    """Side of training views."""
    augmentation: str
    """A name in ``augmentation.AUGMENTATIONS``."""
    batch: int
    views: int
    """Augmented views of a photo that a frozen phase takes turns with."""
    phases: tuple[Phase, ...]
    notebook_head: bool = False
    """The notebook's head of three layers instead of one."""
    adam_decoupled: bool = True
    """AdamW; otherwise Adam."""
    balance: float = 0.0
    """A photo is drawn in proportion to its genus' count to the power of minus this: 1 draws genera equally often."""
    background: float = 0.0
    """Share of an epoch's photos that are none of the genera, where there are any."""
    logit_adjustment: float = 0.0
    """How much of the logarithm of a genus' share in what is drawn is kept out of its logit (Menon et al. 2021)."""
    half: bool = False
    """The checkpoint is stored in 16 bits."""


CROSS_ENTROPY = Phase("cross-entropy", epochs=80, frozen=True, learning_rate=1e-3, weight_decay=1e-5)

NOTEBOOK = Recipe(
    name="notebook",
    input_px=299,
    train_px=299,
    notebook_head=True,
    augmentation="notebook",
    batch=32,
    views=8,
    adam_decoupled=False,
    phases=(
        CROSS_ENTROPY,
        replace(CROSS_ENTROPY, name="weighted", epochs=20, continues=True, class_weighted=True, label_smoothing=0.1),
    ),
)
"""What the notebook does, with its faults mended."""

DEFAULT = Recipe(
    name="default",
    input_px=256,
    train_px=224,
    augmentation="strong",
    batch=64,
    views=1,
    balance=0.5,
    background=0.4,
    logit_adjustment=1.0,
    half=True,
    phases=(
        Phase("head", epochs=6, frozen=True, learning_rate=2e-3, weight_decay=1e-2, label_smoothing=0.1),
        Phase(
            "fine-tuning",
            epochs=10,
            frozen=False,
            learning_rate=1e-4,
            weight_decay=0.05,
            head_factor=4.0,
            layer_decay=0.95,
            label_smoothing=0.1,
            ema=0.996,
        ),
    ),
)
"""The head first, on frozen features, so that the fine-tuning that follows distorts them less (Kumar et al. 2022)."""

LINEAR_PROBE = replace(DEFAULT, name="linear-probe", train_px=256, augmentation="none", batch=32, views=0, phases=())
"""Photos pass the backbone once, as they are; scikit-learn's logistic regression is the head."""

RECIPES = {recipe.name: recipe for recipe in (DEFAULT, LINEAR_PROBE, NOTEBOOK)}


LIMITS: dict[str, tuple[float, float]] = {
    "input_px": (32, 1024),
    "train_px": (32, 1024),
    "batch": (1, 65536),
    "views": (1, 1000),
    "balance": (0, 1),
    "background": (0, 0.9),
    "logit_adjustment": (0, 2),
    "epochs": (0, 10000),
    "learning_rate": (0, 10),
    "weight_decay": (0, 10),
    "head_factor": (0, 10000),
    "layer_decay": (0.01, 1),
    "label_smoothing": (0, 0.9),
    "ema": (0, 0.99999),
    "patience": (0, 10000),
}
"""The numbers of a recipe and its phases that may be changed, from and to."""


def with_epochs(recipe: Recipe, epochs: Sequence[int]) -> Recipe:
    """``recipe`` with another number of epochs for each of its phases."""
    if len(epochs) != len(recipe.phases):
        raise TrainingError(f"--epochs takes {len(recipe.phases)} numbers, one for each phase of {recipe.name}.")
    for count in epochs:
        _require_possible("epochs", count)
    phases = (replace(phase, epochs=count) for phase, count in zip(recipe.phases, epochs, strict=True))
    return replace(recipe, phases=tuple(phases))


def with_setting(recipe: Recipe, setting: str) -> Recipe:
    """``recipe`` with one number changed, as ``name=number``: of itself, or of its phases that train the backbone."""
    name, _, text = setting.partition("=")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if name not in LIMITS or not math.isfinite(value):
        raise TrainingError(f"--set takes name=number, where the name is one of {', '.join(sorted(LIMITS))}.")
    _require_possible(name, value)
    if name not in {field.name for field in fields(Phase)}:
        return replace(recipe, **{name: type(getattr(recipe, name))(value)})
    phases = (p if p.frozen else replace(p, **{name: type(getattr(p, name))(value)}) for p in recipe.phases)
    return replace(recipe, phases=tuple(phases))


def _require_possible(name: str, value: float) -> None:
    lower, upper = LIMITS[name]
    if not lower <= value <= upper:
        raise TrainingError(f"{value:g} is no {name} to train with: it goes from {lower:g} to {upper:g}.")
