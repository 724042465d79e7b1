"""A sink that drops the alpha of composited frames; the alpha is meant for another sink."""

from __future__ import annotations

from dataclasses import replace

from vidbg.frame import Frame
from vidbg.sinks import Sink
from vidbg.util.lifecycle import Abortable


class OpaqueSink(Abortable):
    """A sink that passes frames on without alpha; only for frames without the room (Compositor)."""

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
