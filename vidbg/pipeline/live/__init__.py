"""A camera on another background, live: to a virtual camera, a window, a pipe, the network."""

from vidbg.pipeline.live.look import Look
from vidbg.pipeline.live.networks import DeviceNetworks
from vidbg.pipeline.live.outputs import check_live, check_output, reopens
from vidbg.pipeline.live.status import LiveReport, LiveStatus, State
from vidbg.pipeline.live.supervisor import Preview, Supervisor

__all__ = [
    "DeviceNetworks",
    "LiveReport",
    "LiveStatus",
    "Look",
    "Preview",
    "State",
    "Supervisor",
    "check_live",
    "check_output",
    "reopens",
]
