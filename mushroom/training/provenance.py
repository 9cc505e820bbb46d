"""What a checkpoint's config records of how it was made: command, commit, versions of libraries."""

import platform
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

VERSIONED = ("torch", "torchvision", "timm", "accelerate", "safetensors", "numpy", "scikit-learn", "pillow")


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that decide what training gives."""
    return {name: version(name) for name in VERSIONED} | {"python": platform.python_version()}


def command_line() -> str:
    """The command that runs, as one that was never interrupted would be given."""
    return shlex.join(["python", "train.py", *(word for word in sys.argv[1:] if word != "--resume")])


def git_commit() -> str:
    """The commit this code is at, empty outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
