"""The report's sections that are mostly a chart or a table: calibration, other things, training, photos, heatmaps."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from mushroom.app import layout, records, tables
from mushroom.evaluation.report import FaithfulnessTable, Report, SeveralPhotos, SplitScores, Unknown
from mushroom.texts import none_of_these

if TYPE_CHECKING:
    import plotly.graph_objects as go

CHART_PX = 680
"""Width of a chart, at most: what is drawn for a wide screen is cut off on paper, which has 688 between its margins."""

PUBLISHED = (("ResNet-50, frozen", 0.778), ("ConvNeXt-Base, frozen", 0.921))
"""Test accuracies that the notebook project published, on the Kaggle nine-genus photos."""


def _chart(figure: "go.Figure", key: str, described: str) -> None:
    with st.container(width=CHART_PX):
        st.plotly_chart(figure, key=key, config={"displayModeBar": False}, alt=described)


def calibration(title: str, scores: SplitScores, temperature: float) -> None:
    """How often it is right against how sure it is."""
    from mushroom.app import figures

    layout.section(title, anchor="calibration")
    st.caption(
        "On the dotted line the network is right exactly as often as it says it is sure; below the line it is "
        "too sure of itself. The larger the dot, the more photos."
    )
    before, after = scores.reliability_before, scores.reliability_after
    described = figures.describe_reliability(before, after)
    _chart(figures.reliability(before, after), "reliability", described)
    st.caption(
        f"{described} Calibrated by temperature scaling (Guo et al. 2017) with a temperature of {temperature:.2f}, "
        "fitted on the validation photos."
    )


def unknown(title: str, unknown: Unknown, split: str, names: int) -> None:
    """How well photos of other things are told from those of the known names."""
    layout.section(title, anchor="unknown")
    measured = unknown.splits.get(split)
    third_answer = none_of_these(names)
    if measured is None or not measured.kinds:
        st.caption("In this split there are no photos of anything else.")
        return
    st.caption(
        f"Photos of other things should be answered “{third_answer}”. The first number is how often such a photo "
        "scores higher than one of a known name (AUROC: 50 % is chance); the second how many are turned away."
    )
    rows = [
        {
            "Photos of": kind.replace("_", " "),
            "Told apart": f"{values.auroc:.1%}",
            "Turned away": "" if values.caught is None else f"{values.caught:.1%}",
            "Photos": str(values.count),
        }
        for kind, values in measured.kinds.items()
    ]
    st.table(rows, hide_index=True, alt=f"How well photos of {third_answer} are recognised as such")
    if measured.known_turned_away is not None:
        st.caption(f"The price: of photos of the known names, {measured.known_turned_away:.1%} are turned away too.")
    if rows := threshold_rows(unknown):
        with st.expander("What another threshold would turn away"):
            st.table(rows, hide_index=True, alt="Known photos turned away against others caught, by threshold")
            st.caption(
                "Measured on the validation photos. The threshold in use is the lowest that turns away at most "
                f"{unknown.max_turned_away:.0%} of known ones, unless the network was calibrated otherwise."
            )


def threshold_rows(unknown: Unknown) -> list[dict[str, str]]:
    """The curve of known photos turned away against each other kind caught, as rows of a table."""
    return [
        {"Known photos turned away": f"{point.known_turned_away:.1%}"}
        | {f"{kind.replace('_', ' ').capitalize()} caught": f"{share:.1%}" for kind, share in point.caught.items()}
        for point in unknown.curve
        if point.caught
    ]


def several_sentence(measured: SeveralPhotos) -> str:
    """The measurement of photos that were answered together, in words."""
    return (
        f"**Several photos of one mushroom**: of {measured.photos} test photos, two or three of one species and source "
        f"answered together, {measured.together_told_right:.1%} of {measured.groups} answers are told right; each "
        f"photo on its own {measured.single_told_right:.1%}."
    )


def training(title: str, folder: Path) -> None:
    """The curves of training."""
    from mushroom.app import figures

    layout.section(title, anchor="learned")
    history = records.history(folder)
    if not history:
        st.caption("This network came without a history of epochs. Its model card tells how it was made.")
        return
    described = figures.describe_training(history)
    if len(history) == 1:
        # One point is no curve.
        st.markdown(described)
        return
    st.caption(
        "Left to right is training time. Where the validation line stops following the training line, the network "
        "learns the photos by heart."
    )
    _chart(figures.training_curves(history), "training_curves", described)
    st.markdown(described)


def photos(title: str, counts: Mapping[str, Mapping[str, int]], scores: SplitScores, rank: str) -> None:
    """How many photos of what there were, and whose."""
    from mushroom.app import figures

    layout.section(title, anchor="photos")
    st.caption(f"The shorter the bar, the fewer photos the network could learn this {rank} from.")
    described = figures.describe_photos(counts, rank)
    _chart(figures.photos_per_genus(counts), "photos_per_genus", described)
    st.caption(described)
    if scores.per_source:
        with st.expander(f"Most probable {rank} right, by where the photos came from"):
            st.dataframe(
                [{"Source": row.source, "Right": row.accuracy, "Photos": row.count} for row in scores.per_source],
                hide_index=True,
                column_config={"Right": st.column_config.NumberColumn(format="percent")},
                alt=f"Share of photos whose most probable {rank} is right, for each source of photos",
            )


def faithfulness(title: str, measured: FaithfulnessTable | None) -> None:
    """How much the network's answer hangs on the places that the heatmaps call important."""
    from mushroom.explain.faithfulness import CHANGED_BELOW
    from mushroom.explain.methods import METHODS

    layout.section(title, anchor="heatmaps")
    if not measured:
        st.caption("Not measured for this network: `python train.py evaluate CHECKPOINT PREPARED --faithfulness` does.")
        return
    titles = {key: method.title for key, method in METHODS.items()}
    rows, chance = measured.rows, measured.chance
    st.caption(
        "The higher, the more the network's answer hangs on the places that the heatmap calls important; crossed out "
        "is what looks the same when the learned head is shuffled: it is not about the answer."
    )
    layers = list(dict.fromkeys(row.layer for row in rows))
    methods = [method for method in titles if any(row.method == method for row in rows)]
    tables.table(
        [titles[method] for method in methods],
        layers,
        tables.faithfulness_cells(rows, methods, layers, CHANGED_BELOW),
        label="Faithfulness of each method (row) at each layer (column, early to late)",
        key="faithfulness",
    )
    st.caption(tables.describe_faithfulness(rows, titles))
    best = measured.best
    best_way = f"Most faithful: **{titles[best.method]}** at **{best.layer}**. " if best else ""
    st.markdown(
        f"{best_way}Measured on {measured.sample} test photos: the hottest patches are taken away, or brought back, "
        "step by step, and the value is how much confidence that moves (insertion minus deletion, Petsiuk et al. "
        f"2018). Random blobs in place of a heatmap reach {chance.insertion - chance.deletion:.2f}. ✕: the "
        "heatmap hardly changes when the head's learned numbers are shuffled (Adebayo et al. 2018). Where the rest of "
        "a photo suffices for the answer, taking the hottest part away moves little, and the value is low however "
        "rightly the heatmap points."
    )
    if left_out := [titles[method] for method in measured.left_out]:
        st.caption(f"Not measured: {', '.join(left_out)}, which would take thousands of passes a photo here.")
    with st.expander("All numbers"):
        st.dataframe(
            [{**asdict(row), "method": titles[row.method]} for row in rows],
            hide_index=True,
            alt="Faithfulness of every method at every layer",
        )


def published(title: str, report: Report) -> None:
    """What the notebook project published, beside this network's accuracy."""
    layout.section(title, anchor="notebook")
    columns = ("Network", "Most probable right", "Photos", "Measured by")
    measured = [(name, f"{accuracy:.1%}", "Kaggle, nine genera", "its authors") for name, accuracy in PUBLISHED]
    if test := report.test:
        photos = f"{test.count} of our own test split"
        measured.append(("this one", f"{test.accuracy:.1%}", photos, "train.py evaluate"))
    rows = [dict(zip(columns, row, strict=True)) for row in measured]
    st.table(rows, hide_index=True, alt="Published test accuracies of the notebook project beside ours")
    st.caption("On other photos: the numbers say nothing about which network is better.")
    layout.page_link("browse", "Browse the test photos", ":material/grid_view:")
