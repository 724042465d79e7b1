"""Compositor: replaces the background of one frame."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from vidbg.compositing.backgrounds import (
    Background,
    BackgroundSpec,
    Bgr,
    OpenFrames,
    open_background,
    parse_background,
)
from vidbg.compositing.backgrounds.camera_blur import blur_background
from vidbg.compositing.backgrounds.camera_bokeh import bokeh_background
from vidbg.compositing.backgrounds.drawn import DrawnBackground
from vidbg.compositing.backgrounds.image import ImageBackground
from vidbg.compositing.backgrounds.slide_show import SlideShow
from vidbg.compositing.backgrounds.video import VideoBackground
from vidbg.compositing.blend import blend, flatten
from vidbg.compositing.cut_outs import is_cut_out
from vidbg.compositing.edges import adjust_alpha, wrap_light
from vidbg.compositing.fade import Fade
from vidbg.compositing.foreground import estimate_foreground
from vidbg.compositing.foreground_layer import ForegroundLayer, Placement
from vidbg.compositing.scaling import Fit
from vidbg.compositing.scenes import draw_scene
from vidbg.compositing.still_composite import StillComposite
from vidbg.errors import ConfigError
from vidbg.frame import Alpha, Frame, Image
from vidbg.option_table import (
    FADE,
    FEATHER,
    FIT,
    LIGHT_WRAP,
    OFFSET,
    OVERLAY,
    OVERLAY_MARGIN,
    OVERLAY_POSITION,
    OVERLAY_SIZE,
    check_config,
)
from vidbg.util.choices import Position
from vidbg.util.paths import StrPath
from vidbg.util.photo_file import read_picture

# What the kinds import when they open. Importing it that late, between the frames' large arrays,
# leaves small objects on the heap that make glibc return memory after every frame: 1,870 page
# faults a frame instead of 30, and 7 to 8 ms for a 720p frame instead of 3.
PRELOADED = (
    DrawnBackground,
    ImageBackground,
    SlideShow,
    VideoBackground,
    blur_background,
    bokeh_background,
    draw_scene,
    read_picture,
)


@dataclass(frozen=True, slots=True)
class CompositingConfig:
    """Settings of the background and of the person's edge.

    Attributes:
        background: see `parse_background`, by which text and paths are read.
        fit: "cover" fills the frame with the background and crops the rest; "contain"
            (or its older name, "fit") shows all of it between bars.
        bars: BGR of the bars around a fitted background and behind a transparent image.
        offset_px: moves the matte's edge, in pixels of the frame; above 0 the person grows.
        feather_px: softens the matte's edge: a Gaussian's sigma, in pixels of the frame.
        light_wrap: 0 to 1, how much of the background's light falls on the person's edge; without
            a background there is none.
        fade_s: how long one background takes to replace another, 0 to 10 seconds.
        overlay: picture that is drawn over everything (text is converted to a path); None for none.
        overlay_position: where it lies, such as "bottom-right".
        overlay_size: its width as a share of the frame's, 0.01 to 1.
        overlay_margin: its distance from the frame's edges as a share of the frame's shorter side,
            0 to 0.4.
        keep_alpha: opaque frames carry the alpha they were made with, for a sink that writes it.

    Raises:
        ConfigError: a number is out of range, or `fit` is not one of the choices.
    """

    background: BackgroundSpec
    fit: Fit = FIT.default
    bars: Bgr = (0, 0, 0)
    offset_px: float = OFFSET.default
    feather_px: float = FEATHER.default
    light_wrap: float = LIGHT_WRAP.default
    fade_s: float = FADE.default
    overlay: Path | None = OVERLAY.default
    overlay_position: Position = OVERLAY_POSITION.default
    overlay_size: float = OVERLAY_SIZE.default
    overlay_margin: float = OVERLAY_MARGIN.default
    keep_alpha: bool = False

    @property
    def plain(self) -> bool:
        """Whether the background is independent of the frame and nothing is done but blending."""
        edge = self.offset_px or self.feather_px or self.light_wrap
        more = self.overlay is not None or self.fade_s or self.keep_alpha
        return self.background.standalone and not edge and not more

    @property
    def placement(self) -> Placement:
        """Where the overlay lies."""
        return Placement(self.overlay_position, self.overlay_size, self.overlay_margin)

    def __post_init__(self) -> None:
        if isinstance(self.background, str | os.PathLike):
            object.__setattr__(self, "background", parse_background(self.background))
        if isinstance(self.overlay, str):
            object.__setattr__(self, "overlay", Path(self.overlay).expanduser())
        check_config(self, "compositing")
        if not all(0 <= level <= 255 for level in self.bars):
            raise ConfigError(f"bars are {self.bars}; allowed are three numbers from 0 to 255, BGR")


def as_compositing(background: StrPath | BackgroundSpec | CompositingConfig) -> CompositingConfig:
    """Return the config for a background that is given in words, as a spec or as a config.

    Raises:
        ConfigError: it cannot be read as a background.
    """
    if isinstance(background, CompositingConfig):
        return background
    if isinstance(background, BackgroundSpec):
        return CompositingConfig(background)
    return CompositingConfig(parse_background(background))


class Compositor:
    """Replacement of the background of frames, according to a config.

    Raises:
        ConfigError: the background or the overlay cannot be read.
    """

    def __init__(self, config: CompositingConfig, open_frames: OpenFrames) -> None:
        self._open_frames = open_frames
        self._layer = None if config.overlay is None else ForegroundLayer(config.overlay)
        self._background = self._open_background(config)
        self._config = config
        self._fade: Fade | None = None
        self._still = StillComposite()

    def change(self, config: CompositingConfig) -> None:
        """Use another config from the next frame on.

        A file is read again only if its spec or path is another object than before: so a video goes
        on while the edge changes, and asking for the same file again reads what it holds now.

        Raises:
            ConfigError: the background or the overlay cannot be read; nothing is changed.
        """
        before = self._config
        layer = self._layer
        if config.overlay is not before.overlay:
            layer = None if config.overlay is None else ForegroundLayer(config.overlay)
        same = config.background is before.background
        if not same or (config.fit, config.bars) != (before.fit, before.bars):
            background, old = self._open_background(config), self._background
            self._end_fade()
            self._background = background
            if config.fade_s and old is not None and background is not None:
                self._fade = Fade(old, config.fade_s)
            elif old is not None:
                old.close()
        elif self._background is not None:
            self._background.fade_s = config.fade_s
        self._layer, self._config = layer, config

    def _open_background(self, config: CompositingConfig) -> Background | None:
        """Open a config's background; None if there is no image behind the person."""
        background = open_background(
            config.background, fit=config.fit, bars=config.bars, open_frames=self._open_frames
        )
        if background is not None:
            background.fade_s = config.fade_s
        return background

    def __call__(self, frame: Frame, alpha: Alpha) -> Frame:
        """Replace one frame's background.

        If a frame has its own alpha and is a person already cut out, that alpha is kept and the
        given one is ignored. For other frames with an alpha, the smaller of the two is used. The
        overlay is drawn over the result.

        Args:
            frame: the camera's frame.
            alpha: float32 (H, W) in [0, 1], computed from that frame.
        Returns:
            A frame of the same size, pts and index: opaque over the background; for `transparent`
            the foreground with its alpha; for `none` the frame itself. With `keep_alpha`, opaque
            frames carry their alpha too: it is to be written separately, not blended again.
        Raises:
            ValueError: frame and alpha differ in size.
            SourceError: a video background cannot be read on.
        """
        composited = self._composited(frame, alpha)
        if self._layer is None:
            return composited
        if self._config.background.transparent:
            return self._layer.draw(composited, self._config.placement)
        drawn = self._layer.draw(replace(composited, alpha=None), self._config.placement)
        return replace(drawn, alpha=composited.alpha)  # the matte of the person alone

    def _composited(self, frame: Frame, alpha: Alpha) -> Frame:
        """Return a frame composited as in a call, without the overlay."""
        config = self._config
        if config.background.shows_room and not config.keep_alpha:
            return self._without_clear_colours(frame)
        own, cut_out = frame.alpha, False
        if own is not None:
            cut_out = is_cut_out(own, alpha)
            alpha = own if cut_out else np.minimum(own, alpha)
        moved = adjust_alpha(alpha, config.offset_px, 0)
        soft = adjust_alpha(moved, 0, config.feather_px)
        # A moved edge uncovers colours of a cut-out that were not meant to be seen
        cut_out = cut_out and soft is alpha

        if config.background.shows_room:
            return replace(self._without_clear_colours(frame), alpha=soft)
        if self._background is None:
            image = estimate_foreground(frame.image, moved)
            if cut_out:  # its colours are right, except where it is clear: the room may be there
                cv2.copyTo(frame.image, (alpha > 0).view(np.uint8), image)
            return replace(frame, image=image, alpha=soft)
        person = alpha if soft is alpha else np.maximum(alpha, soft)
        camera_frame = self._without_clear_colours(frame)
        background = self._background.at(camera_frame, person)
        if self._fade is not None:
            background = self._fade.at(camera_frame, person, background)
            if self._fade.over:
                self._end_fade()
        image = self._blend(frame.image, moved, soft, background, cut_out)
        return replace(frame, image=image, alpha=soft if config.keep_alpha else None)

    def _without_clear_colours(self, frame: Frame) -> Frame:
        """Return the frame without its own alpha, and the bars' colour where that was clear.

        The colours of clear pixels are not meant to be seen.
        """
        if frame.alpha is None:
            return frame
        image = flatten(frame.image, frame.alpha, self._config.bars)
        return replace(frame, image=image, alpha=None)

    @property
    def plain(self) -> bool:
        """Whether `background_image` is available."""
        return self._config.plain

    def background_image(self, frame: Frame) -> Image:
        """Return the image behind a frame if the config is plain; it must not be written to.

        Raises:
            ValueError: the config is not plain.
            SourceError: a video background cannot be read on.
        """
        if self._background is None or not self.plain:
            raise ValueError("the image behind the person depends on the person")
        return self._background.at(frame, np.zeros(frame.image.shape[:2], np.float32))

    def _blend(
        self, image: Image, moved: Alpha, soft: Alpha, background: Image, cut_out: bool
    ) -> Image:
        """Lay the person over the background, by an alpha that was moved, then softened."""
        wrap = self._config.light_wrap
        # Over their own room a person's observed colours look best: the estimate would leave a
        # shade of hair or skin wherever the matte is too wide. A cut-out's colours are its own.
        if cut_out or self._config.background.made_of_frame:
            foreground = image
        elif soft is moved and not wrap:
            return self._still(image, moved, background)
        else:
            foreground = estimate_foreground(image, moved)
        return blend(wrap_light(foreground, soft, background, wrap), soft, background)

    def _end_fade(self) -> None:
        if self._fade is not None:
            self._fade.close()
            self._fade = None

    def close(self) -> None:
        """Release the background's file; may be called more than once."""
        self._end_fade()
        if self._background is not None:
            self._background.close()
