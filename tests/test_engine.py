"""ONNX Runtime in the place of torch: the same answers, kept in a cache, and torch where it can't be had."""

import sys
from pathlib import Path

import numpy as np
import pytest
from commands import Run
from painted import paint_photos

from mushroom import engine
from mushroom.classifier import Classifier
from mushroom.photos import read_photo_file
from mushroom.streaming import answers, photo_files

pytest.importorskip("onnxruntime", reason="needs the extra export")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("photos") / "painted"
    paint_photos(folder, (200, 40, 40), 5)
    return str(folder)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "mushroom"


def test_the_answers_are_those_of_torch(checkpoint: Path, photos: str, cache: Path) -> None:
    plain, fast = Classifier.load(checkpoint, batch=2), Classifier.load(checkpoint, batch=2)
    assert engine.speed_up(fast, photos=engine.WORTH_EXPORTING) is None
    assert fast.forward_images is not None
    files = list(photo_files(photos))
    for (_, one), (_, other) in zip(answers(plain, files), answers(fast, files), strict=True):
        assert one.genus == other.genus
        np.testing.assert_allclose(one.logits, other.logits, atol=engine.TOLERANCE)
    assert len(list(cache.iterdir())) == 1


def test_single_photos_too_are_answered_as_their_explanations_say(checkpoint: Path, photos: str, cache: Path) -> None:
    classifier = Classifier.load(checkpoint)
    engine.speed_up(classifier, photos=engine.WORTH_EXPORTING)
    asked = []
    forward = classifier.forward_images
    assert forward is not None
    classifier.forward_images = lambda images: asked.append(len(images)) or forward(images)  # type: ignore[func-returns-value]
    photo = read_photo_file(Path(next(photo_files(photos))))
    [answer] = classifier.predict([photo])
    assert asked == [1]
    assert answer.probabilities == pytest.approx(classifier.explain(photo).prediction.probabilities, abs=1e-4)
    assert asked == [1]


def test_few_photos_are_not_worth_an_export_but_what_is_kept_is_used(checkpoint: Path, cache: Path) -> None:
    few = Classifier.load(checkpoint)
    assert engine.speed_up(few, photos=engine.WORTH_LOADING) is None
    assert few.forward_images is None
    assert not cache.exists()
    engine.speed_up(Classifier.load(checkpoint), photos=engine.WORTH_EXPORTING)
    engine.speed_up(few, photos=engine.WORTH_LOADING)
    assert few.forward_images is not None
    one = Classifier.load(checkpoint)
    engine.speed_up(one, photos=engine.WORTH_LOADING - 1)
    assert one.forward_images is None


def test_without_it_or_with_a_damaged_file_torch_answers_and_says_so(
    run: Run, checkpoint: Path, photos: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = Classifier.load(checkpoint)
    engine.speed_up(classifier, photos=engine.WORTH_EXPORTING)
    [file] = cache.iterdir()
    file.write_bytes(b"damaged")
    monkeypatch.setattr(engine, "WORTH_LOADING", 1)
    command = ("predict", photos, "--checkpoint", checkpoint, "--device", "cpu")
    ran = run(*command)
    assert (ran.status, "Answering with torch" in ran.err) == (0, True)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    ran = run(*command)
    assert (ran.status, "pip install" in ran.err) == (0, True)


def test_without_it_many_photos_go_through_torch_with_the_channels_innermost(
    checkpoint: Path, photos: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    plain, many = Classifier.load(checkpoint), Classifier.load(checkpoint)
    assert engine.speed_up(many, photos=engine.WORTH_EXPORTING) == engine.NOT_INSTALLED
    photo = read_photo_file(Path(next(photo_files(photos))))
    assert not many.model.backbone.conv_stem.weight.is_contiguous()
    np.testing.assert_allclose(many.logits([photo]), plain.logits([photo]), atol=1e-4)


def test_other_answers_are_not_taken(checkpoint: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "TOLERANCE", -1.0)
    classifier = Classifier.load(checkpoint)
    assert "differ from torch's" in str(engine.speed_up(classifier, photos=engine.WORTH_EXPORTING))
    assert classifier.forward_images is None
