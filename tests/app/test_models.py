"""Networks as the app offers them."""

from mushroom.app.models import human_names
from mushroom.checkpoint import DEFAULT_MODEL


def test_networks_have_names_that_people_read_and_no_two_alike() -> None:
    assert human_names([DEFAULT_MODEL, "efficientnetv2_b0", "resnetv2_50", "mine", "vit_b16"]) == {
        DEFAULT_MODEL: "Default",
        "efficientnetv2_b0": "EfficientNetV2 B0",
        "resnetv2_50": "ResNetV2 50",
        "mine": "mine",
        "vit_b16": "ViT B16",
    }
    names = human_names(["vit_b16", "vit__b16"])
    assert len(set(names.values())) == 2
