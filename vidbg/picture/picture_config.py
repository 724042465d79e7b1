"""Settings of the camera's picture."""

from __future__ import annotations

from dataclasses import dataclass

from vidbg.option_table import (
    BRIGHTNESS,
    CONTRAST,
    LOW_LIGHT,
    SATURATION,
    WARMTH,
    check_config,
)


@dataclass(frozen=True, slots=True)
class PictureConfig:
    """How the camera's picture looks. The background keeps its own colours.

    Attributes:
        brightness: -1 to 1; bends the tones, so that black and white stay as they are.
        contrast: -1 to 1.
        saturation: -1 (grey) to 1 (twice as colourful).
        warmth: -1 (blue) to 1 (orange).
        low_light: brighten dark pictures, by a gain that follows the light smoothly.

    Raises:
        ConfigError: a number is out of range.
    """

    brightness: float = BRIGHTNESS.default
    contrast: float = CONTRAST.default
    saturation: float = SATURATION.default
    warmth: float = WARMTH.default
    low_light: bool = LOW_LIGHT.default

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
        return not self.changes_colours
