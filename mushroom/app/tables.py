"""Tables whose cells are coloured by their value: the confusion matrix, agreement, faithfulness.

Plain HTML in a small inline component, not a chart: it reads at any size, by keyboard and by screen reader, prints,
and waits for no chart library. All it sends back is the name of a pressed cell, which is checked.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Literal

import streamlit as st

from mushroom.evaluation.report import FaithfulnessRow

MANY_NAMES = 16
"""With more columns than this the cells are drawn small."""


Kind = Literal["meant", "mistake"]
"""What the hue of a cell says."""


@dataclass(frozen=True)
class Cell:
    """One cell: ``text`` is read in it, ``title`` tells it in full, ``share`` in [0, 1] is the depth of its colour.

    ``kind`` chooses the hue: what is meant, or a mistake. ``name`` is what a press sends; without one it is no button.
    """

    text: str
    title: str
    share: float = 0.0
    kind: Kind = "meant"
    name: str = ""


_table = st.components.v2.component(
    "mushroom_table",
    html='<div class="scroll" tabindex="0" role="group"><table><thead></thead><tbody></tbody></table></div>',
    css="""
.scroll { overflow: auto; max-height: 88vh; font-family: var(--st-font); color: var(--st-text-color); }
.scroll:focus-visible, button:focus-visible { outline: 3px solid var(--st-primary-color); outline-offset: -3px; }
table { border-collapse: separate; border-spacing: 2px; font-size: .85rem; line-height: 1.2; }
thead th { position: sticky; top: 0; z-index: 1; vertical-align: bottom; font-weight: 500;
  background: var(--st-background-color); padding: .3rem .2rem; }
tbody th { position: sticky; left: 0; text-align: right; font-weight: 500; white-space: nowrap;
  max-width: min(16rem, 36vw); overflow: hidden; text-overflow: ellipsis;
  background: var(--st-background-color); padding: .2rem .6rem .2rem .2rem; }
thead th.turned span { writing-mode: vertical-rl; transform: rotate(180deg); white-space: nowrap;
  max-height: 12rem; overflow: hidden; text-overflow: ellipsis; }
th i { display: inline-block; width: .55rem; height: .55rem; border-radius: 50%; background: var(--colour);
  box-shadow: 0 0 0 1px color-mix(in srgb, var(--st-text-color) 35%, transparent); }
tbody th i { margin-left: .4rem; }
thead th i { margin: .3rem auto 0; display: block; }
td { padding: 0 .45rem; min-width: 3rem; height: 2.4rem; text-align: center; border-radius: .25rem;
  background: color-mix(in srgb, var(--hue) calc(var(--share) * 55%), var(--st-secondary-background-color)); }
