"""``mushroom``, or ``python -m mushroom``: name the genus on photos, show what the network looked at, open the app."""

import sys
from collections.abc import Sequence

from mushroom.cli import run_one

COMMANDS = {
    "predict": "Name the genus on photos: one JSON line or one CSV row a photo.",
    "explain": "Show what the network looked at: for each photo an overlay a layer, a film strip, explanation.json.",
    "app": "Open the app in a browser.",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    return run_one("mushroom", __doc__, COMMANDS, arguments, " | ".join(COMMANDS))


if __name__ == "__main__":
    sys.exit(main())
