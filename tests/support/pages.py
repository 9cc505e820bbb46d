"""Pages of the app, driven by Streamlit's AppTest without a browser."""

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
