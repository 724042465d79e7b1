"""Whole pictures from pictures whose odd and even lines were taken at two times."""

from __future__ import annotations

from fractions import Fraction

import av
from av.filter import Graph
from av.video.frame import VideoFrame

_FILTER = "mode=send_frame:parity=auto:deint=interlaced"  # pictures that are whole stay untouched


class Deinterlacer:
    """Gives one whole picture for each interlaced one, by FFmpeg's bwdif.

    Pictures pass unchanged until the first one that is marked as interlaced. From then on they come
    one picture late, for bwdif looks at the neighbours. Times and durations stay as they are.
    """

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._made_for: tuple[int, int, str] | None = None
        self._time_base = Fraction(1)

    def through(self, frame: VideoFrame) -> list[VideoFrame]:
        """The pictures that are ready once this one has come."""
        shape = (frame.width, frame.height, frame.format.name)
        if self._graph is None and not frame.interlaced_frame:
            return [frame]
        ready: list[VideoFrame] = []
        if self._graph is None or shape != self._made_for:
            ready = self.rest()
            self._graph, self._made_for = _graph(frame), shape
            self._time_base = frame.time_base or self._time_base
        self._graph.vpush(frame)
        return ready + self._pull()

    def rest(self) -> list[VideoFrame]:
        """What is still inside, at the end."""
        if self._graph is None:
            return []
        self._graph.vpush(None)
        ready = self._pull()
        self._graph = None
        return ready

    def _pull(self) -> list[VideoFrame]:
        ready = []
        while self._graph is not None:
            try:
                frame = self._graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                break
            ticks = (frame.time_base or self._time_base) / self._time_base  # it counts in halves
            frame.pts = None if frame.pts is None else round(frame.pts * ticks)
            frame.duration = round(frame.duration * ticks)
            frame.time_base = self._time_base
            ready.append(frame)
        return ready


def _graph(frame: VideoFrame) -> Graph:
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    graph.link_nodes(source, graph.add("bwdif", _FILTER), graph.add("buffersink")).configure()
    return graph
