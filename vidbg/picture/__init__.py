"""The camera's picture: its colours, and the part of it that is shown."""
