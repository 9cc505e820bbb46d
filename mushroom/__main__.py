"""``mushroom``, or ``python -m mushroom``: name the genus on photos, show what the network looked at, open the app."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from mushroom import __version__

COMMANDS = {
    "predict": "Name the genus on photos: one JSON line or one CSV row a photo.",
    "explain": "Show what the network looked at: for each photo an overlay a layer, a film strip, explanation.json.",
    "app": "Open the app in a browser.",
}
"""The commands, each in the module of ``mushroom.cli`` of its name, which is imported when it is asked for."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(prog="mushroom", description=__doc__)
    parser.add_argument("--version", action="version", version=f"mushroom {__version__}")
    commands = parser.add_subparsers(required=True, metavar=" | ".join(COMMANDS))
    for name, help_text in COMMANDS.items():
        subparser = commands.add_parser(name, help=help_text)
        if name in arguments[:1]:
            command = import_module(f"mushroom.cli.{name}")
            command.add_arguments(subparser)
            subparser.set_defaults(run=command.run)
    args = parser.parse_args(arguments)
    return args.run(args)


if __name__ == "__main__":
    sys.exit(main())
