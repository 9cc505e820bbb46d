"""Command line for making a model: prepare photos, train, evaluate, publish."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from mushroom.errors import run_command

COMMANDS = (
    "prepare",
    "train",
    "average",
    "cross-validate",
    "evaluate",
    "agreement",
    "neighbours",
    "summary",
    "export",
    "publish",
)
"""Each is a file of ``mushroom/cli``, whose first line says what it does."""

RESUMED = {
    "train": "Go on with the same command and --resume.",
    "cross-validate": "Go on with the same command.",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    args = parse(arguments)
    return run_command(lambda: args.run(args), when_stopped=RESUMED.get(args.command, ""))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line's values, ``run`` and ``command`` among them."""
    parser = argparse.ArgumentParser(prog="train.py", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name in COMMANDS:
        module = importlib.import_module(f"mushroom.cli.{name.replace('-', '_')}")
        first_line = str(module.__doc__).splitlines()[0]
        command = commands.add_parser(name, help=first_line, description=module.__doc__)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
