"""A live run with faults at will, whose room carries a marker in every pixel."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vidbg.compositing import CompositingConfig
from vidbg.compositing.backgrounds import BackgroundSpec, ColourSpec
from vidbg.config import MattingConfig
from vidbg.errors import SourceError
from vidbg.frame import Frame, Image, StreamInfo
from vidbg.matting.backends.constant import ConstantBackend
from vidbg.matting.backends.graphs import Arrays, GraphPlan
from vidbg.matting.ladder import Step
from vidbg.matting.video_matting import VideoMatting
from vidbg.pipeline.live import (
    Appearance,
    LiveReport,
    LiveStatus,
    Preview,
    Supervisor,
    SupervisorConfig,
)
from vidbg.pipeline.live.capture import camera_request, reader
from vidbg.pipeline.live.capture.camera_request import CameraRequest
from vidbg.pipeline.live.context import RunContext
from vidbg.pipeline.live.network.governor import Level, levels_of
from vidbg.pipeline.live.outputs import output_writer
from vidbg.pipeline.live.outputs.fallback import card
from vidbg.pipeline.live.outputs.output_gate import OutputGate
from vidbg.pipeline.live.outputs.output_writer import OutputTarget
from vidbg.pipeline.live.pipeline import LivePipeline
from vidbg.pipeline.live.stages import stage
from vidbg.sinks.memory_sink import MemorySink
from vidbg.sources.synthetic import SyntheticSource
from vidbg.util.lifecycle import Closeable

WIDTH, HEIGHT, RATE = 128, 96, Fraction(30)
INFO = StreamInfo(WIDTH, HEIGHT, frame_rate=RATE, live=True)
MARKER = (7, 250, 119)
BEHIND = (200, 40, 30)
PERSON = 32
"""The person is the square of so many pixels at the upper left; the room around it is secret."""

MATTING = MattingConfig(network_pixels=128 * 160, smoothing_s=0, refine=False, reuse=False)


def marked(width: int = WIDTH, height: int = HEIGHT) -> Image:
    return np.full((height, width, 3), MARKER, np.uint8)


def square(batch: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the alpha of the person."""
    height, width = batch.shape[2:]
    alpha = np.zeros((height, width), np.float32)
    alpha[: height * PERSON // HEIGHT, : width * PERSON // WIDTH] = 1
    return alpha


def leaks(image: Image) -> int:
    """Pixels of the room that can be seen."""
    visible = np.abs(image.astype(int) - MARKER).max(axis=2) < 60
    visible[: PERSON + 8, : PERSON + 8] = False
    return int(visible.sum())


def shows_person(image: Image) -> bool:
    return bool(np.abs(image[4, 4].astype(int) - MARKER).max() < 60)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a viewer saw: when, whether the person was in it, and how much of the room."""

    at_s: float
    person: bool
    leaks: int


class Faulty:
    """Something that fails while `fault` is set: it is called with the usual answer."""

    def __init__(self) -> None:
        self.fault: Callable[[Any], Any] | None = None
        self.released = threading.Event()

    def __call__(self, usual: Any) -> Any:
        fault = self.fault
        return usual if fault is None else fault(usual)

    def hang(self, usual: Any) -> Any:
        """Until the test is over."""
        self.released.wait(60)
        return usual


class FrameDevice(ConstantBackend):
    """A backend that also composites full frames, as a GPU does: `rig.device` breaks that part."""

    supports_full_frame = True

    def __init__(self, rig: Rig) -> None:
        super().__init__(lambda batch: rig.backend(square(batch)))
        self._rig = rig

    def graph_ready(self, _plan: GraphPlan) -> bool:
        return self._rig.graph_ready

    def prepare_graph(self, _plan: GraphPlan) -> None:
        """Nothing to build."""

    def open_graph(self, plan: GraphPlan, slots: int) -> FrameRunner:
        assert slots == 1
        return FrameRunner(self._rig, plan)


class FrameRunner(Closeable):
    """The square person over the background given."""

    def __init__(self, rig: Rig, plan: GraphPlan) -> None:
        rig.runners_open += 1
        self._rig, self._batch = rig, np.zeros((1, 4, *plan.inputs["past_alpha"].shape[2:]))
        self._outputs: dict[str, NDArray[Any]] = {}

    def start(self, slot: int, arrays: Arrays) -> None:
        assert slot == 0
        assert {"frame", "background", "keep", "prior", "rows", "grid_columns"} <= set(arrays)
        composited = arrays["background"][None].copy()
        person = np.s_[:, :PERSON, :PERSON]
        composited[person] = arrays["frame"][person]
        outputs = {"composited": composited, "smoothed": square(self._batch)[None, None]}
        self._rig.composited += 1
        self._outputs = self._rig.device(outputs)

    def wait(self, _slot: int) -> dict[str, NDArray[Any]]:
        return self._outputs

    def forget(self) -> None:
        self._rig.device(None)

    def close(self) -> None:
        self._rig.runners_open -= 1


class RigSource(SyntheticSource):
    """A camera with the marker in every pixel."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(WIDTH, HEIGHT, RATE, live=True, pictures=[marked()])
        self._rig = rig
        rig.source(None)  # an unplugged camera does not open either
        rig.still_open.add(self)

    def __iter__(self) -> Iterator[Frame]:
        for frame in super().__iter__():
            yield self._rig.source(frame)

    def close(self) -> None:
        self._rig.still_open.discard(self)
        super().close()


class RigSink(MemorySink):
    """Keeps what viewers see, not the pictures."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(max_frames=1)
        self._rig = rig
        rig.sink(None)

    def write(self, frame: Frame) -> None:
        self._rig.sink(frame)
        super().write(frame)
        assert frame.image.shape == (HEIGHT, WIDTH, 3)
        observed = Seen(time.monotonic(), shows_person(frame.image), leaks(frame.image))
        self._rig.seen.append(observed)

    def watched(self) -> bool | None:
        return self._rig.watched


class Rig:
    """Runs a supervisor in a thread of its own, as a `with` block.

    Args:
        on_device: the network's device composites, too.

    Attributes:
        source, backend, sink, loading, device: set their `fault` to break that part.
        composited: frames that the device was given.
        runners_open: of the device's graphs.
        seen: everything that reached a viewer.
        watched: what the sink answers.
        still_open: sources that were not closed.
    """

    def __init__(
        self,
        background: BackgroundSpec | None = None,
        on_device: bool = False,
        *,
        steps: Sequence[Step] = (),
        reopens: bool = True,
        frame_limit: int | None = None,
        previews: Sequence[Preview] = (),
        **options: Any,
    ) -> None:
        self.source, self.backend, self.sink, self.loading = (Faulty() for _ in range(4))
        self.device, self.on_device = Faulty(), on_device
        self.composited, self.runners_open, self.graph_ready = 0, 0, True
        self.seen: list[Seen] = []
        self.watched: bool | None = None
        self.blamed, self.loaded, self.improved = 0, 0, False
        self.opened = 0
        self.still_open: set[RigSource] = set()
        self.statuses: list[LiveStatus] = []
        self.failure: BaseException | None = None
        self.report: LiveReport | None = None
        self.matting_config = replace(MATTING, refine=True) if on_device else MATTING
        self.cpu_limit = 1.0
        self.levels = (
            levels_of(steps, (HEIGHT, WIDTH)) if steps else [Level(Step("resnet50", 128 * 160))]
        )
        look = Appearance(CompositingConfig(background or ColourSpec(BEHIND)))
        context = RunContext(INFO, look)
        target = OutputTarget("", lambda: RigSink(self), reopens=reopens)
        gate = OutputGate([target], context, frame_limit)
        self.pipeline = LivePipeline(context, CameraRequest(self._open_source), self, gate)
        self.supervisor = Supervisor(
            self.pipeline,
            SupervisorConfig(**options),
            previews=previews,
            on_status=self.statuses.append,
        )
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _open_source(self) -> RigSource:
        self.opened += 1
        return RigSource(self)

    def load(self) -> VideoMatting:
        """As the supervisor's Networks."""
        self.loading(None)
        self.loaded += 1
        if self.on_device:
            return VideoMatting(config=self.matting_config, backend=FrameDevice(self))
        backend = ConstantBackend(lambda batch: self.backend(square(batch)))
        return VideoMatting(config=self.matting_config, backend=backend)

    def blame(self) -> None:
        self.blamed += 1

    def better(self) -> bool:
        better, self.improved = self.improved, False
        return better

    def close(self, patience_s: float) -> None:
        """Nothing is being built."""

    def _run(self) -> None:
        try:
            self.report = self.supervisor.run()
        except BaseException as error:
            self.failure = error

    def __enter__(self) -> Rig:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for part in (self.source, self.backend, self.sink, self.loading, self.device):
            part.fault = None
            part.released.set()
        self.supervisor.stop()
        self._thread.join(15)
        assert not self._thread.is_alive()

    def wait_end(self, seconds: float = 10) -> None:
        self._thread.join(seconds)
        assert not self._thread.is_alive()

    def wait(self, what: Callable[[], bool], seconds: float = 10) -> float:
        """Wait until it is so; how long it took, in seconds."""
        start = time.monotonic()
        while not what():
            assert time.monotonic() - start < seconds, "it did not happen in time"
            time.sleep(0.002)
        return time.monotonic() - start

    def wait_live(self) -> float:
        """Until a viewer sees the person; seconds from now."""
        count = len(self.seen)
        return self.wait(lambda: any(observed.person for observed in self.seen[count:]))

    def last_person_s(self, since: float) -> float:
        """Seconds from `since` to when a viewer last saw the person."""
        return max((s.at_s for s in self.seen if s.person), default=since) - since

    def has_seen(self, frames: int) -> bool:
        return len(self.seen) > frames

    @property
    def leaked(self) -> int:
        return sum(observed.leaks for observed in self.seen)

    @property
    def state(self) -> str:
        return self.statuses[-1].state.value if self.statuses else "starting"


def unplugged(_: Any) -> Any:
    raise SourceError("the cable is out")


def raising(error: BaseException) -> Callable[[Any], Any]:
    """Return a fault that raises an error."""

    def fault(_: Any) -> Any:
        raise error

    return fault


def notice_hangs_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give hanging threads 0.4 s instead of seconds, so that the tests are quick."""
    for name in ("PATIENCE_S", "FIRST_PATIENCE_S"):
        monkeypatch.setattr(stage, name, 0.4)
    monkeypatch.setattr(reader, "READ_PATIENCE_S", 0.4)
    monkeypatch.setattr(camera_request, "OPEN_PATIENCE_S", 0.4)
    monkeypatch.setattr(output_writer, "WRITE_PATIENCE_S", 0.4)


def is_card(image: Image) -> bool:
    return bool(np.array_equal(image, card(WIDTH, HEIGHT)))
