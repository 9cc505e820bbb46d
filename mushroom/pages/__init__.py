"""What a visitor sees. Streamlit lives here and nowhere else; every page is a module with one ``render()``."""
