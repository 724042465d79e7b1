"""Formats, and what encoders need."""
