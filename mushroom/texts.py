"""Sentences and ways of telling that every page, command and file shares."""

SAFETY = (
    "A prediction is never a reason to eat a mushroom. Deadly species look like harmless ones, and this program "
    "cannot tell them apart."
)
"""Stands on every page and in every explanation that is written to a file."""

RANKS = {"genus": "genera", "species": "species", "family": "families"}
"""What a checkpoint's names can be, and the plural of it."""


def these(count: int, rank: str = "genus") -> str:
    """The names that a checkpoint knows, together: "the nine genera", "these 12 species"."""
    return f"{_number(count)} {RANKS[rank]}"


def none_of_these(count: int) -> str:
    """What a photo is that looks like none of ``count`` names: "none of the nine", "none of these 12"."""
    return f"none of {_number(count)}"


def third_answer(count: int) -> str:
    """The third answer, beside right and wrong, of a checkpoint that knows ``count`` names."""
    answer = none_of_these(count)
    return f"{answer[:1].upper()}{answer[1:]}, as far as I can tell"


def _number(count: int) -> str:
    return "the nine" if count == 9 else f"these {count}"


def percent(share: float) -> str:
    """A share in [0, 1] in whole percent, for people; never "0%" or "100%" for what is only nearly so."""
    if 0 < share < 0.005:
        return "<1%"
    if 0.995 <= share < 1:
        return ">99%"
    return f"{share:.0%}"
