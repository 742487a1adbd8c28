"""What the layers cost, and how they look."""
