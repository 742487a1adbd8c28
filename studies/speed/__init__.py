"""Speed and memory beside diffusers' models at the same work: `python -m studies.speed`."""
