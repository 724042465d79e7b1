"""A control panel for a run: a local page with its output, state and settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidbg.sinks.web.web_service import WebService

if TYPE_CHECKING:
    from aiohttp.web import Application

    from vidbg.sinks.web.panel_server import Control
    from vidbg.sinks.web.web_server import NewestJpeg

HOST = "127.0.0.1"
"""Never another address: whoever reaches the panel can see and change the output."""


def serve_panel(control: Control, port: int) -> WebService:
    """Serve the panel at HOST until it is closed.

    Args:
        port: 0 takes any that is free.
    Raises:
        SinkError: aiohttp is missing, or the port cannot be listened at.
    """

    def make(newest: NewestJpeg, token: str) -> Application:
        from vidbg.sinks.web.panel_server import panel_application

        return panel_application(control, newest, HOST, token)

    return WebService("the panel", make, HOST, port, hint="--panel 8092", announced=True)
