"""Key handling of the preview window, separate from the window so that it can be tested."""

from __future__ import annotations

import math
from enum import StrEnum

from vidbg.sinks.preview.overlay import PreviewStatus, View

ANSWER_S = 5.0
"""How long the user can answer whether to show the room, in seconds."""

EARLIEST_ANSWER_S = 0.5
"""A y before that was not meant as an answer: typing "easy" into the wrong window presses s
and y some 0.2 s apart."""

HINT_S = 6.0
"""How long the window mentions the help key at its start, in seconds."""

_ESCAPE = "\x1b"
_WITH_NEXT_PICTURE = math.inf
"""Time of a question that has not been shown yet."""


class Action(StrEnum):
    """An action that the user requests.

    The window handles MIRROR, FPS and HELP itself; the program handles the others.
    """

    QUIT = "quit"
    NEXT_BACKGROUND = "next_background"
    PREVIOUS_BACKGROUND = "previous_background"
    PASSTHROUGH = "passthrough"
    """Show the real room; the user has said yes to that."""
    BACKGROUND = "background"
    """End passthrough. Not the same as PASSTHROUGH again: two quick presses must not show the
    room unasked."""
    MIRROR = "mirror"
    FPS = "fps"
    HELP = "help"


_ACTIONS = {
    "q": Action.QUIT,
    _ESCAPE: Action.QUIT,
    "b": Action.NEXT_BACKGROUND,
    "n": Action.NEXT_BACKGROUND,
    "p": Action.PREVIOUS_BACKGROUND,
    "m": Action.MIRROR,
    "f": Action.FPS,
    "h": Action.HELP,
    "?": Action.HELP,
}


class PreviewKeys:
    """The preview's key state: turns keys into actions and decides how to show the image.

    Before the room is shown the user is asked, for ANSWER_S from the first image that shows the
    question. Only y confirms; s is ignored, and any other key cancels the question.

    Attributes:
        passthrough: the real room is on air.

    Args:
        mirror: show the picture mirrored at first.
        now: the time in seconds, of the clock that the methods are given.
    """

    def __init__(self, *, mirror: bool, now: float) -> None:
        self.passthrough = False
        self._mirror = mirror
        self._figures = False
        self._help = False
        self._hint_until = now + HINT_S
        self._asked: float | None = None

    def press(self, key: str, now: float) -> Action | None:
        """Return the action for a key; None if there is none, or none yet."""
        key = key.lower()
        if self._asked is not None and self._answer_s(now) is not None:
            # The question is open. s is no answer, because a key that is held down repeats.
            if key == "s" or (key == "y" and now - self._asked < EARLIEST_ANSWER_S):
                return None
            self._asked = None
            if key == "y":
                return Action.PASSTHROUGH
            if key in ("n", _ESCAPE):
                return None
        elif key == "s":
            if self.passthrough:
                return Action.BACKGROUND
            self._asked = _WITH_NEXT_PICTURE
            return None
        action = _ACTIONS.get(key)
        match action:
            case Action.MIRROR:
                self._mirror = not self._mirror
            case Action.FPS:
                self._figures = not self._figures
            case Action.HELP:
                self._help = not self._help
        return action

    def view(self, status: PreviewStatus | None, now: float) -> View:
        """Return how to show the next image; call it once for each image shown."""
        if self._asked == _WITH_NEXT_PICTURE:
            self._asked = now
        return View(
            status=status,
            mirror=self._mirror,
            figures=self._figures,
            room_visible=self.passthrough,
            answer_s=self._answer_s(now),
            help=self._help,
            hint=now < self._hint_until,
        )

    def _answer_s(self, now: float) -> float | None:
        """Return the seconds left to answer; None if there is no question or it has expired."""
        left = 0.0 if self._asked is None else self._asked + ANSWER_S - now
        return left if left > 0 else None
