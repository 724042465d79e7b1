"""A live run with its page, for tests that check both: a still camera in, memory out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vidbg.config import MattingConfig
from vidbg.frame import Image, StreamInfo
from vidbg.matting.backends.constant import ConstantBackend
from vidbg.pipeline.live import LiveConfig, LiveRun
from vidbg.sinks.memory_sink import MemorySink
from vidbg.sources import Source
from vidbg.sources.synthetic import SyntheticSource
from vidbg.util.lifecycle import Closeable

WIDTH, HEIGHT, RATE = 192, 108, Fraction(20)
WAIT_S = 20.0
"""For something that should happen at once, on a machine with other work."""

MATTING = MattingConfig(network_pixels=128 * 128)  # less than the frame, so that refining shows
SAME = 0.15
"""Mean difference in levels between images that are taken as the same."""


def room() -> Image:
    """Draw an image that any adjustment changes: asymmetric, colourful and textured."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    image = np.dstack([40 + x * 0.8, 60 + y * 1.2, 90 + (x + y) * 0.3])
    image += cv2.resize(rng.normal(0, 25, (27, 48, 3)), (WIDTH, HEIGHT))
    return np.clip(image * 0.3, 0, 255).astype(np.uint8)  # dark, so that low light counts


def two_people(batch: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the alpha of a large person left of the middle and a small one at the right."""
    height, width = batch.shape[2:]
    alpha = np.zeros((height, width), np.float32)
    cv2.ellipse(
        alpha, (width * 2 // 5, height * 3 // 4), (width // 6, height // 2), 0, 0, 360, 1.0, -1
    )
    cv2.circle(alpha, (width * 6 // 7, height * 2 // 3), height // 8, 1.0, -1)
    return np.asarray(cv2.GaussianBlur(alpha, (0, 0), 1.5), np.float32)


def write_picture(
    path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (160, 90)
) -> Path:
    """Write a background in one colour, with a white stripe at its left edge."""
    image = np.full((size[1], size[0], 3), colour, np.uint8)
    image[:, : size[0] // 8] = 255
    cv2.imwrite(str(path), image)
    return path


class AppRun(Closeable):
    """A live run in a thread of its own; frames of `room()` come in, `newest` goes out.

    Args:
        own_camera, own_sink: False to open what `values` names instead.
        values: of LiveConfig.
    """

    def __init__(
        self, port: int = 0, own_camera: bool = True, own_sink: bool = True, **values: Any
    ) -> None:
        self.sink = MemorySink()  # until it is opened
        self.messages: list[str] = []
        config = LiveConfig(
            **{"camera": "synthetic", "size": (WIDTH, HEIGHT), "background": "green", "panel": port,
               "adapt": False, "on_demand": False, "matting": MATTING, **values}
        )  # fmt: skip
        self.live = LiveRun(
            config,
            open_source=_camera if own_camera else None,
            open_sink=self._open_sink if own_sink else None,
            on_message=self.messages.append,
        )
        self.url = next(text for text in self.messages if text.startswith("panel: "))[7:]
        self.port = int(self.url.split("/")[2].rpartition(":")[2])
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        if own_sink:
            self.wait(lambda: len(self.sink.frames) > 0)

    def _run(self) -> None:
        with self.live:
            self.live.run()

    def _open_sink(self, _: StreamInfo) -> MemorySink:
        self.sink = MemorySink(max_frames=2)
        return self.sink

    @property
    def newest(self) -> Image:
        """What viewers see now."""
        self.wait(lambda: len(self.sink.frames) > 0)
        return self.sink.frames[-1].image

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def wait(
        self, condition: Callable[[], bool], what: str = "it", seconds: float = WAIT_S
    ) -> None:
        """Wait until it is so."""
        start = time.monotonic()
        while not condition():
            assert time.monotonic() - start < seconds, f"{what} did not happen in time"
            time.sleep(0.01)

    def differs(self, image: Image) -> bool:
        """Whether viewers see something else."""
        return distance(self.newest, image) > SAME

    def shows(self, image: Image) -> bool:
        """Whether viewers see this."""
        return not self.differs(image)

    def close(self) -> None:
        self.live.stop()
        self._thread.join(15)
        assert self.ended


def distance(image: Image, other: Image) -> float:
    """Mean absolute difference in levels; 255 between images of different sizes."""
    if image.shape != other.shape:
        return 255.0
    return float(np.abs(image.astype(int) - other).mean())


def _camera() -> Source:
    return SyntheticSource(WIDTH, HEIGHT, RATE, live=True, pictures=[room()])


def seeing_two_people(*_: Any) -> ConstantBackend:
    """Return a backend that stands in for a network."""
    return ConstantBackend(two_people)
