"""Training recipes: the notebook's, and ours. What is trained how long, on photos altered how."""

import io
from dataclasses import dataclass, replace

import torch
from PIL import Image
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

NOTEBOOK_INPUT_PX = 299
JPEG_QUALITY = (25, 95)


@dataclass(frozen=True)
class Phase:
    """Some epochs that are trained alike.

    ``learning_rate`` is the peak of a half cosine that falls to zero; ``continues`` lets the cosine and the
    optimizer of the phase before run on. ``layer_decay`` multiplies the learning rate of each backbone layer
    once for every layer between it and the head. ``class_weighted`` weights the loss by inverse genus
    frequency. ``mix`` is the share of batches blended by mixup or cutmix. ``ema`` is the decay per step of the
    averaged weights that are validated and kept; 0 keeps the trained weights themselves. ``patience`` ends the
    phase after so many epochs without a better validation score; 0 never does. ``frozen_stages`` holds the backbone's
    first stages as they are while the rest learns; where they are held, ``kept_views`` is how many augmented views of
    a photo the epochs take turns with: each passes the held stages once. 0 makes new views for every epoch.
    """

    name: str
    epochs: int
    frozen: bool
    learning_rate: float
    weight_decay: float
    continues: bool = False
    layer_decay: float = 1.0
    class_weighted: bool = False
    label_smoothing: float = 0.0
    mix: float = 0.0
    ema: float = 0.0
    patience: int = 0
    frozen_stages: int = 0
    kept_views: int = 0


@dataclass(frozen=True)
class Recipe:
    """How a network is built and trained.

    ``input_px`` is the side the finished network sees, ``train_px`` the side of training views.
    ``notebook_head`` chooses the notebook's three-layer head over a single layer. ``views`` is how many
    augmented views of a photo a frozen phase takes turns with. ``balance`` draws a photo with probability
    proportional to its genus's count to the power of minus ``balance``; 0 draws each photo once an epoch, 1 every
    genus alike. ``most_draws`` is how often an epoch may draw a photo on average, so that a genus of one photo is not
    learned by heart; 0 sets no limit.
    ``source_balance`` does the same within a genus for its sources: 1 draws each alike, so that few photos from many
    places weigh as much as many from one.
    ``background`` and ``unlabelled`` are the shares of such photos among those of an epoch, where there are any.
    ``taught`` is how much of each target is the teacher's answer, where there is a teacher; the rest is the label.
    ``probe_teaches`` makes a linear layer on the backbone as it comes the teacher (see ``probe.probe_logits``).
    ``alike`` is how far the finished head goes from the shares in which genera were drawn to expecting them all alike:
    0 stays, 1 goes all the way (see ``training.expect_alike``).
    ``tuned_share`` is how much of a fine-tuned backbone, or of the mean of several, is kept when it is blended with the
    one it came from. ``new_head`` fits a head to it anew; without, the heads are averaged too.
    """

    name: str
    input_px: int
    train_px: int
    notebook_head: bool
    augmentation: str
    batch: int
    views: int
    phases: tuple[Phase, ...]
    adam_decoupled: bool = True
    balance: float = 0.0
    most_draws: float = 0.0
    source_balance: float = 0.0
    background: float = 0.0
    unlabelled: float = 0.0
    taught: float = 0.5
    probe_teaches: bool = False
    alike: float = 0.0
    tuned_share: float = 1.0
    new_head: bool = False
    half: bool = False


NOTEBOOK = Recipe(
    name="notebook",
    input_px=NOTEBOOK_INPUT_PX,
    train_px=NOTEBOOK_INPUT_PX,
    notebook_head=True,
    augmentation="notebook",
    batch=32,
    views=8,
    adam_decoupled=False,
    phases=(
        Phase("cross-entropy", epochs=80, frozen=True, learning_rate=1e-3, weight_decay=1e-5),
        Phase(
            "weighted",
            epochs=20,
            frozen=True,
            learning_rate=1e-3,
            weight_decay=1e-5,
            continues=True,
            class_weighted=True,
            label_smoothing=0.1,
        ),
    ),
)

