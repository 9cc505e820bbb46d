"""Heatmaps of all layers: ours against bare forward and backward passes, torch-cam and pytorch-grad-cam.

Prints medians in milliseconds and ratios, for all stages and for all blocks of convolutional networks and
transformers; meant are at most 1.15 of the bare passes, 1.05 of torch-cam over the same layers, and 0.2 of
pytorch-grad-cam asked layer by layer, as its users do. Then the same in bf16 where the processor computes in it,
with the rank correlation of its heatmaps with those of float32. Repeats of all four alternate, so that a busy moment
of the machine hits them alike. The photos are real ones where this machine has some (MUSHROOM_DATA), else noise.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import torch
from all_benches import by_turns, likeness, ratio, real_photos
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from torchcam.methods import GradCAM as TorchCam

from mushroom.classifier import Classifier
from mushroom.explain.gradcam import heatmaps
from mushroom.explain.layers import find_layers
from mushroom.genera import GENERA
from mushroom.model import IMAGENET_MEAN, IMAGENET_STD, GenusNet, ModelConfig, build_model
from mushroom.photos import Preprocessing, read_photo_file, to_tensor

TARGET = 3
PHOTOS = 3
NETWORKS = {
    "ResNet-50": "resnet50",
    "ConvNeXt-Tiny": "convnext_tiny",
    "ConvNeXt-Base": "convnext_base",
    "ViT-Small": "vit_small_patch16_224",
    "Swin-Tiny": "swin_tiny_patch4_window7_224",
}
RESHAPES: dict[str, Callable[[Tensor], Tensor]] = {
    "ViT-Small": lambda tokens: tokens[:, 1:].unflatten(1, (14, 14)).permute(0, 3, 1, 2),
    "Swin-Tiny": lambda channels_last: channels_last.permute(0, 3, 1, 2),
}
"""What the peers must be told of transformers."""

Reshape = Callable[[Tensor], Tensor] | None
LAYER_BY_LAYER_REPEATS = 2
"""Its passes are many and so slow that few repeats tell enough."""


def networks(names: Sequence[str]) -> dict[str, tuple[GenusNet, int]]:
    """Frozen networks and the side of the photos they take."""
    torch.manual_seed(0)
    found = {
        title: (build_model(ModelConfig(name=name, backbone=name, input_px=224, genera=GENERA)), 224)
        for title, name in NETWORKS.items()
    }
    classifier = Classifier.load()
    found[f"default ({classifier.config.name})"] = (classifier.model, classifier.config.input_px)
    chosen = {title: net for title, net in found.items() if not names or any(name in title for name in names)}
    for model, _ in chosen.values():
        model.eval().requires_grad_(False)
    return chosen


def photos(input_px: int) -> Tensor:
    files = real_photos()
    if not files:
        return torch.randn(PHOTOS, 3, input_px, input_px, generator=torch.Generator().manual_seed(0))
    preprocessing = Preprocessing(input_px, IMAGENET_MEAN, IMAGENET_STD)
    chosen = files[:: len(files) // PHOTOS][:PHOTOS]
    return torch.stack([to_tensor(read_photo_file(Path(file)), preprocessing) for file in chosen])


def modules(model: GenusNet, layers: Sequence[str]) -> list[nn.Module]:
    return [model.backbone.get_submodule(name) for name in layers]


def ours(model: GenusNet, image: Tensor, layers: Sequence[str], reshape: Reshape = None) -> float:
    return seconds(lambda: heatmaps(model, image, layers, TARGET))


def bare_passes(model: GenusNet, image: Tensor, layers: Sequence[str], reshape: Reshape) -> float:
    """A forward pass, and a backward pass to the first of ``layers``: what no method can do without."""
    first: list[Tensor] = []

    def start_graph(module: nn.Module, args: object, output: Tensor) -> Tensor:
        first[:] = [output.detach().requires_grad_()]
        # The next module may work in place, which autograd forbids on a leaf.
        return first[0].clone()

    handle = modules(model, layers)[0].register_forward_hook(start_graph)
    spent = seconds(lambda: torch.autograd.grad(model(image)[0, TARGET], first))
    handle.remove()
    return spent


def torch_cam(model: GenusNet, image: Tensor, layers: Sequence[str], reshape: Reshape) -> float:
    """All layers at once, not counting the extractor's making; the photo asks for gradients to get a graph."""
    asking = image.clone().requires_grad_()
    with TorchCam(model, modules(model, layers), reshape_transform=reshape) as extractor:
        return seconds(lambda: extractor(TARGET, model(asking)))


