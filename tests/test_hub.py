"""Publish and fetch against a server on this machine that speaks as much of the Hub's API as they use."""

import base64
import errno
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants

from mushroom.checkpoints import CONFIG_FILE, HISTORY_FILE, REPORT_FILE, WEIGHTS_FILE, list_checkpoints
from mushroom.classifier import Classifier
from mushroom.hub import HubAddress, HubError, fetch, parse_address, publish
from mushroom.model import CheckpointError, ModelConfig, build_model, save_checkpoint

REPO = "someone/mushrooms"
TOKEN = "hf_" + "x" * 34


@dataclass
class Hub:
    """One model repository: its files by commit, what was asked of it, and how it shall fail."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    fail: dict[str, int] = field(default_factory=dict)
    """Status to answer where the path of a request contains the key."""
    truncate: bool = False
    created: bool = False

    @property
    def head(self) -> str:
        return list(self.commits)[-1]

    def commit(self, files: dict[str, bytes]) -> str:
        before = self.commits[self.head] if self.commits else {}
        name = hashlib.sha1(repr(sorted(files)).encode() + bytes([len(self.commits)])).hexdigest()
        self.commits[name] = before | files
        return name


class Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, format: str, *args: object) -> None:
        """The tests' output stays clean."""

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        sent = body[: len(body) // 2] if self.hub.truncate and "ETag" in headers else body
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(sent)
        self.close_connection = True

    def json(self, value: object, status: int = 200) -> None:
        self.answer(status, json.dumps(value).encode(), Content_Type="application/json")

    def failed(self) -> bool:
        path = self.path.split("?")[0]
        self.hub.requests.append(f"{self.command} {path}")
        for part, status in self.hub.fail.items():
            if part in path:
                code = {"X_Error_Code": "RepoNotFound"} if status == 404 else {}
                self.answer(status, b"{}", **code)
                return True
        return False

    def do_GET(self) -> None:
        if self.failed():
            return None
        path = self.path.split("?")[0]
        parts = path.strip("/").split("/")
        if path.startswith(f"/api/models/{REPO}"):
            revision = parts[-1] if "revision" in parts or "tree" in parts else "main"
            commit = self.hub.head if revision == "main" else revision
            if commit not in self.hub.commits:
                return self.answer(404, b"{}", X_Error_Code="RevisionNotFound")
            files = self.hub.commits[commit]
            if "tree" in parts:
                return self.json(
                    [
                        {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                        for name, data in files.items()
                    ]
                )
            return self.json({"id": REPO, "sha": commit, "siblings": [{"rfilename": name} for name in files]})
        if path.startswith(f"/{REPO}/resolve/"):
            commit, name = parts[3], "/".join(parts[4:])
            data = self.hub.commits[commit][name]
            start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
            tag = {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X_Repo_Commit": commit, "Accept_Ranges": "bytes"}
            if start:
                tag["Content_Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            return self.answer(206 if start else 200, data[start:], **tag)
        return self.answer(404, b"{}")

    do_HEAD = do_GET

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            chunks = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_PUT(self) -> None:
        data = self.body()
        if self.failed():
            return None
        self.hub.objects[hashlib.sha256(data).hexdigest()] = data
        return self.answer(200)

    def do_POST(self) -> None:
        data = self.body()
        if self.failed():
            return None
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer(401, b"{}")
        path = self.path.split("?")[0]
        address = f"http://{self.headers['Host']}"
        if path == "/api/validate-yaml":
            return self.json({"errors": [], "warnings": []})
        if path == "/api/repos/create":
            self.hub.created = True
            if not self.hub.commits:
                self.hub.commit({".gitattributes": b""})
            return self.json({"url": f"{address}/{REPO}", "name": REPO})
        if "/preupload/" in path:
            return self.json(
                {
                    "files": [
                        {
                            "path": each["path"],
                            "uploadMode": "lfs" if each["path"].endswith(".safetensors") else "regular",
                            "shouldIgnore": False,
                        }
                        for each in json.loads(data)["files"]
                    ]
                }
            )
        if path.endswith("/objects/batch"):
            objects = [
                each | {"actions": {"upload": {"href": f"{address}/upload/{each['oid']}"}}}
                for each in json.loads(data)["objects"]
            ]
            return self.json({"transfer": "basic", "objects": objects})
        if "/commit/" in path:
            files = {}
            for line in map(json.loads, data.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    files[value["path"]] = self.hub.objects[value["oid"]]
            commit = self.hub.commit(files)
            return self.json({"commitOid": commit, "commitUrl": f"{address}/{REPO}/commit/{commit}", "success": True})
        return self.answer(404, b"{}")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A Hub on this machine; huggingface_hub is told of it as HF_ENDPOINT would, and caches in a fresh folder."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OneHub", (Handler,), {"hub": hub}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield hub
    server.shutdown()
    server.server_close()
    huggingface_hub.close_session()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A small checkpoint folder with the report of the one that ships."""
    torch.manual_seed(0)
    config = ModelConfig(name="small", backbone="mobilenetv3_small_050", input_px=64)
    folder = tmp_path / "small"
    save_checkpoint(folder, build_model(config), config)
    (folder / REPORT_FILE).write_bytes((list_checkpoints()[0] / REPORT_FILE).read_bytes())
    (folder / HISTORY_FILE).write_text("epoch\n")
    (folder / "secret.txt").write_text("not for the Hub")
    return folder


@pytest.fixture
def published(hub: Hub, checkpoint: Path) -> Hub:
    publish(checkpoint, REPO)
    return hub


def test_publish_sends_the_folder_and_its_card_in_one_commit(hub: Hub, checkpoint: Path) -> None:
    told = publish(checkpoint, REPO)
    assert told == f"Published: hf://{REPO}@{hub.head}"
    files = hub.commits[hub.head]
    assert set(files) == {".gitattributes", WEIGHTS_FILE, CONFIG_FILE, REPORT_FILE, HISTORY_FILE, "README.md"}
    assert files[WEIGHTS_FILE] == (checkpoint / WEIGHTS_FILE).read_bytes()
    assert sum("/commit/" in request for request in hub.requests) == 1


def test_the_card_has_a_model_index_and_says_how_to_load_it(published: Hub) -> None:
    card = published.commits[published.head]["README.md"].decode()
    assert f'Classifier.load("hf://{REPO}")' in card
    data = huggingface_hub.ModelCard(card).data
    report = json.loads(published.commits[published.head][REPORT_FILE])
    assert data.license == "apache-2.0"
    results = {result.metric_type: result.metric_value for result in data.eval_results}
    assert results["accuracy"] == pytest.approx(report["splits"]["test"]["accuracy"], abs=1e-4)


def test_a_dry_run_asks_nothing_of_the_hub(hub: Hub, checkpoint: Path) -> None:
    told = publish(checkpoint, REPO, dry_run=True)
    assert WEIGHTS_FILE in told
    assert "README.md" in told
    assert "secret" not in told
    assert hub.requests == []


def test_what_was_published_loads_and_answers_the_same(published: Hub, checkpoint: Path) -> None:
    fetched = Classifier.load(f"hf://{REPO}")
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(fetched.model(images), Classifier.load(checkpoint).model(images))


def test_fetch_takes_weights_and_json_only(published: Hub) -> None:
    names = {path.name for path in fetch(HubAddress(REPO)).iterdir()}
    assert names == {WEIGHTS_FILE, CONFIG_FILE, REPORT_FILE}


def test_a_fetched_folder_is_pinned_to_its_commit(published: Hub, checkpoint: Path) -> None:
    first = published.head
    publish(checkpoint, REPO)
    assert published.head != first
    assert fetch(HubAddress(REPO, first)).name == first
    assert fetch(HubAddress(REPO)).name == published.head


def test_a_fetched_folder_is_there_again_without_the_hub(published: Hub) -> None:
    first = fetch(HubAddress(REPO))
    published.fail["/"] = 503
    assert fetch(HubAddress(REPO, first.name)) == first


def test_a_broken_off_download_is_told_and_resumed(published: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    published.truncate = True
    with pytest.raises(HubError, match=r"broke off|could not be reached"):
        fetch(HubAddress(REPO))
    published.truncate = False
    assert Classifier.load(f"hf://{REPO}").config.name == "small"


def test_a_full_disk_is_a_sentence(published: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mushroom.hub.snapshot_download", full)
    with pytest.raises(HubError, match="disk is full"):
        fetch(HubAddress(REPO))


def test_a_failed_upload_leaves_nothing_half_published(hub: Hub, checkpoint: Path) -> None:
    hub.fail["/commit/"] = 400
    with pytest.raises(HubError, match="error"):
        publish(checkpoint, REPO)
    assert set(hub.commits[hub.head]) == {".gitattributes"}


def test_a_failed_transfer_of_the_weights_leaves_nothing_half_published(hub: Hub, checkpoint: Path) -> None:
    hub.fail["/upload/"] = 403
    with pytest.raises(HubError):
        publish(checkpoint, REPO)
    assert set(hub.commits[hub.head]) == {".gitattributes"}


def test_an_upload_is_taken_up_again_by_the_same_command(hub: Hub, checkpoint: Path) -> None:
    hub.fail["/commit/"] = 400
    with pytest.raises(HubError):
        publish(checkpoint, REPO)
    hub.fail.clear()
    publish(checkpoint, REPO)
    assert WEIGHTS_FILE in hub.commits[hub.head]


@pytest.mark.parametrize(("status", "sentence"), [(401, "no model repository|refused"), (403, "refused"), (400, "400")])
def test_a_refusal_is_a_sentence(hub: Hub, checkpoint: Path, status: int, sentence: str) -> None:
    hub.fail["/api/"] = status
    with pytest.raises(HubError, match=sentence):
        publish(checkpoint, REPO)


def test_a_repository_that_is_not_there_is_a_sentence(hub: Hub) -> None:
    hub.fail["/api/"] = 404
    with pytest.raises(HubError, match="no model repository someone/mushrooms"):
        fetch(HubAddress(REPO))


def test_a_revision_that_is_not_there_is_a_sentence(published: Hub) -> None:
    with pytest.raises(HubError, match="no such branch, tag or commit"):
        fetch(HubAddress(REPO, "v9"))


def test_a_hub_out_of_reach_is_a_sentence(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match=r"could not be reached|broke off"):
        fetch(HubAddress(REPO))


def test_without_a_token_nothing_is_asked_of_the_hub(
    hub: Hub, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubError, match="hf auth login"):
        publish(checkpoint, REPO)
    assert hub.requests == []


def test_a_folder_that_was_not_evaluated_is_not_published(hub: Hub, checkpoint: Path) -> None:
    (checkpoint / REPORT_FILE).unlink()
    with pytest.raises(HubError, match="evaluate"):
        publish(checkpoint, REPO)


def test_a_damaged_folder_is_not_published(hub: Hub, checkpoint: Path) -> None:
    (checkpoint / WEIGHTS_FILE).write_bytes(b"no")
    with pytest.raises(CheckpointError):
        publish(checkpoint, REPO)
    assert hub.requests == []


@pytest.mark.parametrize("text", ["hf://", "hf://name", "hf://a/b/c", "hf://../etc", "hf://a/b@c d", "hf://a b/c"])
def test_an_address_that_is_none_is_a_sentence(text: str) -> None:
    with pytest.raises(HubError, match="write hf://user/name"):
        parse_address(text)


def test_an_address_may_name_a_revision() -> None:
    assert parse_address("hf://a/b@v1.0") == HubAddress("a/b", "v1.0")
    assert parse_address("hf://a/b") == HubAddress("a/b")
