"""What tests of heatmaps share."""

import pytest
from networks import genus_net

from mushroom.model import GenusNet


@pytest.fixture(scope="module")
def model() -> GenusNet:
    """A small network for nine genera, frozen."""
    return genus_net().requires_grad_(False)
