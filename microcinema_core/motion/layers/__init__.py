"""What the layers of a plan draw: closed formulas of time, seeded, at any size."""
