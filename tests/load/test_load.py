"""Several visitors at once, for seconds; ``make soak`` is the same with twenty for minutes."""

from pathlib import Path

import pytest
from soak import soak


@pytest.mark.slow
def test_visitors_at_once_are_answered_as_if_alone_and_leave_nothing_behind(tmp_path: Path) -> None:
    soaked = soak(sessions=4, seconds=10, folder=tmp_path, photos=4)
    assert soaked.errors == []
    assert soaked.compared >= 4 * 5
    assert soaked.large_waits
    assert "Traceback" not in soaked.log
    assert soaked.networks, "no network was found in the server's memory: nothing was looked at"
    assert soaked.left_behind() == 0
