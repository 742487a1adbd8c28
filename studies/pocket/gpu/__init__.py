"""Pocket's whole training on one card in a few minutes: `python -m studies.pocket.gpu`."""
