"""Pipes and streams over the network."""
