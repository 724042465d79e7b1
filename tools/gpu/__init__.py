"""Fifteen minutes of a GPU machine, prepared and rehearsed here: see README.md beside this."""
