"""How sure the network is of each name: a bar a row, the whole row pressed to see the heatmap of that name.

The rows are the page's own HTML: no chart library is waited for.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import streamlit as st

from mushroom.app import predictions
from mushroom.common_names import common_name
from mushroom.genera import colours
from mushroom.texts import none_of_these, percent

if TYPE_CHECKING:
    from mushroom.classifier import Classifier, Prediction

TOP_ROWS = 10
"""So many of the most probable names get a bar; the rest are told together, and are chosen from the list below."""

FEWEST_FOLDED = 3
"""Fewer than this get a bar of their own: one row for two names would save one row."""

SPAN = 4.0
"""The row of the third answer reaches so far, in units of the unknown score, to both sides of its threshold."""

_bars = st.components.v2.component(
    "mushroom_bars",
    html='<div class="bars" role="group"></div>',
    css="""
.bars { display: grid; gap: .12rem; font-family: var(--st-font); color: var(--st-text-color); font-size: .95rem; }
.bars button, .bars .row { all: unset; box-sizing: border-box; display: grid; width: 100%; min-height: 1.95rem;
  grid-template-columns: minmax(6rem, 38%) 1fr 3.2rem; align-items: center; gap: .6rem; padding: .1rem .4rem;
  border-radius: .4rem; border: 2px solid transparent; }
.bars button { cursor: pointer; }
.bars button:hover { background: var(--st-secondary-background-color); }
.bars button[aria-pressed=true] { border-color: var(--st-primary-color); }
.bars button:focus-visible { outline: 3px solid var(--st-primary-color); outline-offset: 1px; }
.bars .name { overflow-wrap: anywhere; line-height: 1.15; }
.bars .name i { display: inline-block; width: .6rem; height: .6rem; margin-right: .45rem; border-radius: 50%;
  background: var(--colour); box-shadow: 0 0 0 1px color-mix(in srgb, var(--st-text-color) 35%, transparent); }
.bars .name small { display: block; opacity: .8; font-size: .76rem; }
.bars .track { position: relative; height: .8rem; border-radius: .25rem;
  background: var(--st-secondary-background-color); }
.bars .fill { position: absolute; inset: 0 auto 0 0; border-radius: .25rem; min-width: 2px;
  background: color-mix(in srgb, var(--st-text-color) 45%, transparent); }
.bars .first .fill { background: var(--st-primary-color); }
.bars .third .fill { background: color-mix(in srgb, #c9711a 80%, transparent); }
.bars .tick { position: absolute; inset: -.2rem auto -.2rem 50%; width: 2px; background: var(--st-text-color); }
.bars .share { text-align: right; font-variant-numeric: tabular-nums; }
.bars .third { margin-top: .3rem; }
""",
    js="""
export default function ({ data, parentElement, setTriggerValue }) {
  const bars = parentElement.querySelector('.bars')
  bars.setAttribute('aria-label', data.label)
  const focused = bars.getRootNode().activeElement?.dataset?.name
  bars.replaceChildren(...data.rows.map((row) => {
    const pressed = row.name !== null
    const line = document.createElement(pressed ? 'button' : 'div')
    line.className = row.kind + (pressed ? '' : ' row')
    const part = (tag, name, text) => {
      const element = document.createElement(tag)
      element.className = name
      if (text) element.textContent = text
      return element
    }
    const name = part('span', 'name', '')
    if (row.colour) name.append(part('i', '', ''))
    name.append(row.title)
    line.style.setProperty('--colour', row.colour)
    if (row.common) name.append(part('small', '', row.common))
    const track = part('span', 'track', '')
    const fill = part('span', 'fill', '')
    fill.style.width = row.width + '%'
    track.append(fill)
    if (row.kind === 'third') track.append(part('span', 'tick', ''))
    if (row.kind === 'rest') track.replaceChildren(fill)
    line.append(name, track, part('span', 'share', row.share))
    if (row.help) line.title = row.help
    if (pressed) {
      line.dataset.name = row.name
      line.setAttribute('aria-pressed', row.name === data.shown)
      line.onclick = () => setTriggerValue('chosen', row.name)
    }
    return line
  }))
  if (focused) [...bars.children].find((line) => line.dataset.name === focused)?.focus({ preventScroll: true })
}
""",
)


def show(
    classifier: "Classifier", prediction: "Prediction", shown: str, language: str, on_choose: Callable[[str], None]
) -> None:
    """The rows; the one of the name whose heatmap is ``shown`` is outlined, and a press calls ``on_choose``."""

    def chosen_changed() -> None:
        name = st.session_state["bars"].chosen
        if name in prediction.probabilities:
            on_choose(name)

    _bars(
        data={
            "label": "How sure the network is of each; press one to see what speaks for it",
            "shown": shown,
            "rows": rows(classifier, prediction, language),
        },
        key="bars",
        on_chosen_change=chosen_changed,
    )


def rows(classifier: "Classifier", prediction: "Prediction", language: str) -> list[dict[str, Any]]:
    """What each row shows, the most probable name first, and the third answer last."""
    ranked = predictions.ranked(prediction)
    top = TOP_ROWS if len(ranked) >= TOP_ROWS + FEWEST_FOLDED else len(ranked)
    colour = colours(classifier.genera)
    rows_shown = [
        _row("name", name, name, share, percent(share))
        | {"common": common_name(name, language) or "", "colour": colour[name]}
        for name, share in ranked[:top]
    ]
    rows_shown[0]["kind"] = "first"
    if rest := ranked[top:]:
        share = sum(share for _, share in rest)
        rows_shown.append(_row("rest", None, f"{len(rest)} others together", share, percent(share)))
    threshold = classifier.config.unknown_threshold
    if threshold is not None:
        title = none_of_these(len(classifier.genera))
        width = min(max(0.5 + (prediction.unknown_score - threshold) / (2 * SPAN), 0.0), 1.0)
        row = _row("third", None, f"{title[:1].upper()}{title[1:]}", width, "yes" if prediction.unknown else "no")
        row["help"] = "How little the photo looks like those it learned from; beyond the mark it is none of them."
        rows_shown.append(row)
    return rows_shown


def _row(kind: str, name: str | None, title: str, width: float, share: str) -> dict[str, Any]:
    row = {"kind": kind, "name": name, "title": title, "width": round(100 * width, 1), "share": share}
    return row | {"common": "", "colour": "", "help": ""}
