"""Deinterlacing: progressive frames from frames whose fields were taken at different times."""

from __future__ import annotations

from fractions import Fraction

import av
from av.filter import Graph
from av.video.frame import VideoFrame

from vidbg.sources.files.timeline import Tell

_FILTER = "mode=send_frame:parity=auto:deint=interlaced"  # progressive frames are not changed


class Deinterlacer:
    """Deinterlacer based on FFmpeg's bwdif: one progressive frame per interlaced frame.

    Frames pass unchanged until the first one that is marked as interlaced. From then on they are
    delayed by one frame, because bwdif uses the neighbours. Times and durations do not change.

    Args:
        name: the file's name in messages.
        tell: called when the first interlaced frame comes.
    """

    def __init__(self, name: str, tell: Tell) -> None:
        self._name = name
        self._tell = tell
        self._graph: Graph | None = None
        self._made_for: tuple[int, int, str] | None = None
        self._time_base = Fraction(1)

    def through(self, frame: VideoFrame) -> list[VideoFrame]:
        """Add a frame and return the frames that are ready."""
        if self._graph is None and not frame.interlaced_frame:
            return [frame]
        if self._made_for is None:
            self._tell("%s is interlaced: whole pictures are made of its fields", self._name)
        ready: list[VideoFrame] = []
        shape = (frame.width, frame.height, frame.format.name)
        if self._graph is None or shape != self._made_for:
            ready = self.rest()
            self._made_for = shape
            self._time_base = frame.time_base or self._time_base
            self._graph = Graph()
            source = self._graph.add_buffer(
                width=frame.width,
                height=frame.height,
                format=frame.format,
                time_base=frame.time_base,
            )
            bwdif, end = self._graph.add("bwdif", _FILTER), self._graph.add("buffersink")
            self._graph.link_nodes(source, bwdif, end).configure()
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
        """Return the frames that the filter has ready, in the time base of its input."""
        ready = []
        while self._graph is not None:
            try:
                frame = self._graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                break
            # bwdif halves the time base
            ticks = (frame.time_base or self._time_base) / self._time_base
            frame.pts = None if frame.pts is None else round(frame.pts * ticks)
            frame.duration = round(frame.duration * ticks)
            frame.time_base = self._time_base
            ready.append(frame)
        return ready
