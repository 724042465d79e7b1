"""Whether anybody looks at what a sink shows, for those that cannot tell."""

from __future__ import annotations


class Unwatched:
    """A sink that does not know its viewers: a file, a pipe, a window."""

    def watched(self) -> bool | None:
        """None: it cannot be told."""
        return None
