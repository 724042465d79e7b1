"""`bokeh`: the room itself, as a wide lens shows it."""

from __future__ import annotations

from dataclasses import dataclass

from vidbg.compositing.backgrounds.base import Background, OpenOptions, PanelSetting
from vidbg.compositing.backgrounds.blur import BLUR_STRENGTH, DEFAULT_BLUR, BlurSpec


@dataclass(frozen=True, slots=True)
class BokehSpec(BlurSpec):
    """The room, blurred until nothing in it can be recognised; its lights become discs.

    Attributes:
        strength: within BLUR_STRENGTH.
    Raises:
        ConfigError: the strength is outside that range.
    """

    name = "bokeh"
    usage = f"bokeh, bokeh:{BLUR_STRENGTH.minimum:g} to bokeh:{BLUR_STRENGTH.maximum:g}"
    examples = ("bokeh",)
    panel_label = "Bokeh"
    panel_setting = PanelSetting("bokeh", "Disc size", DEFAULT_BLUR, BLUR_STRENGTH)

    def open(self, _options: OpenOptions) -> Background:
        from vidbg.compositing.backgrounds.camera_blur import CameraBackground
        from vidbg.compositing.backgrounds.camera_bokeh import bokeh_background

        return CameraBackground(bokeh_background, self.strength)
