"""What tests of the app share: pages that show painted photos, and the network behind them."""

from pathlib import Path

import pytest

from mushroom.classifier import Classifier


@pytest.fixture
def painted(painted_app: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages opened in this process show the painted photos."""
    for name, value in painted_app.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def classifier(painted_app: dict[str, str]) -> Classifier:
    return Classifier.load(next(Path(painted_app["MUSHROOM_CHECKPOINTS"]).glob("*/config.json")).parent)
