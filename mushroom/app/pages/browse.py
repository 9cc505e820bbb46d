"""Browse: the photos of the test split with what the network told of each, filtered and sorted; a press opens one."""

from collections.abc import Sequence
from html import escape

import streamlit as st

from mushroom.app import filters, gallery, layout, lesson, models, prepared_photos, records, tables, url_state, verdict
from mushroom.app.filters import ANSWERS, ANY, EVERY_PERCENT, ORDERS, PAGE, SURE_BETWEEN, Filters
from mushroom.app.prepared_photos import test_genera, test_photo_path
from mushroom.app.records import Answer, Names
from mushroom.texts import none_of_these, percent

PAGE_PHOTOS = 28
"""Photos on one page of the gallery: a few rows on a wide screen, and no long wait on a slow line."""


def render() -> None:
    """The page."""
    layout.header(
        "Browse the test split",
        "Photos that the network's training never saw, with what it answered. Open one to see why.",
    )
    layout.begin_at_the_top("browse")
    folder = models.choose_checkpoint()
    if folder is None:
        return
    here = test_genera()
    if not here:
        _no_photos()
        return
    found = [answer for answer in records.answers(folder) if answer.photo in here]
    if not found:
        st.info(
            "This network was tested on other photos than those on this machine. Run `python train.py evaluate "
            f"{folder.name} …` on them to browse its answers here.",
            icon=":material/info:",
        )
        return
    report = records.report(folder)
    if report and report.data_fingerprint not in ("", prepared_photos.prepared_fingerprint()):
        layout.note("The photos on this machine are not quite those that this network was tested on.")
    known = records.names(folder)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        titles = {key: title for key, (title, _) in ANSWERS.items()}
        answer = url_state.segments("What a visitor is told", "answer", titles, ANY, what="answer", width="content")
        hidden = lesson.switch()
        if not hidden:
            _counts(found, known)
    asked = _filters(answer, known)
    _gallery(filters.matching(found, asked), asked, known, hidden=hidden)


def _no_photos() -> None:
    if failure := prepared_photos.failure():
        st.warning(failure, icon=":material/info:")
    else:
        st.info("The photos of the test split are not on this machine.", icon=":material/info:")
        st.markdown(
            "To browse them here, get a folder of photos and prepare it:\n\n"
            "```sh\npython train.py prepare FOLDER --out data/prepared\n```\n\n"
            "A folder of genus folders will do, or `kaggle:lizhecheng/mushroom-classification`."
        )
    st.markdown("Without them you can still read what the network did on its test photos:")
    layout.page_link("report", "Open the report", ":material/insights:")


# --- Filters ------------------------------------------------------------------------------------------------


def _filters(answer: str, known: Names) -> Filters:
    """All of the visitor's filters; those but ``answer`` fold, on a phone from the start."""
    names = (ANY, *known.names)
    true = str(url_state.choice("true", names, ANY, what=f"true {known.rank}"))
    predicted = str(url_state.choice("predicted", names, ANY, what=f"predicted {known.rank}"))
    order = str(url_state.choice("order", list(ORDERS), next(iter(ORDERS)), what="order"))

    def titled(name: str) -> str:
        return f"Any {known.rank}" if name == ANY else name

    with st.expander("Filters", expanded=not _on_a_phone(), key="filters"):
        first, second, third, fourth = st.columns(4, gap="medium")
        first.selectbox(f"True {known.rank}", names, format_func=titled, **url_state.widget("true", true))
        second.selectbox(
            f"Predicted {known.rank}", names, format_func=titled, **url_state.widget("predicted", predicted)
        )
        third.selectbox(
            "Order", list(ORDERS), format_func=lambda key: ORDERS[key][0], **url_state.widget("order", order)
        )
        low, high = fourth.slider(
            "How sure, in percent", 0, 100, EVERY_PERCENT, format="%d %%", key=SURE_BETWEEN, persist_state="session"
        )
    return Filters(true, predicted, answer, (low, high), order)


def _on_a_phone() -> bool:
    return "Mobi" in st.context.headers.get("User-Agent", "")


