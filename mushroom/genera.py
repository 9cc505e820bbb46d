"""The nine genera: their order, colours, field marks, look-alikes and sources."""

GENERA: tuple[str, ...] = (
    "Agaricus",
    "Amanita",
    "Boletus",
    "Cortinarius",
    "Entoloma",
    "Hygrocybe",
    "Lactarius",
    "Russula",
    "Suillus",
)
"""Every vector of nine numbers in this project is in this order."""
