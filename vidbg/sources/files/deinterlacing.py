"""Deinterlacing: progressive frames from frames whose fields were taken at different times."""

from __future__ import annotations

from fractions import Fraction

import av
from av.filter import Graph
from av.video.frame import VideoFrame

_FILTER = "mode=send_frame:parity=auto:deint=interlaced"  # progressive frames are not changed


class Deinterlacer:
    """Deinterlacer based on FFmpeg's bwdif: one progressive frame per interlaced frame.

    Frames pass unchanged until the first one that is marked as interlaced. From then on they are
    delayed by one frame, because bwdif uses the neighbours. Times and durations do not change.
    """

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._made_for: tuple[int, int, str] | None = None
        self._time_base = Fraction(1)

    def through(self, frame: VideoFrame) -> list[VideoFrame]:
        """Add a frame and return the frames that are ready."""
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
        """Return the frames still in the filter at the end."""
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
            ticks = (
                frame.time_base or self._time_base
            ) / self._time_base  # bwdif halves the time base
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
