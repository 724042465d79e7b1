"""A sample clip made from a public-domain portrait, for trying vidbg without a video."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from vidbg.frame import Image
from vidbg.sinks.encoding.formats import Encoding
from vidbg.sinks.files.video_file_sink import VideoFileSink
from vidbg.sources import open_frames
from vidbg.sources.sample import SampleSource, sample_images


def write_sample(folder: Path) -> tuple[Path, Path]:
    """Write `sample.mp4`, a simulated handheld shot, and a background, `background.jpg`.

    Both are made from images that scikit-image ships: NASA's portrait of the astronaut Eileen
    Collins (public domain) and the Hubble Deep Field (NASA, public domain).

    Returns:
        The paths of the clip and of the background. Existing files are replaced.
    Raises:
        SourceError: scikit-image is not installed.
    """
    sample, (_, sky) = SampleSource(), sample_images()
    folder.mkdir(parents=True, exist_ok=True)
    clip, background = folder / "sample.mp4", folder / "background.jpg"
    cv2.imwrite(str(background), sky)
    with VideoFileSink(clip, sample.info, encoding=Encoding(crf=16), overwrite=True) as sink:
        for frame in sample:
            sink.write(frame)
    return clip, background


def write_comparison(before: Path, after: Path, target: Path) -> None:
    """Write the first frames of two clips side by side as one image."""
    both = np.hstack([_first_image(before), _first_image(after)])
    cv2.imwrite(str(target), both, [cv2.IMWRITE_JPEG_QUALITY, 88])


def _first_image(clip: Path) -> Image:
    with open_frames(clip) as source:
        return next(iter(source)).image
