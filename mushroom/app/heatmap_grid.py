"""Heatmaps over a photo, side by side in a grid whose labels are said once, and how alike they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from PIL import Image

from mushroom.app import components, layout, server, subject, tables, url_state
from mushroom.app.subject import Subject
from mushroom.texts import percent

if TYPE_CHECKING:
    from mushroom.classifier import Explanation

CELL_PX = 320
"""Longest side of a picture in the grid."""


@dataclass(frozen=True)
class Cell:
    """One heatmap of a comparison, (h, w) in [0, 1], what it is of, and what stands under it."""

    title: str
    note: str
    heatmap: np.ndarray


def show_grid(photo: Subject, columns: Sequence[str], rows: Mapping[str, Sequence[Cell]]) -> None:
    """The photo under each heatmap: columns and rows by their titles; a single row needs none."""
    from mushroom.explain import overlays

    view = subject.shrunk(subject.preview(photo).copy(), CELL_PX)
    colours = str(url_state.choice("colours", list(overlays.COLOUR_MAPS), overlays.DEFAULT_COLOURS, what="colours"))
    named = any(rows)
    head = ('<td class="rows"></td>' if named else "") + "".join(
        f'<th scope="col">{escape(title)}</th>' for title in columns
    )
    body = ""
    for title, cells in rows.items():
        body += "<tr>" + (f'<th scope="row">{escape(title)}</th>' if named else "")
        for cell in cells:
            picture = overlays.overlay(view, cell.heatmap, overlays.DEFAULT_OPACITY, colours)
            note = f"<small>{escape(cell.note)}</small>" if cell.note else ""
            image = f'<img src="{components.data_url(picture)}" alt="Heatmap: {escape(cell.title)}">'
            body += f"<td>{image}{note}</td>"
        body += "</tr>"
    st.html(
        '<div class="heatmaps" tabindex="0" role="group" aria-label="Heatmaps side by side">'
        f'<table style="--columns:{len(columns)}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def show_beside(photo: Image.Image, layer: str, explanations: Sequence["Explanation"]) -> None:
    """The photo under heatmaps of one layer in columns, each under the name that it speaks for."""
    from mushroom.explain import overlays

    colours = str(url_state.chosen("colours") or overlays.DEFAULT_COLOURS)
    for column, found in zip(st.columns(len(explanations), gap="large"), explanations, strict=True):
        names = [found.genus, found.against] if found.against else [found.genus]
        share = "" if found.against else f" ({percent(found.prediction.probabilities[found.genus])})"
        picture = overlays.overlay(photo, found.heatmaps[layer], overlays.DEFAULT_OPACITY, colours)
        with column:
            st.markdown(
                f"**What speaks for {' rather than '.join(f'*{layout.escaped(name)}*' for name in names)}**{share}"
            )
            alt = f"Heatmap of what speaks for {' rather than '.join(names)}"
            st.image(server.run_queued(partial(components.jpeg, picture)), width="stretch", alt=alt)
            if not found.has_evidence[layer]:
                st.caption("In this layer nothing does.")


def common_scale(heatmaps: Sequence[np.ndarray], peaks: Sequence[float]) -> list[np.ndarray]:
    """Heatmaps (h, w) in [0, 1] of one network, layer and method with one scale: 1 is the hottest place of all of them.

    ``peaks`` is the evidence of each one's hottest place, comparable between genera, and not positive where nothing
    speaks for the genus.
    """
    highest = max(peaks, default=0.0)
    if highest <= 0:
        return [*heatmaps]
    return [heatmap * np.float32(max(peak, 0.0) / highest) for heatmap, peak in zip(heatmaps, peaks, strict=True)]


def agreement_cells(heatmaps: Mapping[str, np.ndarray]) -> list[list[tables.Cell]]:
    """How alike each two heatmaps (any sizes, in [0, 1], by title) rank the places: rank correlation, overlap.

    Empty heatmaps and the diagonal have nothing to compare.
    """
    from mushroom.explain.similarity import on_grid, overlap, rank_correlation

    grids = {title: on_grid(heatmap) for title, heatmap in heatmaps.items() if heatmap.any()}

    def cell(one: str, other: str) -> tables.Cell:
        if one == other:
            return tables.Cell("", one)
        if one not in grids or other not in grids:
            return tables.Cell("–", f"{one} and {other}: an empty heatmap, nothing to compare")
        correlation, shared = rank_correlation(grids[one], grids[other]), overlap(grids[one], grids[other])
        if not np.isfinite(correlation):
            return tables.Cell("–", f"{one} and {other}: a heatmap that is the same everywhere ranks nothing")
        numbers = (
            f"{one} and {other}: rank correlation {correlation:.2f}, {shared:.0%} of their hottest fifths is shared"
        )
        kind: tables.Kind = "meant" if correlation >= 0 else "mistake"
        return tables.Cell(f"{tables.signed(correlation)} ({shared:.0%})", numbers, abs(correlation), kind)

    return [[cell(one, other) for other in heatmaps] for one in heatmaps]
