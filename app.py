"""The app: ``streamlit run app.py``."""

from streamlit.starlette import App

from mushroom.app.transfer import MIDDLEWARE, SCRIPT

app = App(SCRIPT, middleware=MIDDLEWARE)
