"""Pages of the app, driven by Streamlit's AppTest without a browser."""

import io

import numpy as np
from PIL import Image
from streamlit.testing.v1 import AppTest

TIMEOUT = 120


def show_page(name: str) -> None:
    """A page under its frame, as the app shows it; runs inside AppTest."""
    import importlib

    from mushroom.app import layout, main, url_state

    layout.remember_pages(main.build_pages())
    url_state.keep_only(main.URL_CHOICES[name])
    notes = layout.begin_page(name, main.TITLES)
    importlib.import_module(f"mushroom.app.pages.{name}").render()
    layout.show_notes(notes)


def open_page(name: str, **query: str) -> AppTest:
    """The page with these choices in its URL, after its first run."""
    app = AppTest.from_function(show_page, args=(name,), default_timeout=TIMEOUT)
    for key, value in query.items():
        app.query_params[key] = value
    return app.run()


def texts(app: AppTest) -> str:
    """All that stands on the page in words."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "info", "warning", "error", "metric")
    found = [str(element.value) for kind in kinds for element in app.get(kind)]
    return "\n".join([*found, *(element.proto.body for element in app.get("html"))])


def noise(seed: int = 0) -> bytes:
    """A small photo of nothing, as a PNG file."""
    values = np.random.default_rng(seed).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def give(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    """Drop files, as a browser does with one drop; the uploader is a new one after each."""
    number = app.session_state["given"]
    return app.file_uploader(key=f"uploads:{number}").set_value([(*file, "image/png") for file in files]).run()


def press(app: AppTest, label: str) -> AppTest:
    """Press the first button of this label."""
    return next(button for button in app.button if button.label == label).click().run()


def headline(app: AppTest) -> str:
    """The answer's headline as HTML; empty where there is none."""
    return next((html.proto.body for html in app.get("html") if 'class="answer"' in html.proto.body), "")
