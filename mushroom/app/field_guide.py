"""What is known of a genus, told to a visitor: drawing, common name, field marks, look-alikes, sources."""

import streamlit as st

from mushroom.app import field_marks
from mushroom.common_names import common_name, common_name_sources
from mushroom.genera import about

# Streamlit takes drawings (SVG) out of a page's HTML.
_plate = st.components.v2.component(
    "mushroom_plate",
    html='<div class="plate"></div>',
    css="""
.plate { color: var(--st-text-color); font-family: var(--st-font); }
@media (max-width: 640px) { .plate text { font-size: 14px; } }
""",
    js="""
export default function ({ data, parentElement }) {
  const plate = parentElement.querySelector('.plate')
  if (plate.dataset.name === data.name) return
  plate.dataset.name = data.name
  plate.innerHTML = data.drawing
}
""",
)


def visitors_name(name: str) -> str | None:
    """What people call a genus in the visitor's language, else in English; None where that is not known."""
    return common_name(name, _language()) or common_name(name, "en")


def show(name: str, rank: str = "genus") -> None:
    """A genus page: everything that is known of the name, and nothing else."""
    known = about(name, rank)
    if common := visitors_name(name):
        st.markdown(f"**{common}**")
    if known.description:
        st.markdown(known.description)
    drawn = field_marks.drawing(name)
    if not known.field_marks:
        st.caption(f"Nothing about this {rank} is told here. Read about it: " + " · ".join(known.sources))
        return
    left, right = st.columns(2, gap="large")
    with left:
        if drawn:
            _plate(data={"name": name, "drawing": drawn}, key=f"plate:{name}")
    with right:
        st.markdown("**What to look for**\n" + "\n".join(f"- {mark}" for mark in known.field_marks))
        st.markdown(
            "**Easily taken for it, and the other way round**\n"
            + "\n".join(f"- {other}" for other in known.look_alikes)
        )
    language = _language() if common_name(name, _language()) else "en"
    sources = [*known.sources]
    if common:
        pages = common_name_sources(language)
        sources += [f"[the common name, {number}]({page})" for number, page in enumerate(pages, start=1)]
    st.caption("Sources: " + " · ".join(sources))


def _language() -> str:
    return st.context.locale or "en"
