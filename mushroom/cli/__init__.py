"""What people type: a file a command, and here how one of them is found and run."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

from mushroom import __version__
from mushroom.errors import run_command

RESUMED = {
    "predict": "Go on with the same command and --resume.",
    "explain": "Go on with the same command and --resume.",
    "train": "Go on with the same command and --resume.",
    "cross-validate": "Go on with the same command.",
}
"""What is said of commands that were stopped."""


def run_one(
    program: str, what: str | None, commands: Mapping[str, str], arguments: Sequence[str] | None, metavar: str
) -> int:
    """Run the one of ``commands``, with what is said of each, that ``arguments`` name; returns the exit status.

    Each is in the module of its name, which is imported when it is asked for.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(prog=program, description=what)
    parser.add_argument("--version", action="version", version=f"{program} {__version__}")
    parsers = parser.add_subparsers(required=True, metavar=metavar, dest="command")
    for name, description in commands.items():
        subparser = parsers.add_parser(name, help=description, description=description)
        if name in arguments[:1]:
            module = import_module(f"{__name__}.{name.replace('-', '_')}")
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
    args = parser.parse_args(arguments)
    # Lines that were printed can't be gone on with, a table can.
    resumed = args.command != "predict" or args.csv
    return run_command(lambda: args.run(args), when_stopped=RESUMED.get(args.command, "") if resumed else "")
