"""Opens a camera whenever needed, the first time before the run begins."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from threading import Lock

from vidbg.errors import SourceError
from vidbg.frame import StreamInfo
from vidbg.sources import Source

logger = logging.getLogger(__name__)


class CameraOpener:
    """Tries to open the camera at once, so that the output can have its size and rate.

    Args:
        open_source: opens the camera.
        asked: size and rate of the output if the camera does not open yet.

    Attributes:
        info: of the output.
        problem: why the camera did not open; None if it did.
    """

    def __init__(self, open_source: Callable[[], Source], asked: StreamInfo) -> None:
        self._open_source = open_source
        self._lock = Lock()
        self._opened: Source | None = None
        self.problem: SourceError | None = None
        self.info = asked
        try:
            self._opened = open_source()
        except SourceError as error:
            self.problem = error
            return
        given = self._opened.info
        # outputs are 4:2:0
        width, height = (max(2, side - side % 2) for side in (given.width, given.height))
        rate = given.frame_rate or asked.frame_rate
        self.info = replace(asked, width=width, height=height, frame_rate=rate)

    def __call__(self) -> Source:
        """Return the camera opened at the start, or open it again on later calls.

        Raises:
            SourceError: it does not open.
        """
        with self._lock:
            opened, self._opened = self._opened, None
        return opened or self._open_source()

    def close(self) -> None:
        """Close the camera if it was not used."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()