def layer_by_layer(model: GenusNet, image: Tensor, layers: Sequence[str], reshape: Reshape) -> float:
    """pytorch-grad-cam with one target layer after the other, on a network as it is loaded: not frozen."""
    model.requires_grad_(True)

    def every_layer() -> None:
        for module in modules(model, layers):
            with GradCAM(model=model, target_layers=[module], reshape_transform=reshape) as extractor:
                extractor(input_tensor=image, targets=[ClassifierOutputTarget(TARGET)])

    spent = seconds(every_layer, warm_up=False)
    model.requires_grad_(False)
    model.zero_grad()
    return spent


clock = time.perf_counter


def seconds(work: Callable[[], object], *, warm_up: bool = True) -> float:
    """Time of ``work``, done once before: each way meets the memory as it left it, not as another way did."""
    if warm_up:
        work()
    started = clock()
    work()
    return clock() - started


def compare(model: GenusNet, image: Tensor, layers: Sequence[str], reshape: Reshape, repeats: int) -> str:
    peers = {"ours": ours, "bare": bare_passes, "torch-cam": torch_cam, "layer by layer": layer_by_layer}
    ways = {name: partial(way, model, image, layers, reshape) for name, way in peers.items()}
    spent = by_turns(ways, LAYER_BY_LAYER_REPEATS)
    del ways["layer by layer"]
    for name, times in by_turns(ways, repeats - LAYER_BY_LAYER_REPEATS).items():
        spent[name] += times
    medians = {name: statistics.median(times) * 1e3 for name, times in spent.items()}
    # Of times measured in the same round.
    ratios = {name: ratio(spent["ours"], times) for name, times in spent.items()}
    return (
        f"{medians['ours']:8.1f} {medians['bare']:8.1f} {medians['torch-cam']:9.1f} {medians['layer by layer']:14.1f}"
        f" | {ratios['bare']:6.3f} {ratios['torch-cam']:9.3f} {ratios['layer by layer']:14.3f}"
    )


def half_precision(model: GenusNet, images: Tensor, layers: Sequence[str], repeats: int) -> str:
    """Time of bf16 against float32, and how well its heatmaps keep float32's order."""
    maps = {}

    def way(half: bool) -> float:
        with torch.autocast("cpu", torch.bfloat16) if half else nullcontext():
            maps[half] = heatmaps(model, images, layers, TARGET).maps
            return ours(model, images[:1], layers)

    spent = by_turns({half: partial(way, half) for half in (False, True)}, repeats)
    share = statistics.median(spent[True]) / statistics.median(spent[False])
    return f"bf16: {share:.3f} of the time, with float32: {likeness(maps[False], maps[True])}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few repeats")
    parser.add_argument("--networks", nargs="*", default=[], metavar="NAME", help="only titles with NAME")
    parser.add_argument("--cpu-time", action="store_true", help="one thread's processor time: for busy machines")
    options = parser.parse_args()
    global clock
    if options.cpu_time:
        torch.set_num_threads(1)
        clock = time.process_time
    repeats = 3 if options.quick else 15
    has_bf16 = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    print(f"one photo, Grad-CAM, median of {repeats} repeats in ms, {torch.get_num_threads()} threads")
    print(f"{'':<50} {'ours':>8} {'bare':>8} {'torch-cam':>9} {'layer by layer':>14} | ratios of ours to each")
    for title, (model, input_px) in networks(options.networks).items():
        images = photos(input_px)
        layers = find_layers(model, input_px)
        stages = [layer.name for layer in layers if layer.stage_end]
        for what, names in (("stages", stages), ("blocks", [layer.name for layer in layers])):
            label = f"{title}, {input_px} px, {len(names)} {what}"
            print(f"{label:<50} {compare(model, images[:1], names, RESHAPES.get(title), repeats)}", flush=True)
            if has_bf16:
                print(f"{'':<50} {half_precision(model, images, names, repeats)}", flush=True)
    if not has_bf16:
        print("This processor does not compute in bf16.")


if __name__ == "__main__":
    main()
