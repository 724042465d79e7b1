"""A control panel for a run: a page on this machine with its picture, state and settings."""

from __future__ import annotations

from typing import Any, Protocol

from vidbg.closing import Closing
from vidbg.errors import SinkError
from vidbg.frame import Image
from vidbg.sinks.web_service import WebService

HOST = "127.0.0.1"
"""Never another: whoever reaches the panel sees the output and changes it."""


class Control(Protocol):
    """What the panel shows and changes. Called by threads of its own."""

    def state(self) -> dict[str, Any]:
        """How it goes and looks, as JSON has it."""
        ...

    def change(self, change: Any) -> None:
        """Take what the page sent, as JSON had it.

        Raises:
            VidbgError: it cannot be; all stays as it was.
        """
        ...

    def thumbnail(self, number: int) -> bytes | None:
        """A small JPEG of one of the backgrounds to choose from; None where there is none."""
        ...


class PanelService(Closing):
    """Serves the panel at HOST until it is closed.

    Args:
        port: 0 takes any that is free.
    Attributes:
        url: of the page.
    Raises:
        SinkError: aiohttp is missing, or the port cannot be listened at.
    """

    def __init__(self, control: Control, port: int) -> None:
        try:
            from vidbg.sinks.panel_server import panel_application
            from vidbg.sinks.web_server import NewestJpeg
        except ImportError as error:
            raise SinkError(
                f"the panel needs aiohttp ({error}): pip install 'vidbg[web]'"
            ) from None
        self._newest = newest = NewestJpeg()
        self._service = WebService(
            lambda: panel_application(control, newest, HOST),
            HOST,
            port,
            end=newest.close,
            hint="--panel 8092",
        )
        self.url = f"http://{HOST}:{self._service.port}/"

    @property
    def watched(self) -> bool:
        """Whether a page shows the picture."""
        return self._newest.watchers > 0

    def offer(self, image: Image) -> None:
        """Show a picture on the pages that show one."""
        self._newest.offer(image)
        self._service.call_soon(self._newest.wake)

    def close(self) -> None:
        self._service.close()
