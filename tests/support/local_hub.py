"""A server on this machine that speaks as much of the Hugging Face Hub's API as publish and fetch use."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

REPO = "someone/mushrooms"
TOKEN = "hf_" + "x" * 34


@dataclass
class Hub:
    """One repository, model or dataset: its files by commit, what was asked of it, and how it shall fail."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    fail: dict[str, int] = field(default_factory=dict)
    """Status to answer where the path of a request contains the key."""
    truncate: bool = False

    @property
    def head(self) -> str:
        return list(self.commits)[-1]

    def commit(self, files: dict[str, bytes]) -> str:
        before = self.commits[self.head] if self.commits else {}
        name = hashlib.sha1(repr(sorted(files)).encode() + bytes([len(self.commits)])).hexdigest()
        self.commits[name] = before | files
        return name

    def commit_folder(self, folder: Path) -> str:
        files = [path for path in folder.rglob("*") if path.is_file()]
        return self.commit({path.relative_to(folder).as_posix(): path.read_bytes() for path in files})


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
        path = self.path.split("?")[0].removeprefix("/datasets")
        parts = path.strip("/").split("/")
        if path.startswith((f"/api/models/{REPO}", f"/api/datasets/{REPO}")):
            revision = parts[-1] if "revision" in parts or "tree" in parts else "main"
            commit = self.hub.head if revision == "main" else revision
            if commit not in self.hub.commits:
                return self.answer(404, b"{}", X_Error_Code="RevisionNotFound")
            files = self.hub.commits[commit]
            if "tree" in parts:
                each = [(name, len(data), hashlib.sha1(data).hexdigest()) for name, data in files.items()]
                return self.json([{"type": "file", "path": name, "size": size, "oid": oid} for name, size, oid in each])
            return self.json({"id": REPO, "sha": commit, "siblings": [{"rfilename": name} for name in files]})
        if path.startswith(f"/{REPO}/resolve/"):
            commit, name = parts[3], "/".join(parts[4:])
            data = self.hub.commits[commit][unquote(name)]
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
            if not self.hub.commits:
                self.hub.commit({".gitattributes": b""})
            return self.json({"url": f"{address}/{REPO}", "name": REPO})
        if "/preupload/" in path:
            names = [each["path"] for each in json.loads(data)["files"]]
            modes = ["lfs" if name.endswith(".safetensors") else "regular" for name in names]
            files = [{"path": name, "uploadMode": mode} for name, mode in zip(names, modes, strict=True)]
            return self.json({"files": [each | {"shouldIgnore": False} for each in files]})
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


@contextmanager
def serve(hub: Hub) -> Iterator[str]:
    """The address at which ``hub`` answers, for HF_ENDPOINT."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OneHub", (Handler,), {"hub": hub}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