td.meant { --hue: #2e8b62; }
td.mistake { --hue: #d9701a; }
.small { font-size: .72rem; }
.small td { padding: 0; min-width: 1.7rem; height: 1.6rem; }
button { all: unset; box-sizing: border-box; display: flex; align-items: center; justify-content: center;
  width: 100%; height: 100%; min-height: 1.6rem; cursor: pointer; border-radius: .25rem; }
button:hover { box-shadow: inset 0 0 0 2px var(--st-text-color); }
caption { caption-side: bottom; text-align: left; font-size: .85rem; padding-top: .3rem; }
@media (max-width: 640px) { td { padding: 0 .15rem; min-width: 1.5rem; height: 2rem; } table { font-size: .75rem; } }
@media print { .scroll { overflow: visible; max-height: none; break-inside: avoid; } table { font-size: .7rem; }
  td { min-width: 1.5rem; } }
""",
    js="""
export default function ({ data, parentElement, setTriggerValue }) {
  const scroll = parentElement.querySelector('.scroll')
  scroll.setAttribute('aria-label', data.label)
  scroll.classList.toggle('small', data.small)
  const made = (tag, text, attributes = {}) => {
    const element = document.createElement(tag)
    if (text) element.textContent = text
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
    return element
  }
  const mark = (title) =>
    data.colours[title] ? [made('i', '', { style: `--colour: ${data.colours[title]}` })] : []
  const head = made('tr')
  head.append(made('td', '', { style: 'background: none' }))
  for (const title of data.columns) {
    const th = made('th', '', { scope: 'col', title, ...(data.turned ? { class: 'turned' } : {}) })
    th.append(made('span', title), ...mark(title))
    head.append(th)
  }
  const rows = data.rows.map((title, index) => {
    const row = made('tr')
    const th = made('th', title, { scope: 'row', title })
    th.append(...mark(title))
    row.append(th)
    for (const cell of data.cells[index]) {
      const td = made('td', '', { class: cell.kind, style: `--share: ${cell.share}`, title: cell.title })
      if (cell.name) {
        const button = made('button', cell.text, { type: 'button', 'aria-label': cell.title })
        button.onclick = () => setTriggerValue('pressed', cell.name)
        td.append(button)
      } else td.textContent = cell.text
      row.append(td)
    }
    return row
  })
  scroll.querySelector('thead').replaceChildren(head)
  scroll.querySelector('tbody').replaceChildren(...rows)
}
""",
)


def table(
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Sequence[Sequence[Cell]],
    *,
    label: str,
    key: str,
    on_press: Callable[[str], None] | None = None,
    colours: Mapping[str, str] | None = None,
) -> None:
    """A table of ``cells``, one sequence a row; ``on_press`` gets the name of a cell that was pressed.

    A row or column whose title has one of the ``colours`` (CSS) bears it as a mark.
    """
    names = {cell.name for row in cells for cell in row if cell.name}

    def pressed_changed() -> None:
        name = st.session_state[key].pressed
        if on_press and isinstance(name, str) and name in names:
            on_press(name)

    _table(
        data={
            "label": label,
            "rows": list(rows),
            "columns": list(columns),
            "turned": len(columns) > 6,
            "small": len(columns) > MANY_NAMES,
            "colours": dict(colours or {}),
            "cells": [[asdict(cell) for cell in row] for row in cells],
        },
        key=key,
        on_pressed_change=pressed_changed,
    )


# --- Shares -------------------------------------------------------------------------------------------------


def shares(
    columns: Sequence[str], rows: Sequence[tuple[str, Sequence[float | None], Sequence[str]]], *, label: str
) -> None:
    """A table whose rows are a name, shares in [0, 1] with a bar each (None: not measured), and texts."""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{_bar(share)}</td>" for share in values)
        + "".join(f"<td>{escape(text)}</td>" for text in texts)
        + "</tr>"
        for name, values, texts in rows
    )
    st.html(
        f'<div class="shares" role="group" tabindex="0" aria-label="{escape(label)}"><table><thead><tr>'
        f"{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _bar(share: float | None) -> str:
    return "" if share is None else f'<i style="--share:{share:.0%}"></i>{share:.2f}'


# --- The confusion matrix -----------------------------------------------------------------------------------

PALE_BELOW = 20
"""So many photos are added to a row before its shares are coloured: one photo does not look like two hundred."""

MISTAKES_DEEPER = 3
"""Mistakes are spread over the columns: at the depth of the right ones nobody would see them."""


def depth(count: int, total: int, kind: Kind) -> float:
    """How deep the colour of ``count`` photos of a row of ``total`` is, in [0, 1]."""
    share = count / (total + PALE_BELOW)
    return share if kind == "meant" else min(1.0, MISTAKES_DEEPER * share)


def confusion_cells(confusion: Sequence[Sequence[int]], names: Sequence[str], *, pressable: bool) -> list[list[Cell]]:
    """Cells of ``verdict.confusion``: rows are the true names, columns the names and last "none of these".

    What a press sends says ``pressed_confusion``.
    """
    answers = [*names, "none of these"]
    return [
        [
            Cell(
                text=str(count) if count else "",
                title=f"{count} {'photo' if count == 1 else 'photos'} of {true}, told {answer}",
                share=depth(count, sum(row), _kind(at, column)),
                kind=_kind(at, column),
                # Places, not names: a name may hold any letter, and may be "none".
                name=f"{at}/{column}" if pressable and count else "",
            )
            for column, (answer, count) in enumerate(zip(answers, row, strict=True))
        ]
        for at, (true, row) in enumerate(zip(names, confusion, strict=True))
    ]


def _kind(row: int, column: int) -> Kind:
    return "meant" if row == column else "mistake"


def pressed_confusion(pressed: str, names: Sequence[str]) -> tuple[str, str | None]:
    """The true name, and what was told (None: "none of these"), of a pressed cell of ``confusion_cells``."""
    true, answer = map(int, pressed.split("/"))
    return names[true], names[answer] if answer < len(names) else None


def describe_confusion(confusion: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """The matrix in two or three sentences: how many are told right, how many none, the most frequent mistakes."""
    total = sum(map(sum, confusion))
    right = sum(confusion[i][i] for i in range(len(names)))
    none = sum(row[-1] for row in confusion)
    mistakes = sorted(
        (
            (count, names[i], names[j])
            for i, row in enumerate(confusion)
            for j, count in enumerate(row[:-1])
            if i != j and count
        ),
        key=lambda mistake: -mistake[0],
    )
    most = ", ".join(f"{true} taken for {other} ({count})" for count, true, other in mistakes[:3])
    return f"Told right: {right} of {total} photos; told none of these: {none}." + (
        f" The most frequent mistakes: {most}." if most else ""
    )


# --- Faithfulness -------------------------------------------------------------------------------------------


def faithfulness_cells(
    rows: Sequence[FaithfulnessRow], methods: Sequence[str], layers: Sequence[str], changed_below: float
) -> list[list[Cell]]:
    """Insertion minus deletion by method (rows) and layer (columns), from the report's table.

    A cell is crossed out where the heatmap is not about the genus: its rank correlation with that of a shuffled head
    is not ``changed_below``.
    """
    by_cell = {(row.method, row.layer): row for row in rows}
    highest = max((_gain(row) for row in rows), default=1) or 1
    return [[_faithful(by_cell.get((method, layer)), highest, changed_below) for layer in layers] for method in methods]


def _faithful(row: FaithfulnessRow | None, highest: float, changed_below: float) -> Cell:
    if row is None:
        return Cell("", "not measured")
    correlation = row.randomisation_correlation
    crossed = correlation is None or correlation >= changed_below
    title = f"{row.method} at {row.layer}: {_gain(row):.3f}" + (", not about the answer" if crossed else "")
    return Cell(f"{signed(_gain(row))}{' ✕' if crossed else ''}", title, max(0.0, _gain(row) / highest))


def signed(number: float) -> str:
    """A number to two decimals, with a minus as wide as a figure."""
    return f"{number:.2f}".replace("-", "−")


def _gain(row: FaithfulnessRow) -> float:
    return row.insertion - row.deletion


def describe_faithfulness(rows: Sequence[FaithfulnessRow], titles: Mapping[str, str]) -> str:
    """The faithfulness table in words: the cells with the highest and the lowest value."""
    best, worst = max(rows, key=_gain), min(rows, key=_gain)
    return (
        f"The highest value, {signed(_gain(best))}, has {titles[best.method]} at {best.layer}; the lowest, "
        f"{signed(_gain(worst))}, {titles[worst.method]} at {worst.layer}."
    )
