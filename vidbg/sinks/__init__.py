"""Sinks, the destinations of frames: the interface, and the factory for live outputs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from vidbg.errors import ConfigError
from vidbg.sinks.stream.addresses import broadcast_url, pipewire_name, stream_url, web_address
from vidbg.util.choices import RawFormat, closest, suggestion
from vidbg.util.lifecycle import Managed

if TYPE_CHECKING:  # the command line's help must not load numpy
    from vidbg.frame import Frame, StreamInfo


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
class Late:
    """A function that is imported when it is called.

    The table of outputs is part of the command line's help, which must not load their libraries.

    Attributes:
        target: "module:name", with a module of this package.
        fixed: its first arguments.
    """

    target: str
    fixed: tuple[Any, ...] = ()

    def resolve(self) -> Callable[..., Any]:
        """Import the function."""
        module, _, name = self.target.partition(":")
        function: Callable[..., Any] = getattr(import_module(f"{__name__}.{module}"), name)
        return function

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self.resolve()(*self.fixed, *arguments, **options)


@dataclass(frozen=True, slots=True)
class LiveOutput:
    """A kind of output of `vidbg run`, as used by help, errors, doctor and README.

    Attributes:
        usage: its syntax after `--output`.
        purpose: who receives the frames.
        sink: opens it, given the frames' info and what `parse` returns. Raises SinkError, with the
            next step, if that fails.
        parse: returns the sink's other arguments for an output as typed. Raises ConfigError if its
            address is malformed.
        problem: returns why it cannot be used on this computer, with the next step, or None.
        label: its name on the page; "" if it is not offered there.
        argument: what follows its word: a label and an example.
    """

    usage: str
    purpose: str
    sink: Late
    parse: Callable[[str], Sequence[Any]] = lambda _: ()
    problem: Callable[[], str | None] = lambda: None
    label: str = ""
    argument: tuple[str, str] | None = None

    @property
    def prefix(self) -> str:
        """What an output with an argument starts with, such as "web:" or "udp://"; else ""."""
        word, colon, rest = self.usage.replace("[", "").partition(":")
        if not colon:
            return ""
        return f"{word}://" if rest.startswith("//") else f"{word}:"


VIRTUAL_CAMERA = LiveOutput(
    "/dev/videoN" if sys.platform == "linux" else "NAME",
    "a virtual camera (default: the first free one)",
    Late("camera.virtual_camera:VirtualCameraSink"),
    lambda device: [None if device == FIRST_FREE else device],
    label="Virtual camera",
)

FIRST_FREE = "virtual-camera"
"""Name of the first free virtual camera, which None means too; usable in a list of outputs."""

PIPE, NO_OUTPUT = "-", "none"
"""Raw video on standard output; no output, for a preview alone."""

OUTPUTS = {
    "pipewire": LiveOutput(
        "pipewire[:NAME]",
        "a camera for PipeWire's programs",
        Late("camera.pipewire:PipeWireSink"),
        lambda output: [pipewire_name(output)],
        Late("camera.pipewire:pipewire_problem"),
        "PipeWire camera",
        ("Name", "vidbg"),
    ),
    "web": LiveOutput(
        "web:PORT",
        "browsers and OBS browser sources",
        Late("web.web_sink:WebSink"),
        web_address,
        Late("web.web_service:web_problem"),
        "Web page",
        ("Port", "8090"),
    ),
    "http": LiveOutput(
        "http://HOST:PORT/",
        "the same page, at another address of this computer",
        Late("web.web_sink:WebSink"),
        web_address,
        Late("web.web_service:web_problem"),
        "Web page for other devices",
        ("Address", "192.168.1.20:8090/"),
    ),
    "udp": LiveOutput(
        "udp://HOST:PORT",
        "H.264 in MPEG-TS",
        Late("stream.network_stream:NetworkStreamSink"),
        lambda output: [stream_url(output)],
        Late("stream.network_stream:stream_problem"),
        "UDP stream",
        ("Address", "127.0.0.1:5000"),
    ),
    "rtmp": LiveOutput(
        "rtmp://HOST/APP/KEY",
        "a streaming service",
        Late("stream.broadcast:BroadcastSink"),
        lambda output: [broadcast_url(output)],
        Late("stream.broadcast:broadcast_problem", ("rtmp",)),
        "RTMP stream",
        ("Address", "live.example.org/app/KEY"),
    ),
    "rtmps": LiveOutput(
        "rtmps://HOST/APP/KEY",
        "the same, encrypted",
        Late("stream.broadcast:BroadcastSink"),
        lambda output: [broadcast_url(output)],
        Late("stream.broadcast:broadcast_problem", ("rtmps",)),
        "RTMPS stream",
        ("Address", "live.example.org/app/KEY"),
    ),
    "srt": LiveOutput(
        "srt://HOST:PORT",
        "an SRT listener",
        Late("stream.broadcast:BroadcastSink"),
        lambda output: [broadcast_url(output)],
        Late("stream.broadcast:broadcast_problem", ("srt",)),
        "SRT stream",
        ("Address", "203.0.113.5:9000"),
    ),
    PIPE: LiveOutput(PIPE, "raw video on standard output", Late("stream.raw_pipe:RawPipeSink")),
    NO_OUTPUT: LiveOutput(NO_OUTPUT, "nowhere, for a preview only", Late("fan_out:open_nothing")),
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
    word = output.partition(":")[0]
    kind = OUTPUTS.get(word)
    if kind is not None:
        whole = output in (kind.usage, kind.usage.partition("[")[0])  # its argument is optional
        if not whole and not (kind.prefix and output.startswith(kind.prefix)):
            raise ConfigError(f"output {output!r} is malformed; write {kind.usage}")
        kind.parse(output)
        return kind
    usages = ", ".join(kind.usage for kind in (VIRTUAL_CAMERA, *OUTPUTS.values()))
    choose = f"{suggestion(word, OUTPUTS)} choose from {usages}"
    if "://" in output:  # the rest of a URL may hold a key
        raise ConfigError(f"unknown kind of output '{word}://';{choose}")
    if sys.platform == "linux":
        if output.startswith("/dev/"):
            return VIRTUAL_CAMERA
        if output.isdecimal():
            raise ConfigError(f"unknown output {output!r}; did you mean '/dev/video{output}'?")
    if looks_like_a_file(output):
        raise ConfigError(
            f"output {output!r} looks like a file, and `vidbg run` writes none: record with "
            f"`vidbg run -o - | ffmpeg -i - {output}`, or process a video with `vidbg process`"
        )
    if sys.platform != "linux" and closest(word, OUTPUTS) is None:
        return VIRTUAL_CAMERA  # there, devices can have any name
    raise ConfigError(f"unknown output {output!r};{choose}")


def looks_like_a_file(output: str) -> bool:
    """Return whether an output is a path, or ends in the suffix of a video or a photo."""
    from pathlib import Path

    from vidbg.sinks.encoding.formats import CONTAINERS, PICTURE_SUFFIXES

    known = {*CONTAINERS, *PICTURE_SUFFIXES, ".avi", ".gif", ".ts", ".flv", ".wmv", ".y4m"}
    return "/" in output or "\\" in output or Path(output).suffix.lower() in known


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
    output = FIRST_FREE if output is None else output
    kind = find_output(output)
    options = {"raw_format": raw_format} if output == PIPE else {}
    sink: Sink = kind.sink(info, *kind.parse(output), **options)
    url: str | None = getattr(sink, "url", None)
    if on_address is not None and url is not None:
        on_address(url)
    return sink
