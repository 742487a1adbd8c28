"""MicroCinema: keyframe and prompt to video (arXiv 2311.18829). Standalone; imports nothing of ComfyUI."""

__version__ = "0.1.0"
