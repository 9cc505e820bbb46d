"""The sweep over timm's architecture families: a few of each kind always, all of them where slow tests run."""

import architectures
import pytest

FEW = ("resnet18", "convnextv2_atto", "swiftformer_xs", "vit_tiny_patch16_224", "levit_128s", "mvitv2_tiny")
NEITHER = ("hiera_tiny_224",)


@pytest.mark.parametrize("name", FEW)
def test_layers_and_finite_heatmaps_of_a_few_families(name: str) -> None:
    found = architectures.find(name)
    assert len(found.layers) >= 3
    assert not found.refusal


@pytest.mark.parametrize("name", NEITHER)
def test_what_has_no_feature_maps_is_refused_with_a_sentence(name: str) -> None:
    assert architectures.find(name).refusal.endswith(".")


@pytest.mark.slow
@pytest.mark.parametrize("name", architectures.FAMILIES)
def test_layers_and_finite_heatmaps_or_a_sentence_of_every_family(name: str) -> None:
    found = architectures.find(name)
    assert len(found.layers) >= 3 or found.refusal.endswith(".")


def test_the_page_has_a_row_for_every_network() -> None:
    page = architectures.PAGE.read_text(encoding="utf-8")
    assert [name for name in architectures.FAMILIES if f"| `{name}` |" not in page] == []
    assert len({line.split(" | ")[0] for line in page.splitlines() if " | `" in line}) >= 60
