"""Figures of the multiplane camera."""
