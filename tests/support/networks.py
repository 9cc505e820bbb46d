"""Networks for tests: small ones of timm's, and one whose heatmaps are known by hand."""

from pathlib import Path

import torch
from torch import Tensor, nn

from mushroom.checkpoint import save_checkpoint
from mushroom.explain.layers import find_layers
from mushroom.genera import GENERA
from mushroom.model import GenusNet, ModelConfig, build_head, build_model, create_backbone

INPUT_PX = 64
BACKBONE = "test_efficientnet"
"""timm's networks for tests: whole architectures of a hundred thousand parameters."""


SMALL = ModelConfig(
    name="small", backbone="mobilenetv3_small_050", input_px=INPUT_PX, genera=GENERA, head_dropouts=(0.3,)
)


def small_model(config: ModelConfig = SMALL, seed: int = 0) -> GenusNet:
    """A network that has learned nothing; the same one for the same seed."""
    torch.manual_seed(seed)
    return build_model(config)


def untrained_checkpoint(folder: Path, config: ModelConfig = SMALL, seed: int = 0) -> Path:
    """A checkpoint folder of ``small_model``."""
    save_checkpoint(folder, small_model(config, seed), config)
    return folder


def layer_names(model: nn.Module) -> list[str]:
    return [layer.name for layer in find_layers(model, INPUT_PX)]


def genus_net(name: str = BACKBONE) -> GenusNet:
    torch.manual_seed(0)
    backbone = create_backbone(name)
    return GenusNet(backbone, build_head(backbone.num_features, (16,), (0.3,), 9)).eval()


def photos(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, 3, INPUT_PX, INPUT_PX, generator=torch.Generator().manual_seed(seed))


def snapshot(net: nn.Module) -> list[tuple[object, ...]]:
    """All that a heatmap might leave behind, for comparing."""
    modules = [
        (
            name,
            module.training,
            *(len(hooks) for hooks in (module._forward_hooks, module._forward_pre_hooks)),
            *(len(hooks) for hooks in (module._backward_hooks, module._backward_pre_hooks)),
            sorted(vars(module)),
        )
        for name, module in net.named_modules()
    ]
    parameters = [
        (name, value.requires_grad, value.grad is None, value.is_leaf, value._version)
        for name, value in [*net.named_parameters(), *net.named_buffers()]
    ]
    return [*modules, *parameters]


FEATURES = torch.tensor([[[2.0, 0.0], [1.0, 0.0]], [[0.0, 4.0], [0.0, 0.0]], [[1.0, 0.0], [1.0, 3.0]]])
GRADIENT = torch.tensor([[[1.0, 1.0], [3.0, -1.0]], [[4.0, -2.0], [2.0, 4.0]], [[2.0, 1.0], [-7.0, 0.0]]])
"""Of the first logit by the features; its means over places are 1, 2 and -1."""


class Toy(nn.Module):
    """The photo is its own feature map (through ``see``), and each logit a weighted sum of all its values."""

    def __init__(self, gradients: Tensor) -> None:
        super().__init__()
        self.see = nn.Conv2d(3, 3, 1, bias=False)
        self.activate = nn.ReLU()
        self.classify = nn.Linear(gradients[0].numel(), len(gradients), bias=False)
        self.see.weight.data = torch.eye(3)[:, :, None, None]
        self.classify.weight.data = gradients.flatten(1)

    def forward(self, images: Tensor) -> Tensor:
        return self.classify(self.activate(self.see(images)).flatten(1))


def toy(*gradients: Tensor) -> Toy:
    return Toy(torch.stack(gradients)).eval()


def assert_same_maps(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert list(found) == list(expected)
    for name, maps in found.items():
        torch.testing.assert_close(maps, expected[name], atol=1e-4, rtol=0, msg=lambda text, n=name: f"{n}: {text}")
