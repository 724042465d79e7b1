"""The version of vidbg, which every package may import."""

__version__ = "0.1.0"
