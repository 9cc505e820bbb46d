"""Every architecture family of timm, small and with random weights: which layers give heatmaps?

    python tests/support/architectures.py           writes docs/architectures.md
    python tests/support/architectures.py NAME ...  makes only these networks' rows of it anew

Each network is made as training would make it, asked for its layers, and for Grad-CAM at all of them in one pass. A
row says what was found, or the sentence that the network was refused with. What is checked besides: every heatmap is
finite, has the size that its layer promised, and lies the right way round (other noise in a corner of the photo changes
the first layer most in this corner).
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import timm
import torch
from torch import nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mushroom.errors import MushroomError
from mushroom.explain.gradcam import channels, heatmaps
from mushroom.explain.layers import Layer, default_layer, find_layers
from mushroom.model import create_backbone, feature_count

PAGE = Path(__file__).resolve().parents[2] / "docs" / "architectures.md"
SMALL_PX = (128, 126)
"""Tried before a network's usual size: whole patches of 16 and of 14 pixels."""

TARGETS = 3

FAMILIES = (
    *("beit_base_patch16_224", "botnet26t_256", "repvgg_a0", "mobileone_s0", "cait_xxs24_224", "coat_lite_tiny"),
    *("coat_tiny", "convit_tiny", "convmixer_768_32", "convnext_atto", "convnextv2_atto", "cpubone_nano"),
    *("crossvit_tiny_240", "csatv2", "cspresnet50", "cs3darknet_s", "cspnext_tiny", "davit_tiny"),
    *("deit_tiny_patch16_224", "deit_tiny_distilled_patch16_224", "deit3_small_patch16_224", "densenet121"),
    *("dla46_c", "dpn68", "edgenext_xx_small", "efficientformer_l1", "efficientformerv2_s0", "efficientnet_b0"),
    *("tf_efficientnetv2_b0", "tf_efficientnet_lite0", "mnasnet_small", "efficientvim_m1", "efficientvit_b0"),
    *("efficientvit_m0", "eva02_tiny_patch14_224", "fasternet_t0", "fastvit_t8", "focalnet_tiny_srf", "gcvit_xxtiny"),
    *("ghostnet_050", "hardcorenas_a", "hgnetv2_b0", "hiera_tiny_224", "sam2_hiera_tiny", "hrnet_w18_small"),
    *("iformer_t", "inception_next_atto", "inception_resnet_v2", "inception_v3", "inception_v4", "lcnetv2_small"),
    *("levit_128s", "levit_conv_128s", "lowformer_b0", "mambaout_femto", "maxvit_pico_rw_256", "coatnet_pico_rw_224"),
    *("poolformer_s12", "caformer_s18", "convformer_s18", "mixer_s32_224", "gmlp_s16_224", "resmlp_12_224"),
    *("mobilenetv3_small_050", "mobilenetv4_conv_small_035", "lcnet_050", "mobilevit_xxs", "mobilevitv2_050"),
    *("mvitv2_tiny", "mvitv2_small_cls", "naflexvit_base_patch16_gap", "nest_tiny", "nextvit_small", "eca_nfnet_l0"),
    *("pit_ti_224", "pit_ti_distilled_224", "pvt_v2_b0", "rdnet_tiny", "regnetx_002", "regnety_002"),
    *("repghostnet_050", "repvit_m0_9", "res2net50_14w_8s", "resnest14d", "resnet18", "seresnet18", "resnext26ts"),
    *("resnetv2_18", "rexnet_100", "selecsls42", "legacy_seresnet18", "sequencer2d_s", "shvit_s1", "skresnet18"),
    *("starnet_s050", "swiftformer_xs", "swin_tiny_patch4_window7_224", "swinv2_tiny_window8_256"),
    *("swinv2_cr_tiny_224", "tiny_vit_5m_224", "tnt_s_patch16_224", "tresnet_m", "twins_svt_small"),
    *("twins_pcpvt_small", "vgg11_bn", "visformer_tiny", "vit_tiny_patch16_224", "vit_small_patch14_reg4_dinov2"),
    *("vit_base_patch32_clip_224", "vit_tiny_r_s16_p8_224", "vit_relpos_small_patch16_224", "vitamin_small_224"),
    *("vit_medium_patch16_gap_240", "samvit_base_patch16_224", "volo_d1_224", "ese_vovnet19b_slim"),
    *("legacy_xception", "xception41", "xcit_nano_12_p16_224"),
)


