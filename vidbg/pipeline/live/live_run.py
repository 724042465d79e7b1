"""A live run from its config: from a camera to an output, with previews."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vidbg.compositing.backgrounds import BlurSpec, FileSpec, PassthroughSpec
from vidbg.config import MattingConfig
from vidbg.errors import ConfigError, SinkError
from vidbg.frame import Image, StreamInfo
from vidbg.option_table import options_of
from vidbg.pipeline.files.jobs import PIPE
from vidbg.pipeline.live.appearance import Appearance, warn_of_room
from vidbg.pipeline.live.away import AwaySwitch
from vidbg.pipeline.live.capture.camera_opener import CameraOpener
from vidbg.pipeline.live.capture.camera_request import CameraRequest
from vidbg.pipeline.live.capture.reader import PART as CAMERA_PART
from vidbg.pipeline.live.context import RunContext
from vidbg.pipeline.live.faults import CAMERA_SWITCH
from vidbg.pipeline.live.history import Sample
from vidbg.pipeline.live.live_config import (
    CAMERA_FIELDS,
    CHANGEABLE_FIELDS,
    LiveConfig,
    changed_fields,
    with_look,
)
from vidbg.pipeline.live.network.changing_networks import ChangingNetworks
from vidbg.pipeline.live.network.network_loader import DeviceNetworks
from vidbg.pipeline.live.outputs.live_outputs import check_outputs, output_name, reopens
from vidbg.pipeline.live.outputs.output_writer import OutputTarget
from vidbg.pipeline.live.outputs.recorder import RecordingStatus
from vidbg.pipeline.live.pipeline import LivePipeline
from vidbg.pipeline.live.status import (
    BackendStatus,
    CameraStatus,
    LiveReport,
    LiveStatus,
    OutputStatus,
)
from vidbg.pipeline.live.supervisor import Preview, Supervisor, SupervisorConfig
from vidbg.pipeline.live.views import View, view_image
from vidbg.platform.installation import install_command
from vidbg.sinks import FIRST_FREE, Sink, open_output
from vidbg.sources import Source
from vidbg.sources.camera.cameras import camera_device, camera_name, camera_source
from vidbg.util.field_types import check_type
from vidbg.util.lifecycle import Closeable
from vidbg.util.paths import StrPath

if TYPE_CHECKING:
    from vidbg.pipeline.live.controls.live_server import LiveServer
    from vidbg.pipeline.live.live_preview import LivePreview

logger = logging.getLogger(__name__)

LIVE = options_of("run")

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
        warn_of_room(config.look, "LiveConfig.background")
        return live.run()


class LiveRun(Closeable):
    """A live run whose camera and previews are open; see `run_live` for the arguments.

    Every method and attribute may be used from any thread, except `run`.

    Attributes:
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
        check_type("config", config, LiveConfig)
        # What is wrong with the config is told before anything is opened
        self._tell = tell = on_message or (lambda _: None)
        self._config, self._changing = config, threading.RLock()
        self._owns_camera, self._owns_output = open_source is None, open_sink is None
        self._has_previews = bool(previews)
        if open_sink is None:
            check_outputs(config.outputs, preview=self._has_previews or config.has_preview)
        open_camera = open_source or _camera(config, tell)
        files = config.background_files()
        with ExitStack() as opened:
            # The camera first: its mode gives the output's size and rate
            camera = CameraOpener(open_camera, config.asked)
            opened.callback(camera.close)
            self._first_camera = camera
            if camera.problem is not None:
                tell(f"{camera.problem}. Waiting for it; the background is shown")
            self._camera_info = camera.info
            info = config.output_info(camera.info)
            thins_frames = config.output_fps is not None
            self._context = context = RunContext(info, config.look, thins_frames=thins_frames)
            self._size_in_use, self._started = config.output_size, False
            self._networks = ChangingNetworks(
                self._make_networks, config.matting, config.adapt, context
            )
            # Previews: the page and the window
            own: list[Preview] = []
            if (server := _open_server(config, tell)) is not None:
                opened.callback(server.close)
                own += server.previews
            if (window := _open_window(config, files, info)) is not None:
                opened.callback(window.close)
                own.append(window)
            # The flow, and what supervises it
            if open_sink is None:
                targets = self._targets(config)
            else:
                targets = [OutputTarget("", lambda: open_sink(self.info))]
            pipeline = LivePipeline(
                context,
                self._camera_request(config, camera),
                self._networks,
                targets,
                config.frames,
            )
            self._supervisor = Supervisor(
                pipeline,
                SupervisorConfig(
                    on_demand=config.on_demand,
                    needs_preview=open_sink is None and config.is_preview_only,
                    # The page can say what is wrong, and change it
                    tolerant=open_sink is None and config.panel is not None,
                ),
                previews=[*own, *previews],
                on_status=on_status,
            )
            self._networks.prepare_resize = pipeline.gate.prepare_resize
            self._networks.resized = self._settle_size
            self._away = AwaySwitch(self._supervisor, info.width, info.height)
            # Now window and page can control the run
            if window is not None:
                window.run = self._supervisor
            self.page = None if server is None else server.url
            if server is not None:
                server.begin(self)
            self._opened = opened.pop_all()

    def run(self) -> LiveReport:
        """Run to the end. May be called only once."""
        with self._changing:
            self._started = True
        self._away.draw(self._config)
        try:
            return self._supervisor.run()
        finally:
            self._away.close()

    def stop(self) -> None:
        """Stop soon."""
        self._supervisor.stop()

    def close(self) -> None:
        """Close the camera and previews of a run that was not started."""
        self._opened.close()

    @property
    def info(self) -> StreamInfo:
        """Current size and rate of the outputs."""
        return self._context.info

    @property
    def look(self) -> Appearance:
        """The current look of the output."""
        return self._supervisor.look

    @property
    def config(self) -> LiveConfig:
        """The current settings, with everything that was changed since the start."""
        return with_look(self._config, self._supervisor.look)

    @property
    def camera(self) -> CameraStatus:
        """What the camera is doing."""
        pipeline = self._supervisor.pipeline
        faults = pipeline.context.faults
        fault = faults.of(CAMERA_PART) or faults.of(CAMERA_SWITCH)
        return CameraStatus(pipeline.camera.camera.name, pipeline.camera.mode, fault)

    @property
    def outputs(self) -> list[OutputStatus]:
        """What each output is doing, in the order of `LiveConfig.output`."""
        return self._supervisor.pipeline.outputs.statuses()

    @property
    def history(self) -> list[Sample]:
        """One sample a second, of the last ten minutes, oldest first."""
        return self._supervisor.history.samples

    @property
    def backend(self) -> BackendStatus:
        """What runs the network, and why other devices do not."""
        networks = self._networks.current
        loaded = networks.loaded
        return BackendStatus(
            name="" if loaded is None else loaded.name,
            precision="" if loaded is None else loaded.precision,
            network=str(self._supervisor.pipeline.governor.level),
            refused=dict(networks.refused),
        )

    def snapshot(self, view: View = "output") -> Image:
        """Return what viewers see at the moment, or another view of the run.

        Args:
            view: see `view_image`: "camera" shows the room.
        Returns:
            uint8 (H, W, 3), BGR, of the output's size; a new array.
        """
        return view_image(self._supervisor.pipeline, view).copy()

    # --- recording ---

    @property
    def recording(self) -> RecordingStatus | None:
        """The recording in progress, or the last one if it failed; None if there is none."""
        return self._supervisor.recorder.status

    def start_recording(self, path: StrPath) -> None:
        """Record what viewers see to a new video file, in H.264, until stop_recording() or the end.

        Args:
            path: ends in .mp4, .m4v, .mov or .mkv.
        Raises:
            ConfigError: another recording is in progress, or the suffix is none of these.
            SinkError: the file exists or cannot be written.
        """
        self._supervisor.recorder.start(path)

    def stop_recording(self) -> RecordingStatus | None:
        """Complete the file, wait for it, and say what was recorded; None if nothing was."""
        return self._supervisor.recorder.stop()

    # --- away ---

    @property
    def away(self) -> bool:
        """Whether viewers see the away card, and the camera is closed."""
        return self._away.away

    def set_away(self, away: bool) -> None:
        """Close the camera and show viewers a card with `away_text`; False goes on.

        The card is shown within two frames, also if the camera or the network hangs.
        """
        self._away.set(away)

    # --- changes ---

    def change(self, config: LiveConfig, *, keep_hidden: bool = False) -> None:
        """Take other settings. Returns at once; what needs time to open is opened beside the run.

        The camera in use goes on until another one gives frames. If that one cannot be read, the
        one in use stays, `config` says so again, and the reason is a fault of the run. An output
        that does not open is a fault, and is opened again and again. Outputs get another size when
        a network for it has been loaded, and the last picture until then.

        Args:
            keep_hidden: where the room is hidden, it stays so, with the background of now. For a
                config made from an earlier one that showed the room, which may be hidden since.
        Raises:
            ConfigError: a setting is invalid, or cannot change during a run; nothing is changed.
        """
        with self._changing:
            before = self.config
            changed = changed_fields(before, config)
            self._refuse(changed)
            open_camera = _camera(config, self._tell) if changed & CAMERA_FIELDS else None
            targets = self._targets(config) if "output" in changed else None
            if targets is not None:
                check_outputs(config.outputs, preview=self._has_previews or config.has_preview)
            if config.look != self._supervisor.look:
                # raises if the background cannot be read; a key may hide the room meanwhile
                self._supervisor.change(config.look, keep_hidden=keep_hidden)
            pipeline = self._supervisor.pipeline
            if open_camera is not None:
                self._first_camera.close()  # in case the run has not begun
                pipeline.camera.switch(self._camera_request(config, open_camera))
            if targets is not None:
                pipeline.outputs.replace_targets(targets)
                self._supervisor.config.needs_preview = config.is_preview_only
            self._supervisor.config.on_demand = config.on_demand
            self._config = config
            if changed & {"output_size", "output_fps"}:
                self._change_output(config)
            share = config.cpu_share(config.matting.quality)
            self._networks.limit_cpu(share)
            pipeline.governor.aim(cpu_limit=share)
            if changed & {"matting", "adapt", "cpu_limit_percent", "output_size", "output_fps"}:
                info = config.output_info(self._camera_info)
                self._networks.change(config.matting, config.adapt, info)
            if changed & {"away_text", "away_image"}:
                self._away.draw(config)

    def _change_output(self, config: LiveConfig) -> None:
        """Change the outputs' size and rate: the rate at once, the size with its network."""
        info, pipeline = config.output_info(self._camera_info), self._supervisor.pipeline
        self._context.thins_frames = config.output_fps is not None
        if not self._started:
            self._networks.replace_unused(info)
        else:  # the size is left to the network
            info = replace(info, width=self.info.width, height=self.info.height)
        if info != self.info:
            pipeline.gate.prepare_resize(info)()
            pipeline.governor.aim(rate=1 / self._context.period_s)
        if not self._started:
            self._settle_size()

    def _settle_size(self) -> None:
        """Let the card and the settings follow the size that the outputs have got, or kept."""
        with self._changing:
            width, height = self.info.width, self.info.height
            if (self._networks.info.width, self._networks.info.height) == (width, height):
                wanted = self._config.output_info(self._camera_info)
                if (wanted.width, wanted.height) == (width, height):
                    self._size_in_use = self._config.output_size
                else:  # no network could be loaded for it
                    self._config = replace(self._config, output_size=self._size_in_use)
            if self._away.resize(width, height):
                self._away.draw(self._config)

    def _camera_request(
        self, config: LiveConfig, open_camera: Callable[[], Source]
    ) -> CameraRequest:
        settings = {name: getattr(config, name) for name in CAMERA_FIELDS}

        def refused() -> None:
            """Say again in the settings which camera is in use."""
            with self._changing:
                if settings == {name: getattr(self._config, name) for name in CAMERA_FIELDS}:
                    used = self._supervisor.pipeline.camera.camera.settings
                    self._config = replace(self._config, **used)

        return CameraRequest(
            open_camera, camera_name(config.camera), camera_device(config.camera), settings, refused
        )

    def _refuse(self, changed: set[str]) -> None:
        """Refuse a change of settings that a run keeps to its end.

        Raises:
            ConfigError: there is one among them.
        """
        fixed = changed - CHANGEABLE_FIELDS
        if fixed:
            names = ", ".join(option.key for option in LIVE if option.config_field in fixed)
            raise ConfigError(f"{names}: cannot change during a run; end it and start it again")
        if (
            changed & {"output_size", "output_fps"}
            and self._owns_output
            and PIPE in self._config.outputs
        ):
            raise ConfigError(
                f'size and rate of the outputs cannot change while one is "{PIPE}", as its reader '
                "was told them at the start; end the run and start it again"
            )
        if changed & CAMERA_FIELDS and not self._owns_camera:
            raise ConfigError("the camera cannot change: the program that started the run opens it")
        if changed & CAMERA_FIELDS and self._supervisor.pipeline.camera.full:
            raise ConfigError(
                "the camera cannot change: the last ones that were asked for do not answer yet; "
                "try again in a moment, or unplug them"
            )
        if "output" in changed and not self._owns_output:
            raise ConfigError("the output cannot change: the program that started the run opens it")

    def _make_networks(
        self, config: MattingConfig, adapt: bool, info: StreamInfo
    ) -> DeviceNetworks:
        rate = float(info.frame_rate or 30) if adapt else None
        return DeviceNetworks(
            config,
            info.height,
            info.width,
            lambda name: self._tell(f"network: {name}"),
            rate=rate,
            cpu_limit=self._config.cpu_share(config.quality),
        )

    def _targets(self, config: LiveConfig) -> list[OutputTarget]:
        """Describe the configured outputs, each of which reports its address once."""
        tell_once, raw_format = _once(self._tell), config.pipe_format or "y4m"

        def open_named(output: str | None) -> Sink:
            return open_output(
                output, self.info, raw_format, lambda url: tell_once(f"output: {url}")
            )

        return [
            OutputTarget(
                output_name(name), partial(open_named, name), reopens(name), name or FIRST_FREE
            )
            for name in config.outputs
        ]


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

    def tell_new_text(text: str) -> None:
        if text not in reported:
            reported.add(text)
            tell(text)

    return tell_new_text
