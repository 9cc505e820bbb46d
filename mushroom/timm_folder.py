"""A checkpoint as a folder that ``timm.create_model("hf-hub:USER/NAME")`` or ``"local-dir:FOLDER"`` loads."""

from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from mushroom.checkpoint import write_json
from mushroom.classifier import Classifier
from mushroom.errors import ExportError
from mushroom.model import SHORTCUTS

TOLERANCE = 1e-4
"""By how much a logit may differ from the checkpoint's."""

IMAGES = 4


def write_timm(out: Path, classifier: Classifier) -> float:
    """Write ``config.json`` and ``model.safetensors`` with timm's names into ``out``; the largest difference of logits.

    Logits are those of the genera and, after them, of other genera that the network knows by name. Raises ExportError
    where timm's network has no place for this head, or its answers differ.
    """
    config = classifier.config
    backbone = SHORTCUTS.get(config.backbone, config.backbone)
    head = [layer for layer in classifier.model.head if not isinstance(layer, nn.Dropout)]
    if len(head) != 1 or not timm.is_model(backbone):
        raise ExportError("timm's networks have one linear layer as their head; this checkpoint's is another.")
    network = timm.create_model(backbone, num_classes=config.logit_count).eval()
    settings: Any = network.pretrained_cfg
    place = settings.get("classifier", "")
    expected = {f"{place}.weight", f"{place}.bias"}
    state = {key: value.float() for key, value in classifier.model.backbone.state_dict().items()}
    state |= {f"{place}.weight": head[0].weight, f"{place}.bias": head[0].bias}
    if not isinstance(place, str) or not expected <= set(network.state_dict()):
        raise ExportError(f"{backbone} has no single linear layer as its head in timm: export it as ONNX.")
    lacking = network.load_state_dict({key: value.cpu() for key, value in state.items()}, strict=False)
    if lacking.missing_keys or lacking.unexpected_keys:
        raise ExportError(f"{backbone} has other tensors in timm than in this checkpoint: export it as ONNX.")
    images = torch.randn(IMAGES, 3, config.input_px, config.input_px, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found = float(np.abs(network(images).numpy() - classifier.image_logits(images)).max())
    if not found <= TOLERANCE:
        raise ExportError(f"timm's network answers otherwise, by up to {found:.2g}: export the checkpoint as ONNX.")
    out.mkdir(parents=True, exist_ok=True)
    save_file(network.state_dict(), out / "model.safetensors", {"format": "pt"})
    values = {
        "architecture": backbone.split(".")[0],
        "num_classes": config.logit_count,
        "num_features": classifier.model.backbone.num_features,
        "label_names": [*config.genera, *config.other_genera],
        "pretrained_cfg": {
            "tag": config.name,
            "input_size": [3, config.input_px, config.input_px],
            "interpolation": "bicubic",
            "crop_pct": 1.0,
            "crop_mode": "squash",
            "mean": list(config.mean),
            "std": list(config.std),
            "num_classes": config.logit_count,
            "classifier": place,
        },
    }
    write_json(out / "config.json", values)
    return found
