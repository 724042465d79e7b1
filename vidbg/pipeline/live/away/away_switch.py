"""Being away: the camera is closed, and viewers see a card."""

from __future__ import annotations

import logging
import threading

from vidbg.errors import ConfigError
from vidbg.pipeline.live.away.away_card import away_card
from vidbg.pipeline.live.live_config import LiveConfig
from vidbg.pipeline.live.outputs.fallback import card
from vidbg.pipeline.live.supervisor import Supervisor
from vidbg.pipeline.live.threads.background_tasks import BackgroundTasks

logger = logging.getLogger(__name__)

PATIENCE_S = 3.0
"""Wait at the end of the run for a card that is still being drawn."""


class AwaySwitch:
    """Shows the away card of a config, which is drawn ahead: fonts take longer than two frames.

    Args:
        supervisor: of the run.
        width, height: of the card, in pixels.
    """

    def __init__(self, supervisor: Supervisor, width: int, height: int) -> None:
        self._supervisor, self._size = supervisor, (width, height)
        self._card = card(width, height)  # until the first one has been drawn
        self._request = 0
        self._lock = threading.Lock()
        self._tasks = BackgroundTasks()

    @property
    def away(self) -> bool:
        """Whether viewers see the card."""
        return self._supervisor.pipeline.gate.shows_card

    def set(self, away: bool) -> None:
        """Close the camera and show the card, or go on."""
        with self._lock:
            self._supervisor.set_away(self._card if away else None)

    def resize(self, width: int, height: int) -> bool:
        """Draw the next cards at this size, in pixels; return whether it is another one."""
        before, self._size = self._size, (width, height)
        return before != self._size

    def draw(self, config: LiveConfig) -> None:
        """Draw the card of a config, and show it if a card is shown. Returns at once."""
        with self._lock:
            self._request += 1
            request = self._request
        self._tasks.start("away-card", lambda: self._draw(config, request))

    def _draw(self, config: LiveConfig, request: int) -> None:
        try:
            drawn = away_card(config.away_text, config.away_image, *self._size)
        except ConfigError as error:
            logger.warning("the away card has no image: %s", error)
            drawn = away_card(config.away_text, None, *self._size)
        with self._lock:
            if request == self._request:  # not for a text that has changed again
                self._card = drawn
                if self.away:
                    self._supervisor.set_away(drawn)

    def close(self) -> None:
        self._tasks.close(PATIENCE_S)
