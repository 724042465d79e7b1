"""Current faults of the parts of a live run, each reported once."""

from __future__ import annotations

import logging
import threading
import time

from vidbg.errors import VidbgError

logger = logging.getLogger(__name__)

CAMERA_SWITCH = "camera switch"
"""The part that fails when another camera cannot take the place of the one in use."""

HARMLESS = ("network settings", CAMERA_SWITCH)
"""Parts whose faults leave everything as it was before."""

REPEAT_S = 60.0
"""How long a warning is not repeated, for parts that work and fail in turn."""


class RepeatFilter:
    """Tells new warnings from those that were given a moment ago."""

    def __init__(self) -> None:
        self._given_s: dict[str, float] = {}

    def is_new(self, words: str) -> bool:
        """Return whether this was not warned of in the last REPEAT_S seconds; it is now."""
        now = time.monotonic()
        recent = {key: at_s for key, at_s in self._given_s.items() if now - at_s < REPEAT_S}
        self._given_s = {words: now, **recent}
        return words not in recent


class Faults:
    """The current fault of each part ("camera", "network", "background", "output").

    A new fault is logged as a warning, its repetition while it lasts at debug level, its end as
    information: a camera that is away all night fills no log. The same fault a moment after its end
    is information, too: an output that is opened and refused again and again fills none either.
    """

    def __init__(self) -> None:
        self._present: dict[str, str] = {}
        self._repeats = RepeatFilter()
        self._lock = threading.Lock()
        self.count = 0

    def raised(self, part: str, error: BaseException | str) -> None:
        """Record a failure. Clears the traceback of an exception and of those that caused it."""
        words = error if isinstance(error, str) else str(error)
        if isinstance(error, BaseException) and not isinstance(error, VidbgError):
            words = f"{type(error).__name__}: {error}"
        with self._lock:
            known = self._present.get(part)
            self._present[part] = words
            self.count += known is None
        if words == known:
            logger.debug("%s still: %s", part, words)
        else:
            new = self._repeats.is_new(f"{part}: {words}")
            logger.log(logging.WARNING if new else logging.INFO, "%s: %s", part, words)
        if isinstance(error, BaseException):
            logger.debug("%s failed", part, exc_info=error)
            # Drop the stack frames that an exception holds, which keep images and networks alive: a
            # frame with a variable for the exception is a cycle, which waits for the garbage
            # collector, and that counts objects, not megabytes. An exception may be its own cause.
            left: list[BaseException | None] = [error]
            visited = set[int]()
            while left:
                each = left.pop()
                if each is not None and id(each) not in visited:
                    visited.add(id(each))
                    each.__traceback__ = None
                    left += [each.__cause__, each.__context__]

    def cleared(self, part: str) -> None:
        """Record that the part works again."""
        if part in self._present:
            with self._lock:
                self._present.pop(part, None)
            logger.info("%s works again", part)

    def forget(self, part: str) -> None:
        """Drop a fault of a part that is no longer used."""
        with self._lock:
            self._present.pop(part, None)

    def of(self, part: str) -> str | None:
        """Return the current fault of one part as text, or None."""
        return self._present.get(part)

    def present(self, *, of_picture: bool = False) -> str | None:
        """Return the first current fault as text, or None if there is none.

        Args:
            of_picture: leave out those that take nothing from the picture.
        """
        with self._lock:
            for part, words in self._present.items():
                if not (of_picture and part in HARMLESS):
                    return f"{part}: {words}"
        return None
