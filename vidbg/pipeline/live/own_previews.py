"""The previews that a live run's config asks for: the page with its API, and the window."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from vidbg.compositing.backgrounds import BlurSpec, FileSpec, PassthroughSpec
from vidbg.errors import SinkError
from vidbg.frame import StreamInfo
from vidbg.pipeline.live.live_config import LiveConfig
from vidbg.pipeline.live.previews.shown_previews import Preview
from vidbg.pipeline.live.run_parts import Tell
from vidbg.pipeline.live.supervisor import Supervisor
from vidbg.platform.installation import install_command
from vidbg.util.lifecycle import Closeable

if TYPE_CHECKING:
    from vidbg.pipeline.live.controls.controlled_run import ControlledRun
    from vidbg.pipeline.live.controls.live_server import LiveServer
    from vidbg.pipeline.live.previews.window_preview import LivePreview

logger = logging.getLogger(__name__)


class OwnPreviews(Closeable):
    """Opens page and window, and lets them control the run once there is one.

    Args:
        files: images and videos for the window's keys to choose from.
        info: of the output.
        tell: gets the page's addresses, which are secrets.

    Attributes:
        previews: for the supervisor.
        page: address of the page; None if there is none.
    """

    def __init__(
        self, config: LiveConfig, files: Sequence[Path], info: StreamInfo, tell: Tell
    ) -> None:
        self.previews: list[Preview] = []
        with ExitStack() as opened:
            self._server = _open_server(config, tell)
            self.page = None
            if self._server is not None:
                opened.callback(self._server.close)
                self.previews += self._server.previews
                self.page = self._server.url
            self._window = _open_window(config, files, info)
            if self._window is not None:
                opened.callback(self._window.close)
                self.previews.append(self._window)
            self._opened = opened.pop_all()

    def begin(self, run: ControlledRun, supervisor: Supervisor) -> None:
        """Give page and window the run that they control."""
        if self._window is not None:
            self._window.run = supervisor
        if self._server is not None:
            self._server.begin(run)

    def close(self) -> None:
        self._opened.close()


def _open_server(config: LiveConfig, tell: Tell) -> LiveServer | None:
    """Open the server of the page and the API."""
    if config.panel is None:
        if config.host is not None:
            logger.warning(
                "--host %s is not used: it is for the page, which needs --panel PORT", config.host
            )
        return None
    try:
        from vidbg.pipeline.live.controls.background_library import BackgroundLibrary
        from vidbg.pipeline.live.controls.live_server import LiveServer
        from vidbg.pipeline.live.controls.profiles import Profiles
        from vidbg.pipeline.live.controls.uploads import uploads_folder
    except ImportError as error:
        step = install_command("web")
        raise SinkError(f"the panel needs more packages ({error}): `{step}`") from None
    server = LiveServer(
        config.panel,
        BackgroundLibrary(config.backgrounds, uploads_folder()),
        Profiles(config.config_file),
        config.outside,
    )
    tell(f"panel: {server.url}")
    if server.outside_url is not None:
        tell(f"panel for other devices: {server.outside_url}")
    return server


def _open_window(config: LiveConfig, files: Sequence[Path], info: StreamInfo) -> LivePreview | None:
    """Open the preview window."""
    if not config.show:
        return None
    from vidbg.pipeline.live.previews.window_preview import LivePreview
    from vidbg.sinks.preview.window import WindowSink

    choice = [config.look.compositing.background, *map(FileSpec, files), BlurSpec()]
    kept = [spec for spec in dict.fromkeys(choice) if not isinstance(spec, PassthroughSpec)]
    return LivePreview(WindowSink(info, mirror=not config.mirror), kept)
