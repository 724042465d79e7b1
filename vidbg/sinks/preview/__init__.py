"""The preview window."""
