"""Sentences and ways of telling that every page, command and file shares."""

SAFETY = (
    "A prediction is never a reason to eat a mushroom. Deadly species look like harmless ones, and this program "
    "cannot tell them apart."
)
"""Stands on every page and in every explanation that is written to a file."""

NONE_OF_THE_NINE = "None of the nine, as far as I can tell"
"""The third answer, beside right and wrong."""


def percent(share: float) -> str:
    """A share in [0, 1] in whole percent, for people; never "0%" or "100%" for what is only nearly so."""
    if 0 < share < 0.005:
        return "<1%"
    if 0.995 <= share < 1:
        return ">99%"
    return f"{share:.0%}"
