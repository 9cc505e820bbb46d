"""Where what ships beside the code lies: in the checkout at the top, inside an installed package within it."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parent

ASSETS = CHECKOUT / "assets" if (CHECKOUT / "pyproject.toml").is_file() else PACKAGE / "assets"
MODELS = ASSETS / "models"
DRAWINGS = ASSETS / "drawings"
