"""The sample clip: a public-domain portrait as if filmed with a handheld camera."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from vidbg.errors import SourceError
from vidbg.frame import Frame, Image, StreamInfo
from vidbg.platform.installation import install_command
from vidbg.sources.handheld import handheld
from vidbg.util.lifecycle import Closeable

WIDTH, HEIGHT = 854, 480
FRAME_RATE = Fraction(30)
FRAME_COUNT = 120
"""After these the clip begins again, without a jump."""


class SampleSource(Closeable):
    """Four seconds of NASA's portrait of the astronaut Eileen Collins, which scikit-image ships.

    Raises:
        SourceError: scikit-image is not installed.
    """

    def __init__(self) -> None:
        self._portrait, _ = sample_images()

    @property
    def info(self) -> StreamInfo:
        return StreamInfo(WIDTH, HEIGHT, frame_rate=FRAME_RATE, time_base=1 / FRAME_RATE)

    def __iter__(self) -> Iterator[Frame]:
        moving = handheld(
            self._portrait,
            None,
            WIDTH,
            HEIGHT,
            frame_count=FRAME_COUNT,
            frame_rate=FRAME_RATE,
            anchor=(0.5, 0.02),
        )
        for index, (image, _) in enumerate(moving):
            yield Frame(image, float(index / FRAME_RATE), index)

    def close(self) -> None:
        """Nothing is open."""


def sample_images() -> tuple[Image, Image]:
    """Return the portrait, and the Hubble Deep Field as a background (NASA, public domain).

    Raises:
        SourceError: scikit-image is not installed.
    """
    try:
        from skimage import data
    except ImportError:
        raise SourceError(
            "scikit-image, whose portrait the sample clip shows, is not installed: "
            f"`{install_command('demo')}`"
        ) from None
    portrait, sky = (image[..., ::-1] for image in (data.astronaut(), data.hubble_deep_field()))
    return np.ascontiguousarray(portrait), np.ascontiguousarray(sky)
