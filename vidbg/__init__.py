"""vidbg: another background behind a person, in real time."""

__version__ = "0.1.0"
