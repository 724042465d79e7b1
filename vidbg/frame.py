"""Frames, and the properties of the stream they come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FieldOrder = Literal["progressive", "top", "bottom"]
"""Of interlaced frames, whose lines were taken at two times: which lines are the earlier ones."""

Image = NDArray[np.uint8]
"""uint8 (H, W, 3), BGR, C-contiguous."""

Alpha = NDArray[np.float32]
"""float32 (H, W) in [0, 1]; 1 is the person."""


@dataclass(frozen=True, slots=True)
class Frame:
    """An image and its time.

    Attributes:
        image: uint8 (H, W, 3), BGR, C-contiguous. Receivers of the frame must not write to it.
        pts: presentation time in seconds; it grows from frame to frame of one source.
        index: 0 for the source's first frame, then counting every frame the source gave.
        alpha: float32 (H, W) in [0, 1] where the picture is transparent (`image` is then the
            foreground, not multiplied by alpha), or next to a finished image for a sink that
            writes it separately; None otherwise.
        duration_s: display duration given by the source; None if it gives none.
        pixel_aspect: width of a pixel over its height.
        zoom: how many times what the camera saw has been enlarged, at least 1: a blurred room then
            takes a wider blur.
    """

    image: Image
    pts: float
    index: int
    alpha: Alpha | None = None
    duration_s: float | None = None
    pixel_aspect: Fraction = Fraction(1)
    zoom: float = 1.0

    @property
    def height(self) -> int:
        return int(self.image.shape[0])

    @property
    def width(self) -> int:
        return int(self.image.shape[1])

    def alpha_or_opaque(self) -> Alpha:
        """Return alpha; a new array of ones where the frame has none."""
        return np.ones(self.image.shape[:2], np.float32) if self.alpha is None else self.alpha


@dataclass(frozen=True, slots=True)
class Colour:
    """Colour description of a video's YUV samples, in FFmpeg's numbers (ITU-T H.273).

    2 means "unspecified": such a file is read as BT.601 below 720 lines and as BT.709 from there,
    and written unspecified again.

    Attributes:
        matrix: 1 BT.709, 5 and 6 BT.601, 9 BT.2020, 2 unspecified.
        primaries, transfer: copied from input to output unread.
        full_range: True for 0-255 ("JPEG"), False for 16-235 ("MPEG").
    """

    matrix: int = 2
    primaries: int = 2
    transfer: int = 2
    full_range: bool = False

    def matrix_at(self, height: int) -> int:
        """Return the conversion matrix for an image stored in `height` lines: 1, 4, 5, 7 or 9."""
        same = {6: 5, 10: 9}.get(self.matrix, self.matrix)
        return same if same in (1, 4, 5, 7, 9) else (5 if height < 720 else 1)


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """Properties of a source's frames that are known before the first one is read.

    Attributes:
        width, height: size of the frames as given (upright, after any rotation), in pixels.
        frame_rate: nominal frames per second; None if there is none (a single photo).
        time_base: the unit in which the source counts time, in seconds: every pts is a whole
            multiple of it. None if the time comes from a clock.
        frame_count: number of frames, None where unknown (live, or not stored in the file).
        duration_s: length in seconds, None where unknown.
        colour: how the frames were stored, so that a sink can store them the same way.
        sample_aspect_ratio: width of a pixel over its height, upright; 1 where unknown.
        field_order: "top" or "bottom" for frames that are interlaced as given.
        live: frames arrive in real time and the newest matters most.
        stills: the frames are unrelated photos, possibly of different sizes.
        has_alpha: frames may carry an alpha of their own.
    """

    width: int
    height: int
    frame_rate: Fraction | None = None
    time_base: Fraction | None = None
    frame_count: int | None = None
    duration_s: float | None = None
    colour: Colour = field(default_factory=Colour)
    sample_aspect_ratio: Fraction = Fraction(1)
    field_order: FieldOrder = "progressive"
    live: bool = False
    stills: bool = False
    has_alpha: bool = False
