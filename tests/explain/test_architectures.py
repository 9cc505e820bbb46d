"""The sweep over timm's architecture families: a few of each kind always, all of them where slow tests run."""

import architectures
import pytest

FEW = ("resnet18", "convnextv2_atto", "swiftformer_xs", "vit_tiny_patch16_224", "levit_128s", "mvitv2_tiny")
REFUSED = ("hiera_tiny_224",)
OTHERS = [name for name in architectures.FAMILIES if name not in (*FEW, *REFUSED)]


@pytest.mark.parametrize("name", [*FEW, *REFUSED, *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)])
def test_layers_and_finite_heatmaps_or_a_sentence_of_every_family(name: str) -> None:
    found = architectures.row(name).split(" | ")[3]
    assert found.endswith(".") if name in REFUSED else int(found) >= 3


def test_the_page_has_a_row_for_every_network() -> None:
    page = architectures.PAGE.read_text(encoding="utf-8")
    assert [name for name in architectures.FAMILIES if f"| `{name}` |" not in page] == []
    assert len({line.split(" | ")[0] for line in page.splitlines() if " | `" in line}) >= 60
