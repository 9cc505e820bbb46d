"""The app: ``streamlit run app.py``. This only configures and finds the way; the pages do the rest."""

import streamlit as st

from mushroom.app import frame

st.set_page_config(page_title="Mushroom", page_icon=":material/psychiatry:", layout="wide")
page = st.navigation(list(frame.pages().values()), position="top")
notes = frame.begin(page)
page.run()
frame.show_notes(notes)
