"""A camera on another background, live: to a virtual camera, a window, a pipe, the network."""

from vidbg.pipeline.live.networks import DeviceNetworks
from vidbg.pipeline.live.outputs import NO_OUTPUT, check_live, open_output, reopens
from vidbg.pipeline.live.supervisor import LiveReport, LiveStatus, Preview, State, Supervisor
from vidbg.pipeline.live.worker import Look

__all__ = [
    "NO_OUTPUT",
    "DeviceNetworks",
    "LiveReport",
    "LiveStatus",
    "Look",
    "Preview",
    "State",
    "Supervisor",
    "check_live",
    "open_output",
    "reopens",
]
