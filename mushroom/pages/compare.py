"""Compare: one photo seen by several networks, by several layers and methods, or for several genera.

All heatmaps of a comparison have the same colours and the same scale, and what differs is said in computed
sentences: how far their hottest parts overlap and how alike they rank the places of the photo.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from PIL import Image

from mushroom.genera import GENERA
from mushroom.pages import answers, frame, pictures, subject
from mushroom.pages.subject import Subject

if TYPE_CHECKING:
    from mushroom.classifier import Classifier

KINDS = {"models": "Models", "layers": "Layers and methods", "genera": "Genera"}

GRID_PX = 64
"""Heatmaps of different layers are compared on a grid of this many points squared."""

HOTTEST_SHARE = 0.2
"""The hottest part of a heatmap, for overlaps: this share of the photo."""
