"""Report: how good a network is on photos it has not learned from, in numbers and figures anyone can read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from mushroom.app import layout, models, records, url_state

SPLIT_TITLES = {"test": "Test", "validation": "Validation", "train": "Training"}
SPLIT_NOTES = {
    "test": "Photos that the network never learned from: these numbers count.",
    "validation": "Photos that chose the epoch, the calibration and the threshold: a little too kind.",
    "train": "Photos that the network learned from: shown to tell learning by heart from understanding.",
}

PUBLISHED = (
    ("ResNet-50, frozen", 0.778),
    ("ConvNeXt-Base, frozen", 0.921),
)
"""Test accuracies that the notebook project published, on the Kaggle nine-genus photos."""

CONFIG = {"displayModeBar": False}


def render() -> None:
    """The page."""
    layout.header("Report", "What the network can and cannot do, measured on photos with known genus.")
    folder = models.choose_checkpoint()
    if folder is None:
        return
    report = records.report(folder)
    splits = [split for split in SPLIT_TITLES if split in report.get("splits", {})]
    if not splits:
        st.info(
            "This network has no report yet. Make one with `python train.py evaluate`.",
            icon=":material/info:",
        )
        return
    split = str(url_state.choice("split", splits, splits[0], what="split"))
    st.segmented_control(
        "Photos", splits, format_func=SPLIT_TITLES.__getitem__, required=True, **url_state.widget("split", split)
    )
    st.caption(SPLIT_NOTES[split])
    scores = report["splits"][split]
    _headline(scores)
    _speed(report.get("latency"))
    _genera(scores)
    _confusion(scores, split)
    left, right = st.columns(2, gap="large")
    with left:
        _calibration(scores, report["temperature"])
    with right:
        _unknown(report["unknown"], split)
    _training(folder)
    _photos(report["photos"], scores)
    _faithfulness(report.get("faithfulness"))
    _published(report)


# --- Numbers ------------------------------------------------------------------------------------------------


def _headline(scores: Mapping[str, Any]) -> None:
    cells = [
        (
            "Accuracy",
            f"{scores['accuracy']:.1%}",
            _interval(scores["accuracy_interval"]),
            "Share of photos answered right.",
        ),
        (
            "Macro-F1",
            f"{scores['macro_f1']:.2f}",
            _interval(scores["macro_f1_interval"], digits=2),
            "F1 of each genus, averaged so that rare genera count as much as common ones.",
        ),
        (
            "Right in first two",
            f"{scores['top2']:.1%}",
            "",
            "The true genus is one of the two most probable.",
        ),
        (
            "Calibration error",
            f"{scores['ece_after']:.3f}",
            f"{scores['ece_before']:.3f} before calibration",
            "Mean distance between how sure the network is and how often it is right; 0 is perfect.",
        ),
    ]
    with st.container(horizontal=True, gap="medium", key="headline"):
        for label, value, note, explanation in cells:
            with st.container(width=155, gap="xsmall"):
                st.metric(label, value, help=explanation)
                st.caption(note or " ")
    if scores["macro_f1_supported"] is not None:
        supported = ", ".join(f"*{genus}*" for genus in scores["supported_genera"])
        st.markdown(
            f"Over the genera with enough photos to measure ({supported}) "
            f"the macro-F1 is **{scores['macro_f1_supported']:.2f}**. {scores['count']} photos in all."
        )


def _speed(latency: Mapping[str, Any] | None) -> None:
    if latency:
        st.caption(
            f"A photo's answer with the heatmaps of all {latency['layers']} layers takes {latency['median_s']:.2f} s "
            f"(median of {latency['repeats']}, on {latency['threads']} threads of a processor)."
        )


def _interval(bounds: tuple[float, float], digits: int | None = None) -> str:
    low, high = bounds
    told = f"{low:.1%} to {high:.1%}" if digits is None else f"{low:.{digits}f} to {high:.{digits}f}"
    return f"95 % interval: {told}"


def _genera(scores: Mapping[str, Any]) -> None:
    st.subheader("Genus by genus", anchor=False)
    st.caption(
        "Precision: of the photos it called this genus, how many are. Recall: of the photos of this genus, how many "
        "it found. F1 joins the two. A number from a handful of photos says little."
    )
    st.dataframe(
        [
            {
                "Genus": row["genus"],
                "Precision": row["precision"] if row["support"] else None,
                "Recall": row["recall"] if row["support"] else None,
                "F1": row["f1"] if row["support"] else None,
                "Photos": row["support"],
            }
            for row in scores["per_genus"]
        ],
        hide_index=True,
        column_config={
            name: st.column_config.ProgressColumn(format="%.2f", min_value=0, max_value=1)
            for name in ("Precision", "Recall", "F1")
        },
        alt="Precision, recall, F1 and number of photos of each genus",
    )


def _confusion(scores: Mapping[str, Any], split: str) -> None:
    from mushroom.app import figures

    st.subheader("What it takes for what", anchor=False)
    st.caption(figures.HOW_TO_READ["confusion_matrix"])
    st.plotly_chart(
        figures.confusion_matrix(scores["confusion"]),
        on_select=_cell_clicked if split == "test" else "ignore",
        selection_mode="points",
        key=f"confusion:{split}",
        config=CONFIG,
        alt=figures.describe_confusion(scores["confusion"]),
    )
    st.markdown(figures.describe_confusion(scores["confusion"]))
    if cell := st.session_state.pop("cell_clicked", None):
        url_state.choose("answer", None)
        layout.go_to("browse", true=cell[0], predicted=cell[1])
    if split == "test":
        mistakes = _mistakes(scores)
        chosen = st.selectbox(
            "Open the photos of a mistake",
            list(mistakes),
            index=None,
            placeholder="Choose a mistake",
            format_func=mistakes.__getitem__,
            width=420,
        )
        if chosen:
            url_state.choose("answer", None)
            layout.go_to("browse", true=chosen[0], predicted=chosen[1])


def _mistakes(scores: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """Pairs of true and predicted genus that occur, the most frequent first, with their titles."""
    genera = [row["genus"] for row in scores["per_genus"]]
    counts = {
        (genera[i], genera[j]): count
        for i, row in enumerate(scores["confusion"])
        for j, count in enumerate(row)
        if i != j and count
    }
    ranked = sorted(counts, key=lambda pair: (-counts[pair], pair))
    return {pair: f"{pair[0]} taken for {pair[1]} · {counts[pair]}" for pair in ranked}


def _cell_clicked() -> None:
    for point in st.session_state["confusion:test"]["selection"]["points"]:
        cell = point.get("customdata")
        # What a browser sends is a stranger's: only genera pass, and Browse checks them again.
        values = list(cell.values()) if isinstance(cell, dict) else cell
        if isinstance(values, list) and len(values) == 2 and all(isinstance(value, str) for value in values):
            st.session_state["cell_clicked"] = (values[0], values[1])


# --- Figures ------------------------------------------------------------------------------------------------


def _calibration(scores: Mapping[str, Any], temperature: float) -> None:
    from mushroom.app import figures

    st.subheader("Is it as right as it is sure?", anchor=False)
    st.caption(figures.HOW_TO_READ["reliability"])
    before, after = scores["reliability_before"], scores["reliability_after"]
    st.plotly_chart(
        figures.reliability(before, after),
        key="reliability",
        config=CONFIG,
        alt=figures.describe_reliability(before, after),
    )
    st.caption(
        f"Calibrated by temperature scaling (Guo et al. 2017) with a temperature of {temperature:.2f}, fitted on the "
        "validation photos."
    )


def _unknown(unknown: Mapping[str, Any], split: str) -> None:
    st.subheader("Does it know what it doesn't know?", anchor=False)
    measured = unknown["measured"].get(split, {})
    kinds = {kind: values for kind, values in measured.items() if isinstance(values, Mapping)}
    if not kinds:
        st.caption("For this split there are no photos of anything but the nine genera.")
        return
    st.caption(
        "Photos of none of the nine should be answered “none of the nine”. The first number is how often such a "
        "photo scores higher than a photo of the nine (AUROC: 50 % is chance); the second how many are turned away."
    )
    st.dataframe(
        [
            {
                "Photos of": kind.replace("_", " "),
                "Told apart": values["auroc"],
                "Turned away": values["rejected"],
                "Photos": values["count"],
            }
            for kind, values in kinds.items()
        ],
        hide_index=True,
        column_config={
            "Told apart": st.column_config.NumberColumn(format="percent"),
            "Turned away": st.column_config.NumberColumn(format="percent"),
        },
        alt="How well photos of none of the nine genera are recognised as such",
    )
    st.caption(
        f"The price: of photos of the nine genera, {1 - measured['known_passed']:.1%} are turned away too. Whole "
        "species and kinds of objects were held back for this measurement."
    )


def _training(folder: Path) -> None:
    from mushroom.app import figures

    st.subheader("How it learned", anchor=False)
    history = records.history(folder)
    if not history:
        st.caption("This network came without a history of epochs. Its model card tells how it was made.")
        return
    st.caption(figures.HOW_TO_READ["training_curves"])
    described = figures.describe_training(history)
    st.plotly_chart(figures.training_curves(history), key="training_curves", config=CONFIG, alt=described)
    st.markdown(described)


def _photos(photos: Mapping[str, Mapping[str, int]], scores: Mapping[str, Any]) -> None:
    from mushroom.app import figures

    st.subheader("What it learned from", anchor=False)
    st.caption(figures.HOW_TO_READ["photos_per_genus"])
    described = figures.describe_photos(photos)
    st.plotly_chart(figures.photos_per_genus(photos), key="photos_per_genus", config=CONFIG, alt=described)
    st.caption(described)
    if scores["per_source"]:
        with st.expander("Accuracy by where the photos came from"):
            st.dataframe(
                [
                    {"Source": row["source"], "Accuracy": row["accuracy"], "Photos": row["count"]}
                    for row in scores["per_source"]
                ],
                hide_index=True,
                column_config={"Accuracy": st.column_config.NumberColumn(format="percent")},
                alt="Accuracy for each source of photos",
            )


def _faithfulness(measured: Mapping[str, Any] | None) -> None:
    from mushroom.app import figures
    from mushroom.explain.faithfulness import CHANGED_BELOW
    from mushroom.explain.methods import METHODS

    st.subheader("Can the heatmaps be believed?", anchor=False)
    if not measured:
        st.caption("Not measured for this network: `python train.py evaluate CHECKPOINT PREPARED --faithfulness` does.")
        return
    titles = {key: method.title for key, method in METHODS.items()}
    rows, chance = measured["rows"], measured["chance"]
    st.caption(figures.HOW_TO_READ["faithfulness"])
    described = figures.describe_faithfulness(rows, titles)
    st.plotly_chart(figures.faithfulness(rows, titles, CHANGED_BELOW), key="faithfulness", config=CONFIG, alt=described)
    best = measured.get("best")
    told = f"Most faithful: **{titles[best['method']]}** at **{best['layer']}**. " if best else ""
    st.markdown(
        f"{told}Measured on {measured['sample']} test photos: the hottest patches are taken away, or brought back, "
        "step by step, and the value is how much confidence that moves (insertion minus deletion, Petsiuk et al. "
        f"2018). Random blobs in place of a heatmap reach {chance['insertion'] - chance['deletion']:.2f}. ✕: the "
        "heatmap hardly changes when the head's learned numbers are shuffled (Adebayo et al. 2018)."
    )
    if left_out := [titles[method] for method in measured.get("left_out", ())]:
        st.caption(f"Not measured: {', '.join(left_out)}, which would take thousands of passes a photo here.")
    with st.expander("All numbers"):
        st.dataframe(
            [{**row, "method": titles[row["method"]]} for row in rows],
            hide_index=True,
            alt="Faithfulness of every method at every layer",
        )


def _published(report: Mapping[str, Any]) -> None:
    st.subheader("Beside the notebook project", anchor=False)
    rows = [
        {
            "Network": name,
            "Test accuracy": accuracy,
            "Photos": "Kaggle, nine genera",
            "Measured by": "its authors",
        }
        for name, accuracy in PUBLISHED
    ]
    if test := report["splits"].get("test"):
        rows.append(
            {
                "Network": "this one",
                "Test accuracy": test["accuracy"],
                "Photos": f"{test['count']} of our own test split",
                "Measured by": "train.py evaluate",
            }
        )
    st.dataframe(
        rows,
        hide_index=True,
        column_config={"Test accuracy": st.column_config.NumberColumn(format="percent")},
        alt="Published test accuracies of the notebook project beside ours",
    )
    st.caption(
        "**On other photos**: the numbers say nothing about which network is better. Ours come from fewer photos, "
        "very unevenly spread over the genera."
    )
    layout.page_link("browse", label="Browse the test photos", icon=":material/grid_view:")
