"""Browse: the photos of the test split with what the network answered, filtered and sorted; a press opens one."""

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from mushroom.app import gallery, layout, models, prepared_photos, records, url_state
from mushroom.app.prepared_photos import test_genera, test_photo_path
from mushroom.app.records import TestAnswer
from mushroom.genera import GENERA
from mushroom.texts import percent

ANY = "any"
ANSWERS: dict[str, tuple[str, Callable[[TestAnswer], bool]]] = {
    ANY: ("Any answer", lambda answer: True),
    "right": ("Right", lambda answer: answer.right),
    "wrong": ("Wrong", lambda answer: not answer.right),
    "unknown": ("“None of the nine”", lambda answer: answer.unknown),
}
"""What the network answered, by the value in the URL: its title, and which photos it keeps."""

ORDERS: dict[str, tuple[str, Callable[[TestAnswer], Any]]] = {
    "least_sure": ("Least sure first", lambda answer: answer.confidence),
    "most_sure": ("Most sure first", lambda answer: -answer.confidence),
    "loss": ("Largest loss first", lambda answer: -answer.loss),
}

PAGE_PHOTOS = 28
"""Photos on one page of the gallery: a few rows on a wide screen, and no long wait on a slow line."""

STYLE = """
<style>
.st-key-photos img { border-radius: .6rem; aspect-ratio: 1; object-fit: cover; }
.told { margin: 0; font-size: .82rem; line-height: 1.35; }
.told b { font-weight: 600; }
.told span { display: block; opacity: .75; }
</style>
"""


def render() -> None:
    """The page."""
    st.html(STYLE)
    layout.header(
        "Browse the test split",
        "Photos that the network never saw while it learned, with what it answered. Open one to see why.",
    )
    folder = models.choose_checkpoint()
    if folder is None:
        return
    here = test_genera()
    if not here:
        _no_photos()
        return
    found = [answer for answer in records.test_answers(folder) if answer.photo in here]
    if not found:
        st.info(
            "This network was tested on other photos than those on this machine. Run `python train.py evaluate "
            f"{folder.name} …` on them to browse its answers here.",
            icon=":material/info:",
        )
        return
    if records.report(folder).get("data_fingerprint") not in (None, prepared_photos.prepared_fingerprint()):
        layout.note("The photos on this machine are not quite those that this network was tested on.")
    _gallery(_chosen(found))


def _no_photos() -> None:
    st.info("The photos of the test split are not on this machine.", icon=":material/info:")
    st.markdown(
        "To browse them here, get a folder of photos and prepare it:\n\n"
        "```sh\npython train.py prepare FOLDER --out data/prepared\n```\n\n"
        "A folder of genus folders will do, or `kaggle:lizhecheng/mushroom-classification`. Without them you can "
        "still read what the network did on its test photos:"
    )
    layout.page_link("report", label="Open the report", icon=":material/insights:")


# --- Filters ------------------------------------------------------------------------------------------------


def _chosen(found: Sequence[TestAnswer]) -> list[TestAnswer]:
    """The photos that the visitor's filters keep, in the order asked for."""
    genera = (ANY, *GENERA)
    true = url_state.choice("true", genera, ANY, what="true genus")
    predicted = url_state.choice("predicted", genera, ANY, what="predicted genus")
    kind = url_state.choice("answer", list(ANSWERS), ANY, what="answer")
    order = url_state.choice("order", list(ORDERS), next(iter(ORDERS)), what="order")
    first, second, third, fourth = st.columns(4)
    first.selectbox("True genus", genera, format_func=_genus_title, **url_state.widget("true", true))
    second.selectbox("Predicted genus", genera, format_func=_genus_title, **url_state.widget("predicted", predicted))
    third.selectbox(
        "Answer", list(ANSWERS), format_func=lambda key: ANSWERS[key][0], **url_state.widget("answer", kind)
    )
    fourth.selectbox("Order", list(ORDERS), format_func=lambda key: ORDERS[key][0], **url_state.widget("order", order))
    low, high = st.slider(
        "How sure, in percent", 0, 100, (0, 100), format="%d %%", key="sure_between", persist_state="session"
    )
    return kept(found, str(true), str(predicted), str(kind), (low / 100, high / 100), str(order))


def kept(
    found: Sequence[TestAnswer],
    true: str,
    predicted: str,
    kind: str,
    sure: tuple[float, float],
    order: str,
) -> list[TestAnswer]:
    """Those of ``found`` that all filters keep, sorted; ``sure`` is a range of confidence in [0, 1]."""
    fitting = [
        answer
        for answer in found
        if true in (ANY, answer.true_genus)
        and predicted in (ANY, answer.genus)
        and ANSWERS[kind][1](answer)
        and sure[0] <= answer.confidence <= sure[1]
    ]
    return sorted(fitting, key=lambda answer: (ORDERS[order][1](answer), answer.photo))


def _genus_title(genus: str) -> str:
    return "Any genus" if genus == ANY else genus


# --- Photos -------------------------------------------------------------------------------------------------


def _gallery(chosen: Sequence[TestAnswer]) -> None:
    if not chosen:
        st.info("No photo of the test split is like that. Loosen a filter.", icon=":material/filter_alt_off:")
        return
    right = sum(answer.right for answer in chosen)
    pages = -(-len(chosen) // PAGE_PHOTOS)
    st.markdown(f"**{len(chosen)}** photo{'s' if len(chosen) > 1 else ''}, {right} of them answered right.")
    page = _page(pages)
    with st.container(horizontal=True, gap="small", key="photos"):
        for answer in chosen[(page - 1) * PAGE_PHOTOS : page * PAGE_PHOTOS]:
            _card(answer)


def _page(pages: int) -> int:
    if pages == 1:
        return 1
    # Where the filters leave fewer pages than the visitor had turned, the last one is shown.
    if st.session_state.get("browse_page", 1) > pages:
        st.session_state["browse_page"] = pages
    return st.pagination(pages, key="browse_page", persist_state="session")


def _card(answer: TestAnswer) -> None:
    says = "none of the nine" if answer.unknown else answer.genus
    mark = "✓" if answer.right else "✗"
    with st.container(width=gallery.CARD_PX, gap="xsmall"):
        st.image(
            gallery.thumbnail(str(test_photo_path(answer.photo))),
            width="stretch",
            alt=f"Photo of the genus {answer.true_genus}, answered {says}",
        )
        st.html(
            f'<p class="told"><b>{mark} <em>{answer.true_genus}</em></b>'
            f"<span>says {says}, {percent(answer.confidence)}</span></p>"
        )
        opened = st.button(
            "Open",
            key=f"browse:{answer.photo}",
            help=f"Open this photo of {answer.true_genus} in Identify",
            width="stretch",
        )
    if opened:
        # Another photo starts with its own genus.
        url_state.choose("genus", None)
        url_state.choose("against", None)
        layout.go_to("identify", photo=answer.photo)
