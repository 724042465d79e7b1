"""Sinks, the destinations of frames: the interface, and the factory for live outputs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from vidbg.errors import ConfigError
from vidbg.sinks.stream.addresses import is_broadcast, is_stream, pipewire_name, web_address
from vidbg.util.choices import closest, suggestion
from vidbg.util.lifecycle import Managed

if TYPE_CHECKING:  # the command line's help must not load numpy
    from vidbg.frame import Frame, StreamInfo
    from vidbg.sinks.stream.raw_pipe import RawFormat


class Sink(Managed, Protocol):
    """A destination for frames, which are written in order of time.

    close() completes the output; abort() discards whatever is incomplete. Both may be called more
    than once, and the first call decides. Leaving a `with` block with an exception aborts the sink;
    otherwise it is closed. Failures raise SinkError.

    watched() returns at once: True if there are viewers, False if there are none, None if unknown.
    Only False is a reason to stop working.
    """

    def write(self, frame: Frame) -> None: ...

    def watched(self) -> bool | None: ...

    def abort(self) -> None: ...


@runtime_checkable
class Adaptable(Protocol):
    """A sink that can take frames of another size or rate without being opened again."""

    def adapt(self, info: StreamInfo) -> None:
        """Take frames of this size and rate from now on."""
        ...


@dataclass(frozen=True, slots=True)
class LiveOutput:
    """A kind of output of `vidbg run`, as used by help, errors, doctor and README.

    Attributes:
        usage: its syntax after `--output`.
        purpose: who receives the frames.
        open: opens the sink, given the output as typed, the frames' info and the format of "-".
            Raises SinkError, with the next step, if that fails.
        check: raises ConfigError if the output as typed has a malformed address.
        problem: returns why it cannot be used on this computer, with the next step, or None.
        label: its name on the page; "" if it is not offered there.
        argument: what stands behind its word: a label, and an example.
    """

    usage: str
    purpose: str
    open: Callable[[str, StreamInfo, RawFormat], Sink]
    check: Callable[[str], Any] = lambda _: None
    problem: Callable[[], str | None] = lambda: None
    label: str = ""
    argument: tuple[str, str] | None = None

    @property
    def optional(self) -> bool:
        """Whether the word alone is a valid output."""
        return "[" in self.usage

    def begins(self, output: str) -> bool:
        """Return whether an output starts with this kind's word and a colon (`://` for URLs)."""
        word, colon, _ = self.usage.replace("[", "").partition(":")
        return bool(colon) and output.startswith(
            f"{word}://" if "://" in self.usage else f"{word}:"
        )


def _open_pipe(_: str, info: StreamInfo, raw_format: RawFormat) -> Sink:
    from vidbg.sinks.stream.raw_pipe import RawPipeSink

    return RawPipeSink(info, raw_format=raw_format)


def _open_nothing(_: str, _info: StreamInfo, _format: RawFormat) -> Sink:
    from vidbg.sinks.fan_out import FanOutSink

    return FanOutSink([])


def _open_web(output: str, info: StreamInfo, _: RawFormat) -> Sink:
    from vidbg.sinks.web.web_sink import WebSink

    return WebSink(info, *(web_address(output) or ()))


def _open_pipewire(output: str, info: StreamInfo, _: RawFormat) -> Sink:
    from vidbg.sinks.camera.pipewire import PipeWireSink

    return PipeWireSink(info, pipewire_name(output) or "")


def _open_stream(output: str, info: StreamInfo, _: RawFormat) -> Sink:
    from vidbg.sinks.stream.network_stream import NetworkStreamSink

    return NetworkStreamSink(info, output)


def _open_broadcast(output: str, info: StreamInfo, _: RawFormat) -> Sink:
    from vidbg.sinks.stream.broadcast import BroadcastSink

    return BroadcastSink(info, output)


def _open_virtual_camera(output: str, info: StreamInfo, _: RawFormat) -> Sink:
    from vidbg.sinks.camera.virtual_camera import VirtualCameraSink

    return VirtualCameraSink(info, device=output or None)


def _web_problem() -> str | None:
    from importlib.util import find_spec

    from vidbg.platform.installation import install_command

    return None if find_spec("aiohttp") else f"aiohttp is not installed: `{install_command('web')}`"


def _pipewire_problem() -> str | None:
    from vidbg.sinks.camera.pipewire import pipewire_problem

    return pipewire_problem()


def _stream_problem() -> str | None:
    from av.codec import Codec

    try:
        Codec("libx264", "w")
    except ValueError:
        return "PyAV has no libx264: `pip install --force-reinstall --only-binary=av av`"
    return None


def _broadcast_problem(protocol: str) -> Callable[[], str | None]:
    def problem() -> str | None:
        from vidbg.sinks.stream.broadcast import broadcast_problem

        return broadcast_problem(protocol)

    return problem


VIRTUAL_CAMERA = LiveOutput(
    "/dev/videoN" if sys.platform == "linux" else "NAME",
    "a virtual camera (default: the first free one)",
    _open_virtual_camera,
    label="Virtual camera",
)

FIRST_FREE = "virtual-camera"
"""The first free virtual camera, as None is, but as a word that can stand among others."""

