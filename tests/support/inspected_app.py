"""``streamlit run app.py``, and at the end a look at every network in memory: what has many sessions' use left on it?

``python tests/support/inspected_app.py REPORT [streamlit options]`` writes REPORT, JSON, when it is told to stop.
"""

import atexit
import gc
import json
import signal
import sys
from pathlib import Path
from typing import Any

from streamlit.web import cli

REPOSITORY = Path(__file__).resolve().parent.parent.parent
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def networks() -> list[dict[str, Any]]:
    """For each network in memory, what should be 0: hooks, modules in training mode, tensors with gradients."""
    from mushroom.model import GenusNet

    return [
        {
            "hooks": sum(len(getattr(module, name)) for module in network.modules() for name in HOOKS),
            "training": sum(module.training for module in network.modules()),
            "gradients": sum(p.requires_grad or p.grad is not None for p in network.parameters()),
        }
        for network in gc.get_objects()
        if isinstance(network, GenusNet)
    ]


def main() -> None:
    """Run the app until it is stopped."""
    report = Path(sys.argv[1])
    sys.path.insert(0, str(REPOSITORY))
    # The server raises the signal that stopped it once more: without a handler that ends the process at once.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    atexit.register(lambda: report.write_text(json.dumps(networks())))
    cli.main(["run", str(REPOSITORY / "app.py"), *sys.argv[2:]])


if __name__ == "__main__":
    main()
