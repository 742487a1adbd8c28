"""Motion read off clips of one's own, for the layer that draws it on pictures."""
