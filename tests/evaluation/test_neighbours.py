"""The nearest training photos by a network's features."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import Run
from networks import untrained_checkpoint

from mushroom.checkpoint import write_safetensors
from mushroom.classifier import Classifier
from mushroom.dataset import Prepared
from mushroom.errors import CheckpointError
from mushroom.evaluation.neighbours import (
    NeighbourIndex,
    build_index,
    index_path,
    keep_index,
    load_index,
    training_rows,
)
from mushroom.photos import read_photo_file


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    return Classifier.load(untrained_checkpoint(tmp_path_factory.mktemp("small")), batch=4)


def test_a_training_photo_is_nearest_to_itself_now_and_from_the_index_that_was_kept(
    classifier: Classifier, prepared: Prepared
) -> None:
    assert load_index(classifier, prepared) is None
    shares: list[float] = []
    built = build_index(classifier, prepared, on_progress=shares.append)
    assert (len(built.rows), shares[-1]) == ((prepared.manifest.split == "train").sum(), 1.0)
    assert keep_index(classifier, built) == index_path(classifier, prepared)
    kept = load_index(classifier, prepared)
    assert kept is not None
    row = training_rows(prepared)[3]
    path = prepared.photo_path(row)
    [own] = classifier.features([read_photo_file(path)])
    for index in (built, kept):
        found = index.nearest(own, 5)
        assert len(found) == 5
        assert (found[0].path, found[0].genus, found[0].source) == (path, row["genus"], "")
        assert found[0].similarity == pytest.approx(1.0, abs=1e-3)
        assert [each.similarity for each in found] == sorted((each.similarity for each in found), reverse=True)


def test_a_photo_that_is_gone_is_no_neighbour(classifier: Classifier, prepared: Prepared, tmp_path: Path) -> None:
    moved = replace(prepared, root=tmp_path)
    for number, row in enumerate(training_rows(moved)):
        if number != 2:
            moved.photo_path(row).parent.mkdir(exist_ok=True)
            moved.photo_path(row).write_bytes(prepared.photo_path(row).read_bytes())
    index = build_index(classifier, moved)
    assert 2 not in index.rows
    assert len(index.rows) == len(training_rows(moved)) - 1
    path = moved.photo_path(training_rows(moved)[3])
    [own] = classifier.features([read_photo_file(path)])
    assert index.nearest(own, 1)[0].path == path


def test_nearness_is_a_direction_not_a_length(prepared: Prepared) -> None:
    features = np.array([[0, 1], [1, 0.02], [0.7, 0.7]], np.float32)
    index = NeighbourIndex(prepared, np.array([4, 2, 7]), features)
    photos = training_rows(prepared)
    found = index.nearest(np.array([9.0, 0.0]), 2)
    assert [each.path for each in found] == [prepared.photo_path(photos[2]), prepared.photo_path(photos[7])]


@pytest.mark.parametrize(
    "kept",
    [
        {"features": torch.zeros(2, 3)},
        {"features": torch.zeros(2, 3), "rows": torch.tensor([0, 999])},
        {"features": torch.zeros(2, 3), "rows": torch.tensor([0, 1, 2])},
    ],
    ids=["no rows", "rows that are none", "other rows"],
)
def test_an_index_that_is_damaged_is_a_sentence(
    classifier: Classifier, prepared: Prepared, kept: dict[str, torch.Tensor]
) -> None:
    path = index_path(classifier, prepared)
    write_safetensors(path, kept)
    with pytest.raises(CheckpointError, match="made anew"):
        load_index(classifier, prepared)
    path.write_bytes(b"no")
    with pytest.raises(CheckpointError, match="damaged"):
        load_index(classifier, prepared)


def test_the_command_keeps_an_index_where_the_app_looks_for_it(
    run: Run, classifier: Classifier, prepared: Prepared
) -> None:
    index_path(classifier, prepared).unlink(missing_ok=True)
    ran = run("neighbours", classifier.folder, prepared.folder, "--batch", 5)
    assert str(index_path(classifier, prepared)) in ran.out
    assert load_index(classifier, prepared) is not None
