"""What the answers for photos of known genus come to, in counts and in sentences that a visitor understands."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mushroom.app.records import Answer, Names
from mushroom.evaluation.report import UnknownScores
from mushroom.texts import RANKS, none_of_these, percent

FEW_PHOTOS = 12
"""Of a genus with fewer photos than this nothing is said but that they are too few."""

STRANGERS = 30
"""With fewer photos than this from sources that it never learned from, all photos are spoken of instead."""

NAMES_TOLD = 6
"""Names that a sentence lists."""

SURE = 0.9
"""How sure it must be for the sentence on what it is sure of."""


@dataclass(frozen=True)
class Tally:
    """Photos by what a visitor is told: the true genus, another, or no name at all."""

    right: int
    wrong: int
    turned_away: int

    @property
    def count(self) -> int:
        """All of the photos."""
        return self.right + self.wrong + self.turned_away

    @property
    def share_right(self) -> float:
        """Told right of all, 0 where there is none."""
        return self.right / max(self.count, 1)

    @property
    def coverage(self) -> float:
        """Share of the photos that get a name at all."""
        return (self.right + self.wrong) / max(self.count, 1)

    @property
    def error(self) -> float | None:
        """Share of wrong ones among those that get a name; None where none does."""
        named = self.right + self.wrong
        return self.wrong / named if named else None

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the share told right (Wilson 1927)."""
        from mushroom.evaluation.metrics import share_interval

        return share_interval(self.right, self.count)


def tally(answers: Sequence[Answer]) -> Tally:
    """The answers, counted."""
    return Tally(
        sum(answer.right for answer in answers),
        sum(answer.wrong for answer in answers),
        sum(answer.unknown for answer in answers),
    )


def confusion(answers: Sequence[Answer], names: Sequence[str]) -> list[list[int]]:
    """Photos by true name (rows) and by what is told: the names (columns), and last "none of these"."""
    counts = Counter((answer.true_genus, None if answer.unknown else answer.genus) for answer in answers)
    return [[counts[true, name] for name in (*names, None)] for true in names]


def demand(answers: Sequence[Answer], confidence: float) -> Tally:
    """The answers where a visitor is only told a name that the network is at least so sure of, in [0, 1]."""
    sure = tally([answer for answer in answers if answer.confidence >= confidence])
    return Tally(sure.right, sure.wrong, len(answers) - sure.right - sure.wrong)


def from_unseen_sources(answers: Sequence[Answer], learned_from: Collection[str]) -> list[Answer]:
    """Those of the answers whose photo comes from none of the sources that the network learned from."""
    return [answer for answer in answers if answer.source and answer.source not in learned_from]


# --- Sentences ----------------------------------------------------------------------------------------------


def sentences(
    answers: Sequence[Answer], learned_from: Collection[str], unknown: UnknownScores | None, known: Names
) -> list[str]:
    """Four sentences, Markdown: what a visitor gets, with which genera, when it is sure, and for other things.

    ``learned_from`` are the sources that it learned from, ``unknown`` is what the report measured of other photos in
    this split, by their kind. A sentence that there is nothing to say in is left out.
    """
    found = [
        _what_a_visitor_gets(answers, learned_from, known),
        _best_and_worst(answers, known),
        _when_sure(answers),
        _other_things(unknown, known),
    ]
    return [sentence for sentence in found if sentence]


def _what_a_visitor_gets(answers: Sequence[Answer], learned_from: Collection[str], known: Names) -> str:
    strangers = from_unseen_sources(answers, learned_from)
    if len(strangers) < STRANGERS:
        strangers = []
    shown, whose = (strangers, "of strangers, from sources that it never learned from,") if strangers else (answers, "")
    counted = tally(shown)
    low, high = counted.interval
    sentence = (
        f"Of {counted.count} photos {whose} it tells **{percent(counted.share_right)} right** (95 % interval "
        f"{percent(low)} to {percent(high)}), {percent(counted.wrong / counted.count)} wrong, and turns "
        f"{percent(counted.turned_away / counted.count)} away as {none_of_these(len(known.names))}."
    ).replace("photos  it", "photos it")
    if not strangers:
        sentence += " They come from the same sources as those it learned from: a stranger's photo is harder."
    elif len(strangers) < len(answers):
        rest = tally([answer for answer in answers if answer not in set(strangers)])
        sentence += f" Of {rest.count} from sources that it knows, {percent(rest.share_right)}."
    return sentence


def _best_and_worst(answers: Sequence[Answer], known: Names) -> str:
    counted = {name: tally([answer for answer in answers if answer.true_genus == name]) for name in known.names}
    enough = {name: counts for name, counts in counted.items() if counts.count >= FEW_PHOTOS}
    few = [name for name in known.names if name not in enough]
    sentence = ""
    if len(enough) > 1:
        ranked = sorted(enough, key=lambda name: enough[name].share_right)
        best, worst = ranked[-1], ranked[0]
        sentence = (
            f"Best known is *{best}* ({enough[best].right} of {enough[best].count} told right), least *{worst}* "
            f"({enough[worst].right} of {enough[worst].count})"
        )
    if few:
        listed = some_of(few)
        sentence += f"{'; of' if sentence else 'Of'} {listed} there are too few photos to say"
    return (
        f"{sentence}."
        if sentence
        else f"There are too few photos of single {RANKS.get(known.rank, known.rank)} to say."
    )


def some_of(names: Sequence[str]) -> str:
    """The first names of many, and how many more there are."""
    more = f" and {len(names) - NAMES_TOLD} more" if len(names) > NAMES_TOLD else ""
    return ", ".join(f"*{name}*" for name in names[:NAMES_TOLD]) + more


def _when_sure(answers: Sequence[Answer]) -> str:
    sure = demand(answers, SURE)
    if sure.error is None:
        return f"It is at least {SURE:.0%} sure of no photo."
    return (
        f"Where it is at least {SURE:.0%} sure, which is so for {percent(sure.coverage)} of the photos, it is right "
        f"on {percent(1 - sure.error)}."
    )


def _other_things(unknown: UnknownScores | None, known: Names) -> str:
    kinds = [
        f"{percent(values.caught)} of {values.count} photos ({kind.replace('_', ' ')})"
        for kind, values in (unknown.kinds.items() if unknown else ())
        if values.caught is not None
    ]
    if not kinds:
        return ""
    return f"Of other things it turns away {', '.join(kinds)}: the rest gets one of its {len(known.names)} names."
