"""Backbones, heads and checkpoint folders, whole and damaged."""

from pathlib import Path

import pytest
import timm
import torch
from timm.layers import resample_abs_pos_embed

from mushroom.checkpoint import load_checkpoint, save_checkpoint
from mushroom.errors import CheckpointError
from mushroom.genera import GENERA
from mushroom.model import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    NOTEBOOK_HEAD_DROPOUTS,
    STEM_NORM_RESNET,
    ModelConfig,
    backbone_normalisation,
    build_head,
    build_model,
    create_backbone,
    freeze_backbone,
    load_backbone_weights,
    notebook_head_widths,
    registry_state,
)


@pytest.mark.parametrize(
    ("shortcut", "features", "input_px"),
    [("resnet50", 2048, 64), ("convnext_base", 1024, 64), ("inception_v3", 2048, 96), ("alexnet", 4096, 64)],
)
def test_the_notebooks_backbones_have_its_head_frozen_parameters_and_preprocessing(
    shortcut: str, features: int, input_px: int
) -> None:
    widths = notebook_head_widths(features)
    config = ModelConfig(shortcut, shortcut, input_px, GENERA, head_widths=widths, head_dropouts=NOTEBOOK_HEAD_DROPOUTS)
    model = build_model(config).eval()
    linear = [layer for layer in model.head if isinstance(layer, torch.nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [
        (features, features // 2),
        (features // 2, features // 4),
        (features // 4, 9),
    ]
    assert [layer.p for layer in model.head if isinstance(layer, torch.nn.Dropout)] == [0.3, 0.2]
    freeze_backbone(model)
    assert not any(parameter.requires_grad for parameter in model.backbone.parameters())
    assert all(parameter.requires_grad for parameter in model.head.parameters())
    assert model(torch.zeros(2, 3, input_px, input_px)).shape == (2, 9)
    assert (config.mean, config.std) == (IMAGENET_MEAN, IMAGENET_STD)


def test_inception_has_no_auxiliary_head_and_convnext_keeps_its_norm_before_the_head() -> None:
    assert not any("aux" in name.lower() for name, _ in create_backbone("inception_v3").named_modules())
    assert any(key.startswith("head.norm") for key in create_backbone("convnext_base").state_dict())


def test_each_backbone_is_normalised_as_its_weights_were_trained() -> None:
    assert backbone_normalisation("tf_efficientnet_lite2")[0] == (0.5, 0.5, 0.5)
    assert backbone_normalisation("tf_efficientnetv2_b0")[0] == IMAGENET_MEAN
    assert backbone_normalisation(STEM_NORM_RESNET)[0] == (0.4522, 0.4257, 0.3776)


def test_a_head_without_hidden_layers_is_one_linear_layer() -> None:
    assert [type(layer) for layer in build_head(8, (), (0.3,), 9)] == [torch.nn.Dropout, torch.nn.Linear]


@pytest.mark.parametrize("name", ["no_such_net", "../../etc/passwd", "hf-hub:somebody/net", ""])
def test_an_unknown_backbone_is_refused_with_a_sentence(name: str) -> None:
    with pytest.raises(CheckpointError, match="timm"):
        create_backbone(name)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_registry_weights_fill_every_tensor_of_the_lite_backbones(number: int) -> None:
    name = f"tf_efficientnet_lite{number}"
    backbone = create_backbone(name)
    assert load_backbone_weights(backbone, registry_state(name)) == []


@pytest.mark.photos
def test_registry_weights_still_see_a_mushroom_on_a_real_photo(mushroom_data: Path) -> None:
    """ImageNet has classes for fungi (991 to 997: coral fungus to bolete); a real Boletus must look like one."""
    from mushroom.photos import Preprocessing, read_photo_file, to_tensor

    name = "tf_efficientnet_lite2"
    whole = timm.create_model(name).eval()
    whole.load_state_dict(registry_state(name), strict=False)
    mean, std = backbone_normalisation(name)
    paths = sorted((mushroom_data / "Boletus").iterdir())[:8]
    images = torch.stack([to_tensor(read_photo_file(path), Preprocessing(260, mean, std)) for path in paths])
    with torch.inference_mode():
        best = whole(images).argmax(1)
    assert sum(991 <= int(index) <= 997 for index in best) >= 6


def test_weights_of_another_backbone_are_refused_and_partial_ones_name_what_they_lack() -> None:
    backbone = create_backbone("mobilenetv3_small_050")
    state = backbone.state_dict()
    with pytest.raises(CheckpointError, match="another backbone"):
        load_backbone_weights(create_backbone("mobilenetv3_small_100"), state)
    last = [key for key in state if key.startswith("conv_head")]
    assert load_backbone_weights(backbone, {k: v for k, v in state.items() if k not in last}) == last


@pytest.mark.parametrize(
    "name", ["vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224", "swin_tiny_patch4_window7_224", "convit_tiny"]
)
def test_a_transformer_that_is_made_for_224_px_is_made_for_the_size_asked_for(name: str) -> None:
    model = build_model(ModelConfig(name="small", backbone=name, input_px=96, genera=GENERA)).eval()
    assert model(torch.zeros(1, 3, 96, 96)).shape == (1, 9)


def test_grids_that_follow_the_photo_take_another_size_in_training() -> None:
    backbone = create_backbone("vit_tiny_patch16_224", 96).eval()
    assert backbone(torch.zeros(1, 3, 64, 64)).shape == backbone(torch.zeros(1, 3, 96, 96)).shape == (1, 192)


def test_windows_follow_the_photo_where_timm_drops_the_option_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    # As Swin of timm before 1.0.30 does.
    create = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda *args, dynamic_img_size=False, **kwargs: create(*args, **kwargs))
    backbone = create_backbone("swin_tiny_patch4_window7_224", 64).eval()
    assert backbone(torch.zeros(1, 3, 64, 64)).shape == backbone(torch.zeros(1, 3, 96, 96)).shape == (1, 768)


def test_a_checkpoint_brings_its_fixed_grid_back(tmp_path: Path) -> None:
    config = ModelConfig(name="small", backbone="mixer_s32_224", input_px=96, genera=GENERA)
    model = build_model(config).eval()
    save_checkpoint(tmp_path, model, config)
    image = torch.rand(1, 3, 96, 96)
    assert load_checkpoint(tmp_path)[0](image).equal(model(image))


def test_weights_of_another_grid_are_interpolated_as_timm_does_and_of_another_width_refused_with_the_tensor() -> None:
    name = "vit_tiny_patch16_224"
    coarse = timm.create_model(name, img_size=160, num_classes=0)
    backbone = create_backbone(name)
    assert load_backbone_weights(backbone, coarse.state_dict()) == []
    expected = resample_abs_pos_embed(coarse.pos_embed, (14, 14), num_prefix_tokens=1)
    torch.testing.assert_close(backbone.pos_embed, expected)
    with pytest.raises(CheckpointError, match=r"tensor .* has shape"):
        load_backbone_weights(backbone, timm.create_model("vit_small_patch16_224").state_dict())
