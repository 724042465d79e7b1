"""A sink that writes to several others, such as the virtual camera and a preview."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vidbg.errors import SinkError
from vidbg.frame import Frame, StreamInfo
from vidbg.sinks import Sink
from vidbg.util.lifecycle import Abortable


class FanOutSink(Abortable):
    """A sink that passes each frame to several sinks, in order.

    If a sink fails, write() raises its error and the sinks after it do not get that frame.
    close() and abort() are called on every sink; then the first error is raised.
    """

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = tuple(sinks)
        self._open = True

    def write(self, frame: Frame) -> None:
        if not self._open:  # without sinks, none of them would say so
            raise SinkError("an output was written to after it was closed")
        for sink in self._sinks:
            sink.write(frame)

    def watched(self) -> bool | None:
        """Return True if any sink is watched, None if any cannot tell, otherwise False."""
        answers = {sink.watched() for sink in self._sinks}
        if True in answers:
            return True
        return None if None in answers else False

    def close(self) -> None:
        self._end([sink.close for sink in self._sinks])

    def abort(self) -> None:
        self._end([sink.abort for sink in self._sinks])

    def _end(self, calls: Sequence[Callable[[], None]]) -> None:
        """Make every call, then raise the first error."""
        self._open = False
        errors: list[Exception] = []
        for call in calls:
            try:
                call()
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]


def open_nothing(_: StreamInfo) -> FanOutSink:
    """Open a sink that discards the frames."""
    return FanOutSink([])
