"""Publish and fetch against a Hub on this machine."""

import errno
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from local_hub import REPO, TOKEN, Hub, serve
from networks import untrained_checkpoint
from painted import PAINTED, paint_photos

import train
from mushroom.checkpoint import CONFIG_FILE, HISTORY_FILE, REPORT_FILE, WEIGHTS_FILE, list_checkpoints
from mushroom.classifier import Classifier
from mushroom.dataset import DATASET_FILE, load_prepared
from mushroom.errors import CheckpointError, HubError
from mushroom.evaluation.publish import publish, size_text
from mushroom.hub import HubAddress, fetch, fetch_test_photos, parse_address
from mushroom.training.prepare import prepare


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A Hub on this machine; huggingface_hub is told of it as HF_ENDPOINT would, and caches in a fresh folder."""
    hub = Hub()
    with serve(hub) as endpoint:
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield hub
        huggingface_hub.close_session()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A small checkpoint folder with the report of the one that ships."""
    folder = untrained_checkpoint(tmp_path / "small")
    (folder / REPORT_FILE).write_bytes((list_checkpoints()[0] / REPORT_FILE).read_bytes())
    (folder / HISTORY_FILE).write_text("epoch\n")
    (folder / "secret.txt").write_text("not for the Hub")
    return folder


@pytest.fixture
def published(hub: Hub, checkpoint: Path) -> Hub:
    publish(checkpoint, REPO)
    return hub


def test_publish_sends_the_folder_and_its_card_in_one_commit(hub: Hub, checkpoint: Path) -> None:
    output = publish(checkpoint, REPO)
    assert output == f"Published: hf://{REPO}@{hub.head}"
    files = hub.commits[hub.head]
    assert set(files) == {".gitattributes", WEIGHTS_FILE, CONFIG_FILE, REPORT_FILE, HISTORY_FILE, "README.md"}
    assert files[WEIGHTS_FILE] == (checkpoint / WEIGHTS_FILE).read_bytes()
    assert sum("/commit/" in request for request in hub.requests) == 1
    card = files["README.md"].decode()
    assert f'Classifier.load("hf://{REPO}")' in card
    data = huggingface_hub.ModelCard(card).data
    assert data.license == "apache-2.0"
    results = {result.metric_type: result.metric_value for result in data.eval_results}
    accuracy = json.loads(files[REPORT_FILE])["splits"]["test"]["accuracy"]
    assert results["accuracy"] == pytest.approx(accuracy, abs=1e-4)


def test_the_onnx_file_is_sent_along_where_it_is_asked_for(hub: Hub, checkpoint: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra export")
    assert train.main(["publish", str(checkpoint), "--repo", REPO, "--with", "onnx"]) == 0
    assert len(hub.commits[hub.head]["model.onnx"]) > 1000


def test_a_dry_run_asks_nothing_of_the_hub(hub: Hub, checkpoint: Path) -> None:
    output = publish(checkpoint, REPO, dry_run=True)
    assert WEIGHTS_FILE in output
    assert "README.md" in output
    assert "secret" not in output
    assert "0.00" not in output
    assert re.search(r"config.json  \d+ bytes|config.json  \d+\.\d kB", output)
    assert hub.requests == []


def test_weights_and_json_are_fetched_and_answer_the_same_and_the_app_also_takes_the_tables(
    published: Hub, checkpoint: Path
) -> None:
    fetched = Classifier.load(f"hf://{REPO}")
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(fetched.model(images), Classifier.load(checkpoint).model(images))
    assert {path.name for path in fetched.folder.iterdir()} == {WEIGHTS_FILE, CONFIG_FILE, REPORT_FILE}
    names = {path.name for path in fetch(HubAddress(REPO), records=True).iterdir()}
    assert names == {WEIGHTS_FILE, CONFIG_FILE, REPORT_FILE, HISTORY_FILE}


def test_a_fetched_folder_is_pinned_to_its_commit_and_there_again_without_the_hub(
    published: Hub, checkpoint: Path
) -> None:
    first = published.head
    publish(checkpoint, REPO)
    assert published.head != first
    assert fetch(HubAddress(REPO)).name == published.head
    folder = fetch(HubAddress(REPO, first))
    assert folder.name == first
    published.fail["/"] = 503
    assert fetch(HubAddress(REPO, first)) == folder


def test_a_broken_off_download_is_told_and_resumed(published: Hub) -> None:
    published.truncate = True
    with pytest.raises(HubError, match=r"broke off|could not be reached"):
        fetch(HubAddress(REPO))
    published.truncate = False
    assert Classifier.load(f"hf://{REPO}").config.name == "small"


@pytest.mark.parametrize(("step", "status"), [("/commit/", 400), ("/upload/", 403)])
def test_a_failed_upload_leaves_nothing_half_published_and_is_taken_up_again(
    hub: Hub, checkpoint: Path, step: str, status: int
) -> None:
    hub.fail[step] = status
    with pytest.raises(HubError):
        publish(checkpoint, REPO)
    assert set(hub.commits[hub.head]) == {".gitattributes"}
    hub.fail.clear()
    publish(checkpoint, REPO)
    assert WEIGHTS_FILE in hub.commits[hub.head]


@pytest.mark.parametrize(("status", "sentence"), [(401, "no repository|refused"), (403, "refused"), (400, "400")])
def test_a_refusal_is_a_sentence(hub: Hub, checkpoint: Path, status: int, sentence: str) -> None:
    hub.fail["/api/"] = status
    with pytest.raises(HubError, match=sentence):
        publish(checkpoint, REPO)


def test_what_keeps_a_folder_from_being_fetched_is_a_sentence(published: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HubError, match="no such branch, tag or commit"):
        fetch(HubAddress(REPO, "v9"))
    published.fail["/api/"] = 404
    with pytest.raises(HubError, match="no repository someone/mushrooms"):
        fetch(HubAddress(REPO))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match=r"could not be reached|broke off"):
        fetch(HubAddress(REPO))
    full = Mock(side_effect=OSError(errno.ENOSPC, "No space left on device"))
    monkeypatch.setattr("mushroom.hub.snapshot_download", full)
    with pytest.raises(HubError, match="disk is full"):
        fetch(HubAddress(REPO))


