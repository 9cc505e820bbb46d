"""Networks as the app offers them."""

from mushroom.app.models import human_names


def test_networks_have_names_that_people_read_and_no_two_alike() -> None:
    assert human_names(["efficientnetv2_b0_averaged", "resnetv2_50", "mine", "vit_b16"]) == {
        "efficientnetv2_b0_averaged": "EfficientNetV2 B0 averaged",
        "resnetv2_50": "ResNetV2 50",
        "mine": "mine",
        "vit_b16": "ViT B16",
    }
    names = human_names(["vit_b16", "vit__b16"])
    assert len(set(names.values())) == 2
