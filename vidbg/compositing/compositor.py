"""The room's one stage: a frame and its matte in, the person elsewhere out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from vidbg.compositing.backgrounds import Background, OpenFrames, open_background
from vidbg.compositing.blend import blend, flatten
from vidbg.compositing.cut_outs import is_cut_out
from vidbg.compositing.edges import adjust_alpha, wrap_light
from vidbg.compositing.foreground import composite_foreground, estimate_foreground
from vidbg.compositing.scaling import Fit
from vidbg.compositing.specs import (
    BackgroundSpec,
    Bgr,
    BlurSpec,
    ColourSpec,
    FileSpec,
    PassthroughSpec,
    TransparentSpec,
    parse_background,
)
from vidbg.frame import Alpha, Frame, Image
from vidbg.option_table import FEATHER, FIT, LIGHT_WRAP, OFFSET, check_config
from vidbg.paths import StrPath


@dataclass(frozen=True, slots=True)
class CompositingConfig:
    """How the person is laid over what.

    Attributes:
        background: see `parse_background`.
        fit: "cover" fills the frame with the background and crops what is left over; "contain"
            (or its older name, "fit") shows all of it between bars.
        bars: BGR of the bars beside a fitted background and behind a transparent picture.
        offset_px: moves the matte's edge, in pixels of the frame; above 0 the person grows.
        feather_px: softens the matte's edge: a Gaussian's sigma, in pixels of the frame.
        light_wrap: 0 to 1, how much of the background's light falls on the person's edge (there
            is none without a background).
        keep_alpha: opaque frames carry the alpha they were made with, for a sink that writes it.

    Raises:
        ConfigError: a number is out of range, or `fit` is no choice.
    """

    background: BackgroundSpec
    fit: Fit = FIT.default
    bars: Bgr = (0, 0, 0)
    offset_px: float = OFFSET.default
    feather_px: float = FEATHER.default
    light_wrap: float = LIGHT_WRAP.default
    keep_alpha: bool = False

    @property
    def plain(self) -> bool:
        """The person is laid over a picture or a colour, with nothing done to the edge."""
        edge = self.offset_px or self.feather_px or self.light_wrap
        over = isinstance(self.background, ColourSpec | FileSpec)
        return over and not edge and not self.keep_alpha

    def __post_init__(self) -> None:
        check_config(self, "compositing")


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
    """Replaces the background of frames, as one config says.

    Raises:
        ConfigError: the background cannot be read.
    """

    def __init__(self, config: CompositingConfig, open_frames: OpenFrames) -> None:
        self._config = config
        self._background: Background | None = None
        if not isinstance(config.background, PassthroughSpec | TransparentSpec):
            self._background = open_background(
                config.background, fit=config.fit, bars=config.bars, open_frames=open_frames
            )

    def __call__(self, frame: Frame, alpha: Alpha) -> Frame:
        """Replace one frame's background.

        Args:
            frame: what the camera saw.
            alpha: float32 (H, W) in [0, 1], computed from that very frame.
        Returns:
            A frame of the same size, pts and index: opaque over the background; for `transparent`
            the foreground with its alpha; for `none` the frame itself. Where the frame has an
            alpha of its own and is a person cut out already, that is kept and the one given is
            not used; else the lesser of both holds. With `keep_alpha` opaque
            frames carry theirs, too: alpha is then to be written apart, not blended again.
        Raises:
            ValueError: frame and alpha differ in size.
            SourceError: a moving background cannot be read on.
        """
        passthrough = isinstance(self._config.background, PassthroughSpec)
        if passthrough and not self._config.keep_alpha:
            return self._shown(frame)
        own, pure = frame.alpha, False
        if own is not None:
            pure = is_cut_out(own, alpha)
            alpha = own if pure else np.minimum(own, alpha)
        moved = adjust_alpha(alpha, self._config.offset_px, 0)
        soft = adjust_alpha(moved, 0, self._config.feather_px)
        pure = pure and soft is alpha  # a moved edge uncovers colours that were not to be seen
        if passthrough:
            return replace(self._shown(frame), alpha=soft)
        if self._background is None:
            image = estimate_foreground(frame.image, moved)
            if pure:  # but for what is clear: nobody is to find the room there
                cv2.copyTo(frame.image, (alpha > 0).view(np.uint8), image)
            return replace(frame, image=image, alpha=soft)
        touched = alpha if soft is alpha else np.maximum(alpha, soft)
        behind = self._background.at(self._shown(frame), touched)
        image = self._lay_over(behind, frame.image, moved, soft, pure)
        return replace(frame, image=image, alpha=soft if self._config.keep_alpha else None)

    def _shown(self, frame: Frame) -> Frame:
        """The frame as a viewer shows it: of what is clear nobody is to see the colours."""
        if frame.alpha is None:
            return frame
        return replace(
            frame, image=flatten(frame.image, frame.alpha, self._config.bars), alpha=None
        )

    @property
    def plain(self) -> bool:
        """Whether `behind` says all that there is to do."""
        return self._config.plain

    def behind(self, frame: Frame) -> Image:
        """The picture behind a frame, where the config is plain; not to be written to.

        Raises:
            ValueError: it is not plain.
            SourceError: a moving background cannot be read on.
        """
        if self._background is None or not self.plain:
            raise ValueError("what is behind the person depends on the person")
        return self._background.at(frame, np.zeros(frame.image.shape[:2], np.float32))

    def _lay_over(
        self, behind: Image, image: Image, moved: Alpha, soft: Alpha, pure: bool
    ) -> Image:
        """Over their own blurred room a person's observed colours look best: there the estimate
        would draw a shade of hair or skin wherever the matte is too wide. A cut-out's colours are
        the person's own (`pure`)."""
        wrap = self._config.light_wrap
        if pure or isinstance(self._config.background, BlurSpec):
            foreground = image
        elif soft is moved and not wrap:
            return composite_foreground(image, moved, behind)
        else:
            foreground = estimate_foreground(image, moved)
        return blend(wrap_light(foreground, soft, behind, wrap), soft, behind)

    def close(self) -> None:
        """Release the background's file; may be called more than once."""
        if self._background is not None:
            self._background.close()
