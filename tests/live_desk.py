"""A complete LiveRun with simulated cameras, outputs and networks, for tests of changes.

Every camera shows one colour in all its pixels, so a pixel of any room is recognised wherever it
appears. The person is the square of PERSON pixels at the upper left, as in live_rig.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from live_rig import HEIGHT, PERSON, WIDTH, Faulty, square

from vidbg.config import MattingConfig
from vidbg.errors import SourceError
from vidbg.frame import Frame, Image, StreamInfo
from vidbg.matting.backends.constant import ConstantBackend
from vidbg.pipeline.live import LiveConfig, LiveRun, LiveStatus, run_parts
from vidbg.pipeline.live.network import backend_opener
from vidbg.sinks import FIRST_FREE
from vidbg.sinks.memory_sink import MemorySink
from vidbg.sources import Source
from vidbg.sources.synthetic import SyntheticSource

ROOMS = {"one": (7, 250, 119), "two": (250, 90, 10), "three": (60, 10, 240)}
"""The colour of each camera's pixels, BGR."""

GREEN, NAVY = (64, 177, 0), (128, 0, 0)
RATE = Fraction(30)


def near(image: Image, colour: tuple[int, int, int], within: int = 40) -> Any:
    """Which pixels have about this colour."""
    return np.abs(image.astype(int) - colour).max(axis=2) < within


@dataclass(frozen=True, slots=True)
class Shown:
    """A frame that an output got.

    Attributes:
        person: the camera whose person is in it, or None.
        background: the colour of the lower right corner.
        leaks: pixels of any room outside the person.
        number: composited frames written before it; a repeated frame has that of the next.
    """

    at_s: float
    person: str | None
    background: tuple[int, ...]
    leaks: int
    size: tuple[int, int]
    number: int = 0


def shown(image: Image, number: int = 0) -> Shown:
    height, width = image.shape[:2]
    corner = image[height * 4 // HEIGHT, width * 4 // WIDTH][None, None]
    person = next((name for name, colour in ROOMS.items() if near(corner, colour).all()), None)
    outside = image.copy()
    outside[: (PERSON + 8) * height // HEIGHT, : (PERSON + 8) * width // WIDTH] = 128
    leaks = sum(int(near(outside, colour).sum()) for colour in ROOMS.values())
    background = tuple(int(value) for value in image[-4, -4])
    return Shown(time.monotonic(), person, background, leaks, (width, height), number)


class DeskCamera(SyntheticSource):
    """A camera that shows one colour."""

    def __init__(self, desk: Desk, name: str, asked: StreamInfo) -> None:
        picture = np.full((asked.height, asked.width, 3), ROOMS[name], np.uint8)
        rate = asked.frame_rate or RATE
        super().__init__(asked.width, asked.height, rate, live=True, pictures=[picture])
        self._fault, self._open_cameras = desk.cameras[name], desk.open_cameras
        self._fault(None)
        self._open_cameras.append(name)
        self._name = name

    def __iter__(self) -> Iterator[Frame]:
        for frame in super().__iter__():
            yield self._fault(frame)

    def close(self) -> None:
        super().close()
        if self._name in self._open_cameras:
            self._open_cameras.remove(self._name)


class DeskOutput(MemorySink):
    """Keeps what its viewers see."""

    def __init__(self, desk: Desk, name: str, info: StreamInfo) -> None:
        super().__init__(max_frames=1)
        self.info, self._desk, self._name = info, desk, name
        desk.outputs[name](None)
        desk.opened.append(name)

    def write(self, frame: Frame) -> None:
        self._desk.outputs[self._name](frame)
        super().write(frame)
        assert frame.image.shape == (self.info.height, self.info.width, 3)
        self._desk.seen[self._name].append(shown(frame.image, self._desk.frames))

    def watched(self) -> bool | None:
        return self._desk.watched

    def close(self) -> None:
        super().close()
        self._desk.closed.append(self._name)


class Desk:
    """Runs a LiveRun in a thread, as a `with` block.

    Attributes:
        cameras, outputs: set their `fault` to break one, by name.
        network: set its `fault` to break every network.
        loading: called with the device each time a network is loaded.
        open_cameras: those that are open at the moment.
        seen: what the viewers of each output saw.
        watched: what every output answers.
    """

    def __init__(self, patch: pytest.MonkeyPatch, **values: Any) -> None:
        names = ("web:1", "web:2", "web:3", "-", "none", FIRST_FREE)
        self.cameras = {name: Faulty() for name in ROOMS}
        self.outputs = {name: Faulty() for name in names}
        self.seen: dict[str, list[Shown]] = {name: [] for name in names}
        self.network, self.loading = Faulty(), Faulty()
        self.open_cameras: list[str] = []
        self.opened: list[str] = []
        self.closed: list[str] = []
        self.watched: bool | None = None
        self.statuses: list[LiveStatus] = []
        self.messages: list[str] = []
        self.failure: BaseException | None = None
        patch.setattr(run_parts, "camera_source", self._camera_source)
        patch.setattr(run_parts, "open_output", self._open_output)
        patch.setattr(backend_opener, "load_first", self._load_first)
        matting = MattingConfig("cpu", smoothing_s=0, refine=False, reuse=False)
        defaults: dict[str, Any] = {
            "camera": "one", "size": (WIDTH, HEIGHT), "background": "green", "adapt": False,
            "output": "web:1", "matting": matting,
        }  # fmt: skip
        previews = values.pop("previews", ())
        self.run = LiveRun(
            LiveConfig(**{**defaults, **values}),
            previews=previews,
            on_status=self.statuses.append,
            on_message=self.messages.append,
        )
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _camera_source(self, name: str, asked: StreamInfo, _format: str) -> Callable[[], Source]:
        if name not in ROOMS:
            raise SourceError(f"there is no camera {name}")
        return lambda: DeskCamera(self, name, asked)

    def _open_output(self, name: str | None, info: StreamInfo, *_: Any) -> DeskOutput:
        return DeskOutput(self, name or FIRST_FREE, info)

    def _load_first(self, devices: list[str], *_: Any) -> tuple[str, ConstantBackend]:
        self.loading(devices[0])
        return devices[0], ConstantBackend(lambda batch: self.network(square(batch)))

    def _run(self) -> None:
        try:
            self.run.run()
        except BaseException as error:
            self.failure = error

    def __enter__(self) -> Desk:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for part in (*self.cameras.values(), *self.outputs.values(), self.network, self.loading):
            part.fault = None
            part.released.set()
        self.run.stop()
        self._thread.join(15)
        assert not self._thread.is_alive()
        self.run.close()

    def change(self, **values: Any) -> None:
        self.run.change(replace(self.run.config, **values))

    def wait(self, what: Callable[[], object], seconds: float = 10) -> float:
        """Wait until it is so; how long it took, in seconds."""
        start = time.monotonic()
        while not what():
            assert time.monotonic() - start < seconds, "it did not happen in time"
            assert self.failure is None, self.failure
            time.sleep(0.002)
        return time.monotonic() - start

    def wait_person(self, camera: str = "one", output: str = "web:1") -> float:
        """Until viewers of an output see the person before a camera; seconds from now."""
        observed = self.seen[output]
        count = len(observed)
        return self.wait(lambda: any(each.person == camera for each in observed[count:]))

    @property
    def frames(self) -> int:
        """Composited frames that were written."""
        return self.run._supervisor.pipeline.outputs.frames

    @property
    def status(self) -> LiveStatus:
        return self.statuses[-1]

    @property
    def leaks(self) -> int:
        """Pixels of any room that reached any viewer."""
        return sum(each.leaks for observed in self.seen.values() for each in observed)
