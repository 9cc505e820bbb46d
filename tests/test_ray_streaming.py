"""Ray spreads an archive over machines: a cluster of processes on this one, of which one is killed."""

import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from app_server import REPOSITORY
from commands import Run
from painted import paint_photos

from mushroom import ray_streaming
from mushroom.classifier import Classifier
from mushroom.errors import SOME_PHOTOS_FAILED
from mushroom.streaming import answer_line, answers, photo_files

SUPPORT = REPOSITORY / "tests" / "support"
PHOTOS = 300
PHOTOS_A_TASK = 6
MEETING_PLACE = "MUSHROOM_TEST_MEETING_PLACE"

# A dead node is noticed in seconds, where Ray would wait for half a minute.
ATTENTIVE = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 3,
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    paint_photos(folder / "a", (200, 40, 40), PHOTOS - 1)
    (folder / "a" / "not a photo.jpg").write_bytes(b"no")
    return folder


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head that does no work, to which tests add the machines that do."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray = pytest.importorskip("ray", reason="Ray is not installed (pip install 'ray[data]')")
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "include_dashboard": False, "_system_config": ATTENTIVE},
    )
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    yield cluster
    ray.shutdown()
    cluster.shutdown()


class NotingAnswerer(ray_streaming.Answerer):
    """Notes on each line which machine it is from, and begins when two machines are there."""

    def __init__(self, checkpoint: str | None, device: str, batch: int) -> None:
        import ray

        super().__init__(checkpoint, device, batch)
        self.machine = ray.get_runtime_context().get_node_id()
        self.meeting_place = Path(os.environ[MEETING_PLACE])
        (self.meeting_place / self.machine).touch()

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        while len(list(self.meeting_place.iterdir())) < 2:
            threading.Event().wait(0.1)
        output = super().__call__(batch)
        return {"line": [json.dumps(json.loads(line) | {"machine": self.machine}) for line in output["line"]]}


def assert_as_on_this_machine(lines: list[dict[str, Any]], archive: Path, checkpoint: Path) -> None:
    """Every photo once, with the answer that this machine alone gives."""
    classifier = Classifier.load(checkpoint)
    alone = {
        file: answer_line(file, answer, classifier) for file, answer in answers(classifier, photo_files(str(archive)))
    }
    assert sorted(line["photo"] for line in lines) == sorted(alone)
    for line in lines:
        expected = alone[line["photo"]]
        compared = ("genus", "error", "weights", "unknown")
        assert [line.get(key) for key in compared] == [expected.get(key) for key in compared]
        if "probabilities" in line:
            assert line["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-4)


@pytest.mark.slow
def test_a_machine_killed_in_mid_run_loses_nothing_and_repeats_nothing(
    cluster: Any, archive: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ray_streaming, "PHOTOS_A_TASK", PHOTOS_A_TASK)
    monkeypatch.setattr(ray_streaming, "Answerer", NotingAnswerer)
    monkeypatch.setenv(MEETING_PLACE, str(tmp_path))
    # The machines must find this module, too.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, [REPOSITORY, SUPPORT])))
    machines = {machine.node_id: machine for machine in (cluster.add_node(num_cpus=1) for _ in range(2))}
    lines: list[dict[str, Any]] = []
    killed_after = 0
    for line in ray_streaming.answered_lines(str(checkpoint), photo_files(str(archive))):
        lines.append(line)
        if not killed_after and {each["machine"] for each in lines} == set(machines):
            cluster.remove_node(machines[line["machine"]], allow_graceful=False)
            killed_after = len(lines)
    assert 0 < killed_after < PHOTOS - 2 * PHOTOS_A_TASK
    assert_as_on_this_machine(lines, archive, checkpoint)


@pytest.mark.slow
def test_the_command_takes_ray_as_its_engine(cluster: Any, run: Run, archive: Path, checkpoint: Path) -> None:
    cluster.add_node(num_cpus=1)
    ran = run("predict", archive, "--engine", "ray", "--json", "--checkpoint", checkpoint)
    assert ran.status == SOME_PHOTOS_FAILED
    lines = [json.loads(line) for line in ran.out.splitlines() if line.startswith("{")]
    assert_as_on_this_machine(lines, archive, checkpoint)


def test_without_ray_a_sentence_says_how_to_get_it(
    run: Run, archive: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "pip install" in run("predict", archive, "--engine", "ray", "--checkpoint", checkpoint).refusal
