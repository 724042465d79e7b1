"""The stream: order, times, failures in each thread, Ctrl-C, live dropping."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from vidbg.compositing import CompositingConfig, Compositor
from vidbg.compositing.backgrounds import ColourSpec
from vidbg.config import MattingConfig
from vidbg.errors import SinkError, SourceError, SourceIncomplete
from vidbg.frame import Alpha, Frame, StreamInfo
from vidbg.matting.backends.constant import ConstantBackend
from vidbg.matting.video_matting import VideoMatting
from vidbg.pipeline.files.stream import Stream
from vidbg.pipeline.frame_processor import CpuCompositing, FrameProcessors
from vidbg.sinks.memory_sink import MemorySink
from vidbg.sources import open_frames
from vidbg.sources.synthetic import SyntheticSource


def source(frames: int | None = 12, live: bool = False) -> SyntheticSource:
    return SyntheticSource(64, 48, Fraction(30), frames, live)


def compose(frame: Frame, alpha: Alpha) -> Frame:
    assert alpha.shape == frame.image.shape[:2]
    return frame


class FailingSource(SyntheticSource):
    """Gives three frames, then fails."""

    def __init__(self, error: Exception) -> None:
        super().__init__(64, 48, Fraction(30), None)
        self._error = error

    def __iter__(self) -> Iterator[Frame]:
        for count, frame in enumerate(super().__iter__()):
            if count == 3:
                raise self._error
            yield frame


def test_every_frame_of_a_file_arrives_in_order_with_its_time() -> None:
    sink = MemorySink()
    report = Stream(
        source(), CpuCompositing(VideoMatting(backend=ConstantBackend()), compose), sink
    ).run()
    assert [frame.index for frame in sink.frames] == list(range(12))
    assert [frame.pts for frame in sink.frames] == [index / 30 for index in range(12)]
    assert (report.frames, report.dropped) == (12, 0)
    assert len(report.latencies_s) == 12


def test_a_live_stream_drops_late_frames_and_reports_it() -> None:
    def slow(batch: np.ndarray) -> np.ndarray:
        time.sleep(0.1)
        return np.ones(batch.shape[2:], np.float32)

    sink = MemorySink()
    matter = VideoMatting(backend=ConstantBackend(slow))
    report = Stream(source(15, live=True), CpuCompositing(matter, compose), sink).run()
    assert report.dropped > 3
    assert report.frames + report.dropped == 15
    times = [frame.pts for frame in sink.frames]
    assert times == sorted(times)


def test_the_sources_failure_reaches_the_caller() -> None:
    with pytest.raises(SourceError, match="cable"):
        Stream(
            FailingSource(SourceError("cable")), CpuCompositing(None, compose), MemorySink()
        ).run()


def test_what_an_incomplete_source_gave_is_written_first() -> None:
    sink = MemorySink()
    with pytest.raises(SourceIncomplete, match="broke off"):
        Stream(
            FailingSource(SourceIncomplete("broke off")), CpuCompositing(None, compose), sink
        ).run()
    assert len(sink.frames) == 3


@pytest.mark.parametrize("frames", [1, 3, 30])
def test_the_best_quality_waits_for_later_frames_and_loses_none(
    frames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames come in order, also where the source breaks off; a hole in one frame is closed."""

    def one_hole(batch: np.ndarray) -> np.ndarray:
        calls.append(len(calls))
        return np.full(batch.shape[2:], 0.0 if len(calls) == 9 else 1.0, np.float32)

    calls: list[int] = []
    config = MattingConfig(quality="best", reuse=False)
    still = replace(next(iter(source(1))), image=np.full((48, 64, 3), 90, np.uint8))

    class Still(SyntheticSource):
        def __iter__(self) -> Iterator[Frame]:
            for index in range(frames):
                yield replace(still, index=index, pts=index / 30)
            raise SourceIncomplete("broke off")

    written: list[tuple[int, float]] = []

    def keep(frame: Frame, alpha: Alpha) -> Frame:
        written.append((frame.index, float(alpha.min())))
        return frame

    given = Still(64, 48, Fraction(30), frames)
    compositor = Compositor(CompositingConfig(ColourSpec((0, 0, 0))), open_frames)
    monkeypatch.setattr(Compositor, "__call__", lambda _, frame, alpha: keep(frame, alpha))
    with (
        VideoMatting(config=config, backend=ConstantBackend(one_hole)) as matter,
        FrameProcessors(4) as processors,
        pytest.raises(SourceIncomplete),
    ):
        processor = processors.choose(matter, compositor, given.info)
        Stream(given, processor, MemorySink()).run()
    assert written == [(index, 1.0) for index in range(frames)]


def test_the_backends_failure_reaches_the_caller() -> None:
    def broken(_: np.ndarray) -> np.ndarray:
        raise RuntimeError("driver")

    with pytest.raises(RuntimeError, match="driver"):
        processor = CpuCompositing(VideoMatting(backend=ConstantBackend(broken)), compose)
        Stream(source(None), processor, MemorySink()).run()


def test_the_compositors_failure_reaches_the_caller() -> None:
    def broken(_frame: Frame, _alpha: Alpha) -> Frame:
        raise ValueError("sizes")

    with pytest.raises(ValueError, match="sizes"):
        Stream(source(None), CpuCompositing(None, broken), MemorySink()).run()


def test_the_sinks_failure_ends_even_an_endless_source() -> None:
    class FullDisk(MemorySink):
        def write(self, frame: Frame) -> None:
            if frame.index == 5:
                raise SinkError("disk full")
            super().write(frame)

    with pytest.raises(SinkError, match="disk full"):
        Stream(source(None), CpuCompositing(None, compose), FullDisk()).run()


def test_ctrl_c_while_matting_ends_the_threads() -> None:
    def interrupted(_: np.ndarray) -> np.ndarray:
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        processor = CpuCompositing(VideoMatting(backend=ConstantBackend(interrupted)), compose)
        Stream(source(None), processor, MemorySink()).run()
    assert threading.active_count() == before


def test_stop_ends_as_the_source_would() -> None:
    sink = MemorySink(max_frames=1)
    stream = Stream(
        source(None, live=True),
        CpuCompositing(None, compose),
        sink,
        on_frame=lambda count: stream.stop() if count == 4 else None,
    )
    assert 4 <= stream.run().frames <= 8


def test_a_limit_counts_frames_read() -> None:
    assert (
        Stream(source(None), CpuCompositing(None, compose), MemorySink(), frame_limit=7)
        .run()
        .frames
        == 7
    )


def test_unrelated_pictures_share_no_state() -> None:
    """Stills reset the matter, so an alpha never leaks from one picture into the next."""

    class Stills(SyntheticSource):
        @property
        def info(self) -> StreamInfo:
            return replace(super().info, stills=True)

    answers = iter([1.0, 0.0, 1.0])
    matter = VideoMatting(
        backend=ConstantBackend(lambda b: np.full(b.shape[2:], next(answers), np.float32))
    )
    alphas: list[float] = []

    def keep(frame: Frame, alpha: Alpha) -> Frame:
        alphas.append(float(alpha.mean()))
        return frame

    Stream(Stills(64, 48, Fraction(30), 3), CpuCompositing(matter, keep), MemorySink()).run()
    assert alphas == [1.0, 0.0, 1.0]
