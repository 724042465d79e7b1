"""A client of the API for tests, and a run that only records its calls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import numpy as np
from live_rig import Rig
from web_client import token_of

from vidbg.compositing.backgrounds import BlurSpec, FileSpec
from vidbg.compositing.compositor import as_compositing
from vidbg.errors import ConfigError, SinkError
from vidbg.frame import Frame, Image
from vidbg.pipeline.live import Appearance, LiveConfig
from vidbg.pipeline.live.controls.background_library import BackgroundLibrary
from vidbg.pipeline.live.controls.live_server import LiveServer
from vidbg.pipeline.live.controls.profiles import Profiles
from vidbg.pipeline.live.history import Sample
from vidbg.pipeline.live.live_config import with_look
from vidbg.pipeline.live.outputs.recorder import RecordingStatus
from vidbg.pipeline.live.previews.views import View
from vidbg.pipeline.live.status import (
    BackendStatus,
    CameraStatus,
    LiveStatus,
    OutputState,
    OutputStatus,
)
from vidbg.util.paths import StrPath

PREFIX = "/api/v1"


class FakeRun:
    """Keeps the config; a background that cannot be read is refused as a LiveRun does."""

    def __init__(self, **values: Any) -> None:
        self.config = LiveConfig(**{"camera": "synthetic", "background": BlurSpec(40), **values})
        self.stopped, self.away = False, False
        self.history: list[Sample] = []
        self.recording: RecordingStatus | None = None
        self.backend = BackendStatus("OpenVINO CPU", "int8", "ResNet-50", {"cuda": "none here"})

    def start_recording(self, path: StrPath) -> None:
        file = Path(path)
        if file.exists():
            raise SinkError(f"{file} exists")
        file.touch()
        self.recording = RecordingStatus(file, 2.4, 1_234_567)

    def stop_recording(self) -> RecordingStatus | None:
        ended, self.recording = self.recording, None
        return ended

    def set_away(self, away: bool) -> None:
        self.away = away

    def snapshot(self, view: View = "output") -> Image:  # noqa: ARG002
        return np.full((48, 64, 3), (10, 20, 230), np.uint8)

    @property
    def camera(self) -> CameraStatus:
        return CameraStatus(self.config.camera, "640x480 at 30 FPS, MJPG", None)

    @property
    def outputs(self) -> list[OutputStatus]:
        return [OutputStatus("none", "none", None, OutputState.ON, None, False)]

    @property
    def look(self) -> Appearance:
        return self.config.look

    def change(self, config: LiveConfig, *, keep_hidden: bool = False) -> None:
        if as_compositing(config.background).background == FileSpec(Path("/gone.jpg")):
            raise ConfigError("it does not exist")
        look = config.look.with_room_hidden(self.look) if keep_hidden else config.look
        self.config = with_look(config, look)

    def hide_room(self) -> None:
        if self.look.shows_room:
            self.change(replace(self.config, background=BlurSpec()))

    def stop(self) -> None:
        self.stopped = True


class RigRun(FakeRun):
    """Gives the look to the supervisor of a Rig."""

    def __init__(self, rig: Rig) -> None:
        super().__init__()
        self._rig = rig

    def change(self, config: LiveConfig, *, keep_hidden: bool = False) -> None:
        self._rig.supervisor.change(config.look, keep_hidden=keep_hidden)
        super().change(config, keep_hidden=keep_hidden)


class Served:
    """A server of the page and the API whose run is a FakeRun, and a client of it."""

    def __init__(
        self,
        folder: Path | None = None,
        config_file: Path | None = None,
        uploads: Path | None = None,
        **values: Any,
    ) -> None:
        self.server = LiveServer(0, BackgroundLibrary(folder, uploads), Profiles(config_file))
        self.run = FakeRun(**values)
        self.server.begin(self.run)
        self.client = ApiClient(self.server.url)

    def show(self, frame: Frame, status: LiveStatus) -> None:
        """As a run does."""
        for preview in self.server.previews:
            preview.show(frame, status)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.close()


class ApiClient:
    """Asks over real connections, each of its own.

    Args:
        url: the page's address, with its token.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or 0
        self.token = token_of(url)

    def ask(
        self, method: str, path: str, body: Any = None, content: bytes | None = None, kind: str = ""
    ) -> tuple[int, bytes]:
        """Return the status and the body of an answer.

        Args:
            body: JSON to send.
            content: to send as it is, of the type `kind`.
        """
        headers = {"Authorization": f"Bearer {self.token}"}
        if body is not None:
            content, kind = json.dumps(body).encode(), "application/json"
        if content is not None:
            headers["Content-Type"] = kind
        connection = HTTPConnection(self.host, self.port, timeout=10)
        try:
            connection.request(method, PREFIX + path, content, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """Return the JSON of a successful GET."""
        status, data = self.ask("GET", path)
        assert status == 200, data
        return json.loads(data)

    def send(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Return the status and the JSON of an answer."""
        status, data = self.ask(method, path, body)
        return status, json.loads(data)

    def socket_url(self, path: str) -> str:
        """Return the address of a WebSocket, with the token."""
        mark = "&" if "?" in path else "?"
        return f"ws://{self.host}:{self.port}{PREFIX}{path}{mark}token={self.token}"

    def talk(self, what: Callable[[Any], Awaitable[Any]]) -> Any:
        """Run a conversation in an aiohttp session and return its result."""
        import aiohttp

        async def run() -> Any:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(20)) as session:
                return await what(session)

        return asyncio.run(run())
