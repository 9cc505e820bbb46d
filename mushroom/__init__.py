"""Mushroom: which of nine genera is on a photo, how sure the model is, and what it looked at."""
