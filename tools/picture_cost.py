"""Measure what each option of the picture costs a 1280x720 frame.

    MALLOC_TRIM_THRESHOLD_=1000000000 MALLOC_MMAP_THRESHOLD_=1000000000 \\
        python -m tools.picture_cost

Each option is measured in turn with its absence, frame by frame, so that both meet the same load.
Times are of the processor, in one thread, from the camera's frame and its alpha to the composite.
The two variables keep glibc from returning the memory of each frame, which depends on chance in a
loop as short as this one.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from skimage import data

from vidbg.compositing import CompositingConfig, Compositor, parse_background
from vidbg.frame import Alpha, Frame, Image
from vidbg.picture.colours import PictureColours
from vidbg.picture.framing import Framing
from vidbg.picture.picture_config import PictureConfig
from vidbg.sources import open_frames

HEIGHT, WIDTH = 720, 1280
FRAMES = 120
PLAIN = "#406080"


def scene() -> tuple[Image, Alpha]:
    """Return a portrait in a room, and an alpha of its size and softness."""
    image = np.asarray(cv2.resize(data.astronaut()[:288, :, ::-1], (WIDTH, HEIGHT)), np.uint8)
    alpha = np.zeros((HEIGHT, WIDTH), np.float32)
    cv2.ellipse(alpha, (550, 320), (150, 220), 0, 0, 360, 1, -1)
    cv2.ellipse(alpha, (550, 760), (420, 300), 0, 0, 360, 1, -1)
    soft = np.asarray(cv2.GaussianBlur(alpha, (0, 0), 3), np.float32)
    return np.ascontiguousarray(image), soft


def run_of(
    picture: PictureConfig, compositing: CompositingConfig
) -> Callable[[Frame, Alpha], None]:
    """Return what is done with a frame apart from matting."""
    framing, colours = Framing(), PictureColours()
    compositor = Compositor(CompositingConfig(parse_background(PLAIN)), open_frames)
    compositor.change(compositing)  # which fades, if that is asked for

    def run(frame: Frame, alpha: Alpha) -> None:
        shown = framing(frame, picture)
        framing.follow(alpha, picture)
        compositor(colours(shown, picture), alpha)

    return run


def measure(
    without: Callable[[Frame, Alpha], None], run: Callable[[Frame, Alpha], None]
) -> tuple[float, float]:
    """Return the median milliseconds of a frame without and with an option."""
    image, alpha = scene()
    times: tuple[list[float], list[float]] = [], []
    for number in range(FRAMES):
        frame = Frame(image, number / 30, number)
        for taken, work in zip(times, (without, run), strict=True):
            start = time.process_time()
            work(frame, alpha)
            taken.append(1e3 * (time.process_time() - start))
    before, after = (statistics.median(taken[10:]) for taken in times)
    return before, after


def main() -> None:
    """Print a table of Markdown."""
    cv2.setNumThreads(1)
    beach = CompositingConfig(parse_background(PLAIN))
    nothing = PictureConfig()
    with tempfile.TemporaryDirectory() as folder:
        logo = Path(folder) / "logo.png"
        pixels = np.full((200, 400, 4), 200, np.uint8)
        pixels[:, 200:, 3] = 90
        cv2.imwrite(str(logo), pixels)
        cases = {
            "brightness and contrast": (PictureConfig(brightness=0.2, contrast=0.2), beach),
            "warmth": (PictureConfig(warmth=0.3), beach),
            "saturation": (PictureConfig(saturation=0.3), beach),
            "low light": (PictureConfig(low_light=True), beach),
            "zoom": (PictureConfig(zoom=1.5), beach),
            "automatic framing": (PictureConfig(auto_frame=True), beach),
            "overlay, a fifth of the width": (
                nothing,
                CompositingConfig(beach.background, overlay=logo),
            ),
            "overlay, the whole width": (
                nothing,
                CompositingConfig(beach.background, overlay=logo, overlay_size=1),
            ),
            "fade": (nothing, CompositingConfig(parse_background("#ffffff"), fade_s=10)),
            "blur:50": (nothing, CompositingConfig(parse_background("blur:50"))),
            "bokeh:50": (nothing, CompositingConfig(parse_background("bokeh:50"))),
        }
        sys.stdout.write("| | without, ms | with, ms | difference |\n|---|---|---|---|\n")
        for name, case in cases.items():
            before, after = measure(run_of(nothing, beach), run_of(*case))
            row = f"| {name} | {before:.2f} | {after:.2f} | {after - before:+.2f} |\n"
            sys.stdout.write(row)


if __name__ == "__main__":
    main()
