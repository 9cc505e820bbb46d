"""What Streamlit runs for every visitor and every change."""

from mushroom.app import main

main.run()
