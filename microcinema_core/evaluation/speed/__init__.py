"""Speed and memory beside diffusers' models at the same work: `python -m microcinema_core.evaluation.speed`."""
