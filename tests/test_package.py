"""The project as a package: what a person imports, what is declared, what the command takes, what pip installs."""

import ast
import os
import subprocess
import sys
import tomllib
import venv
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import torch
from app_server import REPOSITORY
from commands import Run
from networks import untrained_checkpoint

import mushroom
from mushroom import errors
from mushroom.__main__ import main as mushroom_command
from mushroom.checkpoint import list_checkpoints
from mushroom.cli import app

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
OPTIONAL = {"ray", "onnx", "onnxruntime", "onnxscript", "openvino"}


def name_of(requirement: str) -> str:
    """``ray[data]>=2.40`` is ray."""
    return requirement.split("[")[0].split(">")[0].split("=")[0].strip().lower().replace("_", "-")


def test_what_a_person_imports_comes_when_it_is_asked_for() -> None:
    assert mushroom.read_photo
    assert mushroom.Classifier
    with pytest.raises(AttributeError):
        _ = mushroom.nothing_of_that_name  # type: ignore[attr-defined]


def test_a_cold_predict_brings_neither_the_compiler_nor_what_only_training_needs() -> None:
    code = (
        "import sys, mushroom; assert 'torch' not in sys.modules;"
        "from mushroom.__main__ import main; main(sys.argv[1:]);"
        "print([n for n in ('torch._dynamo', 'sklearn', 'pandas', 'scipy.optimize', 'streamlit') if n in sys.modules])"
    )
    photo = REPOSITORY / "assets" / "drawings" / "Fly_agaric.png"
    command = [sys.executable, "-c", code, "predict", str(photo)]
    output = subprocess.run(command, check=True, cwd=REPOSITORY, capture_output=True, text=True).stdout.splitlines()
    assert "Amanita" in output[0]
    assert output[1] == "[]"


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        mushroom_command(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"mushroom {mushroom.__version__}\n"


# --- What is declared ---------------------------------------------------------------------------------------


def test_every_import_of_the_package_is_declared() -> None:
    declared = {name_of(each) for each in PROJECT["project"]["dependencies"]} | OPTIONAL
    distributions = packages_distributions()
    undeclared = set()
    for path in [*(REPOSITORY / "mushroom").rglob("*.py"), REPOSITORY / "train.py", REPOSITORY / "app.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [str(node.module)]
            for name in {each.split(".")[0] for each in names} - set(sys.stdlib_module_names) - {"mushroom"}:
                candidates = {each.lower().replace("_", "-") for each in distributions.get(name, [name])}
                if not candidates & declared:
                    undeclared.add(f"{path.relative_to(REPOSITORY)}: {name}")
    assert not undeclared


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt"])
def test_every_declared_package_is_pinned(file: str) -> None:
    lines = (REPOSITORY / file).read_text(encoding="utf-8").splitlines()
    pinned = {name_of(line) for line in lines if "==" in line}
    wanted = list(PROJECT["project"]["dependencies"])
    if file == "requirements-dev.txt":
        wanted += PROJECT["project"]["optional-dependencies"]["dev"]
    assert {name_of(each) for each in wanted} - {"mushroom"} <= pinned


def test_both_files_of_pins_say_the_same() -> None:
    few, all_of_them = (
        {line for line in (REPOSITORY / name).read_text(encoding="utf-8").splitlines() if "==" in line}
        for name in ("requirements.txt", "requirements-dev.txt")
    )
    assert few <= all_of_them


# --- One status for a fault, whatever the command -----------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        ["predict", "{photo}", "--checkpoint", "nowhere"],
        ["explain", "{photo}", "--out", "{out}", "--checkpoint", "nowhere"],
        ["app", "--checkpoint", "nowhere"],
        ["evaluate", "nowhere", "{out}"],
        ["train", "nowhere", "--out", "{out}"],
        ["predict", "{empty}"],
        ["explain", "{empty}", "--out", "{out}"],
        ["prepare", "{empty}", "--out", "{out}"],
        ["prepare", "nowhere", "--out", "{out}"],
    ],
)
def test_the_same_fault_has_the_same_status_and_one_sentence(command: list[str], run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    photo = REPOSITORY / "assets" / "drawings" / "Fly_agaric.png"
    filled = [part.format(photo=photo, out=tmp_path / "out", empty=tmp_path / "empty") for part in command]
    output = run(*filled).refusal.strip()
    assert output.endswith(".")
    assert len(output.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_file_that_can_not_be_written_is_a_sentence_too(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> int:
        raise PermissionError(13, "Permission denied", "table.csv")

    assert errors.run_command(command) == errors.FAILED
    assert capsys.readouterr().err == "table.csv can't be used: Permission denied.\n"


# --- The app from the command line --------------------------------------------------------------------------


def test_the_app_is_told_which_checkpoint_to_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from streamlit.web import cli

    served: list[list[str]] = []
    monkeypatch.setattr(cli, "main", served.append)
    another, own = (untrained_checkpoint(tmp_path / name) for name in ("another", "mine"))
    for checkpoint, expected in ((own, [own]), (tmp_path, [another, own])):
        monkeypatch.setattr(os, "environ", dict(os.environ))
        assert mushroom_command(["app", "--checkpoint", str(checkpoint), "--port", "8600"]) == errors.DONE
        assert list_checkpoints() == expected
    assert served[-1] == ["run", str(REPOSITORY / "app.py"), "--server.port", "8600"]
    assert app.environment("hf://someone/model") == {"MUSHROOM_MODEL": "hf://someone/model"}


# --- What pip installs --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_an_installed_package_works_outside_the_checkout(tmp_path: Path) -> None:
    """Built from this folder and installed beside the packages of this environment, without a registry."""
    venv.create(tmp_path / "env", with_pip=True)
    [site] = (tmp_path / "env").rglob("site-packages")
    packages = Path(torch.__file__).parent.parent
    (site / "packages_of_this_environment.pth").write_text(str(packages))
    python = tmp_path / "env" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--no-index", "--no-build-isolation", "--no-deps", REPOSITORY]
    subprocess.run([str(part) for part in install], check=True, cwd=tmp_path)
    photo = REPOSITORY / "assets" / "drawings" / "Fly_agaric.png"
    command = [str(python.parent / "mushroom"), "predict", str(photo)]
    output = subprocess.run(command, check=True, cwd=tmp_path, capture_output=True, text=True).stdout
    assert "Amanita" in output
    assert {"installed_app.py", ".streamlit"} <= {path.name for path in (site / "mushroom" / "app").iterdir()}
    assert (site / "mushroom" / "py.typed").exists()
