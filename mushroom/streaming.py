"""Answers for any number of photos: files in a fixed order, read ahead of the network, a few batches in memory."""

import heapq
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import numpy as np
import torch
from PIL import Image

from mushroom.classifier import Classifier, Prediction
from mushroom.errors import PhotoError
from mushroom.photos import MAX_BYTES, is_photo_name, is_system_name, read_photo, read_photo_file, to_tensor

File = TypeVar("File")
Read = TypeVar("Read")

READERS = os.cpu_count() or 1
BATCHES_AHEAD = 3
"""Batches of photos that are read while the network is busy with the one before."""

HASH_DIGITS = 12
"""Of a hash, enough to tell networks apart."""

NAMES_AT_ONCE = 100_000
"""Names of one folder held in memory; a larger folder is gone through again for each such part."""


@dataclass(frozen=True)
class ListedFile:
    """A file as it was listed: what tells whether it is still the same one later.

    ``modified`` is ISO 8601 in UTC. Both are None where nothing can be said of the file, as where there is none.
    """

    path: str
    size_bytes: int | None = None
    modified: str | None = None


def photo_files(place: str, skipped: Counter[str] | None = None) -> Iterator[str]:
    """The paths of ``listed_files``."""
    return (file.path for file in listed_files(place, skipped))


def listed_files(place: str, skipped: Counter[str] | None = None) -> Iterator[ListedFile]:
    """The photo files in a folder and the folders in it, in the same order every time; ``place`` itself if it is none.

    ``place`` is a path, or an address that pyarrow's file systems know: ``s3://bucket/folder``. Links are followed,
    but never into a folder that they are in. Files that don't end like photos are counted in ``skipped``, by ending;
    what systems leave behind is not. Raises OSError where it can't be reached.
    """
    if "://" in place:
        yield from _remote_files(place, skipped)
    elif os.path.isdir(place):
        yield from _files_in(place, skipped, ())
    else:
        yield _listed(place)


def _files_in(folder: str, skipped: Counter[str] | None, above: tuple[str, ...]) -> Iterator[ListedFile]:
    """The photo files in ``folder``; ``above`` are the real paths of the folders that it is in."""
    inside = (*above, os.path.realpath(folder))
    for name in _sorted_names(folder):
        path = os.path.join(folder, name)
        if is_system_name(name):
            continue
        if os.path.isdir(path):
            if os.path.realpath(path) not in inside:
                yield from _files_in(path, skipped, inside)
        elif is_photo_name(name):
            yield _listed(path)
        elif skipped is not None:
            skipped[_ending(name)] += 1


def _listed(path: str) -> ListedFile:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        # Who reads the file gets the reason.
        return ListedFile(path)
    return ListedFile(path, status.st_size, _moment(status.st_mtime_ns))


