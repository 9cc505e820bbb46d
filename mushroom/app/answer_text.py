"""What the answer page says in words: the headline, how sure, right or wrong, and the track record behind it."""

import html
from typing import TYPE_CHECKING

from mushroom.app import records
from mushroom.app.subject import Subject
from mushroom.texts import percent, these, third_answer

if TYPE_CHECKING:
    from mushroom.classifier import Classifier, Prediction

ADVICE = (
    "Show one mushroom, close and in focus, from the side: its gills or pores and the base of its stem tell most. "
    "Or cut the photo to it, below the picture."
)


def headline_html(
    subject: Subject, prediction: "Prediction", classifier: "Classifier", of_whole: "Prediction | None" = None
) -> str:
    """The answer as the page's headline, and under it how sure the network is.

    ``of_whole`` is the answer for the whole photo, where the network was asked about a part.
    """
    count, rank = len(classifier.genera), classifier.config.rank
    genus, share = html.escape(prediction.genus), f"<b>{percent(prediction.confidence)}</b>"
    if prediction.unknown:
        eyebrow, answer = "The network's answer", html.escape(third_answer(count))
        sure = f"Of {these(count, rank)} it looks most like <em>{genus}</em> ({share}), but not enough like it. "
        if prediction.other_genus:
            sure += f"It looks more like <em>{html.escape(prediction.other_genus)}</em>, which is none of them. "
        sure += ADVICE
    else:
        eyebrow, answer, sure = f"Most likely {rank}", f"<em>{genus}</em>", f"{share} sure."
    if subject.true_genus:
        right = subject.true_genus == prediction.answer
        badge = '<span class="badge right">✓ right</span>' if right else '<span class="badge wrong">✗ wrong</span>'
        sure += f" {badge} The photo is of the {rank} <em>{html.escape(subject.true_genus)}</em>."
    if of_whole is not None:
        says = of_whole.answer or third_answer(count)
        sure += " The network saw only the part inside the frame; of the whole photo it says "
        sure += "the same" if of_whole.answer == prediction.answer else f"otherwise: <b>{html.escape(says)}</b>"
        sure += f" ({percent(of_whole.confidence)})."
    if subject.origin == "drawing":
        eyebrow = f"A drawing, not a photo · {eyebrow[0].lower()}{eyebrow[1:]}"
    return f'<p class="eyebrow">{eyebrow}</p><h1 class="answer">{answer}</h1><p class="sure">{sure}</p>'


def track_record_html(subject: Subject, prediction: "Prediction", classifier: "Classifier") -> str:
    """How often the network was right when it was about as sure, as HTML.

    Empty where that says nothing: under a drawing, under "none of these", and where too few photos were counted.
    """
    if subject.origin == "drawing" or prediction.unknown:
        return ""
    found = records.track_record(classifier.folder, prediction.confidence)
    if found is None:
        return ""
    sentence = (
        f"Of {found.count} test photos that it named when {found.lower:.0%} to {found.upper:.0%} sure, it named "
        f"<b>{found.right}</b> right."
    )
    measured = records.report(classifier.folder)
    strangers = measured is not None and measured.test is not None and measured.test.unseen_sources
    if subject.origin == "upload" and not strangers:
        sentence += (
            " Those photos come from the same collections as the ones it learned from. Yours does not, and it is "
            "wrong more often about photos like yours."
        )
    return sentence
