"""The page that shows what the embedded model does: `python -m microcinema_core.evaluation.gallery`."""
