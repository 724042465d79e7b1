"""A live run from its config: from a camera to an output, with previews."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace

from vidbg.compositing import CompositingConfig
from vidbg.compositing.backgrounds import BlurSpec
from vidbg.frame import Image, StreamInfo
from vidbg.pipeline.live.appearance import Appearance, warn_of_room
from vidbg.pipeline.live.away.away_switch import AwaySwitch
from vidbg.pipeline.live.capture.camera_opener import CameraOpener
from vidbg.pipeline.live.capture.reader import PART as CAMERA_PART
from vidbg.pipeline.live.context import RunContext
from vidbg.pipeline.live.faults import CAMERA_SWITCH
from vidbg.pipeline.live.history import Sample
from vidbg.pipeline.live.live_config import (
    CAMERA_FIELDS,
    NETWORK_FIELDS,
    LiveConfig,
    changed_fields,
    with_look,
)
from vidbg.pipeline.live.network.changing_networks import ChangingNetworks, NetworkSettings
from vidbg.pipeline.live.outputs.output_gate import OutputGate
from vidbg.pipeline.live.outputs.recorder import RecordingStatus
from vidbg.pipeline.live.own_previews import OwnPreviews
from vidbg.pipeline.live.pipeline import LivePipeline
from vidbg.pipeline.live.previews.shown_previews import Preview
from vidbg.pipeline.live.previews.views import View, view_image
from vidbg.pipeline.live.run_parts import RunParts, Tell
from vidbg.pipeline.live.status import (
    BackendStatus,
    CameraStatus,
    LiveReport,
    LiveStatus,
    OutputStatus,
)
from vidbg.pipeline.live.supervisor import Supervisor, SupervisorConfig
from vidbg.sinks import Sink
from vidbg.sources import Source
from vidbg.util.field_types import check_type
from vidbg.util.lifecycle import Closeable
from vidbg.util.paths import StrPath


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
        tell = on_message or (lambda _: None)
        self._parts = parts = RunParts(tell, open_source, open_sink, previewed=bool(previews))
        parts.check_outputs(config)
        request, files = parts.camera(config), config.background_files()
        self._config, self._changing, self._started = config, threading.RLock(), False
        with ExitStack() as opened:
            # The camera first: its mode gives the output's size and rate
            self._first_camera = camera = CameraOpener(request.open, config.asked)
            opened.callback(camera.close)
            if camera.problem is not None:
                tell(f"{camera.problem}. Waiting for it; the background is shown")
            info, self._size_in_use = config.output_info(camera.info), config.output_size
            thins_frames = config.output_fps is not None
            self._context = context = RunContext(info, config.look, thins_frames=thins_frames)
            # The flow of frames, its end first
            gate = OutputGate(parts.outputs(config, context), context, config.frames)
            self._networks = networks = ChangingNetworks(
                self._network_settings(config),
                gate,
                context,
                lambda name: tell(f"network: {name}"),
                self._settle_size,
            )
            self._pipeline = LivePipeline(context, replace(request, open=camera), networks, gate)
            # What shows it to the user, and what supervises it
            own = OwnPreviews(config, files, info, tell)
            opened.callback(own.close)
            self.page = own.page
            self._supervisor = Supervisor(
                self._pipeline,
                SupervisorConfig(
                    on_demand=config.on_demand,
                    needs_preview=parts.opens_outputs and config.is_preview_only,
                    # The page can say what is wrong, and change it
                    tolerant=parts.opens_outputs and config.panel is not None,
                ),
                previews=[*own.previews, *previews],
                on_status=on_status,
            )
            self._away = AwaySwitch(self._supervisor, info.width, info.height)
            own.begin(self, self._supervisor)  # now window and page can control the run
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
        config, camera = with_look(self._config, self.look), self._pipeline.camera
        refused = camera.refused
        if refused is not None and refused.settings == config.camera_settings:
            return replace(config, **camera.camera.settings)
        return config

    @property
    def camera(self) -> CameraStatus:
        """What the camera is doing."""
        pipeline = self._pipeline
        faults = pipeline.context.faults
        fault = faults.of(CAMERA_PART) or faults.of(CAMERA_SWITCH)
        return CameraStatus(pipeline.camera.camera.name, pipeline.camera.mode, fault)

    @property
    def outputs(self) -> list[OutputStatus]:
        """What each output is doing, in the order of `LiveConfig.output`."""
        return self._pipeline.outputs.statuses()

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
            network=str(self._pipeline.governor.level),
            refused=dict(networks.refused),
        )

    def snapshot(self, view: View = "output") -> Image:
        """Return what viewers see at the moment, or another view of the run.

        Args:
            view: see `view_image`: "camera" shows the room.
        Returns:
            uint8 (H, W, 3), BGR, of the output's size; a new array.
        """
        return view_image(self._pipeline, view).copy()

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

    def hide_room(self) -> None:
        """Blur the real room at once if it is on air, even if another change hangs in a file."""
        if self.look.shows_room:
            blurred = Appearance(CompositingConfig(BlurSpec()))
            self._supervisor.change(self.look.with_room_hidden(blurred))

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
            before = self._config = self.config
            changed = changed_fields(before, config)
            # Everything that can be refused, before anything has changed
            self._parts.check_change(before, changed)
            supervisor, pipeline = self._supervisor, self._pipeline
            request = targets = None
            if changed & CAMERA_FIELDS:
                pipeline.camera.require_room()
                request = self._parts.camera(config)
            if "output" in changed:
                self._parts.check_outputs(config)
                targets = self._parts.outputs(config, self._context)
            if config.look != supervisor.look:
                # Raises if the background cannot be read; a key may hide the room meanwhile
                supervisor.change(config.look, keep_hidden=keep_hidden)
            # Camera and outputs
            if request is not None:
                self._first_camera.close()  # in case the run has not begun
                pipeline.camera.switch(request)
            if targets is not None:
                pipeline.outputs.replace_targets(targets)
                supervisor.config.needs_preview = config.is_preview_only
            supervisor.config.on_demand = config.on_demand
            self._config = config
            # Size and rate, the network, the card
            if changed & {"output_size", "output_fps"}:
                self._change_output(config)
            if changed & NETWORK_FIELDS:
                self._networks.change(self._network_settings(config))
                pipeline.governor.aim(cpu_limit=config.cpu_share)
            if changed & {"away_text", "away_image"}:
                self._away.draw(config)

    def _change_output(self, config: LiveConfig) -> None:
        """Change the outputs' size and rate: the rate at once, the size with its network."""
        info, pipeline = config.output_info(self._first_camera.info), self._pipeline
        self._context.thins_frames = config.output_fps is not None
        if not self._started:
            self._networks.replace_unused(self._network_settings(config))
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
            size = self.info.width, self.info.height
            if self._networks.settings.size == size:
                wanted = self._config.output_info(self._first_camera.info)
                if (wanted.width, wanted.height) == size:
                    self._size_in_use = self._config.output_size
                else:  # no network could be loaded for it
                    self._config = replace(self._config, output_size=self._size_in_use)
            if self._away.resize(*size):
                self._away.draw(self._config)

    def _network_settings(self, config: LiveConfig) -> NetworkSettings:
        info = config.output_info(self._first_camera.info)
        return NetworkSettings(config.matting, config.adapt, config.cpu_share, info)