def row(name: str) -> str:
    """A network's row of the page, in Markdown; AssertionError where a heatmap is not what it should be."""
    torch.manual_seed(0)
    settings = timm.get_pretrained_cfg(name)
    family = next(module for module in timm.list_modules() if name in timm.list_models(module=module))
    usual_px = settings.input_size[-1] if settings else max(SMALL_PX)
    for input_px in (*(px for px in SMALL_PX if px < usual_px), usual_px):
        try:
            net = create_backbone(name, input_px).eval()
            layers = find_layers(net, input_px)
        except MushroomError as error:
            found = f"{error} | | | |"
        else:
            stages = " ".join(str(layer.height) for layer in layers if layer.stage_end)
            silent = _checked(net, input_px, layers) or ""
            found = f"{len(layers)} | {stages} | `{default_layer(layers).name}` | {silent} |"
            break
    return f"| {family} | `{name}` | {input_px} px | {found}"


def _checked(net: nn.Module, input_px: int, layers: Sequence[Layer]) -> int:
    """How many layers have no evidence for any of some classes; AssertionError where a heatmap is wrong."""
    noise = torch.randn(1, 3, input_px, input_px)
    names = [layer.name for layer in layers]
    silent = set(names)
    for target in torch.linspace(0, feature_count(net) - 1, TARGETS).long().tolist():
        found = heatmaps(net, noise, names, target)
        for layer in layers:
            maps = found.maps[layer.name]
            assert maps.shape == (1, layer.height, layer.width), f"{layer.name}: {tuple(maps.shape)}"
            assert found.evidence[layer.name].isfinite().all(), f"{layer.name} is not finite"
        silent -= {name for name in names if found.has_evidence[name].any()}
    changed, quarter_px = noise.clone(), input_px // 4
    changed[..., :quarter_px, -quarter_px:] = torch.randn(3, quarter_px, quarter_px)
    before, after = (channels(net, photo, names[0], 0).feature_map for photo in (noise, changed))
    quadrants = functional.adaptive_avg_pool2d((after - before).abs().mean(0)[None], 2)[0]
    assert quadrants.argmax() == 1, f"{names[0]} lies the wrong way round"
    return len(silent)


def page(rows: Sequence[str]) -> str:
    """The page in Markdown."""
    refused = sum("This network" in row for row in rows)
    families = {row.split(" | ")[0] for row in rows}
    head = f"""# Architectures

Written by `python tests/support/architectures.py` with timm {timm.__version__}: {len(rows)} networks of
{len(families)} families, small ones with random weights. {len(rows) - refused} give layers, and at all of them finite
heatmaps of the right size, the right way round; {refused} is refused with a sentence. *Stages* are the cells on a side
at the ends of the stages, *first shown* is the layer that the page starts with, *silent* are layers without positive
evidence for any of {TARGETS} features of this untrained network.

| family | network | photo | layers | stages | first shown | silent |
| --- | --- | --- | --- | --- | --- | --- |
"""
    return head + "\n".join(sorted(rows)) + "\n"


def rows_of_page() -> dict[str, str]:
    """The rows that the page has, by network."""
    lines = PAGE.read_text(encoding="utf-8").splitlines() if PAGE.exists() else []
    return {line.split("`")[1]: line for line in lines if " | `" in line}


def main() -> None:
    torch.set_num_threads(1)
    for name in sys.argv[1:] or FAMILIES:
        found = row(name)
        print(found, flush=True)
        # Each as it comes: the whole sweep takes a quarter of an hour, more on a busy machine.
        PAGE.write_text(page([*(rows_of_page() | {name: found}).values()]), encoding="utf-8")


if __name__ == "__main__":
    main()
