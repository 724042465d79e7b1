"""Small utilities used by every package."""
