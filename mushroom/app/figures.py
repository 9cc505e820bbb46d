"""Numbers become plotly figures: one function a figure, and one that says it in words.

Figures have transparent paper and no colours of text or grid: whoever shows them brings the theme, light or dark.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mushroom.evaluation.report import Bin
from mushroom.texts import RANKS, percent

ACCENT = "#2E8B62"
"""Green, for what is meant; readable on light and on dark."""

QUIET = "#9AA39C"
SECOND = "#D9822B"
"""Orange, where two things are compared with each other: apart from the green for colour-blind readers too."""

SPLIT_COLOURS = {"train": ACCENT, "validation": SECOND, "test": "#4C78A8"}
BAR_PX = 30
BARS = 10
NAME_CHARACTERS = 26
"""Of a longer name only the beginning stands beside a bar: the rest of a phone's width is the bar's."""

MARGIN = {"l": 8, "r": 8, "t": 8, "b": 8}


def bars_before_after(before: Mapping[str, float], after: Mapping[str, float]) -> go.Figure:
    """Two bars a genus: how sure the network was of the whole photo, and how sure with a part covered.

    Of many genera the ``BARS`` that either counts most for.
    """
    first = sorted(before, key=lambda genus: max(before[genus], after[genus]))[-BARS:]
    ranked = sorted(first, key=lambda genus: before[genus])
    figure = go.Figure()
    for name, values, colour in (("part covered", after, SECOND), ("whole photo", before, ACCENT)):
        figure.add_bar(
            x=[100 * values[genus] for genus in ranked],
            y=ranked,
            orientation="h",
            name=name,
            marker_color=colour,
            text=[percent(values[genus]) for genus in ranked],
            textposition="outside",
            cliponaxis=False,
            hovertemplate=f"%{{y}}, {name}: %{{x:.1f}} %<extra></extra>",
        )
    figure.update_xaxes(range=[0, 112], visible=False, fixedrange=True)
    figure.update_yaxes(fixedrange=True, ticksuffix="  ")
    return _laid_out(figure, 1.35 * BAR_PX * len(ranked) + 40, bargap=0.25, legend_traceorder="reversed")


def reliability(before: Sequence[Bin], after: Sequence[Bin]) -> go.Figure:
    """Accuracy against confidence, in percent, of the bins of ``a report`` before and after calibration."""
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 100], y=[0, 100], mode="lines", line={"dash": "dot", "color": QUIET}, name="perfect", hoverinfo="skip"
    )
    for name, bins, colour in (("before", before, SECOND), ("after calibration", after, ACCENT)):
        figure.add_scatter(
            x=[100 * group.confidence for group in bins],
            y=[100 * group.accuracy for group in bins],
            mode="markers",
            name=name,
            marker={"color": colour, "opacity": 0.8, "size": [6 + min(group.count, 400) ** 0.5 for group in bins]},
            customdata=[group.count for group in bins],
            hovertemplate="%{x:.0f} % sure, %{y:.0f} % right, %{customdata} photos<extra>" + name + "</extra>",
        )
    figure.update_xaxes(title="how sure, %", range=[0, 104], fixedrange=True)
    figure.update_yaxes(title="how often right, %", range=[0, 106], fixedrange=True)
    return _laid_out(figure, 420)


def training_curves(history: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Loss and accuracy of training and validation by epoch, from the rows of ``history.csv``; phases are marked."""
    epochs = [int(row["epoch"]) for row in history]
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    for row, (measure, factor) in enumerate((("loss", 1), ("accuracy", 100)), start=1):
        for split, colour in (("train", QUIET), ("validation", ACCENT)):
            figure.add_scatter(
                x=epochs,
                y=[factor * float(entry[f"{split}_{measure}"]) for entry in history],
                mode="lines+markers",
                name=split,
                legendgroup=split,
                showlegend=row == 1,
                line={"color": colour},
                hovertemplate=f"epoch %{{x}}: %{{y:.3g}}<extra>{split} {measure}</extra>",
                row=row,
                col=1,
            )
    for phase, start in _phase_starts(history).items():
        figure.add_vline(x=start - 0.5, line={"dash": "dot", "color": QUIET})
        figure.add_annotation(x=start - 0.4, y=1, yref="y domain", xanchor="left", text=phase, showarrow=False)
    figure.update_yaxes(title="loss", row=1, col=1)
    figure.update_yaxes(title="accuracy, %", row=2, col=1)
    figure.update_xaxes(title="epoch", row=2, col=1)
    return _laid_out(figure, 480)