OUTPUTS = {
    "pipewire": LiveOutput(
        "pipewire[:NAME]",
        "a camera for PipeWire's programs",
        _open_pipewire,
        pipewire_name,
        _pipewire_problem,
        "PipeWire camera",
        ("Name", "vidbg"),
    ),
    "web": LiveOutput(
        "web:PORT",
        "browsers and OBS browser sources",
        _open_web,
        web_address,
        _web_problem,
        "Web page",
        ("Port", "8090"),
    ),
    "http": LiveOutput(
        "http://HOST:PORT/",
        "the same page, at another address of this computer",
        _open_web,
        web_address,
        _web_problem,
        "Web page for other devices",
        ("Address", "192.168.1.20:8090/"),
    ),
    "udp": LiveOutput(
        "udp://HOST:PORT",
        "H.264 in MPEG-TS",
        _open_stream,
        is_stream,
        _stream_problem,
        "UDP stream",
        ("Address", "127.0.0.1:5000"),
    ),
    "rtmp": LiveOutput(
        "rtmp://HOST/APP/KEY",
        "a streaming service",
        _open_broadcast,
        is_broadcast,
        _broadcast_problem("rtmp"),
        "RTMP stream",
        ("Address", "live.example.org/app/KEY"),
    ),
    "rtmps": LiveOutput(
        "rtmps://HOST/APP/KEY",
        "the same, encrypted",
        _open_broadcast,
        is_broadcast,
        _broadcast_problem("rtmps"),
        "RTMPS stream",
        ("Address", "live.example.org/app/KEY"),
    ),
    "srt": LiveOutput(
        "srt://HOST:PORT",
        "an SRT listener",
        _open_broadcast,
        is_broadcast,
        _broadcast_problem("srt"),
        "SRT stream",
        ("Address", "203.0.113.5:9000"),
    ),
    "-": LiveOutput("-", "raw video on standard output", _open_pipe),
    "none": LiveOutput("none", "nobody: a preview alone", _open_nothing),
}
"""The kinds of output, by the word or URL scheme that an output starts with."""


def output_usage() -> str:
    """List the outputs and their purposes, for help text."""
    kinds = (VIRTUAL_CAMERA, *OUTPUTS.values())
    return "; ".join(f"{kind.usage}: {kind.purpose}" for kind in kinds)


def find_output(output: str | None) -> LiveOutput:
    """Return the kind of an output; None, FIRST_FREE or a device name is a virtual camera.

    Raises:
        ConfigError: the output is unknown or its address is malformed; the message suggests a fix.
    """
    if output is None or output == FIRST_FREE:
        return VIRTUAL_CAMERA
    head, colon, _ = output.partition(":")
    kind = OUTPUTS.get(head)
    if kind is not None:
        if not (kind.begins(output) if colon else kind.optional or kind.usage == output):
            raise ConfigError(f"output {output!r} is not as it should be; write {kind.usage}")
        kind.check(output)
        return kind
    if "://" in output:
        meant = suggestion(head, OUTPUTS)
        raise ConfigError(f"unknown kind of output '{head}://';{meant} {_choose()}")
    if _may_be_a_camera(output):
        return VIRTUAL_CAMERA
    if _looks_like_a_file(output):
        raise ConfigError(
            f"output {output!r} looks like a file, and `vidbg run` writes none: record with "
            f"`vidbg run -o - | ffmpeg -i - {output}`, or process a video with `vidbg process`"
        )
    if output.isdecimal() and sys.platform == "linux":
        raise ConfigError(f"unknown output {output!r}; did you mean '/dev/video{output}'?")
    raise ConfigError(f"unknown output {output!r};{suggestion(head, OUTPUTS)} {_choose()}")


def open_output(
    output: str | None,
    info: StreamInfo,
    raw_format: RawFormat = "y4m",
    on_address: Callable[[str], None] | None = None,
) -> Sink:
    """Open an output of a live run.

    Args:
        output: as in OUTPUTS; None or FIRST_FREE for the first free virtual camera.
        raw_format: of "-".
        on_address: called with the URL of a served page, including its access token.
    Raises:
        ConfigError: there is no such output.
        SinkError: it cannot be opened; the message says what to do on this system.
    """
    name = "" if output is None or output == FIRST_FREE else output
    sink = find_output(output).open(name, info, raw_format)
    url: str | None = getattr(sink, "url", None)
    if on_address is not None and url is not None:
        on_address(url)
    return sink


def _choose() -> str:
    usages = [kind.usage for kind in (VIRTUAL_CAMERA, *OUTPUTS.values())]
    return f"choose from {', '.join(usages)}"


def _may_be_a_camera(output: str) -> bool:
    """Return whether an output could be a device; outside Linux, devices can have any name."""
    if sys.platform == "linux":
        return output.startswith("/dev/")
    return not _looks_like_a_file(output) and closest(output.partition(":")[0], OUTPUTS) is None


def _looks_like_a_file(output: str) -> bool:
    from pathlib import Path

    from vidbg.sinks.encoding.formats import CONTAINERS, PICTURE_SUFFIXES

    known = {*CONTAINERS, *PICTURE_SUFFIXES, ".avi", ".gif", ".ts", ".flv", ".wmv", ".y4m"}
    return "/" in output or "\\" in output or Path(output).suffix.lower() in known
