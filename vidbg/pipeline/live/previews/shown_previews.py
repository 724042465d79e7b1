"""The previews of a live run, drawn in the supervisor's thread."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from vidbg.frame import Frame
from vidbg.pipeline.live.pipeline import LivePipeline
from vidbg.pipeline.live.previews.views import View, view_image
from vidbg.pipeline.live.status import LiveStatus

logger = logging.getLogger(__name__)


class Preview(Protocol):
    """A window or page that shows what viewers see, drawn in the supervisor's thread.

    It may have an attribute `view`, one of View, to be shown something else.

    Attributes:
        watches: whether it counts as a viewer, which keeps the run going without others.
        smooth: show every frame, not ten a second; may change.
    """

    @property
    def smooth(self) -> bool: ...

    @property
    def watches(self) -> bool: ...

    def show(self, frame: Frame, status: LiveStatus) -> None:
        """Draw, and handle the input since the last call.

        Raises:
            SinkError: the window has been closed.
        """
        ...

    def close(self) -> None: ...


class Previews:
    """Shows a run in its previews; one that fails is closed.

    Args:
        previews: a window, a page and the like.
    """

    def __init__(self, previews: Sequence[Preview], pipeline: LivePipeline) -> None:
        self._previews, self._pipeline = list(previews), pipeline

    @property
    def smooth(self) -> bool:
        """Whether one of them shows every frame, not ten a second."""
        return any(preview.smooth for preview in self._previews)

    @property
    def watch(self) -> bool:
        """Whether one of them counts as a viewer."""
        return any(preview.watches for preview in self._previews)

    def show(self, status: LiveStatus) -> BaseException | None:
        """Show the newest frame in each.

        Returns:
            Why the last of them has ended now; None while there is one, or if there was none.
        """
        shown = self._pipeline.outputs.shown
        if shown is None:
            return None
        for preview in list(self._previews):
            try:
                view: View = getattr(preview, "view", "output")
                frame = shown.frame
                if view != "output":
                    frame = replace(frame, image=view_image(self._pipeline, view))
                preview.show(frame, status)
            except Exception as error:  # the output matters more than the preview
                self._previews.remove(preview)
                _close(preview)
                if not self._previews:
                    return error
                logger.warning("the preview is over: %s", error)
        return None

    def close(self) -> None:
        for preview in self._previews:
            _close(preview)


def _close(preview: Preview) -> None:
    """Close a preview that may be broken."""
    try:
        preview.close()
    except Exception as error:
        logger.debug("the preview does not close", exc_info=error)
