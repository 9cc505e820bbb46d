"""A module's output becomes a feature map: which way round it lies, and which of its tokens stand for places."""

import pytest
import torch
from torch import Tensor, nn

from mushroom.explain.grid import Grid, grid_of

PLAIN = nn.Identity()


def numbered(*shape: int) -> Tensor:
    return torch.arange(torch.Size(shape).numel(), dtype=torch.float32).view(shape)


def declaring(**attributes: object) -> nn.Module:
    net = nn.Identity()
    for name, value in attributes.items():
        setattr(net, name, value)
    return net


@pytest.mark.parametrize("size", [(64, 64), (64, 96)])
def test_channels_first_and_last_are_told_apart_by_the_photos_proportions(size: tuple[int, int]) -> None:
    height, width = size[0] // 8, size[1] // 8
    first = numbered(2, 5, height, width)
    found = grid_of(first, (), PLAIN, 2, size)
    assert found == Grid("channels first", height, width, 5)
    assert found.fold(first) is first
    last = first.permute(0, 2, 3, 1)
    found = grid_of(last, (), PLAIN, 2, size)
    assert found == Grid("channels last", height, width, 5)
    assert found.fold(last).equal(first)


def test_as_many_channels_as_cells_are_read_as_the_network_says() -> None:
    cube = numbered(1, 8, 8, 8)
    first = grid_of(cube, (), PLAIN, 1, (64, 64))
    last = grid_of(cube, (), declaring(output_fmt="NHWC"), 1, (64, 64))
    assert first is not None
    assert last is not None
    assert (first.layout, last.layout) == ("channels first", "channels last")


@pytest.mark.parametrize(("declared", "prefix"), [(None, 0), (None, 1), (1, 1), (2, 2), (5, 5), (1, 0)])
def test_prefix_tokens_are_cut_and_the_others_laid_out_in_rows(declared: int | None, prefix: int) -> None:
    patches = numbered(2, 24, 3)
    tokens = torch.cat([torch.full((2, prefix, 3), -1.0), patches], 1)
    net = declaring(num_prefix_tokens=declared) if declared else PLAIN
    found = grid_of(tokens, (), net, 2, (64, 96))
    assert found == Grid("tokens", 4, 6, 3, prefix)
    folded = found.fold(tokens)
    assert folded.shape == (2, 3, 4, 6)
    # The patch in row 2, column 3 is the fifteenth after the prefix.
    assert folded[1, :, 2, 3].equal(patches[1, 15])


@pytest.mark.parametrize(
    "output",
    [
        numbered(4, 5, 8, 8),  # windows, not photos
        numbered(2, 3, 16, 64),  # heads x tokens x features
        numbered(2, 5, 1, 1),
        numbered(2, 23, 3),
        numbered(2, 5),
        None,
        (None, "text"),
    ],
)
def test_what_does_not_cover_the_photo_has_no_grid(output: object) -> None:
    assert grid_of(output, (), PLAIN, 2, (64, 64)) is None


def test_a_network_that_shuffles_its_patches_has_no_grid() -> None:
    assert grid_of(numbered(1, 16, 3), (), declaring(reroll=nn.Identity()), 1, (64, 64)) is None


def test_of_several_outputs_the_first_new_one_that_covers_the_photo_counts() -> None:
    handed_on, new = numbered(1, 16, 3), numbered(1, 4, 3)
    output = (torch.zeros(7), handed_on, new)
    found = grid_of(output, (handed_on,), PLAIN, 1, (64, 64))
    assert found == Grid("tokens", 2, 2, 3, 0, index=2)
    assert found.tensor(output) is new
    replaced = found.replaced(output, torch.ones(1))
    assert isinstance(replaced, tuple)
    assert replaced[1] is handed_on
    assert replaced[2].equal(torch.ones(1))
