"""A camera on another background, live: to a virtual camera, a window, a pipe, the network."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from vidbg.compositing import CompositingConfig, Compositor
from vidbg.compositing.specs import TransparentSpec
from vidbg.errors import ConfigError
from vidbg.frame import StreamInfo
from vidbg.matting.matter import Matter
from vidbg.pipeline.jobs import PIPE
from vidbg.pipeline.stream import Stream, StreamReport
from vidbg.sinks import Sink
from vidbg.sinks.addresses import is_broadcast, is_stream, pipewire_name, web_address
from vidbg.sinks.fan_out import FanOutSink
from vidbg.sources import Source, open_frames

if TYPE_CHECKING:
    from vidbg.sinks.raw_pipe import RawFormat

NO_OUTPUT = "none"
"""Output name for a preview alone."""


def run_live(
    source: Source,
    matter: Matter | None,
    compositing: CompositingConfig,
    sink: Sink,
    *,
    ended: Callable[[], bool] = lambda: False,
    on_frame: Callable[[int], None] | None = None,
    frame_limit: int | None = None,
) -> StreamReport:
    """Run until the source ends, `ended` says so (asked after each frame), or Ctrl-C.

    Source and sink are closed at the end. Only composited frames reach the sink: before the first
    alpha there is none, and after a failure none follows.

    Args:
        matter: None for passthrough.
    Raises:
        VidbgError: whatever failed.
    """

    def after_frame(count: int) -> None:
        if on_frame is not None:
            on_frame(count)
        if ended():
            stream.stop()

    with ExitStack() as stack:
        stack.enter_context(source)
        stack.enter_context(sink)
        compositor = stack.enter_context(closing(Compositor(compositing, open_frames)))
        stream = Stream(
            source, matter, compositor, sink, on_frame=after_frame, frame_limit=frame_limit
        )
        return stream.run()


def check_live(compositing: CompositingConfig) -> None:
    """Refuse what no camera can show, before anything is opened.

    Raises:
        ConfigError: the background is transparent.
    """
    if isinstance(compositing.background, TransparentSpec):
        raise ConfigError("a camera cannot be transparent; give a background such as green or blur")


def open_live_sink(
    output: str | None, info: StreamInfo, *, show: bool, pipe_format: RawFormat = "y4m"
) -> tuple[Sink, Callable[[], bool]]:
    """The sinks of a live run, and whether the user closed the preview.

    Args:
        output: a virtual camera's name or path, None for the first that is free, "-" for raw
            video on standard output, "none" for a preview alone, web:PORT or
            http://HOST:PORT/ to serve a page, udp://HOST:PORT, rtmp(s):// or srt:// to stream,
            pipewire or pipewire:NAME for a camera of PipeWire's.
        pipe_format: of "-".
    Raises:
        ConfigError: an output that cannot be.
        SinkError: it cannot be opened; the message says what to do on this system.
    """
    from vidbg.sinks.window import WindowSink

    if output == NO_OUTPUT and not show:
        raise ConfigError("nothing would be shown; give an output, or --show for a preview")
    window = WindowSink(info) if show else None  # opens nothing before its first frame
    sinks = [] if output == NO_OUTPUT else [_output(output, info, pipe_format)]
    if window is None:
        return FanOutSink(sinks), lambda: False
    return FanOutSink([*sinks, window]), lambda: window.closed


def _output(output: str | None, info: StreamInfo, pipe_format: RawFormat) -> Sink:
    if output == PIPE:
        from vidbg.sinks.raw_pipe import RawPipeSink

        return RawPipeSink(info, raw_format=pipe_format)
    address = None if output is None else web_address(output)
    if address is not None:
        from vidbg.sinks.web import WebSink

        return WebSink(info, *address)
    if output is not None and is_broadcast(output):
        from vidbg.sinks.broadcast import BroadcastSink

        return BroadcastSink(info, output)
    if output is not None and is_stream(output):
        from vidbg.sinks.network_stream import NetworkStreamSink

        return NetworkStreamSink(info, output)
    name = None if output is None else pipewire_name(output)
    if name is not None:
        from vidbg.sinks.pipewire import PipeWireSink

        return PipeWireSink(info, name)
    from vidbg.sinks.virtual_camera import VirtualCameraSink

    return VirtualCameraSink(info, device=output)
