"""What the API needs of a live run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vidbg.frame import Image
    from vidbg.pipeline.live.history import Sample
    from vidbg.pipeline.live.live_config import LiveConfig
    from vidbg.pipeline.live.outputs.recorder import RecordingStatus
    from vidbg.pipeline.live.previews.views import View
    from vidbg.pipeline.live.status import BackendStatus, CameraStatus, OutputStatus
    from vidbg.util.paths import StrPath


class ControlledRun(Protocol):
    """The part of `LiveRun` that the API reads and changes; see there.

    The controls know a run by this, so that LiveRun can open them without a circle of imports.
    """

    @property
    def config(self) -> LiveConfig: ...

    @property
    def camera(self) -> CameraStatus: ...

    @property
    def outputs(self) -> Sequence[OutputStatus]: ...

    @property
    def backend(self) -> BackendStatus: ...

    @property
    def history(self) -> Sequence[Sample]: ...

    @property
    def recording(self) -> RecordingStatus | None: ...

    @property
    def away(self) -> bool: ...

    def change(self, config: LiveConfig, *, keep_hidden: bool = False) -> None: ...

    def hide_room(self) -> None: ...

    def set_away(self, away: bool) -> None: ...

    def snapshot(self, view: View = "output") -> Image: ...

    def start_recording(self, path: StrPath) -> None: ...

    def stop_recording(self) -> RecordingStatus | None: ...

    def stop(self) -> None: ...
