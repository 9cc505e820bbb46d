"""``python -m mushroom``: predict and explain from the command line."""

import argparse
import sys
from collections.abc import Sequence

from mushroom.cli import explain, predict


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m mushroom", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="predict | explain")
    for name, command in (("predict", predict), ("explain", explain)):
        subparser = commands.add_parser(name, help=str(command.__doc__).splitlines()[0])
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    args = parser.parse_args(arguments)
    return args.run(args)


if __name__ == "__main__":
    sys.exit(main())
