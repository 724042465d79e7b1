"""The end of a frame's way: the outputs, and which composited frames their viewers may see."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from vidbg.compositing.scaling import letterbox
from vidbg.frame import Image, StreamInfo
from vidbg.pipeline.live.appearance import Appearance
from vidbg.pipeline.live.context import RunContext
from vidbg.pipeline.live.live_frames import Composited
from vidbg.pipeline.live.outputs.fallback import fallback_image
from vidbg.pipeline.live.outputs.output_set import OutputSet
from vidbg.pipeline.live.outputs.output_writer import OutputTarget


class OutputGate:
    """Passes composited frames on to the outputs, unless the look has changed or a card is shown.

    Frames are composited in another thread than the one that changes the look, so some arrive late.

    Args:
        targets: the outputs at the start.
        context: of the run, whose look and size are changed here alone.
        frame_limit: end the run after this many composited frames.
    Attributes:
        outputs: receive the frames.
    Raises:
        ConfigError: the background cannot be read.
    """

    def __init__(
        self,
        targets: Sequence[OutputTarget],
        context: RunContext,
        frame_limit: int | None = None,
    ) -> None:
        info, self._context = context.info, context
        self._lock = threading.Lock()
        self._fallback = fallback_image(context.look.compositing, info.width, info.height)
        self._card: Image | None = None
        self.outputs = OutputSet(targets, self._fallback, context, frame_limit)

    @property
    def shows_card(self) -> bool:
        """Whether a card is shown in place of composited frames."""
        return self._card is not None

    def deliver(self, composited: Composited) -> None:
        """Pass a frame on if viewers may see it now."""
        with self._lock:
            look = self._context.look
            is_current = composited.look is look or look.may_follow(composited.look)
            info, frame = self._context.info, composited.arrived.frame
            fits = (frame.width, frame.height) == (info.width, info.height)
            if is_current and fits and self._card is None:
                self.outputs.deliver(composited.arrived)

    def change_look(self, look: Appearance, *, keep_hidden: bool = False) -> None:
        """Change the look. May be called from any thread.

        Args:
            keep_hidden: where the room is hidden, it stays so, with the background of now.
        Raises:
            ConfigError: the background cannot be read; nothing is changed.
        """
        info = self._context.info
        if keep_hidden:
            look = look.with_room_hidden(self._context.look)
        fallback = fallback_image(look.compositing, info.width, info.height)  # may take a while
        with self._lock:
            before = self._context.look
            hidden_since = keep_hidden and look.shows_room and not before.shows_room
            if not hidden_since:
                self._context.look, self._fallback = look, _fitted(fallback, self._context.info)
                if self._card is None:
                    keep = look.may_follow(before)
                    self.outputs.replace_fallback(self._fallback, keep=keep)
        if hidden_since:
            self.change_look(look, keep_hidden=True)

    def prepare_resize(self, info: StreamInfo) -> Callable[[], None]:
        """Make what a change of the outputs' size and rate needs.

        Returns:
            what changes them: frames of the last size are dropped from then on, and viewers see the
            last one that was written, between bars where the shape differs, until the next.
        Raises:
            ConfigError: the size is another one, and the background cannot be read for it.
        """
        with self._lock:
            look, fallback = self._context.look, self._fallback
        if fallback.shape[:2] != (info.height, info.width):
            fallback = fallback_image(look.compositing, info.width, info.height)

        def resize() -> None:
            with self._lock:
                changed = self._context.look is not look
                self._fallback = _fitted(self._fallback, info) if changed else fallback
                self._context.info = info
                if self._card is not None:
                    self._card = _fitted(self._card, info)
                shown = self._fallback if self._card is None else self._card
                self.outputs.resize(shown, info)

        return resize

    def show_card(self, card: Image | None) -> None:
        """Show only this image, whatever is composited; None shows composited frames again.

        May be called from any thread.

        Args:
            card: uint8 (H, W, 3), BGR, of the output's size.
        """
        with self._lock:
            card = self._card = None if card is None else _fitted(card, self._context.info)
            self.outputs.replace_fallback(self._fallback if card is None else card, keep=False)


def _fitted(image: Image, info: StreamInfo) -> Image:
    """Return an image at the outputs' size, between black bars where the shape differs."""
    if image.shape[:2] == (info.height, info.width):
        return image
    return letterbox(image, info.height, info.width)
