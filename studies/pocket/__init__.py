"""Pocket: its clips, its figures, and how its files travel."""
