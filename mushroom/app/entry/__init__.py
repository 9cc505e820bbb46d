"""Streamlit's script lies by itself: every file of a ``pages`` folder beside it would be run as a page of its own."""
