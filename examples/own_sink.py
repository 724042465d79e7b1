"""Write frames to an output of your own: an animated GIF.

python examples/own_sink.py clip.gif

A sink takes frames in the order of their time. `close()` completes the output, and `abort()`
discards it. At the end of a `with` block, `Abortable` calls the former, or the latter after an
exception.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path

from PIL import Image

import vidbg
from vidbg.sinks import Sink
from vidbg.sinks.watching import Unwatched
from vidbg.sources.synthetic import SyntheticSource
from vidbg.util.lifecycle import Abortable


class GifSink(Unwatched, Abortable):
    """Collects frames and writes them as a GIF when it is closed.

    Args:
        path: the file; it appears complete or not at all.
        frame_rate: of the frames, per second.
    """

    def __init__(self, path: Path, frame_rate: Fraction) -> None:
        self._path = path
        self._frame_rate = frame_rate
        self._images: list[Image.Image] = []

    def write(self, frame: vidbg.Frame) -> None:
        """Keep a small copy of the frame; its own image must not be changed."""
        rgb = frame.image[:, :, ::-1]  # BGR to RGB
        self._images.append(
            Image.fromarray(rgb.copy()).resize((frame.width // 2, frame.height // 2))
        )

    def close(self) -> None:
        """Write the file; a second call does nothing."""
        images, self._images = self._images, []
        if images:
            partial = self._path.with_suffix(".partial")
            duration_ms = round(1000 / self._frame_rate)
            images[0].save(
                partial,
                "GIF",
                save_all=True,
                append_images=images[1:],
                duration=duration_ms,
                loop=0,
            )
            partial.replace(self._path)

    def abort(self) -> None:
        """Discard the frames."""
        self._images = []


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a GIF of the synthetic person.")
    parser.add_argument("output", type=Path)
    parser.add_argument("--frames", type=int, default=20)
    arguments = parser.parse_args()

    rate = Fraction(10)
    sink: Sink = GifSink(arguments.output, rate)  # a type checker compares the two
    with SyntheticSource(640, 360, rate, arguments.frames) as source, sink:
        for frame in source:
            sink.write(frame)
    print(f"{arguments.output}: {arguments.frames} frames")


if __name__ == "__main__":
    main()