def _moment(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def _ending(name: str) -> str:
    return Path(name).suffix.lower() or "no ending"


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


def _remote_files(address: str, skipped: Counter[str] | None) -> Iterator[ListedFile]:
    from pyarrow import fs

    system, folder = _file_system(address)
    if system.get_file_info(folder).type != fs.FileType.Directory:
        yield _remotely_listed(address, system.get_file_info(folder))
        return
    place, mark, options = address.partition("?")
    prefix = place.rstrip("/").removesuffix(folder.rstrip("/"))
    found = system.get_file_info(fs.FileSelector(folder, recursive=True))
    for each in sorted(found, key=lambda info: info.path):
        inner = each.path[len(folder.rstrip("/")) :].split("/")
        if each.type != fs.FileType.File or any(map(is_system_name, inner)):
            continue
        if is_photo_name(each.path):
            yield _remotely_listed(prefix + each.path + mark + options, each)
        elif skipped is not None:
            skipped[_ending(each.path)] += 1


def _remotely_listed(address: str, info: Any) -> ListedFile:
    nanoseconds = info.mtime_ns
    return ListedFile(address, info.size, None if nanoseconds is None else _moment(nanoseconds))


def _file_system(address: str) -> tuple[Any, str]:
    """The file system of an address, written as it reads (no %20), and the path in it."""
    from pyarrow import fs

    scheme, _, rest = address.partition("://")
    return fs.FileSystem.from_uri(f"{scheme}://{quote(rest, safe='/@:?=&')}")


def read_ahead(
    files: Iterable[File], read: Callable[[File], Read], ahead: int, threads: int = READERS
) -> Iterator[tuple[File, Read]]:
    """Each file, or what stands for it, in order with what ``read`` makes of it.

    Threads read so many files ahead of whoever takes them.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="reader") as readers:
        waiting: deque[tuple[File, Future[Read]]] = deque()
        try:
            for file in files:
                waiting.append((file, readers.submit(read, file)))
                if len(waiting) > ahead:
                    name, reading = waiting.popleft()
                    yield name, reading.result()
            while waiting:
                name, reading = waiting.popleft()
                yield name, reading.result()
        finally:
            readers.shutdown(wait=False, cancel_futures=True)


def answers(classifier: Classifier, files: Iterable[str]) -> Iterator[tuple[str, Prediction | str]]:
    """Each file in order with the network's answer, or with the sentence that says why it is no photo.

    While the network is busy with one batch, threads read and shrink the photos of the next: what waits for the
    network is float32 (3, input_px, input_px) a photo, however large its file.
    """
    for batch in _batches(classifier, files):
        images = [read for _, read in batch if isinstance(read, torch.Tensor)]
        predictions = iter(classifier.predict_images(torch.stack(images)) if images else ())
        for file, read in batch:
            yield file, next(predictions) if isinstance(read, torch.Tensor) else read


def answer_together(classifier: Classifier, files: Iterable[str]) -> tuple[Prediction | None, dict[str, str]]:
    """One answer for all photos of one mushroom, None where none can be read; and why each other file is no photo.

    See ``Classifier.predict_together``. Only logits are held in memory.
    """
    logits: list[np.ndarray] = []
    errors: dict[str, str] = {}
    for batch in _batches(classifier, files):
        errors |= {file: read for file, read in batch if isinstance(read, str)}
        if images := [read for _, read in batch if not isinstance(read, str)]:
            logits.append(classifier.image_logits(torch.stack(images)))
    return (classifier.read_together(np.concatenate(logits)) if logits else None), errors


def _batches(classifier: Classifier, files: Iterable[str]) -> Iterator[list[tuple[str, torch.Tensor | str]]]:
    images = read_ahead(files, lambda file: _read_image(classifier, file), BATCHES_AHEAD * classifier.batch)
    while batch := list(islice(images, classifier.batch)):
        yield batch


def answer_line(file: str, answer: Prediction | str, classifier: Classifier) -> dict[str, Any]:
    """A file's line: the answer and which network gave it; or the sentence that says why there is none."""
    if isinstance(answer, str):
        return {"photo": file, "error": answer}
    return {
        "photo": file,
        "genus": answer.genus,
        "confidence": answer.confidence,
        "probabilities": answer.probabilities,
        "unknown": answer.unknown,
        "unknown_score": answer.unknown_score,
        **network_names(classifier),
    }


def network_names(classifier: Classifier) -> dict[str, str]:
    """Which network answered: its name, its weights, and its checkpoint with temperature and threshold, by hash."""
    return {
        "model": classifier.config.name,
        "weights": classifier.weights_sha256[:HASH_DIGITS],
        "checkpoint": classifier.identity[:HASH_DIGITS],
    }


def _read_image(classifier: Classifier, file: str) -> torch.Tensor | str:
    photo = read_file(file, classifier.preprocessing.input_px)
    return photo if isinstance(photo, str) else to_tensor(photo, classifier.preprocessing)


def read_file(file: str, needed_px: int | None = None) -> Image.Image | str:
    """The RGB photo in a file of this machine or at an address; the sentence that says why where it is none.

    ``needed_px`` as ``read_photo`` takes it.
    """
    try:
        return read_photo(_remote_bytes(file), needed_px) if "://" in file else read_photo_file(Path(file), needed_px)
    except PhotoError as error:
        return str(error)


def _remote_bytes(address: str) -> bytes:
    try:
        system, path = _file_system(address)
        with system.open_input_file(path) as file:
            # One byte too many is enough for the reader to refuse it.
            return file.read(min(file.size(), MAX_BYTES + 1))
    # pyarrow's own errors are OSErrors, but for an address that it can't read.
    except (OSError, ValueError) as error:
        raise PhotoError("This file can't be read.") from error