DEFAULT = Recipe(
    name="default",
    input_px=256,
    train_px=192,
    notebook_head=False,
    augmentation="strong",
    batch=32,
    views=2,
    balance=0.5,
    source_balance=0.5,
    background=0.15,
    alike=0.25,
    half=True,
    phases=(
        Phase("head", epochs=8, frozen=True, learning_rate=2e-3, weight_decay=1e-2, label_smoothing=0.05),
        Phase(
            "fine-tuning",
            epochs=16,
            frozen=False,
            learning_rate=6e-4,
            weight_decay=0.05,
            layer_decay=0.85,
            label_smoothing=0.05,
            mix=0.4,
            ema=0.99,
            patience=6,
        ),
    ),
)

DISTILLED = Recipe(
    name="distilled",
    input_px=192,
    train_px=160,
    notebook_head=False,
    augmentation="strong",
    batch=32,
    views=1,
    balance=0.5,
    background=0.1,
    unlabelled=0.35,
    half=True,
    phases=(Phase("distillation", epochs=12, frozen=False, learning_rate=1e-3, weight_decay=0.05, ema=0.99),),
)
"""A network learns from a better one (Hinton et al. 2015): for backbones whose own weights know less or nothing."""

BLENDED = replace(DEFAULT, name="blended", alike=0.0, tuned_share=0.7, new_head=True, phases=())
"""No epochs: several fine-tuned networks are blended with the one they all came from."""

AVERAGED = replace(DEFAULT, name="averaged", alike=0.75, phases=())
"""No epochs: the mean of several networks that were fine-tuned from the same start."""

ANCHORED = replace(
    DEFAULT,
    name="anchored",
    probe_teaches=True,
    taught=0.3,
    unlabelled=0.25,
    phases=(DEFAULT.phases[0], replace(DEFAULT.phases[1], mix=0.0)),
)
"""Learns the labels and, beside them, to answer as a linear layer on the backbone as it comes does."""

RECIPES = {recipe.name: recipe for recipe in (DEFAULT, NOTEBOOK, DISTILLED, BLENDED, AVERAGED, ANCHORED)}


def notebook_augmentation(size_px: int) -> v2.Transform:
    """The notebook's: squash, horizontal flip, vertical flip, rotation up to 15 degrees."""
    return v2.Compose(
        [
            v2.Resize((size_px, size_px), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            v2.RandomRotation(15, interpolation=v2.InterpolationMode.BILINEAR),
        ]
    )


def strong_augmentation(size_px: int) -> v2.Transform:
    """Crops, flips, rotation, colour and the marks of compression and resizing.

    The last two matter most here: each source has its own size and JPEG quality, and a network that can tell
    the source from those would name the genus without looking at the mushroom.
    """
    return v2.Compose(
        [
            v2.RandomApply([v2.Lambda(recompressed)], p=0.5),
            v2.RandomResizedCrop((size_px, size_px), scale=(0.3, 1.0), ratio=(0.6, 1.7), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.RandomRotation(25, interpolation=v2.InterpolationMode.BILINEAR)], p=0.3),
            v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4)], p=0.8),
            v2.RandomGrayscale(p=0.03),
            v2.RandomApply([v2.GaussianBlur(5, (0.3, 2.0))], p=0.2),
            v2.RandomApply([v2.Lambda(recompressed)], p=0.3),
        ]
    )


def recompressed(picture: torch.Tensor) -> torch.Tensor:
    """The picture, uint8 (3, h, w), after JPEG compression at a random quality."""
    lowest, highest = JPEG_QUALITY
    quality = int(torch.randint(lowest, highest + 1, ()))
    file = io.BytesIO()
    functional.to_pil_image(picture).save(file, "JPEG", quality=quality)
    return functional.pil_to_tensor(Image.open(file))


AUGMENTATIONS = {"notebook": notebook_augmentation, "strong": strong_augmentation}


def to_normalised(mean: tuple[float, ...], std: tuple[float, ...]) -> v2.Transform:
    """uint8 picture in [0, 255] to the normalised float32 that the network takes."""
    return v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)])