def test_nothing_is_asked_of_the_hub_without_a_token_whole_weights_and_a_report(
    hub: Hub, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubError, match="hf auth login"):
        publish(checkpoint, REPO)
    (checkpoint / REPORT_FILE).unlink()
    with pytest.raises(HubError, match="evaluate"):
        publish(checkpoint, REPO)
    (checkpoint / WEIGHTS_FILE).write_bytes(b"no")
    with pytest.raises(CheckpointError, match="safetensors"):
        publish(checkpoint, REPO)
    assert hub.requests == []


@pytest.mark.parametrize(
    ("count", "output"), [(0, "0 bytes"), (999, "999 bytes"), (2097, "2.1 kB"), (11_904_298, "11.90 MB")]
)
def test_no_file_has_a_size_of_nothing(count: int, output: str) -> None:
    assert size_text(count) == output


@pytest.mark.parametrize("text", ["hf://", "hf://name", "hf://a/b/c", "hf://../etc", "hf://a/b@c d", "hf://a b/c"])
def test_an_address_that_is_none_is_a_sentence(text: str) -> None:
    with pytest.raises(HubError, match="write hf://user/name"):
        parse_address(text)


def test_an_address_may_name_a_revision() -> None:
    assert parse_address("hf://a/b@v1.0") == HubAddress("a/b", "v1.0")
    assert parse_address("hf://a/b") == HubAddress("a/b")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A prepared folder that holds its photos."""
    folder = tmp_path / "prepared"
    for genus, colour in PAINTED.items():
        paint_photos(folder / "photos" / genus, colour, 6)
    shutil.move(folder / "photos/Amanita/0.jpg", folder / "photos/Amanita/a [1].jpg")
    prepare(folder / "photos", folder, progress=False)
    return folder


def test_the_photos_of_the_test_split_come_from_a_dataset_and_no_others(hub: Hub, photos: Path) -> None:
    hub.commit_folder(photos)
    fetched = load_prepared(fetch_test_photos(parse_address(f"hf://datasets/{REPO}")))
    assert fetched.fingerprint == load_prepared(photos).fingerprint
    for row in fetched.manifest.to_dict("records"):
        assert fetched.photo_path(row).is_file() == (row["split"] == "test"), row["photo"]


@pytest.mark.parametrize("root", ["/", "..", "photos/../../.."])
def test_a_dataset_that_points_elsewhere_is_refused(hub: Hub, photos: Path, root: str) -> None:
    facts = json.loads((photos / DATASET_FILE).read_text())
    (photos / DATASET_FILE).write_text(json.dumps(facts | {"root": root}))
    hub.commit_folder(photos)
    with pytest.raises(HubError, match="does not hold its own photos"):
        fetch_test_photos(HubAddress(REPO))
