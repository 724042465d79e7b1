"""One sink that writes to several: the virtual camera and a preview, for example."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vidbg.frame import Frame
from vidbg.sinks import Sink
from vidbg.util.lifecycle import Abortable


class FanOutSink(Abortable):
    """Hands each frame to every sink, in their order.

    The first that fails ends the write with its error; the sinks behind it do not get that frame.
    Closing and aborting reach all of them, then raise the first error.
    """

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = tuple(sinks)

    def write(self, frame: Frame) -> None:
        for sink in self._sinks:
            sink.write(frame)

    def watched(self) -> bool | None:
        """True if any of them is, None if one cannot tell, else False."""
        told = {sink.watched() for sink in self._sinks}
        if True in told:
            return True
        return None if None in told else False

    def close(self) -> None:
        _all([sink.close for sink in self._sinks])

    def abort(self) -> None:
        _all([sink.abort for sink in self._sinks])


def _all(calls: Sequence[Callable[[], None]]) -> None:
    """Make every call, then raise the first error of them."""
    errors: list[Exception] = []
    for call in calls:
        try:
            call()
        except Exception as error:
            errors.append(error)
    if errors:
        raise errors[0]
