"""Where what ships beside the code lies: in the checkout at the top, inside an installed package within it."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parent
IN_CHECKOUT = (CHECKOUT / "assets" / "models").is_dir()

ASSETS = (CHECKOUT if IN_CHECKOUT else PACKAGE) / "assets"
MODELS = ASSETS / "models"
DRAWINGS = ASSETS / "drawings"
