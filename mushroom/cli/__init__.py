"""What people type: a file a command, and here how one of them is found and run."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

from mushroom import __version__
from mushroom.errors import run_command

RESUME = "Go on with the same command and --resume."
"""What most commands say that were stopped."""


def run_one(
    program: str, what: str | None, commands: Mapping[str, str], arguments: Sequence[str] | None, metavar: str
) -> int:
    """Run the one of ``commands``, with what is said of each, that ``arguments`` name; returns the exit status.

    Each is in the module of its name, which is imported when it is asked for. One that can be gone on with after it was
    stopped says how, by a function ``when_stopped`` of its arguments.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(prog=program, description=what)
    parser.add_argument("--version", action="version", version=f"{program} {__version__}")
    parsers = parser.add_subparsers(required=True, metavar=metavar)
    for name, description in commands.items():
        subparser = parsers.add_parser(name, help=description, description=description)
        if name in arguments[:1]:
            module = import_module(f"{__name__}.{name.replace('-', '_')}")
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run, when_stopped=getattr(module, "when_stopped", lambda args: ""))
    args = parser.parse_args(arguments)
    return run_command(lambda: args.run(args), when_stopped=args.when_stopped(args))
