"""Checks of what every source, sink and backend must do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from importlib import import_module

import numpy as np
import pytest
from numpy.typing import NDArray

from vidbg.errors import BackendError, SinkError
from vidbg.frame import Frame, Image
from vidbg.matting import backends
from vidbg.matting.backends import CANDIDATES, Backend
from vidbg.sinks import Sink
from vidbg.sources import Source

OpenSource = Callable[[], Source]
OpenSink = Callable[[], Sink]

MANY = 40  # frames that are enough to see a source's habits, where it never ends


def check_source_gives_frames_in_order(open_source: OpenSource) -> None:
    with open_source() as source:
        last: Frame | None = None
        for count, frame in enumerate(source):
            _check_frame(source, frame)
            assert frame.index == (0 if last is None else last.index + 1)
            assert last is None or frame.pts > last.pts
            last = frame
            if count + 1 == MANY:
                break
        assert last is not None


def check_source_closes(open_source: OpenSource) -> None:
    source = open_source()
    frames = iter(source)
    next(frames)
    source.close()
    source.close()
    assert next(frames, None) is None
    assert next(iter(source), None) is None


def check_source_closes_from_another_thread(open_source: OpenSource) -> None:
    with open_source() as source:
        frames = iter(source)
        next(frames)
        closer = threading.Thread(target=source.close)
        closer.start()
        for _ in zip(frames, range(10_000), strict=False):
            pass
        closer.join(timeout=5)
        assert not closer.is_alive()
        assert next(frames, None) is None


def check_sink_completes(open_sink: OpenSink, frames: Sequence[Frame]) -> None:
    sink = open_sink()
    for frame in frames:
        sink.write(frame)
        assert sink.watched() in (True, False, None)
    sink.close()
    sink.close()
    sink.abort()  # the first of them decided
    with pytest.raises(SinkError):
        sink.write(frames[-1])


def check_sink_aborts(open_sink: OpenSink, frames: Sequence[Frame]) -> None:
    sink = open_sink()
    for frame in frames:
        sink.write(frame)
    sink.abort()
    sink.abort()
    sink.close()
    with pytest.raises(SinkError):
        sink.write(frames[-1])


def check_sink_aborts_on_error(open_sink: OpenSink, frames: Sequence[Frame]) -> None:
    with pytest.raises(ZeroDivisionError), open_sink() as sink:
        sink.write(frames[0])
        raise ZeroDivisionError
    with pytest.raises(SinkError):
        sink.write(frames[-1])


def _check_frame(source: Source, frame: Frame) -> None:
    info = source.info
    assert frame.image.dtype == np.uint8
    assert frame.image.ndim == 3
    assert frame.image.shape[2] == 3
    assert frame.image.flags.c_contiguous
    if not info.stills:
        assert (frame.width, frame.height) == (info.width, info.height)
    if info.time_base is not None:
        ticks = round(frame.pts / info.time_base)
        assert frame.pts == pytest.approx(float(ticks * info.time_base), abs=1e-9)
    if frame.alpha is not None:
        assert frame.alpha.shape == frame.image.shape[:2]
        assert frame.alpha.dtype == np.float32
        assert 0 <= float(frame.alpha.min()) < 1 >= float(frame.alpha.max())


def write_until_it_fails(sink: Sink, image: Image) -> SinkError:
    """Write an image a hundred times a second until the sink fails; return its error."""
    for index in range(500):
        try:
            sink.write(Frame(image, index / 100, index))
        except SinkError as error:
            return error
        time.sleep(0.01)
    raise AssertionError("nothing failed in five seconds")


def precisions_here(device: str) -> list[str]:
    """Return the precisions that a device offers on this machine; skip the test if it has none."""
    candidate = CANDIDATES[device]
    module = import_module(f"{backends.__name__}.{candidate.module}")
    try:
        return list(module.offered(candidate.target))
    except BackendError as error:
        pytest.skip(str(error))


def check_backend(backend: Backend) -> NDArray[np.float32]:
    """Any size in 32s, alpha in [0, 1], a new array each time, closing twice; return an input."""
    rng = np.random.default_rng(0)
    for size in ((64, 96), (96, 64), (64, 96)):
        batch = rng.normal(size=(1, 4, *size)).astype(np.float32)
        given = batch.copy()
        alpha = backend(batch)
        assert alpha.shape == size
        assert alpha.dtype == np.float32
        assert 0 <= alpha.min() <= alpha.max() <= 1
        assert alpha.flags.writeable
        assert not np.shares_memory(alpha, backend(batch))
        np.testing.assert_array_equal(batch, given)
    assert backend.name
    assert backend.precision
    backend.close()
    backend.close()
    return batch
