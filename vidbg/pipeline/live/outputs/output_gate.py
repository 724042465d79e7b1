"""The last check before the outputs: which composited frames viewers may see."""

from __future__ import annotations

import threading

from vidbg.frame import Image
from vidbg.pipeline.live.appearance import Appearance, Composited
from vidbg.pipeline.live.context import RunContext
from vidbg.pipeline.live.outputs.fallback import fallback_image
from vidbg.pipeline.live.outputs.output_set import OutputSet


class OutputGate:
    """Passes composited frames on to the outputs, unless the look has changed or a card is shown.

    Frames are composited in another thread than the one that changes the look, so some arrive late.

    Args:
        outputs: receive the frames.
        context: of the run, whose look is changed here alone.
        fallback: of the first look.
    """

    def __init__(self, outputs: OutputSet, context: RunContext, fallback: Image) -> None:
        self._outputs, self._context = outputs, context
        self._lock = threading.Lock()
        self._fallback = fallback
        self._card: Image | None = None

    @property
    def shows_card(self) -> bool:
        """Whether a card is shown in place of composited frames."""
        return self._card is not None

    def deliver(self, composited: Composited) -> None:
        """Pass a frame on if viewers may see it now."""
        with self._lock:
            look = self._context.look
            is_current = composited.look is look or look.may_follow(composited.look)
            if is_current and self._card is None:
                self._outputs.deliver(composited.arrived)

    def change_look(self, look: Appearance) -> None:
        """Change the look. May be called from any thread.

        Raises:
            ConfigError: the background cannot be read; nothing is changed.
        """
        info = self._context.info
        fallback = fallback_image(look.compositing, info.width, info.height)  # may take a while
        with self._lock:
            before, self._context.look, self._fallback = self._context.look, look, fallback
            if self._card is None:
                self._outputs.replace_fallback(fallback, keep=look.may_follow(before))

    def show_card(self, card: Image | None) -> None:
        """Show only this image, whatever is composited; None shows composited frames again.

        May be called from any thread.

        Args:
            card: uint8 (H, W, 3), BGR, of the output's size.
        """
        with self._lock:
            self._card = card
            self._outputs.replace_fallback(self._fallback if card is None else card, keep=False)
