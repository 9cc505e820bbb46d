"""Report: how good a network is on photos it has not learned from, in numbers and figures anyone can read.

A verdict in four sentences first, then the numbers behind it, section by section.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import streamlit as st

from mushroom.app import filters, layout, models, records, report_charts, tables, url_state, verdict
from mushroom.app.filters import Filters
from mushroom.app.records import Answer, Names
from mushroom.evaluation.report import Latency, Report, SplitScores
from mushroom.genera import GENERA, colours
from mushroom.texts import RANKS, percent

SPLIT_TITLES = {"test": "Test", "validation": "Validation", "train": "Training"}
SPLIT_NOTES = {
    "test": "Photos that this training never saw: these numbers count.",
    "validation": "Photos that chose the epoch, the calibration and the threshold: a little too kind.",
    "train": "Photos that the network learned from: shown to tell learning by heart from understanding.",
}

NUMBER_PX = 158
"""Width of one of the first numbers, with its interval."""

SECTIONS = {
    "numbers": "The numbers",
    "names": "One by one",
    "matrix": "What it takes for what",
    "sure": "How sure must it be?",
    "models": "All models side by side",
    "calibration": "Is it as right as it is sure?",
    "unknown": "Does it know what it doesn't know?",
    "learned": "How it learned",
    "photos": "What it learned from",
    "heatmaps": "Can the heatmaps be believed?",
    "notebook": "Beside the notebook project",
}
"""Parts of the page by their anchor, in order."""


def render() -> None:
    """The page."""
    layout.header("Report", "What the network can and cannot do, measured on photos of which the answer is known.")
    folder = models.choose_checkpoint()
    if folder is None:
        return
    report = records.report(folder)
    splits = [split for split in SPLIT_TITLES if report and split in report.splits]
    if report is None or not splits:
        st.info("This network has no report yet. Make one with `python train.py evaluate`.", icon=":material/info:")
        return
    titles = {split: SPLIT_TITLES[split] for split in splits}
    split = url_state.segments("Photos", "split", titles, splits[0], what="split")
    st.caption(SPLIT_NOTES[split])
    known = records.names(folder)
    answers = records.answers(folder, split)
    _verdict(report, answers, records.learned_sources(folder), known, split)
    sections = {anchor: title for anchor, title in SECTIONS.items() if anchor != "notebook" or _answers_the_nine(known)}
    _links(sections)
    scores = report.splits[split]
    _headline(scores, answers, known.rank)
    if split == "test" and report.several:
        st.markdown(report_charts.several_sentence(report.several))
    _one_by_one(scores, answers, known)
    _matrix(answers, known, split)
    _how_sure(answers)
    _side_by_side(split)
    report_charts.calibration(SECTIONS["calibration"], scores, report.temperature)
    report_charts.unknown(SECTIONS["unknown"], report.unknown, split, len(known.names))
    report_charts.training(SECTIONS["learned"], folder)
    report_charts.photos(SECTIONS["photos"], report.photos, scores, known.rank)
    report_charts.faithfulness(SECTIONS["heatmaps"], report.faithfulness)
    if "notebook" in sections:
        report_charts.published(SECTIONS["notebook"], report)


def _answers_the_nine(known: Names) -> bool:
    """Whether the names are those that the notebook project told apart: numbers for others have nothing in common."""
    return set(known.names) == set(GENERA)


# --- The verdict --------------------------------------------------------------------------------------------


def _verdict(report: Report, answers: Sequence[Answer], learned: Collection[str], known: Names, split: str) -> None:
    if not answers:
        st.info("This network came without its answers (predictions.csv): only its scores are shown.")
        return
    unknown = report.unknown.splits.get(split)
    sentences = verdict.sentences(answers, learned, unknown, known)
    with st.container(key="verdict"):
        st.markdown("\n".join(f"- {sentence}" for sentence in sentences))


def _links(sections: Mapping[str, str]) -> None:
    links = "".join(f'<a href="#{anchor}">{title}</a>' for anchor, title in sections.items())
    st.html(f'<nav class="on-this-page" aria-label="On this page">{links}</nav>')


# --- Numbers ------------------------------------------------------------------------------------------------


def _headline(scores: SplitScores, answers: Sequence[Answer], rank: str) -> None:
    layout.section(SECTIONS["numbers"], anchor="numbers")
    counted = verdict.tally(answers)
    cells = [
        (
            "Told right",
            f"{counted.share_right:.1%}",
            _interval(counted.interval),
            f"Share of photos for which a visitor is told the true {rank}; one that is turned away is not told right.",
        ),
        (
            "Most probable right",
            f"{scores.accuracy:.1%}",
            _interval(scores.accuracy_interval),
            f"Share of photos whose most probable {rank} is the true one, whether it is told or not: accuracy.",
        ),
        (
            "Macro-F1",
            f"{scores.macro_f1:.2f}",
            _interval(scores.macro_f1_interval, ".2f"),
            f"F1 of each {rank}, averaged so that rare {RANKS[rank]} count as much as common ones.",
        ),
        ("Right in first two", f"{scores.top2:.1%}", "", f"The true {rank} is one of the two most probable."),
        (
            "Calibration error",
            f"{scores.ece_after:.3f}",
            f"{scores.ece_before:.3f} before calibration",
            "Mean distance between how sure the network is and how often it is right; 0 is perfect.",
        ),
    ]
    with st.container(horizontal=True, gap="small", key="headline"):
        for label, value, note, explanation in cells if answers else cells[1:]:
            # Two beside each other on a phone.
            with st.container(width=NUMBER_PX, gap="xsmall"):
                st.metric(label, value, help=explanation)
                st.caption(note or " ")
    if scores.macro_f1_supported is not None:
        lacking = [row.genus for row in scores.per_genus if row.genus not in scores.supported_genera]
        without = f"Without {verdict.some_of(lacking)}, of which there are too few photos to measure, the"
        st.markdown(
            f"{without if lacking else 'The'} macro-F1 of the {RANKS[rank]} is **{scores.macro_f1_supported:.2f}**. "
            f"{scores.count:,} photos in all."
        )


def _interval(bounds: Sequence[float], form: str = ".1%") -> str:
    low, high = bounds
    return f"95 % interval: {low:{form}} to {high:{form}}"


def _one_by_one(scores: SplitScores, answers: Sequence[Answer], known: Names) -> None:
    layout.section(SECTIONS["names"], anchor="names")
    title = known.rank.capitalize()
    st.caption(
        f"Told right: of the photos of this {known.rank}, how many a visitor is told. Precision: of the photos whose "
        f"most probable {known.rank} this is, how many are. Recall: of the photos of it, for how many it is the most "
        "probable. F1 joins the two. A number from a handful of photos says little."
    )
    rows = []
    for row in scores.per_genus:
        counted = verdict.tally([answer for answer in answers if answer.true_genus == row.genus])
        measured = row.support > 0
        shares = (row.precision, row.recall, row.f1) if measured else (None, None, None)
        interval = "{:.2f} to {:.2f}".format(*row.recall_interval) if measured else ""
        told_right = counted.share_right if counted.count else None
        rows.append((row.genus, (told_right, *shares), (interval, f"{row.support:,}")))
    tables.shares(
        (title, "Told right", "Precision", "Recall", "F1", "Recall, 95 % interval", "Photos"),
        rows,
        label=f"Share told right, precision, recall, F1 and number of photos of each {known.rank}",
    )


# --- The matrix ---------------------------------------------------------------------------------------------


def _matrix(answers: Sequence[Answer], known: Names, split: str) -> None:
    if not answers:
        return
    layout.section(SECTIONS["matrix"], anchor="matrix")
    pressing = " Press a cell to see its photos." if split == "test" else ""
    st.caption(
        "A row is what the photos show, a column what a visitor is told; the last one is “none of these”. Right ones "
        "are green, wrong ones orange, and the more of a row, the deeper, the wrong ones three times as deep. A row "
        "of few photos stays pale." + pressing
    )
    confusion = verdict.confusion(answers, known.names)
    tables.table(
        known.names,
        [*known.names, "none of these"],
        tables.confusion_cells(confusion, known.names, pressable=split == "test"),
        label=f"Photos by true {known.rank} and by what is told",
        key=f"confusion:{split}",
        on_press=lambda cell: st.session_state.update(cell_pressed=cell),
        colours=colours(known.names),
    )
    st.markdown(tables.describe_confusion(confusion, known.names))
    if cell := st.session_state.pop("cell_pressed", None):
        true, named = tables.pressed_confusion(cell, known.names)
        answer = "unknown" if named is None else "right" if true == named else "wrong"
        asked = Filters(true, named or filters.ANY, answer)
        filters.ask(asked)
        layout.go_to("browse", **asked.choices)


# --- How sure -----------------------------------------------------------------------------------------------


@st.fragment
def _how_sure(answers: Sequence[Answer]) -> None:
    if not answers:
        return
    layout.section(SECTIONS["sure"], anchor="sure")
    st.caption(
        "The surer it must be before it names anything, the fewer photos it names, and the fewer of them wrongly."
    )
    asked = st.slider("It must be at least this sure", 0, 99, 50, format="%d %%", key="demanded_percent")
    left = verdict.demand(answers, asked / 100)
    shares = "".join(
        f'<i class="{kind}" style="width:{100 * count / left.count:.2f}%"></i>'
        for kind, count in (("right", left.right), ("wrong", left.wrong), ("none", left.turned_away))
    )
    error = "none of them" if left.error is None else f"{percent(left.error)} of those wrongly"
    words = f"{percent(left.coverage)} of the photos are named, {error}."
    st.html(f'<p class="share" role="img" aria-label="{words}">{shares}</p>')
    st.markdown(
        f"**{words}** Of {left.count} photos {left.right} are told right, {left.wrong} wrong, {left.turned_away} get "
        "no name."
    )


# --- Side by side -------------------------------------------------------------------------------------------


def _side_by_side(split: str) -> None:
    layout.section(SECTIONS["models"], anchor="models")
    at_hand = models.checkpoints()
    titles = models.human_names(list(at_hand))
    rows = [row for name, folder in at_hand.items() if (row := _row(titles[name], folder, split))]
    if rows:
        st.table(rows, hide_index=True, alt="The scores of all models at hand")
        st.caption(f"{SPLIT_TITLES[split]} photos. Models that were tested on other photos can't be compared directly.")


def _row(name: str, folder: Path, split: str) -> dict[str, str] | None:
    report, answers = records.report(folder), records.answers(folder, split)
    scores = report.splits.get(split) if report else None
    if not answers or report is None or scores is None:
        return None
    counted = verdict.tally(answers)
    return {
        "Model": name,
        "Told right": f"{counted.share_right:.1%}",
        "Told wrong": f"{counted.wrong / counted.count:.1%}",
        "Turned away": f"{counted.turned_away / counted.count:.1%}",
        "Most probable right": f"{scores.accuracy:.1%}",
        "Macro-F1": f"{scores.macro_f1:.2f}",
        "Calibration error": f"{scores.ece_after:.3f}",
        "Seconds a photo": _seconds(report.latency) if report.latency else "",
        "Photos": str(counted.count),
    }


def _seconds(latency: Latency) -> str:
    return f"{latency.median_s:.2f}" + ("" if latency.device == "cpu" else f", {latency.processor}")
