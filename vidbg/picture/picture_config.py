"""Settings of the camera's picture."""

from __future__ import annotations

from dataclasses import dataclass

from vidbg.option_table import (
    AUTO_FRAME,
    BRIGHTNESS,
    CONTRAST,
    LOW_LIGHT,
    PAN_X,
    PAN_Y,
    ROTATE,
    SATURATION,
    WARMTH,
    ZOOM,
    check_config,
)
from vidbg.util.choices import Rotation


@dataclass(frozen=True, slots=True)
class PictureConfig:
    """How the camera's picture looks. The background stays as it is.

    Attributes:
        brightness: -1 to 1; bends the tones, so that black and white stay as they are.
        contrast: -1 to 1.
        saturation: -1 (grey) to 1 (twice as colourful).
        warmth: -1 (blue) to 1 (orange).
        low_light: brighten dark pictures, by a gain that follows the light smoothly.
        rotate: "0", "90", "180" or "270" degrees clockwise.
        zoom: 1 (all of the frame) to 4.
        pan_x, pan_y: which part a zoom shows: -1 is the left or the top, 1 the right or the bottom.
        auto_frame: follow head and shoulders, in place of `zoom` and `pan_x`, `pan_y`.

    Raises:
        ConfigError: a number is out of range, or `rotate` is not one of the choices.
    """

    brightness: float = BRIGHTNESS.default
    contrast: float = CONTRAST.default
    saturation: float = SATURATION.default
    warmth: float = WARMTH.default
    low_light: bool = LOW_LIGHT.default
    rotate: Rotation = ROTATE.default
    zoom: float = ZOOM.default
    pan_x: float = PAN_X.default
    pan_y: float = PAN_Y.default
    auto_frame: bool = AUTO_FRAME.default

    def __post_init__(self) -> None:
        check_config(self, "picture")

    @property
    def changes_colours(self) -> bool:
        """Whether any colour differs from the camera's."""
        tones = self.brightness or self.contrast or self.warmth or self.saturation
        return bool(tones) or self.low_light

    @property
    def plain(self) -> bool:
        """Whether a device that composites full frames does all that is asked."""
        return not self.changes_colours and not self.auto_frame
