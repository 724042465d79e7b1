"""A live run from its config: from a camera to an output, with previews."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vidbg.compositing.backgrounds import BlurSpec, FileSpec, PassthroughSpec
from vidbg.errors import SinkError
from vidbg.frame import StreamInfo
from vidbg.matting.ladder import live_steps
from vidbg.pipeline.live.appearance import Appearance
from vidbg.pipeline.live.capture.camera_opener import CameraOpener
from vidbg.pipeline.live.live_config import LiveConfig
from vidbg.pipeline.live.network.network_loader import DeviceNetworks
from vidbg.pipeline.live.outputs.live_outputs import check_output, reopens
from vidbg.pipeline.live.status import LiveReport, LiveStatus
from vidbg.pipeline.live.supervisor import Preview, Supervisor
from vidbg.platform.installation import install_command
from vidbg.sinks import Sink, open_output
from vidbg.sources import Source
from vidbg.sources.camera.cameras import camera_name, camera_source
from vidbg.util.lifecycle import Closeable

if TYPE_CHECKING:
    from vidbg.pipeline.live.controls.live_server import LiveServer
    from vidbg.pipeline.live.live_preview import LivePreview

logger = logging.getLogger(__name__)

Tell = Callable[[str], None]
"""Receives a line of text for the user."""


def run_live(
    config: LiveConfig,
    *,
    previews: Sequence[Preview] = (),
    on_status: Callable[[LiveStatus], None] | None = None,
    on_message: Tell | None = None,
    open_source: Callable[[], Source] | None = None,
    open_sink: Callable[[StreamInfo], Sink] | None = None,
) -> LiveReport:
    """Run a camera on another background until Ctrl-C, `frames`, or a permanent error.

    Call it in the main thread: previews are drawn there. To stop a run, or to change how it looks,
    use LiveRun, whose arguments are the same.

    Args:
        previews: your own, in addition to the configured ones; closed at the end.
        on_status: called about ten times a second.
        on_message: called with one-line messages: the device that runs the network, the camera's
            mode, and the addresses of panel and output, which are secrets.
        open_source: opens the camera, again after each failure; None for `config.camera`.
        open_sink: opens the output for frames of that size and rate, again after each failure;
            None for `config.output`.
    Returns:
        What the run did.
    Raises:
        VidbgError: the output cannot be opened, the network cannot be loaded, or the run failed
            permanently. A camera that does not open is retried.
        KeyboardInterrupt: Ctrl-C; everything is closed.
    """
    with LiveRun(
        config,
        previews=previews,
        on_status=on_status,
        on_message=on_message,
        open_source=open_source,
        open_sink=open_sink,
    ) as live:
        warn_of_room(config, "LiveConfig.background")
        return live.run()


class LiveRun(Closeable):
    """A live run whose camera and previews are open; see `run_live` for the arguments.

    Attributes:
        info: size and rate of the output.
        page: address of the panel's page, with its token: a secret; None without a panel.
    """

    def __init__(
        self,
        config: LiveConfig,
        *,
        previews: Sequence[Preview] = (),
        on_status: Callable[[LiveStatus], None] | None = None,
        on_message: Tell | None = None,
        open_source: Callable[[], Source] | None = None,
        open_sink: Callable[[StreamInfo], Sink] | None = None,
    ) -> None:
        tell = on_message or _tell_nobody
        if open_sink is None:
            check_output(config.output, preview=bool(previews) or config.has_preview)
        open_camera = open_source or _camera(config, tell)
        files = config.background_files()
        with ExitStack() as opened:
            camera = CameraOpener(open_camera, config.asked)
            opened.callback(camera.close)
            if camera.problem is not None:
                tell(f"{camera.problem}. Waiting for it; the background is shown")
            self.info = info = camera.info
            networks = DeviceNetworks(
                config.matting,
                info.height,
                info.width,
                lambda name: tell(f"network: {name}"),
                rate=float(info.frame_rate or 30) if config.adapt else None,
            )
            own: list[Preview] = []
            if (server := _open_server(config, tell)) is not None:
                opened.callback(server.close)
                own.append(server)
            if (window := _open_window(config, files, info)) is not None:
                opened.callback(window.close)
                own.append(window)
            self._supervisor = Supervisor(
                camera,
                networks,
                config.look,
                _output(config, info, tell) if open_sink is None else lambda: open_sink(info),
                info,
                reopens=open_sink is not None or reopens(config.output),
                on_demand=config.on_demand,
                steps=live_steps(config.matting) if config.adapt else (),
                previews=[*own, *previews],
                needs_preview=open_sink is None and config.is_preview_only,
                on_status=on_status,
                frame_limit=config.frames,
            )
            self._config = config
            if window is not None:
                window.run = self._supervisor
            self.page = None if server is None else server.url
            if server is not None:
                server.begin(self)
            self._opened = opened.pop_all()

    @property
    def config(self) -> LiveConfig:
        """The current config: as the run began, with what has been changed since."""
        look = self._supervisor.look
        return replace(
            self._config, background=look.compositing, mirror=look.mirror, picture=look.picture
        )

    @property
    def look(self) -> Appearance:
        """The current look of the output."""
        return self._supervisor.look

    def run(self) -> LiveReport:
        """Run to the end. May be called only once."""
        return self._supervisor.run()

    def change(self, config: LiveConfig) -> None:
        """Apply a config's background, edge, `mirror` and `picture`. May be called from any thread.

        Raises:
            ConfigError: the background cannot be read; nothing is changed.
        """
        self._supervisor.change(config.look)

    def stop(self) -> None:
        """Stop soon. May be called from any thread."""
        self._supervisor.stop()

    def close(self) -> None:
        """Close the camera and previews of a run that was not started."""
        self._opened.close()


def warn_of_room(config: LiveConfig, origin: str) -> None:
    """Log a warning if the real room is shown.

    Args:
        origin: which setting asks for it.
    """
    if config.look.shows_room:
        logger.warning(
            "YOUR REAL ROOM IS ON AIR: the background is none (%s), so everyone who watches the "
            "output sees the camera's own picture. Hide the room by another background, such as "
            "-b blur",
            origin,
        )


def _tell_nobody(_: str) -> None:
    """Discard a message."""


def _camera(config: LiveConfig, tell: Tell) -> Callable[[], Source]:
    """Make a function that opens the same camera each time and reports each mode once."""
    open_source = camera_source(config.camera, config.asked, config.pixel_format)
    tell_once = _once(tell)

    def open_camera() -> Source:
        source = open_source()
        mode = str(getattr(source, "mode", ""))
        if mode:
            tell_once(f"camera {camera_name(config.camera)}: {mode}")
        return source

    return open_camera


def _output(config: LiveConfig, info: StreamInfo, tell: Tell) -> Callable[[], Sink]:
    """Make a function that opens and reopens the output and reports each address once."""
    tell_once = _once(tell)
    raw_format = config.pipe_format or "y4m"
    return lambda: open_output(
        config.output, info, raw_format, lambda url: tell_once(f"output: {url}")
    )


def _open_server(config: LiveConfig, tell: Tell) -> LiveServer | None:
    """Open the server of the page and the API."""
    if config.panel is None:
        return None
    try:
        from vidbg.pipeline.live.controls.background_library import BackgroundLibrary
        from vidbg.pipeline.live.controls.live_server import LiveServer
        from vidbg.pipeline.live.controls.profiles import Profiles
    except ImportError as error:
        step = install_command("web")
        raise SinkError(f"the panel needs more packages ({error}): `{step}`") from None
    server = LiveServer(
        config.panel, BackgroundLibrary(config.backgrounds), Profiles(config.config_file)
    )
    tell(f"panel: {server.url}")
    return server


def _open_window(config: LiveConfig, files: list[Path], info: StreamInfo) -> LivePreview | None:
    """Open the preview window."""
    if not config.show:
        return None
    from vidbg.pipeline.live.live_preview import LivePreview
    from vidbg.sinks.preview.window import WindowSink

    choice = [config.look.compositing.background, *map(FileSpec, files), BlurSpec()]
    kept = [spec for spec in dict.fromkeys(choice) if not isinstance(spec, PassthroughSpec)]
    return LivePreview(WindowSink(info, mirror=not config.mirror), kept)


def _once(tell: Tell) -> Tell:
    """Wrap a function so that it gets the same text only once."""
    reported: set[str] = set()

    def tell_news(text: str) -> None:
        if text not in reported:
            reported.add(text)
            tell(text)

    return tell_news
