"""The same answers from many machines: ``Classifier`` as an actor of Ray Data, for archives of millions of photos.

Ray is an optional extra (``pip install ray[data]``) and imported only here. What it is given must be reachable from
every machine under the same name: the photos (a shared disk, ``s3://``), the checkpoint and this project.
"""

import json
import logging
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from mushroom.classifier import BATCH, Classifier
from mushroom.errors import RayMissing
from mushroom.streaming import answer_line, answers

PHOTOS_A_ROUND = 100_000
"""Names that are handed to Ray at once, so that the driver's memory does not grow with the archive."""

PHOTOS_A_TASK = 64
"""What is done again where a machine is lost."""


class Answerer:
    """One loaded classifier on one of the machines."""

    def __init__(self, checkpoint: str | None, device: str = "cpu", batch: int = BATCH) -> None:
        self.classifier = Classifier.load(checkpoint, device=device, batch=batch)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        files = [json.loads(name) for name in batch["file"]]
        answered = answers(self.classifier, files)
        return {"line": [json.dumps(answer_line(*each, self.classifier), allow_nan=False) for each in answered]}


def answered_lines(
    checkpoint: str | None, files: Iterable[str], device: str = "cpu", batch: int = BATCH
) -> Iterator[dict[str, Any]]:
    """What ``streaming.answer_line`` makes of each file, as it comes back; each exactly once.

    ``device`` and ``batch`` are those of each machine's classifier; ``auto`` is CUDA where the cluster has any.
    Ray does the tasks of a lost machine again on the others. It is reached at ``RAY_ADDRESS``, or started on this
    machine. Raises RayMissing with a sentence.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise RayMissing('Ray is not installed: pip install "ray[data]", or leave --engine ray away.') from error
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    resources = ray.cluster_resources()
    gpus = int(resources.get("GPU", 0)) if device in ("auto", "cuda") else 0
    most = max(1, gpus or int(resources.get("CPU", 1)))
    remaining = iter(files)
    while names := list(islice(remaining, PHOTOS_A_ROUND)):
        tasks = -(-len(names) // PHOTOS_A_TASK)
        # Names as JSON: a file name may hold bytes that are no text.
        rows = [{"file": json.dumps(name, allow_nan=False)} for name in names]
        done = ray.data.from_items(rows, override_num_blocks=tasks).map_batches(
            Answerer,
            fn_constructor_args=(checkpoint, "cuda" if gpus else device, batch),
            batch_size=PHOTOS_A_TASK,
            num_cpus=1,
            num_gpus=1 if gpus else 0,
            # All at once: a classifier takes seconds to load, and a pool that grows would load them one by one.
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=min(most, tasks), initial_size=min(most, tasks)),
        )
        for row in done.iter_rows():
            yield json.loads(row["line"])