def _counts(found: Sequence[Answer], known: Names) -> None:
    """How many photos there are of each name, and what was told of them; a press shows those photos."""
    with st.popover(f"Counts by {known.rank}", icon=":material/table:", key="counts"):
        cells = []
        for name in known.names:
            of_name = [answer for answer in found if answer.true_genus == name]
            cells.append([_count_cell(of_name, name, key) for key in ANSWERS])
        tables.table(
            known.names,
            ["photos", "told right", "told wrong", "told none"],
            cells,
            label=f"Photos of each {known.rank}, and what was told",
            key="genus_counts",
            on_press=_show_counted,
        )


def _count_cell(of_name: Sequence[Answer], name: str, key: str) -> tables.Cell:
    title, keeps = ANSWERS[key]
    count = sum(map(keeps, of_name))
    kind: tables.Kind = "meant" if key == "right" else "mistake"
    return tables.Cell(
        text=str(count) if count else "",
        title=f"{count} photos of {name}" + ("" if key == ANY else f", told {title.lower()}"),
        share=0 if key == ANY else tables.depth(count, len(of_name), kind),
        kind=kind,
        name=f"{name}/{key}" if count else "",
    )


def _show_counted(pressed: str) -> None:
    name, _, answer = pressed.rpartition("/")
    filters.ask(Filters(true=name, answer=answer))


# --- Photos -------------------------------------------------------------------------------------------------


def _gallery(shown: Sequence[Answer], asked: Filters, known: Names, *, hidden: bool) -> None:
    if not shown:
        st.info("No photo of the test split is like that. Loosen a filter.", icon=":material/filter_alt_off:")
        return
    title = filters.describe(len(shown), asked, known)
    counted = verdict.tally(shown)
    mixed = f": {counted.right} told right, {counted.wrong} wrong, {counted.turned_away} turned away"
    st.markdown(f"**{title}**{'' if hidden or asked.answer != ANY else mixed}.")
    pages = -(-len(shown) // PAGE_PHOTOS)
    first = (_page(pages) - 1) * PAGE_PHOTOS
    chosen_photo = None
    with st.container(horizontal=True, gap="small", key="photos"):
        for number, answer in enumerate(shown[first : first + PAGE_PHOTOS], start=first + 1):
            if _card(answer, number, known, hidden=hidden):
                chosen_photo = answer.photo
    if chosen_photo:
        lesson.begin([answer.photo for answer in shown], title, asked)
        # Another photo starts with its own genus.
        url_state.choose("genus", None)
        url_state.choose("against", None)
        url_state.choose("crop", None)
        layout.go_to("identify", photo=prepared_photos.link_name(chosen_photo), row=asked.text)


def _page(pages: int) -> int:
    if pages == 1:
        return 1
    # Where the filters leave fewer pages than the visitor had turned, the last one is shown.
    if st.session_state.get(PAGE, 1) > pages:
        st.session_state[PAGE] = pages
    return st.pagination(pages, key=PAGE, persist_state="session")


def _card(answer: Answer, number: int, known: Names, *, hidden: bool) -> bool:
    """One photo with what was told of it; whether its button was pressed. ``hidden`` leaves all that out."""
    says = none_of_these(len(known.names)) if answer.unknown else answer.genus
    kind, mark = ("right", "✓") if answer.right else ("wrong", "✗") if answer.wrong else ("none", "○")
    with st.container(width=gallery.CARD_PX, gap="xsmall"):
        st.image(
            gallery.thumbnail(str(test_photo_path(answer.photo))),
            width="stretch",
            alt=f"Photo {number}" if hidden else f"Photo {number}, of {answer.true_genus}, told {says}",
        )
        if not hidden:
            st.html(
                f'<p class="answer-line"><b class="{kind}">{mark} <em>{escape(answer.true_genus)}</em></b>'
                f"<span>says {escape(says)}, {percent(answer.confidence)}</span></p>"
            )
        return st.button(f"Open no. {number}", key=f"browse:{answer.photo}", width="stretch")
