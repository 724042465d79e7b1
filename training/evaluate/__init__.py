"""Scores of networks on held-out photos and clips."""
