"""Answers for any number of photos: files in a fixed order, read ahead of the network, a few batches in memory."""

import heapq
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

import torch

from mushroom.classifier import BATCH, Classifier, Prediction
from mushroom.errors import PhotoError
from mushroom.photos import MAX_BYTES, PHOTO_SUFFIXES, read_photo, read_photo_file, to_tensor

READERS = os.cpu_count() or 1
AHEAD = 3 * BATCH
"""Photos that are read while the network is busy with those before."""

WEIGHTS_DIGITS = 12
"""Of the hash of the weights, enough to tell networks apart."""

NAMES_AT_ONCE = 100_000
"""Names of one folder held in memory; a larger folder is gone through again for each such part."""


def photo_files(place: str) -> Iterator[str]:
    """The photo files in a folder and the folders in it, in the same order every time; ``place`` itself if it is none.

    ``place`` is a path, or an address that pyarrow's file systems know: ``s3://bucket/folder``. Linked folders are
    passed over, linked files are not. Raises OSError where it can't be reached.
    """
    if "://" in place:
        yield from _remote_files(place)
    elif os.path.isdir(place):
        for name in _sorted_names(place):
            path = os.path.join(place, name)
            if os.path.isdir(path):
                if not os.path.islink(path):
                    yield from photo_files(path)
            elif Path(name).suffix.lower() in PHOTO_SUFFIXES:
                yield path
    else:
        yield place


def _sorted_names(folder: str) -> Iterator[str]:
    """The names in a folder in order, holding no more than ``NAMES_AT_ONCE`` of them."""
    last = ""
    while True:
        with os.scandir(folder) as entries:
            names = heapq.nsmallest(NAMES_AT_ONCE, (entry.name for entry in entries if entry.name > last))
        yield from names
        if len(names) < NAMES_AT_ONCE:
            return
        last = names[-1]


def _remote_files(address: str) -> Iterator[str]:
    from pyarrow import fs

    system, folder = _opened(address)
    if system.get_file_info(folder).type != fs.FileType.Directory:
        yield address
        return
    place, mark, options = address.partition("?")
    prefix = place.rstrip("/").removesuffix(folder.rstrip("/"))
    found = system.get_file_info(fs.FileSelector(folder, recursive=True))
    for path in sorted(each.path for each in found if each.type == fs.FileType.File):
        if Path(path).suffix.lower() in PHOTO_SUFFIXES:
            yield prefix + path + mark + options


def _opened(address: str) -> tuple[Any, str]:
    """The file system of an address, written as it reads (no %20), and the path in it."""
    from pyarrow import fs

    scheme, _, rest = address.partition("://")
    return fs.FileSystem.from_uri(f"{scheme}://{quote(rest, safe='/@:?=&')}")


def answers(classifier: Classifier, files: Iterable[str]) -> Iterator[tuple[str, Prediction | str]]:
    """Each file in order with the network's answer, or with the sentence that says why it is no photo.

    While the network is busy with one batch, threads read and shrink the photos of the next: what waits for the
    network is float32 (3, input_px, input_px) a photo, however large its file.
    """
    with ThreadPoolExecutor(READERS, thread_name_prefix="reader") as readers:
        waiting: deque[tuple[str, Future[torch.Tensor | str]]] = deque()
        batch: list[tuple[str, torch.Tensor | str]] = []
        try:
            for file in chain(files, [None] * AHEAD):
                if file is not None:
                    waiting.append((file, readers.submit(_read, classifier, file)))
                if waiting and (file is None or len(waiting) > AHEAD):
                    name, reading = waiting.popleft()
                    batch.append((name, reading.result()))
                if len(batch) == BATCH:
                    yield from _answered(classifier, batch)
                    batch = []
            yield from _answered(classifier, batch)
        finally:
            readers.shutdown(wait=False, cancel_futures=True)


def answer_line(file: str, answer: Prediction | str, weights_sha256: str) -> dict[str, Any]:
    """What is told of a file: the answer, and which weights gave it; or the sentence that says why there is none."""
    if isinstance(answer, str):
        return {"photo": file, "error": answer}
    return {
        "photo": file,
        "genus": answer.genus,
        "confidence": answer.confidence,
        "probabilities": answer.probabilities,
        "unknown": answer.unknown,
        "unknown_score": answer.unknown_score,
        "weights": weights_sha256[:WEIGHTS_DIGITS],
    }


def _answered(
    classifier: Classifier, batch: list[tuple[str, torch.Tensor | str]]
) -> Iterator[tuple[str, Prediction | str]]:
    images = [read for _, read in batch if isinstance(read, torch.Tensor)]
    predictions = iter(classifier.predict_images(torch.stack(images)) if images else ())
    for file, read in batch:
        yield file, next(predictions) if isinstance(read, torch.Tensor) else read


def _read(classifier: Classifier, file: str) -> torch.Tensor | str:
    try:
        photo = read_photo(_remote_bytes(file)) if "://" in file else read_photo_file(Path(file))
        return to_tensor(photo, classifier.preprocessing)
    except PhotoError as error:
        return str(error)


def _remote_bytes(address: str) -> bytes:
    try:
        system, path = _opened(address)
        with system.open_input_file(path) as file:
            # One byte too many is enough for the reader to refuse it.
            return file.read(min(file.size(), MAX_BYTES + 1))
    # pyarrow's own errors are OSErrors, but for an address that it can't read.
    except (OSError, ValueError) as error:
        raise PhotoError("This file can't be read.") from error
