"""The preview window and its keyboard controls."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from vidbg.compositing import BackgroundSpec
from vidbg.compositing.backgrounds import BlurSpec, PassthroughSpec
from vidbg.errors import VidbgError
from vidbg.frame import Frame, StreamInfo
from vidbg.pipeline.live.appearance import Appearance
from vidbg.pipeline.live.status import LiveStatus
from vidbg.sinks.preview.overlay import PreviewStatus
from vidbg.sinks.preview.preview_keys import Action
from vidbg.sinks.preview.window import WindowSink

logger = logging.getLogger(__name__)


class Run(Protocol):
    """The run that the keys control: a Supervisor."""

    @property
    def look(self) -> Appearance: ...

    def change(self, look: Appearance) -> None: ...

    def stop(self) -> None: ...


class LivePreview:
    """Preview that draws what viewers see and handles the keys.

    Args:
        window: the window to draw in.
        backgrounds: at least one for the keys to choose from, the current one first; never
            passthrough, which has its own key.
    """

    smooth = True
    watches = True

    def __init__(self, window: WindowSink, backgrounds: Sequence[BackgroundSpec]) -> None:
        self._window, self._backgrounds = window, list(backgrounds)
        self._chosen = 0
        self._note: str | None = None
        self.run: Run | None = None
        """The run that the keys control, once it is set."""

    def show(self, frame: Frame, status: LiveStatus) -> None:
        if self.run is None:
            return
        self._window.passthrough = self.run.look.shows_room
        note = status.reason or self._note or status.reduced
        self._window.status = PreviewStatus(status.state.words, status.fps, status.latency_ms, note)
        if not self._window.closed:
            self._window.adapt(StreamInfo(frame.width, frame.height))
            self._window.write(frame)
        for action in self._window.take_keys():
            match action:
                case Action.QUIT:
                    self.run.stop()
                case Action.PASSTHROUGH:
                    self._take(self.run, PassthroughSpec())
                case Action.BACKGROUND:
                    # The room has to be hidden even if this background's file has gone
                    if not self._take(self.run, self._backgrounds[self._chosen]):
                        note = self._note
                        self._take(self.run, BlurSpec())
                        self._note = note
                case Action.NEXT_BACKGROUND | Action.PREVIOUS_BACKGROUND:
                    step = 1 if action is Action.NEXT_BACKGROUND else -1
                    for _ in self._backgrounds:  # the next one that can be read
                        self._chosen = (self._chosen + step) % len(self._backgrounds)
                        if self._take(self.run, self._backgrounds[self._chosen]):
                            break

    def close(self) -> None:
        self._window.close()

    def _take(self, run: Run, background: BackgroundSpec) -> bool:
        """Change to a background; note why where it cannot be read, and return whether it can."""
        look = run.look
        try:
            run.change(replace(look, compositing=replace(look.compositing, background=background)))
        except VidbgError as error:
            logger.warning("%s", error)
            self._note = str(error)
            return False
        self._note = None
        return True
