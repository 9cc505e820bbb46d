"""A visitor without a browser: says and hears over the app's websocket what Streamlit's page in a browser would.

Many of them fit on one machine, where as many browsers would not.
"""

import hashlib
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.NewSession_pb2 import NewSession
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import connect
from websockets.typing import Subprotocol

XSRF_COOKIE = "_streamlit_xsrf"
WAIT_SECONDS = 120

LAYER_SLIDER = "Layer, from early to late"
GENUS_BOX = "Show the heatmap for"


@dataclass
class Run:
    """What one run of the script sent: its elements, each with the fragment it is in, and all bytes of it."""

    elements: list[tuple[Element, str]] = field(default_factory=list)
    received: bytes = b""

    def find(self, kind: str, label: str) -> tuple[Any, str] | None:
        """The widget of a kind ("slider", "selectbox") with this label, and its fragment."""
        for element, fragment in self.elements:
            if element.WhichOneof("type") == kind and getattr(element, kind).label == label:
                return getattr(element, kind), fragment
        return None

    def each(self, kind: str) -> Iterator[Any]:
        """The elements of a kind, in order."""
        return (getattr(element, kind) for element, _ in self.elements if element.WhichOneof("type") == kind)

    @property
    def headline(self) -> str:
        """The answer's headline as HTML; empty where there is none."""
        return next((html.body for html in self.each("html") if 'class="answer"' in html.body), "")

    @property
    def film_strip(self) -> str:
        """Hash of the film strip's pictures; empty where there is none."""
        strips = [
            part.json + part.mixed.json for part in self.each("bidi_component") if "film_strip" in part.component_name
        ]
        return hashlib.sha256(strips[0].encode()).hexdigest() if strips else ""


class Visitor:
    """One session of the app at ``address``."""

    def __init__(self, address: str, *, takes_cookies: bool = True) -> None:
        self.open_things = ExitStack()
        self.http = self.open_things.enter_context(httpx2.Client(base_url=address, timeout=WAIT_SECONDS))
        self.http.get("/_stcore/health")
        token = self.http.cookies.get(XSRF_COOKIE, "")
        dialled = connect(
            f"ws://{urlsplit(address).netloc}/_stcore/stream",
            origin=address,  # type: ignore[arg-type]
            subprotocols=[Subprotocol("streamlit"), Subprotocol(token)] if token else [Subprotocol("streamlit")],
            additional_headers={"Cookie": f"{XSRF_COOKIE}={token}"} if takes_cookies else {},
            max_size=None,
            open_timeout=WAIT_SECONDS,
        )
        self.socket = self.open_things.enter_context(dialled)
        self.token = token
        self.new_session = NewSession()
        self.page = ""
        self.query = ""
        self.widgets: dict[str, WidgetState] = {}
        self.full = Run()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave, as when the tab is closed."""
        self.open_things.close()

    @property
    def session(self) -> str:
        """The session's name on the server."""
        return self.new_session.initialize.session_id

    # --- What a visitor does ---

    def open(self, page: str = "", query: str = "") -> Run:
        """Go to a page by its name in the URL."""
        self.query = query
        self.page = ""
        return self.run(page_name=page)

    def drop(self, name: str, data: bytes) -> Run:
        """Take away what was in the drop zone, and give it a photo."""
        uploader = next(self.full.each("file_uploader"))
        if before := self.widgets.pop(uploader.id, None):
            for old in before.file_uploader_state_value.uploaded_file_info:
                self.http.delete(old.file_urls.delete_url, headers={"X-Xsrftoken": self.token}).raise_for_status()
        request = BackMsg()
        request.file_urls_request.request_id = str(uuid.uuid4())
        request.file_urls_request.session_id = self.session
        request.file_urls_request.file_names.append(name)
        self.socket.send(request.SerializeToString())
        while not (answer := self._hear()).HasField("file_urls_response"):
            continue
        [urls] = answer.file_urls_response.file_urls
        sent = self.send_file(urls.upload_url, name, data)
        sent.raise_for_status()
        state = WidgetState(id=uploader.id)
        info = state.file_uploader_state_value.uploaded_file_info.add()
        info.name, info.size, info.file_id = name, len(data), urls.file_id
        info.file_urls.CopyFrom(urls)
        self.widgets[uploader.id] = state
        return self.run()

    def send_file(self, url: str, name: str, data: bytes, token: str | None = None) -> httpx2.Response:
        """Put a file where the server asked for it."""
        headers = {"X-Xsrftoken": self.token if token is None else token}
        return self.http.put(url, files={"file": (name, data, "image/jpeg")}, headers=headers)

    def choose(self, kind: str, label: str, value: str) -> Run:
        """Set the select slider or selectbox called ``label`` to the option that reads ``value``."""
        found = self.full.find(kind, label)
        assert found is not None, f"there is no {kind} {label!r} on the page"
        widget, fragment = found
        state = WidgetState(id=widget.id)
        if kind == "slider":
            state.string_array_value.data.append(value)
        else:
            state.string_value = value
        self.widgets[widget.id] = state
        return self.run(fragment=fragment)

    def picture(self, run: Run) -> str:
        """Hash of the picture with the heatmap, fetched as a browser would."""
        for images in run.each("imgs"):
            for image in images.imgs:
                if "with the heatmap of" in image.alt:
                    answer = self.http.get(image.url)
                    answer.raise_for_status()
                    return hashlib.sha256(answer.content).hexdigest()
        return ""

    # --- How the browser's side of Streamlit does it ---

    def run(self, *, fragment: str = "", page_name: str = "") -> Run:
        """Have the script, or one fragment of it, run with the widgets as they stand; what it sent."""
        asked = BackMsg()
        client = asked.rerun_script
        client.query_string, client.page_script_hash, client.page_name = self.query, self.page, page_name
        client.fragment_id = fragment
        client.widget_states.widgets.extend(self.widgets.values())
        self.socket.send(asked.SerializeToString())
        run = Run()
        while True:
            heard = self._hear()
            run.received += heard.SerializeToString()
            kind = heard.WhichOneof("type")
            if kind == "new_session":
                self.new_session = heard.new_session
                self.page = self.new_session.page_script_hash
                run.elements = []
            elif kind == "page_info_changed":
                self.query = heard.page_info_changed.query_string
            elif kind == "delta" and heard.delta.WhichOneof("type") == "new_element":
                element = heard.delta.new_element
                assert element.WhichOneof("type") != "exception", element.exception
                run.elements.append((element, heard.delta.fragment_id))
                self._follow(element)
            elif kind == "script_finished":
                if heard.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                    continue
                if not fragment or heard.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                    self.full = run
                return run

    def _follow(self, element: Element) -> None:
        """Take over the value that the script has set a widget to."""
        kind = element.WhichOneof("type")
        if kind in ("slider", "selectbox"):
            widget = getattr(element, kind)
            if widget.set_value:
                self.widgets.pop(widget.id, None)
                state = WidgetState(id=widget.id)
                if kind == "selectbox":
                    state.string_value = widget.raw_value
                elif widget.raw_value:
                    state.string_array_value.data.extend(widget.raw_value)
                else:
                    state.double_array_value.data.extend(widget.value)
                self.widgets[widget.id] = state

    def _hear(self) -> ForwardMsg:
        message = ForwardMsg()
        message.ParseFromString(self.socket.recv(timeout=WAIT_SECONDS))
        return message
