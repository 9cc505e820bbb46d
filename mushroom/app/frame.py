"""What all pages share: the way between them, the safety sentence, the URL's choices, the loaded classifier.

Nothing here imports torch until a classifier is asked for: the first page is there before the network is.
"""

import atexit
import ctypes
import functools
import gc
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import streamlit as st
from PIL import Image
from streamlit.delta_generator import DeltaGenerator

from mushroom.app import records
from mushroom.checkpoint import HUB_PREFIX, MODEL_VARIABLE, WEIGHTS_FILE, list_checkpoints
from mushroom.texts import SAFETY

if TYPE_CHECKING:
    from mushroom.classifier import Classifier
    from mushroom.dataset import Prepared

REPOSITORY = Path(__file__).resolve().parent.parent.parent

PREPARED_VARIABLE = "MUSHROOM_PREPARED"
PREPARED_DEFAULT = REPOSITORY / "data" / "prepared"
"""The folder that ``train.py prepare`` wrote, or ``hf://datasets/user/name``: where the test split's photos are."""

LOOK_AGAIN = "10m"
"""How long the app takes it that what it last found on the Hub is what is there."""

SPACE_HOST_VARIABLE = "SPACE_HOST"
"""The Hub sets it in a Space: the host name of the app itself."""

M_ARENA_MAX = -8
MEMORY_HEAPS = 2
"""glibc's name for how many heaps there may be, and how many there shall be."""

UPLOAD_COOKIE = "_streamlit_xsrf"
"""Streamlit's; an upload is taken only from a browser that sends it."""

CLASSIFIERS_KEPT = 5
"""Networks held in memory at once; the one that was not used for longest goes first."""

STYLE = """
<style>
/* Room to breathe, and lines no longer than the eye likes. */
[data-testid="stMainBlockContainer"] { max-width: 76rem; padding-top: 4.5rem; padding-bottom: 4rem; }
/* The safety sentence stays in sight however far a visitor scrolls: under Streamlit's own bar, over the page. */
[data-testid="stElementContainer"]:has(.safety) { position: sticky; top: 3.75rem; z-index: 50; }
.safety { display: flex; gap: .6rem; align-items: baseline; margin: 0; padding: .55rem .9rem;
  border-radius: .6rem; font-size: .9rem; line-height: 1.45;
  background: light-dark(#f6e9d9, #33291e); border-left: 4px solid #c9711a; }
.safety b { white-space: nowrap; }
.lead { font-size: 1.08rem; line-height: 1.55; max-width: 44rem; opacity: .85; margin: 0; }
.eyebrow { font-size: .78rem; letter-spacing: .08em; text-transform: uppercase; opacity: .7; margin: 0; }
h1, h2, h3 { letter-spacing: -.01em; }
h1 em, h2 em, h3 em { font-style: italic; }
@media (max-width: 640px) {
  [data-testid="stMainBlockContainer"] { padding: 4rem 1rem 3rem; }
  h1 { font-size: 2rem !important; }
  .safety { font-size: .84rem; padding: .5rem .7rem; }
}
</style>
"""


# --- The way between the pages ------------------------------------------------------------------------------


def _identify() -> None:
    from mushroom.app.pages import identify

    identify.render()


def _compare() -> None:
    from mushroom.app.pages import compare

    compare.render()


def _browse() -> None:
    from mushroom.app.pages import browse

    browse.render()


def _report() -> None:
    from mushroom.app.pages import report

    report.render()


def _about() -> None:
    from mushroom.app.pages import about

    about.render()


def pages() -> dict[str, st.Page]:
    """The five pages by name, in the order of the menu. Each module is imported when its page is opened."""
    return {
        "identify": st.Page(_identify, title="Identify", url_path="identify", default=True),
        "compare": st.Page(_compare, title="Compare", url_path="compare"),
        "browse": st.Page(_browse, title="Browse", url_path="browse"),
        "report": st.Page(_report, title="Report", url_path="report"),
        "about": st.Page(_about, title="About", url_path="about"),
    }


