"""The newest frame as JPEG, for any number of HTTP clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

import cv2

from vidbg.frame import Image

_QUALITY = 85  # of JPEG
_VIEWER_S = 0.5  # a client that takes frames for this long is a viewer, not a probe


class NewestJpeg:
    """The newest frame for any number of clients; encoded once, and only on request.

    Call offer() from one thread and read watchers from any; the rest is for the server's thread.

    Args:
        keep: show the newest frame to clients that come later; without, it is forgotten with the
            last client.
    Attributes:
        clients: clients that are connected.
        watchers: clients that have been taking frames for half a second.
        keep: as given.
    """

    def __init__(self, *, keep: bool = True) -> None:
        self.clients, self.watchers, self.keep = 0, 0, keep
        self._latest: tuple[int, Image] | None = None
        self._jpeg = (0, b"")
        self._changed = asyncio.Event()
        self._closed = False

    def offer(self, image: Image) -> None:
        """Replace the frame; wake() tells the clients."""
        serial = 1 if self._latest is None else self._latest[0] + 1
        self._latest = (serial, image)

    def wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def close(self) -> None:
        self._closed = True
        self.wake()

    async def frames(self) -> AsyncGenerator[bytes]:
        """Yield the newest frame for one client, never the same one twice, until closed."""
        clock = asyncio.get_running_loop().time
        sent, viewer_s, counted = 0, None, False
        self.clients += 1
        try:
            while not self._closed:
                if viewer_s is not None and not counted and clock() >= viewer_s:
                    self.watchers, counted = self.watchers + 1, True
                if self._latest is None or self._latest[0] == sent:
                    # Wait for another frame or the end, or until this client counts as a viewer
                    at_most_s = None if viewer_s is None or counted else viewer_s - clock()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(at_most_s):
                            await self._changed.wait()
                    continue
                sent, image = self._latest
                if self._jpeg[0] != sent:  # the first client that asks for it
                    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
                    self._jpeg = (sent, data.tobytes())
                yield self._jpeg[1]
                if viewer_s is None:  # it asks for the next, and so has taken one
                    viewer_s = clock() + _VIEWER_S
        finally:
            self.watchers -= counted
            self.clients -= 1
            if not self.clients and not self.keep:
                self._latest, self._jpeg = None, (0, b"")
