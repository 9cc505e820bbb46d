"""Layers found: stages and blocks of convolutional networks and of transformers."""

import pytest
import torch
from networks import INPUT_PX, genus_net, photos, snapshot
from torch import nn

from mushroom.errors import ExplanationError
from mushroom.explain.gradcam import heatmaps
from mushroom.explain.layers import PATCH_LABELS, STAGE_LABELS, Layer, default_layer, find_layers
from mushroom.model import GenusNet, create_backbone

# --- Layers -------------------------------------------------------------------------------------------------

STAGE_ENDS = {
    "resnet50": ["act1", "layer1", "layer2", "layer3", "layer4"],
    "convnext_tiny": ["stages.0", "stages.1", "stages.2", "stages.3"],
    "tf_efficientnet_lite2": ["blocks.0", "blocks.1", "blocks.2", "blocks.4", "blocks.6"],
    "tf_efficientnetv2_b0": ["blocks.0", "blocks.1", "blocks.2", "blocks.4", "blocks.5"],
    "densenet121": [
        "features.norm0",
        "features.denseblock1",
        "features.denseblock2",
        "features.denseblock3",
        "features.norm5",
    ],
    "inception_v3": ["Conv2d_2b_3x3", "Conv2d_4a_3x3", "Mixed_5d", "Mixed_6e", "Mixed_7c"],
    "alexnet": ["features.1", "features.4", "features.11"],
}

BLOCKS_IN_THE_MIDDLE = {
    "resnet50": ["layer3.0", "layer3.1", "layer3.2", "layer3.3", "layer3.4"],
    "convnext_tiny": [f"stages.2.blocks.{index}" for index in range(8)],
    "tf_efficientnet_lite2": [f"blocks.3.{index}" for index in range(4)],
    "tf_efficientnetv2_b0": [f"blocks.4.{index}" for index in range(4)],
    "densenet121": ["features.denseblock4"],
    "inception_v3": ["Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d"],
    "alexnet": ["features.7", "features.9"],
}


def meta_layers(name: str, input_px: int) -> tuple[Layer, ...]:
    with torch.device("meta"):
        backbone = create_backbone(name)
    return find_layers(backbone, input_px)


@pytest.mark.parametrize("name", STAGE_ENDS)
def test_stage_ends_and_the_blocks_between_them_are_found_from_early_and_fine_to_late_and_coarse(name: str) -> None:
    layers = meta_layers(name, 224)
    names = [layer.name for layer in layers]
    assert [layer.stage for layer in layers] == sorted(layer.stage for layer in layers)
    assert [layer.height for layer in layers] == sorted((layer.height for layer in layers), reverse=True)
    assert layers[0].label.startswith("early")
    assert layers[-1].label == "late: whole parts"
    assert [layer.name for layer in layers if layer.stage_end] == STAGE_ENDS[name]
    assert default_layer(layers).name == {"resnet50": "layer4.2.conv3"}.get(name, STAGE_ENDS[name][-1])
    between = BLOCKS_IN_THE_MIDDLE[name]
    start = names.index(between[0])
    assert names[start : start + len(between)] == between
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", [*STAGE_ENDS, "resnetv2_50_stem_norm"])
def test_every_layer_found_gives_a_heatmap_of_the_size_it_promised(name: str) -> None:
    torch.manual_seed(0)
    # Inception's and AlexNet's unpadded layers leave nothing of a smaller photo.
    input_px = {"inception_v3": 107, "alexnet": 64}.get(name, 48)
    backbone = create_backbone(name).eval()
    layers = find_layers(backbone, input_px)
    image = torch.randn(1, 3, input_px, input_px)
    found = heatmaps(backbone, image, [layer.name for layer in layers], 0)
    for layer in layers:
        assert found.maps[layer.name].shape == (1, layer.height, layer.width), layer.name


@pytest.mark.parametrize(
    ("name", "layer"), [("resnet50", "layer4.2.conv3"), ("convnext_base", "stages.3.blocks.2.conv_dw")]
)
def test_the_notebooks_networks_start_at_the_notebooks_layer(name: str, layer: str) -> None:
    layers = meta_layers(name, 224)
    assert default_layer(layers).name == layer
    assert [found.name for found in layers if found.last_convolution] == [layer]


def test_layers_are_the_backbones_of_each_size_whatever_mode_the_caller_is_in(model: GenusNet) -> None:
    found = find_layers(model, INPUT_PX)
    assert found == find_layers(model.backbone, INPUT_PX)
    assert find_layers(model, 2 * INPUT_PX)[0].height == 2 * found[0].height
    assert find_layers(model, INPUT_PX) is found
    with torch.inference_mode():
        assert find_layers(genus_net(), INPUT_PX) == found


