"""Ways to get a batch's logits, and other projects' ways from files to answers; each made from a checkpoint folder."""

import re
import shutil
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mushroom.classifier import BATCH, Classifier
from mushroom.engine import WORTH_EXPORTING, speed_up
from mushroom.onnx_file import network_bytes

Forward = Callable[[torch.Tensor], np.ndarray]
Peer = Callable[[Sequence[str]], object]


class NotHere(Exception):
    """This engine can't be measured on this machine, or not with this network: why, as a sentence."""


def torch_as_it_comes(checkpoint: Path) -> Forward:
    """Eager batches: the reference."""
    return Classifier.load(checkpoint).image_logits


def channels_last(checkpoint: Path) -> Forward:
    """Channels innermost in memory, as ``predict`` has it without ONNX Runtime."""
    return _channels_last(checkpoint).image_logits


def _channels_last(checkpoint: Path) -> Classifier:
    classifier = Classifier.load(checkpoint)
    classifier.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return classifier


def norms_folded(checkpoint: Path) -> Forward:
    """Channels last, and each batch norm that follows a convolution multiplied into its weights by TorchScript."""
    classifier = _channels_last(checkpoint)
    if not any(isinstance(module, nn.BatchNorm2d) for module in classifier.model.modules()):
        raise NotHere("this network has no batch norms behind convolutions.")
    side = classifier.preprocessing.input_px
    with warnings.catch_warnings():
        # torch.compile is meant to take its place: that has a row of its own.
        warnings.simplefilter("ignore", FutureWarning)
        traced = torch.jit.trace(classifier.model, torch.zeros(BATCH, 3, side, side))
        classifier.model = torch.jit.freeze(traced)  # type: ignore[assignment]
    return classifier.image_logits


def bfloat16(checkpoint: Path) -> Forward:
    """Autocast to bfloat16, channels last, where the processor computes in it."""
    cpu = Path("/proc/cpuinfo")
    if not (cpu.is_file() and re.search(r"\b(avx512_bf16|amx_bf16)\b", cpu.read_text())):
        raise NotHere("this processor has no instructions for bfloat16.")
    classifier = _channels_last(checkpoint)

    def forward(images: torch.Tensor) -> np.ndarray:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return classifier.image_logits(images)

    return forward


def compiled(checkpoint: Path) -> Forward:
    """torch.compile with its default settings, channels last; the first batch, which compiles, is not timed."""
    if not any(map(shutil.which, ("g++", "clang++"))):
        raise NotHere("torch.compile wants a C++ compiler.")
    classifier = _channels_last(checkpoint)
    classifier.model = torch.compile(classifier.model)  # type: ignore[assignment]
    side = classifier.preprocessing.input_px
    try:
        classifier.image_logits(torch.zeros(BATCH, 3, side, side))
    # The compiler raises whatever it likes where it can't.
    except Exception as error:
        raise NotHere(f"it can't compile this network here: {str(error).splitlines()[0]}") from error
    return classifier.image_logits


def onnx_runtime(checkpoint: Path) -> Forward:
    """As ``predict`` has it."""
    classifier = Classifier.load(checkpoint)
    if reason := speed_up(classifier, photos=WORTH_EXPORTING):
        raise NotHere(reason)
    return classifier.image_logits


def openvino(checkpoint: Path) -> Forward:
    """The exported network in OpenVINO, in float32."""
    try:
        from openvino import Core
    except ImportError as error:
        raise NotHere("not installed: pip install openvino.") from error
    core = Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    network = core.compile_model(core.read_model(network_bytes(Classifier.load(checkpoint))), "CPU", settings)
    return lambda images: network(images.numpy())[0]


def timm_script(checkpoint: Path) -> Peer:
    """timm's inference.py with this network: its dataset and loader, two processes that read, topk of the softmax."""
    from timm.data import create_dataset, create_loader

    classifier = Classifier.load(checkpoint)
    model, settings = classifier.model, classifier.preprocessing

    def loop(files: Sequence[str]) -> object:
        with tempfile.TemporaryDirectory() as folder:
            for number, file in enumerate(files):
                Path(folder, f"{number:06}{Path(file).suffix}").symlink_to(Path(file).resolve())
            loader = create_loader(
                create_dataset("", root=folder),
                batch_size=BATCH,
                input_size=(3, settings.input_px, settings.input_px),
                use_prefetcher=True,
                num_workers=2,
                device=torch.device("cpu"),
                interpolation="bicubic",
                mean=settings.mean,
                std=settings.std,
                crop_pct=1.0,
                crop_mode="squash",
            )
            with torch.inference_mode():
                return [model(images).softmax(-1).topk(1)[0].numpy() for images, _ in loader]

    return loop


def pybioclip_loop(checkpoint: Path) -> Peer:
    """pybioclip's loop over files, its network in the place of BioCLIP's."""
    try:
        from bioclip.predict import BaseClassifier
    except ImportError as error:
        raise NotHere("not installed: pip install pybioclip.") from error
    from torchvision import transforms

    ours = Classifier.load(checkpoint)
    model, settings = ours.model, ours.preprocessing
    names = ours.config.logit_count
    peer = BaseClassifier.__new__(BaseClassifier)
    nn.Module.__init__(peer)
    peer.device = torch.device("cpu")
    peer.model = model
    model.encode_image = model.forward
    model.logit_scale = torch.zeros(())
    peer.preprocess = transforms.Compose(
        [
            transforms.Resize((settings.input_px, settings.input_px), transforms.InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize(settings.mean, settings.std),
        ]
    )
    return lambda files: peer.create_batched_probabilities_for_images(
        list(files), torch.eye(names), batch_size=BATCH, callback=lambda done, of: None
    )


ENGINES: dict[str, Callable[[Path], Forward]] = {
    "torch": torch_as_it_comes,
    "torch, channels last": channels_last,
    "... and norms folded": norms_folded,
    "... and bfloat16": bfloat16,
    "torch.compile": compiled,
    "ONNX Runtime": onnx_runtime,
    "OpenVINO": openvino,
}
PEERS: dict[str, Callable[[Path], Peer]] = {
    "timm's inference script": timm_script,
    "pybioclip's loop": pybioclip_loop,
}
