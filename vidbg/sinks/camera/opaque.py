"""A sink for finished pictures that carry their alpha for another sink."""

from __future__ import annotations

from dataclasses import replace

from vidbg.frame import Frame
from vidbg.sinks import Sink
from vidbg.util.lifecycle import Abortable


class OpaqueSink(Abortable):
    """Hands frames on without their alpha; only for frames that hold no room (see Compositor)."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def write(self, frame: Frame) -> None:
        self._sink.write(replace(frame, alpha=None))

    def watched(self) -> bool | None:
        return self._sink.watched()

    def close(self) -> None:
        self._sink.close()

    def abort(self) -> None:
        self._sink.abort()
