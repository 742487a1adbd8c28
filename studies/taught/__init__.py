"""Motion taught by footage: what is drawn of it on other pictures, measured by a reader of its own."""