def _phase_starts(history: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    starts: dict[str, int] = {}
    for row in history:
        starts.setdefault(str(row["phase"]), int(row["epoch"]))
    return starts


def photos_per_genus(counts: Mapping[str, Mapping[str, int]]) -> go.Figure:
    """Photos of each genus, stacked by split; ``counts`` by split and genus."""
    names = _counted(counts)
    figure = go.Figure()
    for split, colour in SPLIT_COLOURS.items():
        by_genus = counts.get(split, {})
        figure.add_bar(
            x=[by_genus.get(name, 0) for name in names],
            y=names,
            orientation="h",
            name=split,
            marker_color=colour,
            hovertemplate=f"%{{x}} photos of %{{y}}<extra>{split}</extra>",
        )
    short = [name if len(name) <= NAME_CHARACTERS else f"{name[: NAME_CHARACTERS - 1]}…" for name in names]
    figure.update_yaxes(autorange="reversed", fixedrange=True, ticksuffix="  ", tickvals=names, ticktext=short)
    figure.update_xaxes(title="photos", fixedrange=True)
    bar_px = BAR_PX if len(names) <= 2 * BARS else BAR_PX / 2
    return _laid_out(figure, bar_px * len(names) + 110, barmode="stack", legend_traceorder="normal")


# --- In words, for who does not see the figure --------------------------------------------------------------


def describe_reliability(before: Sequence[Bin], after: Sequence[Bin]) -> str:
    """The reliability diagram in words: its fullest bin, before and after calibration."""

    def fullest(bins: Sequence[Bin]) -> str:
        group = max(bins, key=lambda group: group.count)
        return (
            f"of {group.count} photos it was {group.confidence:.0%} sure of on average, it was right on "
            f"{group.accuracy:.0%}"
        )

    return f"Before calibration: {fullest(before)}. After: {fullest(after)}."


def describe_training(history: Sequence[Mapping[str, Any]]) -> str:
    """Training curves in words: how many epochs of which phases, and where the validation accuracy ended up."""
    phases = ", ".join(f"{phase} from epoch {start}" for phase, start in _phase_starts(history).items())
    best = max(history, key=lambda row: float(row["validation_accuracy"]))
    if len(history) == 1:
        return (
            f"One step ({history[0]['phase']}), with a validation accuracy of {float(best['validation_accuracy']):.1%}."
        )
    return (
        f"{len(history)} epochs ({phases}). The highest validation accuracy is "
        f"{float(best['validation_accuracy']):.1%}, in epoch {best['epoch']}."
    )


def _counted(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """The names that photos were counted of, in the order of the checkpoint."""
    return list(dict.fromkeys(name for by_genus in counts.values() for name in by_genus))


def describe_photos(counts: Mapping[str, Mapping[str, int]], rank: str = "genus") -> str:
    """Photos of each name in words; of many names those with the most and the fewest."""
    totals = {genus: sum(by_genus.get(genus, 0) for by_genus in counts.values()) for genus in _counted(counts)}
    listed = sorted(totals.items(), key=lambda name_and_count: -name_and_count[1]) if len(totals) > 2 * BARS else None
    if listed:
        most, fewest = (", ".join(f"{name} {count}" for name, count in part) for part in (listed[:3], listed[-3:]))
        return f"Photos of {len(totals)} {RANKS[rank]}: most of {most}; fewest of {fewest}."
    return f"Photos of each {rank}: " + ", ".join(f"{name} {count}" for name, count in totals.items()) + "."


def _laid_out(figure: go.Figure, height_px: float, **layout: Any) -> go.Figure:
    figure.update_layout(
        height=height_px,
        margin=MARGIN,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        dragmode=False,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
        **layout,
    )
    return figure
