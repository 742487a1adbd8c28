"""Motion plans: plates behind each other under a camera."""
