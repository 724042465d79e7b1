"""The user's consent to show the real room: a question first, then a token that proves it."""

from __future__ import annotations

import secrets
import threading
import time
from typing import Literal

VALID_S = 120.0
"""How long a token can be used, in seconds."""

_MAX_WAITING = 100  # tokens that wait; older ones are forgotten

Purpose = Literal["output", "preview"]

QUESTIONS: dict[Purpose, str] = {
    "output": "Show your real room to everyone who watches the output?",
    "preview": "Show your real room on this page? Others still see the background.",
}


class RoomConsent:
    """Issues tokens, each for one purpose and to be used once. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._issued: dict[str, tuple[Purpose, float]] = {}

    def ask(self, purpose: Purpose) -> str:
        """Return a token for the answer to QUESTIONS[purpose]."""
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._issued[token] = purpose, time.monotonic()
            while len(self._issued) > _MAX_WAITING:
                del self._issued[next(iter(self._issued))]
        return token

    def redeem(self, token: str, purpose: Purpose) -> bool:
        """Use a token up, and return whether it was issued for this purpose and is still valid."""
        with self._lock:
            issued_for, issued_s = self._issued.pop(token, (None, 0.0))
        return issued_for == purpose and time.monotonic() - issued_s <= VALID_S
