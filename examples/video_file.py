"""Replace the background of a video file, and show the progress.

python examples/video_file.py talk.mp4 out.mp4 --background blur:60
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import vidbg


class Progress:
    """Prints the number of frames written so far, on one line."""

    def __init__(self) -> None:
        self._total: int | None = None

    def started(self, job: Any, info: Any) -> None:
        """Remember the number of frames, if the file says it."""
        del job
        self._total = info.frame_count

    def advanced(self, frames: int) -> None:
        """Print the number of frames; called after each frame, from another thread."""
        print(f"\r{frames} of {self._total or '?'} frames", end="", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description="Replace the background of a video file.")
    parser.add_argument("source")
    parser.add_argument("output")
    parser.add_argument("--background", default="blur", help="as in `vidbg process -b`")
    parser.add_argument("--quality", choices=("fast", "balanced", "best"), default="balanced")
    arguments = parser.parse_args()

    try:
        vidbg.process(
            arguments.source,
            arguments.output,
            background=arguments.background,
            matting=vidbg.MattingConfig(quality=arguments.quality),
            written=vidbg.OutputConfig(encoding=vidbg.Encoding(crf=20), overwrite=True),
            observer=Progress(),
        )
    except vidbg.VidbgError as error:  # its message is one line and says what to do
        sys.exit(f"\n{error}")
    print(f"\n{arguments.output} is written", file=sys.stderr)


if __name__ == "__main__":
    main()
