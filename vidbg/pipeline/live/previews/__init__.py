"""Previews of a live run: a window and the page, and what they can show."""
