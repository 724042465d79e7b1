"""Camera and outputs of a live run, as its config or the program that starts it has them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from vidbg.errors import ConfigError
from vidbg.frame import StreamInfo
from vidbg.option_table import options_of
from vidbg.pipeline.live.capture.camera_request import CameraRequest
from vidbg.pipeline.live.context import RunContext
from vidbg.pipeline.live.live_config import CAMERA_FIELDS, CHANGEABLE_FIELDS, LiveConfig
from vidbg.pipeline.live.outputs.live_outputs import check_outputs, output_name, reopens
from vidbg.pipeline.live.outputs.output_writer import OutputTarget
from vidbg.sinks import FIRST_FREE, PIPE, Sink, open_output
from vidbg.sources import Source
from vidbg.sources.camera.cameras import camera_device, camera_name, camera_source

Tell = Callable[[str], None]
"""Receives a line of text for the user."""


class RunParts:
    """Describes how camera and outputs of a run are opened, and which of its settings may change.

    Args:
        tell: see Tell.
        open_source, open_sink: of the program that starts the run; None for the config's.
        previewed: whether that program shows previews of its own.
    """

    def __init__(
        self,
        tell: Tell,
        open_source: Callable[[], Source] | None,
        open_sink: Callable[[StreamInfo], Sink] | None,
        *,
        previewed: bool,
    ) -> None:
        self._tell, self._previewed = tell, previewed
        self._open_source, self._open_sink = open_source, open_sink

    @property
    def opens_outputs(self) -> bool:
        """Whether the outputs are those of the config."""
        return self._open_sink is None

    def camera(self, config: LiveConfig) -> CameraRequest:
        """Describe the camera. It reports each mode that it is opened in once.

        Raises:
            ConfigError: there cannot be such a camera.
        """
        name = camera_name(config.camera)
        open_source = self._open_source
        if open_source is None:
            open_configured = camera_source(config.camera, config.asked, config.pixel_format)
            tell_once = _once(self._tell)

            def open_source() -> Source:
                source = open_configured()
                if mode := str(getattr(source, "mode", "")):
                    tell_once(f"camera {name}: {mode}")
                return source

        return CameraRequest(
            open_source, name, camera_device(config.camera), config.camera_settings
        )

    def check_outputs(self, config: LiveConfig) -> None:
        """Refuse invalid outputs, and a run that nobody would see.

        Raises:
            ConfigError: see `check_outputs` of live_outputs.
        """
        if self.opens_outputs:
            check_outputs(config.outputs, preview=self._previewed or config.has_preview)

    def outputs(self, config: LiveConfig, context: RunContext) -> list[OutputTarget]:
        """Describe the outputs, each of which reports its address once.

        Args:
            context: its size and rate are those of the frames when an output is opened.
        """
        open_sink = self._open_sink
        if open_sink is not None:
            return [OutputTarget("", lambda: open_sink(context.info))]
        tell_once, raw_format = _once(self._tell), config.pipe_format or "y4m"

        def open_named(output: str | None) -> Sink:
            return open_output(
                output, context.info, raw_format, lambda url: tell_once(f"output: {url}")
            )

        return [
            OutputTarget(
                output_name(name), partial(open_named, name), reopens(name), name or FIRST_FREE
            )
            for name in config.outputs
        ]

    def check_change(self, config: LiveConfig, changed: set[str]) -> None:
        """Refuse a change of settings that a run keeps to its end.

        Args:
            config: before the change.
            changed: names of the fields that would change.
        Raises:
            ConfigError: there is one among them.
        """
        if fixed := changed - CHANGEABLE_FIELDS:
            options = options_of("run")
            names = ", ".join(option.key for option in options if option.config_field in fixed)
            raise ConfigError(f"{names}: cannot change during a run; end it and start it again")
        sized = changed & {"output_size", "output_fps"}
        if sized and self.opens_outputs and PIPE in config.outputs:
            raise ConfigError(
                f'size and rate of the outputs cannot change while one is "{PIPE}", as its reader '
                "was told them at the start; end the run and start it again"
            )
        if changed & CAMERA_FIELDS and self._open_source is not None:
            raise ConfigError("the camera cannot change: the program that started the run opens it")
        if "output" in changed and not self.opens_outputs:
            raise ConfigError("the output cannot change: the program that started the run opens it")


def _once(tell: Tell) -> Tell:
    """Wrap a function so that it gets the same text only once."""
    reported: set[str] = set()

    def tell_new_text(text: str) -> None:
        if text not in reported:
            reported.add(text)
            tell(text)

    return tell_new_text
