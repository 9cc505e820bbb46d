"""What it looked at: heatmaps, and whether they may be believed."""
