"""Live background replacement: a camera to a virtual camera, window, pipe or network stream."""

from vidbg.pipeline.live.appearance import Appearance
from vidbg.pipeline.live.history import Sample
from vidbg.pipeline.live.live_config import LiveConfig
from vidbg.pipeline.live.live_run import LiveRun, run_live
from vidbg.pipeline.live.network.network_loader import DeviceNetworks
from vidbg.pipeline.live.outputs.live_outputs import check_live, check_outputs, reopens
from vidbg.pipeline.live.outputs.recorder import RecordingStatus
from vidbg.pipeline.live.previews.shown_previews import Preview
from vidbg.pipeline.live.previews.views import View
from vidbg.pipeline.live.status import (
    BackendStatus,
    CameraStatus,
    LiveReport,
    LiveStatus,
    OutputState,
    OutputStatus,
    State,
)
from vidbg.pipeline.live.supervisor import Supervisor, SupervisorConfig

__all__ = [
    "Appearance",
    "BackendStatus",
    "CameraStatus",
    "DeviceNetworks",
    "LiveConfig",
    "LiveReport",
    "LiveRun",
    "LiveStatus",
    "OutputState",
    "OutputStatus",
    "Preview",
    "RecordingStatus",
    "Sample",
    "State",
    "Supervisor",
    "SupervisorConfig",
    "View",
    "check_live",
    "check_outputs",
    "reopens",
    "run_live",
]
