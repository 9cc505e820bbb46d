"""Average drop, deletion and insertion against torch-cam's metrics: the same numbers for the same heatmaps."""

from contextlib import AbstractContextManager, nullcontext
from functools import partial

import pytest
import torch
from networks import INPUT_PX, photos
from torch import Tensor, nn

pytest.importorskip("torchcam", reason="torchcam is installed for tests only")

from torchcam.metrics import ClassificationMetric, DeletionInsertionMetric

from mushroom.explain import faithfulness
from mushroom.explain.gradcam import heatmaps

TARGETS = [1, 4, 7]


class Given:
    """What torch-cam asks of an extractor, with heatmaps that are already there."""

    def __init__(self, model: nn.Module, maps: Tensor) -> None:
        self.model, self.maps = model, maps

    def __call__(self, class_idx: object, scores: object) -> list[Tensor]:
        return [self.maps]

    def fuse_cams(self, maps: list[Tensor]) -> Tensor:
        return maps[0]

    def _hooks_off(self) -> AbstractContextManager[None]:
        return nullcontext()


def test_average_drop_and_increase_are_torch_cams(model: nn.Module) -> None:
    images = photos(3)
    maps = heatmaps(model, images, ["blocks.4"], TARGETS).maps["blocks.4"]
    metric = ClassificationMetric(Given(model, maps), partial(torch.softmax, dim=-1))
    metric.update(images, TARGETS)
    drop, increased = faithfulness.confidence_change(model, images, torch.tensor(TARGETS), maps)
    assert drop.mean().item() == pytest.approx(metric.summary()["avg_drop"], abs=1e-5)
    assert increased.float().mean().item() == pytest.approx(metric.summary()["conf_increase"])
    assert drop.any()


@pytest.mark.parametrize("measure", ["deletion", "insertion"])
def test_deletion_and_insertion_are_torch_cams(model: nn.Module, measure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # With 16 x 16 patches an eighth of the photo is a whole number of them, as it is of torch-cam's pixels.
    patches = 16
    monkeypatch.setattr(faithfulness, "PATCHES", patches)
    images = photos(3)
    generator = torch.Generator().manual_seed(0)
    order = torch.stack([torch.randperm(patches**2, generator=generator) for _ in TARGETS]).float()
    maps = (order / order.max()).view(-1, patches, patches)
    side = INPUT_PX // patches
    of_pixels = maps.repeat_interleave(side, 1).repeat_interleave(side, 2)
    metric = DeletionInsertionMetric(
        Given(model, of_pixels),
        partial(torch.softmax, dim=-1),
        steps=faithfulness.STEPS,
        baseline=None if measure == "deletion" else faithfulness.blur,
    )
    metric.update(images, TARGETS)
    curves = faithfulness.deletion_curves if measure == "deletion" else faithfulness.insertion_curves
    ours = faithfulness.area_under(curves(model, images, torch.tensor(TARGETS), maps)).mean().item()
    assert ours == pytest.approx(metric.summary()[f"{measure}_auc"], abs=1e-5)
