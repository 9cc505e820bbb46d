"""The app as strangers reach it: what the Space's folder holds and runs, and what becomes of a visitor's photo."""

import io
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import numpy as np
import pytest
from app_server import REPOSITORY, start_app, stop_app
from huggingface_hub import RepoCard
from local_hub import REPO, TOKEN, Hub, serve
from PIL import Image
from visitor import Run, Visitor
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from mushroom.dataset import load_prepared
from mushroom.photos import MAX_BYTES
from mushroom.texts import SAFETY
from mushroom.training.prepare import prepare

STRANGER = 65534
"""The user id of nobody."""


def speckled(seed: int, size: tuple[int, int] = (2000, 1500)) -> bytes:
    """A JPEG of some megabytes, larger than what a server might keep in memory by chance."""
    speckles = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(speckles).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


# --- The Space ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that ``make space`` assembles."""
    folder = tmp_path_factory.mktemp("space") / "assembled"
    subprocess.run(["make", "space", f"SPACE={folder}"], cwd=REPOSITORY, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def dockerfile(space: Path) -> str:
    """Its Dockerfile, an instruction a line."""
    return (space / "Dockerfile").read_text().replace("\\\n", "")


def start_command(dockerfile: str) -> list[str]:
    return json.loads(re.findall(r"^CMD (\[.*\])$", dockerfile, re.MULTILINE)[-1])


def test_the_space_tells_what_it_is_where_it_listens_and_whether_it_is_well(space: Path, dockerfile: str) -> None:
    facts = RepoCard.load(space / "README.md").data.to_dict()
    assert facts["sdk"] == "docker"
    assert f"--server.port={facts['app_port']}" in start_command(dockerfile)
    # The Hub refuses longer ones.
    assert len(facts["short_description"]) <= 60
    assert {facts["colorFrom"], facts["colorTo"]} <= {
        *("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
    }
    assert re.search(r"^HEALTHCHECK .*_stcore/health", dockerfile, re.MULTILINE)
    # It does not run as root.
    assert "USER visitor" in dockerfile.split("COPY . .")[1]
    assert "--chown" not in dockerfile


def test_the_space_holds_what_the_app_needs_and_nothing_of_its_making(space: Path) -> None:
    top = {path.name for path in space.iterdir()}
    assert top == {
        *("app.py", "mushroom", "assets", ".streamlit", "LICENSE", "README.md", "Dockerfile"),
        *("requirements.txt", "requirements-dev.txt"),
    }
    names = [path.name for path in space.rglob("*")]
    assert "model.safetensors" in names
    assert not {"__pycache__", "manifest.csv"} & set(names)
    assert not list((space / "assets").rglob("training"))


def test_the_space_keeps_an_exported_network_for_answers_without_heatmaps(
    space: Path, dockerfile: str, tmp_path: Path
) -> None:
    [script] = re.findall(r'^RUN python -c "(.*)"$', dockerfile, re.MULTILINE)
    environment = {name: value for name, value in os.environ.items() if name != "XDG_CACHE_HOME"}
    command = [sys.executable, "-c", script]
    subprocess.run(command, cwd=space, env=environment | {"HOME": str(tmp_path)}, check=True)
    [network] = (tmp_path / ".cache" / "mushroom").iterdir()
    assert network.suffix == ".onnx"


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None,
    reason="only root, with setpriv, can run the app as another user",
)
def test_the_space_serves_a_page_to_a_user_who_may_write_nowhere_in_it(
    space: Path, dockerfile: str, tmp_path: Path
) -> None:
    for path in (space, *space.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, STRANGER, STRANGER)
    streamlit, *rest = [part for part in start_command(dockerfile) if not part.startswith("--server.")]
    process, address = start_app(
        tmp_path / "log.txt",
        {"HOME": str(home), "MUSHROOM_PREPARED": str(home / "none"), "SPACE_HOST": "someone-mushroom.hf.space"},
        # This machine's Python may lie where only root can look: looking is allowed, writing is not.
        command=(
            *("setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups"),
            *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
            *(sys.executable, "-m", streamlit, *rest),
        ),
        folder=space,
    )
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert f"Uid:\t{STRANGER}" in status
        with Visitor(address) as visitor:
            opened = visitor.open()
            assert SAFETY in "".join(html.body for html in opened.each("html"))
            assert not any("someone-mushroom.hf.space" in alert.body for alert in opened.each("alert"))
            assert visitor.drop("photo.jpg", speckled(0, (200, 150))).headline
        with Visitor(address, takes_cookies=False) as visitor:
            alerts = [alert.body for alert in visitor.open().each("alert")]
            assert any("https://someone-mushroom.hf.space" in alert for alert in alerts)
    finally:
        stop_app(process)
    assert "Traceback" not in (tmp_path / "log.txt").read_text()


# --- A visitor's photo --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "log.txt"


@pytest.fixture(scope="module")
def address(painted_app: dict[str, str], log: Path) -> Iterator[str]:
    """An app that can't write a byte to any file: the kernel refuses the process every write that makes one longer."""
    process, address = start_app(log, painted_app, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
    yield address
    stop_app(process)


def test_a_photo_is_answered_alike_by_a_server_that_can_write_to_no_file(address: str) -> None:
    photo = speckled(1)
    assert len(photo) > 2 * 1024**2
    with Visitor(address) as one, Visitor(address) as other:
        one.open()
        other.open()
        first, second = one.drop("a.jpg", photo), other.drop("b.jpg", photo)
        assert first.headline == second.headline != ""
        assert one.picture(first) == other.picture(second) != ""


def test_no_log_knows_a_photo_or_its_name(address: str, log: Path) -> None:
    with Visitor(address) as visitor:
        visitor.open()
        assert visitor.drop("my-secret-garden.jpg", speckled(2, (300, 200))).headline
        refused = visitor.drop("my-secret-cellar.jpg", b"not a photo at all")
        assert "my-secret-cellar" in "".join(html.body for html in refused.each("html"))
        session = visitor.session
    output = log.read_text()
    assert "secret" not in output
    assert "Traceback" not in output
    assert session not in output


def test_nothing_of_a_photo_reaches_another_session(address: str) -> None:
    with Visitor(address) as one, Visitor(address) as other:
        one.open()
        answer = one.drop("my-secret-garden.jpg", speckled(3, (300, 200)))
        pictures = {image.url.encode() for images in answer.each("imgs") for image in images.imgs}
        assert pictures
        strip = answer.film_strip
        for page in ("", "compare", "browse", "report", "about"):
            seen = other.open(page)
            assert seen.elements
            assert b"my-secret-garden" not in seen.received
            assert not any(url in seen.received for url in pictures)
            assert seen.film_strip != strip
        assert other.open().headline == ""


# --- Deployment defaults ------------------------------------------------------------------------------------


def test_an_upload_is_taken_from_its_own_page_alone_and_within_the_limit(address: str) -> None:
    with Visitor(address) as visitor:
        visitor.open()
        url = f"/_stcore/upload_file/{visitor.session}/some-file"
        assert visitor.send_file(url, "a.jpg", b"a", token="").status_code == 403
        assert visitor.send_file(url, "a.jpg", b"a", token="2|aa|bb|1").status_code == 403
        assert visitor.send_file(url, "a.jpg", b"a").status_code == 204
        assert visitor.send_file("/_stcore/upload_file/no-session/file", "a.jpg", b"a").status_code == 400
        assert visitor.send_file(url, "a.jpg", bytes(MAX_BYTES + 1)).status_code == 413
        # No usage is reported.
        assert visitor.new_session.HasField("config")
        assert not visitor.new_session.config.gather_usage_stats


def test_a_page_of_another_origin_can_open_no_session_and_read_nothing(address: str) -> None:
    with (
        pytest.raises((ConnectionClosed, InvalidStatus)),
        connect(
            address.replace("http", "ws") + "/_stcore/stream",
            origin="https://example.org",  # type: ignore[arg-type]
        ) as socket,
    ):
        socket.recv(timeout=10)
    answer = httpx2.get(f"{address}/_stcore/health", headers={"Origin": "https://example.org"})
    assert answer.headers.get("access-control-allow-origin") in (None, address)


def test_what_goes_wrong_in_the_app_is_not_spelled_out_to_visitors(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / ".streamlit", tmp_path / ".streamlit")
    (tmp_path / "app.py").write_text("raise RuntimeError('the inside of the app')\n")
    process, address = start_app(tmp_path / "log.txt", {}, folder=tmp_path)
    try:
        with Visitor(address) as visitor, pytest.raises(AssertionError) as seen:
            visitor.open()
    finally:
        stop_app(process)
    assert "inside of the app" not in str(seen.value)
    assert "app.py" not in str(seen.value)


# --- A model and photos from the Hub ------------------------------------------------------------------------


@pytest.fixture
def hub_and_app(
    painted_app: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Hub, dict[str, str]]]:
    """A Hub on this machine, and the environment of an app that is told to take its model and photos from there."""
    hub = Hub()
    with serve(hub) as endpoint:
        yield (
            hub,
            {
                **painted_app,
                "HF_ENDPOINT": endpoint,
                "HF_HOME": str(tmp_path / "hub"),
                "HF_TOKEN": TOKEN,
                "HF_HUB_DISABLE_XET": "1",
                "MUSHROOM_MODEL": f"hf://{REPO}",
                "MUSHROOM_PREPARED": f"hf://datasets/{REPO}",
            },
        )


def seen_on(page: str, environment: dict[str, str], tmp_path: Path) -> Run:
    process, address = start_app(tmp_path / "log.txt", environment)
    try:
        with Visitor(address) as visitor:
            return visitor.open(page)
    finally:
        stop_app(process)


def test_a_model_and_test_photos_come_from_the_hub(
    hub_and_app: tuple[Hub, dict[str, str]], painted_app: dict[str, str], tmp_path: Path
) -> None:
    hub, environment = hub_and_app
    checkpoint = next(Path(painted_app["MUSHROOM_CHECKPOINTS"]).iterdir())
    prepared = tmp_path / "prepared"
    shutil.copytree(load_prepared(Path(painted_app["MUSHROOM_PREPARED"])).root, prepared / "photos")
    prepare(prepared / "photos", prepared, progress=False)
    # One repository stands for both here: the Hub keeps models and datasets apart.
    hub.commit({path.name: path.read_bytes() for path in checkpoint.iterdir() if path.name != "README.md"})
    sent = [path for path in prepared.rglob("*") if path.is_file()]
    hub.commit({path.relative_to(prepared).as_posix(): path.read_bytes() for path in sent})
    browse = seen_on("browse", environment, tmp_path)
    found = browse.find("selectbox", "Model")
    assert found is not None
    assert found[0].options[0] == REPO
    assert any("photo" in image.alt.lower() for images in browse.each("imgs") for image in images.imgs)


def test_without_the_hub_the_app_shows_what_ships_and_says_so(
    hub_and_app: tuple[Hub, dict[str, str]], tmp_path: Path
) -> None:
    hub, environment = hub_and_app
    hub.fail["/"] = 404
    browse = seen_on("browse", environment, tmp_path)
    alerts = " ".join(alert.body for alert in browse.each("alert"))
    assert "There is no repository" in alerts.replace("\\", "")
    assert "ships with the app" in alerts
    assert "Traceback" not in (tmp_path / "log.txt").read_text()
