"""Mix-in for sinks that cannot report viewers."""

from __future__ import annotations


class Unwatched:
    """A sink that cannot report viewers, such as a file, a pipe or a window."""

    def watched(self) -> bool | None:
        """Return None: unknown."""
        return None
