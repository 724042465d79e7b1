"""File formats and video encoding."""
