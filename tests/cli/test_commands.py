"""What all commands have in common, and the README's numbers."""

import shutil
from pathlib import Path

import pytest
from commands import Run, status_of

import train
from mushroom import __main__ as mushroom
from mushroom.assets import CHECKOUT


@pytest.mark.parametrize("command", [*train.COMMANDS, *mushroom.COMMANDS])
def test_every_command_says_what_it_takes(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        status_of(command, "--help")
    assert ended.value.code == 0
    assert f" {command} [-h]" in capsys.readouterr().out


def test_the_numbers_of_the_readme_are_what_summary_writes(run: Run, tmp_path: Path) -> None:
    readme = Path(shutil.copy(CHECKOUT / "README.md", tmp_path))
    assert run("summary", "--models", CHECKOUT / "assets" / "models", "--into", readme).status == 0
    assert readme.read_bytes() == (CHECKOUT / "README.md").read_bytes()
