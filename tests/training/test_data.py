"""Labels, how often a photo is drawn, logit adjustment, and batches that are read ahead."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_squares import labelled, table

from mushroom.dataset import Prepared
from mushroom.training.data import (
    ANY_OTHER,
    OTHER,
    AugmentedViews,
    TrainingPhotos,
    batches_ahead,
    class_weights,
    draw_epoch,
    draw_weights,
    epoch_length,
    learned_photos,
    logit_adjustment,
    other_genera,
    training_photos,
)
from mushroom.training.recipes import DEFAULT, NOTEBOOK

EVEN = replace(DEFAULT, balance=0.0, background=0.0)


def background_of(counts: dict[str, int]) -> pd.DataFrame:
    return table({(name, "x", "train"): count for name, count in counts.items()}, kind="fungi")


def prepared_of(background: pd.DataFrame | None) -> Prepared:
    manifest = table({("Ab", "a", "train"): 1, ("Cd", "a", "train"): 1})
    roots = Path("/photos"), {"fungi": Path("/others")}
    return Prepared(Path("nowhere"), manifest, background, *roots, "x", ("Ab", "Cd"))


def test_an_other_genus_with_eight_photos_has_a_logit_and_the_rest_is_any_of_them() -> None:
    background = background_of({"Tricholoma": 8, "Mycena": 7, "": 20, "Ab": 9})
    prepared = prepared_of(background)
    others = other_genera(prepared, background)
    assert others == ("Tricholoma",)
    photos = training_photos(prepared, prepared.manifest, background, others)
    assert photos.labels.tolist() == [0, 1] + [2] * 8 + [ANY_OTHER] * (7 + 20 + 9)
    assert photos.known.tolist() == [True] * 2 + [False] * 44
    first = ("/photos/Ab/a-train-0.jpg", "/photos/Cd/a-train-0.jpg", "/others/Tricholoma/x-train-0.jpg")
    assert [str(path) for path in photos.paths[:3]] == list(first)
    assert len(set(photos.numbers.tolist())) == len(photos)


def test_others_without_enough_of_any_genus_share_one_logit_and_without_others_there_is_none() -> None:
    few = background_of({"": 20, "Mycena": 3})
    assert other_genera(prepared_of(few), few) == (OTHER,)
    assert other_genera(prepared_of(None), None) == ()
    prepared = prepared_of(few)
    assert [len(learned_photos(prepared, prepared.manifest, few, recipe)[0]) for recipe in (DEFAULT, NOTEBOOK)] == [
        25,
        2,
    ]


def test_rare_genera_are_drawn_more_often_and_the_others_have_their_share() -> None:
    photos = labelled(["red"] * 100 + ["brown"] * 4 + ["blue"] * 50 + ["unnamed"] * 2)
    weights = draw_weights(photos, replace(EVEN, balance=0.5, background=0.2))
    assert weights[100] / weights[0] == pytest.approx(5.0)
    assert weights[104:].sum() / weights.sum() == pytest.approx(0.2)
    assert weights[154] / weights[104] == pytest.approx(5.0)
    assert epoch_length(photos, replace(EVEN, background=0.2)) == 130


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["red", "brown", "blue", "unnamed"]), min_size=1, max_size=60), st.floats(0, 1))
def test_every_photo_may_be_drawn_whatever_there_is(names: list[str], balance: float) -> None:
    photos = labelled(names)
    weights = draw_weights(photos, replace(DEFAULT, balance=balance))
    assert np.isfinite(weights).all()
    assert (weights > 0).all()


def test_an_epoch_is_drawn_the_same_for_the_same_seed_and_whole_where_nothing_is_balanced() -> None:
    photos = labelled(["red"] * 10 + ["brown"] * 5)
    assert draw_epoch(photos, DEFAULT, 3).equal(draw_epoch(photos, DEFAULT, 3))
    assert sorted(draw_epoch(photos, EVEN, 3).tolist()) == list(range(15))


def test_logits_are_adjusted_by_the_shares_that_are_drawn_within_genera_and_within_others() -> None:
    photos = labelled(["red"] * 80 + ["brown"] * 20 + ["blue"] * 50)
    adjustment = logit_adjustment(photos, replace(EVEN, background=0.3, logit_adjustment=1.0), 3)
    assert float(adjustment[0] - adjustment[1]) == pytest.approx(np.log(4), abs=1e-5)
    assert float(adjustment[:2].exp().mean()) == pytest.approx(1, abs=1e-5)
    assert float(adjustment[2]) == pytest.approx(0, abs=1e-6)
    assert logit_adjustment(photos, replace(EVEN, logit_adjustment=0.0), 3).tolist() == [0, 0, 0]
    # A logit that no photo has is treated as the rarest.
    assert float(logit_adjustment(labelled(["red"] * 4), replace(EVEN, logit_adjustment=1.0), 2)[1]) == 0


def test_class_weights_are_inverse_to_counts_and_average_to_one() -> None:
    labels = np.array([0] * 30 + [1] * 10)
    weights = class_weights(labels, 9)
    assert weights[1] / weights[0] == pytest.approx(3.0)
    assert weights[torch.from_numpy(labels)].mean() == pytest.approx(1.0)
    assert weights[2] == 0


def test_a_view_depends_on_seed_round_and_photo_alone_and_a_photo_is_decoded_once(
    squares: TrainingPhotos, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(DEFAULT, train_px=32)
    views = AugmentedViews(squares, recipe, seed=1)
    first = views.view(3, 0)
    assert (first.shape, first.dtype) == ((3, 32, 32), torch.uint8)
    views.view(5, 0)
    assert torch.equal(first, AugmentedViews(squares, recipe, seed=1).view(3, 0))
    monkeypatch.setattr(
        "mushroom.training.data.read_prepared_photo", lambda path: pytest.fail(f"{path} was read again")
    )
    assert torch.equal(first, views.view(3, 0))
    assert not torch.equal(first, views.view(3, 1))
    assert not torch.equal(first, views.view(5, 0))


def test_batches_are_in_order_and_an_error_of_a_reader_is_raised() -> None:
    def read(index: int) -> torch.Tensor:
        if index == 99:
            raise ValueError("unreadable")
        return torch.tensor([index])

    found = list(batches_ahead(read, list(range(25)), batch=4, workers=3))
    assert torch.cat([images[:, 0] for images, _ in found]).tolist() == list(range(25))
    assert torch.cat([indices for _, indices in found]).tolist() == list(range(25))
    assert len(found[-1][1]) == 1
    with pytest.raises(ValueError, match="unreadable"):
        list(batches_ahead(read, [0, 1, 99, 3], batch=2, workers=2))
