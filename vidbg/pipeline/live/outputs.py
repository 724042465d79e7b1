"""Where a live run's frames go."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vidbg.compositing import CompositingConfig
from vidbg.compositing.specs import TransparentSpec
from vidbg.errors import ConfigError
from vidbg.frame import StreamInfo
from vidbg.pipeline.jobs import PIPE
from vidbg.sinks import Sink
from vidbg.sinks.addresses import is_broadcast, is_stream, pipewire_name, web_address
from vidbg.sinks.fan_out import FanOutSink

if TYPE_CHECKING:
    from vidbg.sinks.raw_pipe import RawFormat

NO_OUTPUT = "none"
"""Output name for a preview alone."""


def check_live(compositing: CompositingConfig) -> None:
    """Refuse what no camera can show, before anything is opened.

    Raises:
        ConfigError: the background is transparent.
    """
    if isinstance(compositing.background, TransparentSpec):
        raise ConfigError("a camera cannot be transparent; give a background such as green or blur")


def check_output(output: str | None, *, preview: bool) -> None:
    """Refuse a run that nobody would see.

    Raises:
        ConfigError: neither output nor preview.
    """
    if output == NO_OUTPUT and not preview:
        raise ConfigError(
            "nothing would be shown; give an output, or --show or --panel for a preview"
        )


def reopens(output: str | None) -> bool:
    """Whether an output that failed may work when it is opened again: not a pipe."""
    return output != PIPE


def open_output(
    output: str | None,
    info: StreamInfo,
    pipe_format: RawFormat = "y4m",
    on_address: Callable[[str], None] | None = None,
) -> Sink:
    """The output of a live run.

    Args:
        output: a virtual camera's name or path, None for the first that is free, "-" for raw
            video on standard output, "none" for a preview alone, web:PORT or
            http://HOST:PORT/ to serve a page, udp://HOST:PORT, rtmp(s):// or srt:// to stream,
            pipewire or pipewire:NAME for a camera of PipeWire's.
        pipe_format: of "-".
        on_address: is given the URL of a page that is served, with the token that opens it.
    Raises:
        SinkError: it cannot be opened; the message says what to do on this system.
    """
    if output == NO_OUTPUT:
        return FanOutSink([])
    if output == PIPE:
        from vidbg.sinks.raw_pipe import RawPipeSink

        return RawPipeSink(info, raw_format=pipe_format)
    address = None if output is None else web_address(output)
    if address is not None:
        from vidbg.sinks.web import WebSink

        sink = WebSink(info, *address)
        if on_address is not None:
            on_address(sink.url)
        return sink
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
