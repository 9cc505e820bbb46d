"""What a visitor sees. Streamlit lives here and nowhere else; a page is a module with one ``render()``."""