def go_to(page: str, **choices: str | None) -> None:
    """Leave for another page (a name from ``pages``) with choices for its URL, but for those that are None.

    Does not return: Streamlit ends the run.
    """
    st.switch_page(pages()[page], query_params={key: value for key, value in choices.items() if value is not None})


def begin(page: st.Page) -> DeltaGenerator:
    """Everything above a page's own content: style and the safety sentence. Called once a run, by app.py.

    Returns the place for the notes, which are only complete when the page has run.
    """
    keep_memory_together()
    keep_uploads_in_memory()
    st.session_state["page_before"] = st.session_state.get("page_now")
    st.session_state["page_now"] = page.url_path
    st.html(STYLE)
    st.html(f'<p class="safety" role="note"><b>⚠ Safety</b><span>{SAFETY}</span></p>')
    return st.container()


def header(title: str, lead: str | None = None) -> None:
    """A page's headline, and under it one sentence on what the page is for."""
    st.title(title, anchor=False)
    if lead:
        st.html(f'<p class="lead">{lead}</p>')


@functools.cache
def keep_memory_together() -> None:
    """Have glibc serve all threads from few heaps; elsewhere there is nothing to do.

    Streamlit makes a thread for every run, and glibc a heap for nearly every thread: with twenty visitors, hundreds
    of megabytes would lie in them unused.
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        library.mallopt(M_ARENA_MAX, MEMORY_HEAPS)


def keep_uploads_in_memory() -> None:
    """Stop the web server from writing uploads to temporary files.

    Starlette spools every upload above 1 MiB to disk while it arrives; a visitor's photo must never reach it.
    The upload limit of .streamlit/config.toml bounds what is held instead.
    """
    from starlette.formparsers import MultiPartParser

    MultiPartParser.spool_max_size = 2 * upload_limit_mb() * 1024**2


def uploads_need_own_window() -> str | None:
    """The hosted app's own address where this visitor's uploads would be refused, else None.

    The Hub shows a Space inside a page of its own. A browser that keeps cookies from what is inside other sites'
    pages then has none to show with an upload, and the protection against forged uploads turns it away.
    """
    host = os.environ.get(SPACE_HOST_VARIABLE)
    return f"https://{host}" if host and UPLOAD_COOKIE not in st.context.cookies else None


def upload_limit_mb() -> int:
    """The largest file a visitor may send, in MB."""
    return int(st.get_option("server.maxUploadSize"))


# --- Choices that live in the URL ---------------------------------------------------------------------------


def choice(key: str, allowed: Sequence[str], default: str | None, *, what: str) -> str | None:
    """The visitor's choice ``key``: from the URL, else from earlier in this session, else ``default``.

    A value that is not ``allowed`` falls back to ``default`` with a note that calls the choice ``what``
    ("layer", "genus"). Call it before the widget that changes the choice, which gets ``**widget(key, value)``.
    """
    state = st.session_state
    state[f"default:{key}"] = default
    in_url = st.query_params.get(key)
    seen = state.get(f"url:{key}") if state.get("page_before") == state.get("page_now") else None
    if in_url is not None and in_url != seen:
        # The URL was opened, or changed by the browser's back and forward.
        state[f"choice:{key}"] = in_url
        from_url = True
    elif in_url is None and seen is not None:
        state[f"choice:{key}"] = None
        from_url = False
    else:
        from_url = False
    value = state.get(f"choice:{key}")
    if value is not None and value not in allowed:
        if from_url:
            note(
                f"The link asks for the {what} “{_shortened(value)}”, which is not at hand here"
                + (f": showing {default} instead." if default else ".")
            )
        value = None
        state[f"choice:{key}"] = None
    _write(key, value)
    return value if value is not None else default


def chosen(key: str) -> Any:
    """The choice ``key`` as it stands now, after ``choice`` was called for it."""
    value = st.session_state.get(f"choice:{key}")
    return st.session_state.get(f"default:{key}") if value is None else value


def choose(key: str, value: str | None) -> None:
    """Set the choice ``key`` and write it to the URL; the default, or None, clears it there."""
    value = None if value == st.session_state.get(f"default:{key}") else value
    st.session_state[f"choice:{key}"] = value
    _write(key, value)


def widget(key: str, value: Any) -> dict[str, Any]:
    """Arguments that tie a Streamlit widget to the choice ``key``: it shows ``value``, its change is chosen."""
    name = f"widget:{key}"
    # Setting it only where it differs leaves a slider alone that is being dragged. A page that is new has a widget of
    # its own, which would begin with its first option whatever the one before it showed.
    arrived = st.session_state.get("page_before") != st.session_state.get("page_now")
    if arrived or st.session_state.get(name) != value:
        st.session_state[name] = value
    return {"key": name, "on_change": _picked, "args": (key,)}


def _picked(key: str) -> None:
    choose(key, st.session_state[f"widget:{key}"])


def _write(key: str, value: str | None) -> None:
    if value is None:
        if key in st.query_params:
            del st.query_params[key]
    elif st.query_params.get(key) != value:
        st.query_params[key] = value
    st.session_state[f"url:{key}"] = value


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 40 else text[:39] + "…"


# --- Notes --------------------------------------------------------------------------------------------------


def _note_once(sentence: str) -> None:
    """A note that a session needs no second time."""
    if sentence not in st.session_state.setdefault("noted", set()):
        st.session_state["noted"].add(sentence)
        note(sentence)


def note(sentence: str) -> None:
    """Remember a sentence for ``show_notes``: something fell back, and the visitor should know."""
    st.session_state.setdefault("notes", []).append(sentence)


def show_notes(place: DeltaGenerator) -> None:
    """Show the notes gathered in this run, once, in the ``place`` that ``begin`` gave."""
    for sentence in st.session_state.pop("notes", []):
        # Text from a URL is shown as text: no markup of a stranger's.
        place.info(_escaped(sentence), icon=":material/info:")


def _escaped(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>()#+-!|~$:" else letter for letter in text)


# --- Work that takes a processor ----------------------------------------------------------------------------

T = TypeVar("T")

_workers = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="mushroom")


def in_turn(work: Callable[[], T]) -> T:
    """What ``work`` gives. Decoding photos and passing them through networks waits here, first come first served.

    More at once than there are processors would only fill the memory and make everyone wait for the slowest. And
    Streamlit makes a thread for every run: torch would make a crew of threads for each of those.
    """
    return _workers.submit(work).result()


# --- The network --------------------------------------------------------------------------------------------


def choose_checkpoint(label: str = "Model") -> Path | None:
    """The checkpoint folder that the visitor chose in the URL or with the selectbox this draws.

    The selectbox is only there where more than one checkpoint is. None, with a sentence on the page, where
    there is none at all.
    """
    at_hand = checkpoints()
    if not at_hand:
        st.warning(
            "There is no trained model on this machine yet. Train one with `python train.py train`, or put a "
            "checkpoint folder into `assets/models`.",
            icon=":material/info:",
        )
        return None
    chosen = choice("model", list(at_hand), next(iter(at_hand)), what="model")
    assert chosen is not None
    if len(at_hand) > 1:
        st.selectbox(label, list(at_hand), **widget("model", chosen))
        lines = records.when_to_use({name: records.report(folder) for name, folder in at_hand.items()})
        if lines[chosen]:
            st.caption(lines[chosen])
    return at_hand[chosen]


def checkpoints() -> Mapping[str, Path]:
    """Checkpoint folders at hand by name: the one on the Hub that ``MUSHROOM_MODEL`` names, the default, the others."""
    at_hand = {folder.name: folder for folder in list_checkpoints()}
    address = os.environ.get(MODEL_VARIABLE)
    if not address:
        return at_hand
    folder, failure = _fetched_model(address)
    if folder is None:
        _note_once(f"{failure} Showing the model that ships with the app instead.")
        return at_hand
    return {address.removeprefix(HUB_PREFIX): folder} | at_hand


@st.cache_resource(ttl=LOOK_AGAIN, max_entries=1, show_spinner="Fetching the model …")
def _fetched_model(address: str) -> tuple[Path | None, str]:
    """The checkpoint folder of a model on the Hub; without one, the sentence that says why."""
    from mushroom.errors import HubError
    from mushroom.hub import fetch, parse_address

    try:
        return fetch(parse_address(address), records=True), ""
    except HubError as error:
        return None, str(error)


def open_classifier(label: str = "Model") -> "Classifier | None":
    """The classifier of the chosen checkpoint; None, with a sentence on the page, where there is none to use."""
    folder = choose_checkpoint(label)
    if folder is None:
        return None
    from mushroom.errors import CheckpointError

    try:
        with st.spinner("Waking the network …"):
            return classifier(folder)
    except CheckpointError as error:
        st.error(str(error))
        return None


def classifier(folder: Path) -> "Classifier":
    """The classifier of a checkpoint folder, loaded once for all sessions and again when the file changes.

    Raises CheckpointError with a sentence where it can't be used.
    """
    return _load(str(folder), (folder / WEIGHTS_FILE).stat().st_mtime_ns)


@st.cache_resource(max_entries=CLASSIFIERS_KEPT, show_spinner=False)
def _load(folder: str, changed_ns: int) -> "Classifier":
    from mushroom.classifier import Classifier

    # Streamlit has the garbage collector go through all of memory after every run, a slider's, too. The libraries
    # just imported are most of it and never garbage; passing them over makes every answer a third of a second faster.
    gc.freeze()
    atexit.register(gc.unfreeze)
    loaded = Classifier.load(folder)
    # A network's first pass is slower than those after: better now than under a visitor's photo.
    loaded.explain(Image.new("RGB", (loaded.preprocessing.input_px,) * 2))
    return loaded


# --- The photos on this machine -----------------------------------------------------------------------------


def prepared() -> "Prepared | None":
    """The prepared folder on this machine with its tables; None where there is none or its photos are gone."""
    named = os.environ.get(PREPARED_VARIABLE, str(PREPARED_DEFAULT))
    if named.startswith(HUB_PREFIX):
        folder, failure = _fetched_photos(named)
        if folder is None:
            _note_once(f"The photos of the test split are not at hand. {failure}")
            return None
    else:
        folder = Path(named)
    manifest = folder / "manifest.csv"
    return _prepared(folder, manifest.stat().st_mtime_ns) if manifest.is_file() else None


@st.cache_resource(ttl=LOOK_AGAIN, max_entries=1, show_spinner="Fetching the photos of the test split …")
def _fetched_photos(address: str) -> tuple[Path | None, str]:
    """The prepared folder of a dataset on the Hub; without one, the sentence that says why."""
    from mushroom.errors import DatasetError, HubError
    from mushroom.hub import fetch_test_photos, parse_address

    try:
        return fetch_test_photos(parse_address(address)), ""
    except (HubError, DatasetError) as error:
        return None, str(error)


def prepared_fingerprint() -> str | None:
    """Fingerprint of the photos on this machine; None where there are none."""
    found = prepared()
    return found.fingerprint if found else None


@st.cache_resource(max_entries=2, show_spinner=False)
def _prepared(folder: Path, changed_ns: int) -> "Prepared | None":
    from mushroom.dataset import load_prepared
    from mushroom.errors import DatasetError

    try:
        found = load_prepared(folder)
    except DatasetError:
        return None
    return found if found.root.is_dir() else None
