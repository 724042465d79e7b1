"""Replace the background of a webcam, frame by frame, in a loop of your own.

python examples/webcam.py --camera 0
python examples/webcam.py --camera synthetic --output none --frames 10   # without a camera

`vidbg run` does more: it reopens whatever fails, keeps the frame rate on slow machines and never
shows the room. Write a loop like this one to do something of your own with the frames.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from fractions import Fraction
from itertools import islice

import numpy as np

import vidbg
from vidbg.frame import StreamInfo
from vidbg.sinks import open_output
from vidbg.sources.camera.cameras import camera_source


def main() -> None:
    parser = argparse.ArgumentParser(description="Replace the background of a webcam.")
    parser.add_argument("--camera", default="0", help="as in `vidbg run -c`")
    parser.add_argument("--output", help="as in `vidbg run -o`; default: a virtual camera")
    parser.add_argument("--frames", type=int, help="stop after this many")
    arguments = parser.parse_args()

    wanted = StreamInfo(640, 360, frame_rate=Fraction(30), live=True)
    open_camera = camera_source(arguments.camera, wanted, "auto")
    count = 0
    with (
        open_camera() as camera,
        vidbg.VideoMatting() as matting,
        open_output(arguments.output, camera.info) as output,
    ):
        # A moving background: a gradient that drifts over time.
        columns = np.arange(camera.info.width)
        for frame in islice(camera, arguments.frames):
            alpha = matting(frame.image, frame.pts)
            background = np.empty_like(frame.image)
            background[:] = 96 + 64 * np.sin(columns / 100 + frame.pts)[None, :, None]
            composited = vidbg.composite(frame.image, alpha, background)
            output.write(replace(frame, image=composited))
            count += 1
    print(f"{count} frames", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except vidbg.VidbgError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
