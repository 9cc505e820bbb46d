"""The nearest training photos by a network's features."""

from pathlib import Path

import pytest
import torch
from painted import PAINTED, paint_photos

from mushroom.checkpoint import save_checkpoint, write_safetensors
from mushroom.classifier import Classifier
from mushroom.dataset import Prepared, load_prepared
from mushroom.errors import CheckpointError
from mushroom.evaluation.neighbours import build_index, index_path, load_index
from mushroom.model import ModelConfig, build_model
from mushroom.photos import read_photo_file
from mushroom.training.prepare import prepare

CONFIG = ModelConfig(name="small", backbone="mobilenetv3_small_050", input_px=64)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    root = tmp_path_factory.mktemp("neighbours")
    for genus, colour in PAINTED.items():
        paint_photos(root / "photos" / genus, colour, 6)
    prepare(str(root / "photos"), root / "prepared", progress=False)
    return load_prepared(root / "prepared")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("small")
    save_checkpoint(folder, build_model(CONFIG), CONFIG)
    return Classifier.load(folder, batch=4)


def test_a_training_photo_is_nearest_to_itself_now_and_from_the_index_that_was_kept(
    classifier: Classifier, prepared: Prepared
) -> None:
    assert load_index(classifier, prepared) is None
    built = build_index(classifier, prepared)
    assert len(built.photos) == (prepared.manifest.split == "train").sum()
    kept = load_index(classifier, prepared)
    assert kept is not None
    row = built.photos.to_dict("records")[3]
    path = prepared.photo_path(row)
    for index in (built, kept):
        found = index.nearest(classifier, read_photo_file(path))
        assert len(found) == 5
        assert (found[0].path, found[0].genus) == (path, row["genus"])
        assert found[0].similarity == pytest.approx(1.0, abs=1e-3)
        assert [each.similarity for each in found] == sorted((each.similarity for each in found), reverse=True)


def test_an_index_that_is_damaged_is_a_sentence(classifier: Classifier, prepared: Prepared) -> None:
    path: Path = index_path(classifier, prepared)
    write_safetensors(path, {"features": torch.zeros(2, 3)})
    with pytest.raises(CheckpointError, match="made anew"):
        load_index(classifier, prepared)
    path.write_bytes(b"no")
    with pytest.raises(CheckpointError, match="damaged"):
        load_index(classifier, prepared)
