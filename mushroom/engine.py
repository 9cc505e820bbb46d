"""ONNX Runtime in the place of torch where many photos are answered on a CPU: the same answers, sooner.

The network alone is exported once a checkpoint and kept in the user's cache folder; before it is used, its logits are
compared with torch's. Heatmaps need gradients and stay with torch.

A visitor of the app waits for heatmaps, whose pass gives the answer, too: an export would cost him more seconds than
it ever saves him. So the app takes ONNX Runtime for what it answers without heatmaps only where a network is kept.
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from mushroom.checkpoint import write_bytes
from mushroom.classifier import Classifier
from mushroom.errors import ExportError
from mushroom.onnx_file import network_bytes

WORTH_EXPORTING = 200
"""Photos from which an export, some seconds, pays off."""

WORTH_LOADING = 32
"""Photos from which an exported network that is in the cache pays off: it is loaded and compared in about a second."""

TOLERANCE = 1e-3
"""By how much a logit may differ from torch's."""

COMPARED_IMAGES = 2

NOT_INSTALLED = "Answering with torch: ONNX Runtime would be quicker (pip install onnx onnxruntime onnxscript)."


def speed_up(classifier: Classifier, *, photos: int) -> str | None:
    """Have ``classifier`` answer with ONNX Runtime where that is possible; else the sentence that says why not.

    ``photos``: how many it will answer, at least. Nothing changes for few, and on a GPU.
    """
    many = photos >= WORTH_EXPORTING
    if classifier.device.type != "cpu" or photos < WORTH_LOADING or not (many or _cached(classifier).is_file()):
        return None
    reason = _onnx_runtime(classifier)
    if reason and many:
        # The next best: batches go sooner through convolutions with the channels innermost in memory. A single photo
        # hardly does, and its heatmaps are slower.
        classifier.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return reason


def _onnx_runtime(classifier: Classifier) -> str | None:
    """Have ONNX Runtime answer for ``classifier``; else the sentence that says why it can't."""
    try:
        import onnxruntime
    except ImportError:
        return NOT_INSTALLED
    try:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        file = _cached(classifier)
        if not file.is_file():
            data = network_bytes(classifier)
            file.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(file, data)
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

        def forward(images: torch.Tensor) -> np.ndarray:
            [logits] = session.run(["all_logits"], {"images": images.numpy()})
            return np.asarray(logits, np.float32)

        _require_same(classifier, forward)
    # ONNX Runtime's errors share no type, and a damaged file in the cache raises any of them.
    except Exception as error:
        return f"Answering with torch, for ONNX Runtime can't be used: {str(error).splitlines()[0]}"
    classifier.forward_images = forward
    return None


def cache_folder() -> Path:
    """Where exported networks are kept: ``$XDG_CACHE_HOME/mushroom``, or ``~/.cache/mushroom``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mushroom"


def _cached(classifier: Classifier) -> Path:
    return cache_folder() / f"{classifier.weights_sha256}-{classifier.config.input_px}.onnx"


def _require_same(classifier: Classifier, forward: Callable[[torch.Tensor], np.ndarray]) -> None:
    side = classifier.preprocessing.input_px
    images = torch.randn(COMPARED_IMAGES, 3, side, side, generator=torch.Generator().manual_seed(0))
    found = float(np.abs(forward(images) - classifier.image_logits(images)).max())
    if not found <= TOLERANCE:
        raise ExportError(f"its logits differ from torch's by up to {found:.2g}.")
