"""The page that shows what the embedded model does: `python -m studies.gallery`."""
