"""Commands in the tests' own process."""

from collections.abc import Callable
from dataclasses import dataclass

import train
from mushroom.__main__ import main
from mushroom.errors import FAILED


@dataclass(frozen=True)
class Ran:
    """What a command came to: its exit status, and what it printed."""

    status: int
    out: str
    err: str

    @property
    def refusal(self) -> str:
        """The sentence that says why nothing could be done."""
        assert self.status == FAILED
        return self.err


Run = Callable[..., Ran]


def status_of(*words: object) -> int:
    """Run a command of ``mushroom`` or ``train.py`` by its words; the exit status."""
    texts = [str(word) for word in words]
    return train.main(texts) if texts[0] in train.COMMANDS else main(texts)