@pytest.mark.parametrize("name", ["test_efficientnet", "vit_tiny_patch16_224"])
def test_looking_for_layers_leaves_a_network_in_training_as_it_was(name: str) -> None:
    net = create_backbone(name, INPUT_PX).train()
    before = snapshot(net)
    find_layers(net, INPUT_PX)
    assert snapshot(net) == before


def test_a_network_without_feature_maps_says_so() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * INPUT_PX**2, 9))
    with pytest.raises(ExplanationError, match="no two-dimensional feature maps"):
        find_layers(flat, INPUT_PX)


# --- Transformers, channels-last maps and others ------------------------------------------------------------

OTHER_STAGE_ENDS = {
    "vit_tiny_patch16_224": ["blocks.2", "blocks.5", "blocks.8", "blocks.11.norm1"],
    "deit_tiny_distilled_patch16_224": ["blocks.2", "blocks.5", "blocks.8", "blocks.11.norm1"],
    "vit_small_patch14_reg4_dinov2": ["blocks.2", "blocks.5", "blocks.8", "blocks.11.norm1"],
    # This one answers from the mean of its patches: the end of its last block has a gradient.
    "eva02_tiny_patch14_224": ["blocks.2", "blocks.5", "blocks.8", "blocks.11"],
    "swin_tiny_patch4_window7_224": ["layers.0", "layers.1", "layers.2", "layers.3"],
    "maxvit_tiny_rw_224": ["stem", "stages.0", "stages.1", "stages.2", "stages.3"],
    "coatnet_nano_rw_224": ["stem", "stages.0", "stages.1", "stages.2", "stages.3"],
    "hrnet_w18_small": ["act1", "incre_modules.0", "downsamp_modules.0.2", "downsamp_modules.1.2", "final_layer"],
}


@pytest.mark.parametrize("name", OTHER_STAGE_ENDS)
def test_stages_of_transformers_and_other_networks_are_found(name: str) -> None:
    input_px = 112 if "patch14" in name else 128
    layers = find_layers(create_backbone(name, input_px).eval(), input_px)
    assert [layer.name for layer in layers if layer.stage_end] == OTHER_STAGE_ENDS[name]
    assert default_layer(layers).name == OTHER_STAGE_ENDS[name][-1]
    of_patches = "patch1" in name
    assert all(layer.tokens is of_patches for layer in layers)
    assert (layers[0].label, layers[-1].label) == (PATCH_LABELS if of_patches else STAGE_LABELS)[
        :: len(STAGE_LABELS) - 1
    ]


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224", "coat_tiny", "pit_ti_224"])
def test_every_layer_of_a_network_with_class_tokens_has_evidence_for_some_class(name: str) -> None:
    torch.manual_seed(0)
    net = create_backbone(name, 64).eval()
    layers = find_layers(net, 64)
    found = [heatmaps(net, photos(1), [layer.name for layer in layers], target) for target in range(4)]
    for layer in layers:
        assert found[0].maps[layer.name].shape == (1, layer.height, layer.width)
        assert any(maps.has_evidence[layer.name].all() for maps in found), layer.name


def test_the_end_of_a_class_tokens_last_block_has_no_gradient_at_the_patches() -> None:
    # What the rule is for: asked by name it can be had, and it is empty.
    torch.manual_seed(0)
    net = create_backbone("vit_tiny_patch16_224", 64).eval()
    found = heatmaps(net, photos(1), ["blocks.11.norm1", "blocks.11"], 3)
    assert not found.has_evidence["blocks.11"].any()
    assert not found.evidence["blocks.11"].any()


def test_a_size_that_the_network_does_not_take_is_told_in_a_sentence() -> None:
    net = create_backbone("vit_tiny_patch16_224", 64).eval()
    with pytest.raises(ExplanationError, match=r"can't take photos of 100 px: .*16"):
        find_layers(net, 100)


def test_a_bright_corner_is_found_in_its_corner_whatever_the_layout() -> None:
    torch.manual_seed(0)
    photo = torch.zeros(1, 3, 64, 64)
    photo[:, :, :16, 48:] = torch.randn(3, 16, 16)
    for name in ("vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "mixer_s32_224", "coat_lite_tiny"):
        net = create_backbone(name, 64).eval()
        layer = find_layers(net, 64)[0].name
        with_corner, without = (heatmaps(net, each, [layer], 0, "eigencam").evidence for each in (photo, 0 * photo))
        change = (with_corner[layer] - without[layer]).abs()[0]
        row, column = divmod(int(change.argmax()), change.shape[1])
        assert row < change.shape[0] / 2 <= column, name
