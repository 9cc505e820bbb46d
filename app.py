"""The app: ``streamlit run app.py``."""

from mushroom.app import main

main.run()
