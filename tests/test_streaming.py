"""Predicting archives: files in order, answers in batches, little memory."""

import threading
import tracemalloc
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
import torch
from painted import ARCHIVE_PHOTOS, paint_photos

from mushroom import streaming
from mushroom.classifier import BATCH, Classifier, Prediction
from mushroom.photos import read_photo_file
from mushroom.streaming import BATCHES_AHEAD, answers, photo_files

AHEAD = BATCHES_AHEAD * BATCH

# --- Files --------------------------------------------------------------------------------------------------


def test_files_come_in_order_from_all_folders_and_a_large_folder_in_parts(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = list(photo_files(str(archive)))
    assert len(files) == ARCHIVE_PHOTOS
    assert files == sorted(files)
    monkeypatch.setattr(streaming, "NAMES_AT_ONCE", 7)
    assert list(photo_files(str(archive))) == files


def test_a_folder_that_links_to_itself_ends(tmp_path: Path) -> None:
    paint_photos(tmp_path / "photos", (1, 2, 3), 2)
    (tmp_path / "photos" / "again").symlink_to(tmp_path / "photos")
    (tmp_path / "photos" / "linked.jpg").symlink_to(tmp_path / "photos" / "0.jpg")
    assert [Path(file).name for file in photo_files(str(tmp_path))] == ["0.jpg", "1.jpg", "linked.jpg"]


def test_an_address_of_a_file_system_is_read_like_a_folder(archive: Path, checkpoint: Path) -> None:
    # file:// takes the same road as s3://, which can't be had here.
    local = [Path(file) for file in photo_files(str(archive))]
    remote = list(photo_files(f"file://{archive}"))
    assert sorted(remote) == sorted(f"file://{path}" for path in local)
    classifier = Classifier.load(checkpoint)
    output = {file.removeprefix("file://"): answer for file, answer in answers(classifier, remote)}
    assert output == dict(answers(classifier, sorted(map(str, local))))


# --- Answers ------------------------------------------------------------------------------------------------


def test_a_stream_gives_the_answers_that_predict_gives(archive: Path, checkpoint: Path) -> None:
    classifier = Classifier.load(checkpoint)
    files = list(photo_files(str(archive)))
    output = list(answers(classifier, files))
    assert [file for file, _ in output] == files
    bad = [(file, answer) for file, answer in output if isinstance(answer, str)]
    assert [Path(file).name for file, _ in bad] == ["50 not a photo.jpg"]
    good = [answer for _, answer in output if not isinstance(answer, str)]
    alone = classifier.predict([read_photo_file(Path(file)) for file in files if "not a photo" not in file])
    assert [answer.genus for answer in good] == [answer.genus for answer in alone]
    torch.testing.assert_close(
        torch.tensor([answer.logits for answer in good]), torch.tensor([answer.logits for answer in alone])
    )


def test_photos_are_read_ahead_but_only_so_many(archive: Path, checkpoint: Path) -> None:
    asked: list[str] = []

    def endless() -> Iterator[str]:
        files = list(photo_files(str(archive / "b")))
        while True:
            asked.extend(files)
            yield from files

    stream = answers(Classifier.load(checkpoint), endless())
    list(islice(stream, BATCH))
    stream.close()
    assert BATCH < len(asked) <= BATCH + AHEAD + len(list(photo_files(str(archive / "b"))))


def test_memory_does_not_grow_with_the_number_of_photos(archive: Path, checkpoint: Path) -> None:
    classifier = Classifier.load(checkpoint)
    one = str(next(iter(photo_files(str(archive)))))

    def peak(count: int) -> int:
        tracemalloc.start()
        for _ in answers(classifier, (one for _ in range(count))):
            pass
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(AHEAD + BATCH)
    assert peak(6 * (AHEAD + BATCH)) < 1.2 * peak(2 * (AHEAD + BATCH))


def test_reading_goes_on_while_the_network_works(
    archive: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = Classifier.load(checkpoint)
    read: list[str] = []
    next_batch_is_read = threading.Event()
    real_read, real_predict = streaming._read_image, classifier.predict_images

    def counted_read(classifier: Classifier, file: str) -> torch.Tensor | str:
        read.append(file)
        if len(read) == 2 * BATCH:
            next_batch_is_read.set()
        return real_read(classifier, file)

    def predict_when_the_next_batch_is_read(images: torch.Tensor) -> list[Prediction]:
        assert next_batch_is_read.wait(timeout=60)
        return real_predict(images)

    monkeypatch.setattr(streaming, "_read_image", counted_read)
    monkeypatch.setattr(classifier, "predict_images", predict_when_the_next_batch_is_read)
    assert len(list(answers(classifier, photo_files(str(archive))))) == ARCHIVE_PHOTOS
