"""A sample clip made from a public-domain portrait, for trying vidbg without a video."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from vidbg.errors import SourceError
from vidbg.frame import Frame, Image, StreamInfo
from vidbg.platform.installation import install_command
from vidbg.sinks.encoding.formats import Encoding
from vidbg.sinks.files.video_file_sink import VideoFileSink
from vidbg.sources import open_frames
from vidbg.sources.handheld import handheld

WIDTH, HEIGHT = 854, 480
FRAME_RATE = Fraction(30)
FRAME_COUNT = 120


def write_sample(folder: Path) -> tuple[Path, Path]:
    """Write `sample.mp4`, a simulated handheld shot, and a background, `background.jpg`.

    Both are made from images that scikit-image ships: NASA's portrait of the astronaut Eileen
    Collins (public domain) and the Hubble Deep Field (NASA, public domain).

    Returns:
        The paths of the clip and of the background. Existing files are replaced.
    Raises:
        SourceError: scikit-image is not installed.
    """
    portrait, sky = _pictures()
    folder.mkdir(parents=True, exist_ok=True)
    clip, background = folder / "sample.mp4", folder / "background.jpg"
    cv2.imwrite(str(background), sky)
    info = StreamInfo(WIDTH, HEIGHT, frame_rate=FRAME_RATE, time_base=1 / FRAME_RATE)
    frames = handheld(
        portrait,
        None,
        WIDTH,
        HEIGHT,
        frame_count=FRAME_COUNT,
        frame_rate=FRAME_RATE,
        anchor=(0.5, 0.02),
    )
    with VideoFileSink(clip, info, encoding=Encoding(crf=16), overwrite=True) as sink:
        for index, (image, _) in enumerate(frames):
            sink.write(Frame(image, float(index / FRAME_RATE), index))
    return clip, background


def write_comparison(before: Path, after: Path, target: Path) -> None:
    """Write the first frames of two clips side by side as one image."""
    both = np.hstack([_first_image(before), _first_image(after)])
    cv2.imwrite(str(target), both, [cv2.IMWRITE_JPEG_QUALITY, 88])


def _first_image(clip: Path) -> Image:
    with open_frames(clip) as source:
        return next(iter(source)).image


def _pictures() -> tuple[Image, Image]:
    try:
        from skimage import data
    except ImportError:
        raise SourceError(
            "the sample clip is made of scikit-image's portrait, which is not installed; "
            f"`{install_command('demo')}`"
        ) from None
    portrait, sky = (picture[..., ::-1] for picture in (data.astronaut(), data.hubble_deep_field()))
    return np.ascontiguousarray(portrait), np.ascontiguousarray(sky)
