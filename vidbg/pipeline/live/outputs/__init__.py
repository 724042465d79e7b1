"""Outputs of a live run, and what they show without a composited frame."""
