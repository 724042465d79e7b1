"""Status and report of a live run."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum

from vidbg.frame import StreamInfo

TOO_LATE = (
    "no new picture came in time; this computer is probably too busy: close other programs, or "
    "choose a smaller size or frame rate of the camera"
)
"""Reason given when viewers see the background although nothing has failed."""

LOADING = "the network is being loaded; the first time, it is also compiled for this computer"
"""Reason given at the start, until the network has run."""

EASED = (
    "This computer is busy, so the edge of your picture is less exact: close other programs, or "
    "choose a smaller size or frame rate of the camera"
)
"""Message to the user while the governor has lowered the level."""

LIMITED = (
    "To stay below the processor limit, the edge of your picture is less exact: raise the limit, "
    "or choose a smaller size or frame rate of the camera"
)
"""Message to the user while the governor has lowered the level for `--cpu-limit`."""


def words_over_limit(used: float, limit: float, info: StreamInfo) -> str:
    """Say that a run exceeds its processor limit with the least work for the network.

    Args:
        used, limit: shares of the computer's CPU time, 0 to 1.
        info: of the outputs.
    """
    percent = math.ceil(100 * used)
    return (
        f"This run takes {percent} % of this computer's processor time, above its limit of "
        f"{100 * limit:g} %, with the least work for the network: reading, compositing and writing "
        f"{info.width}x{info.height} at {float(info.frame_rate or 30):g} frames a second takes "
        "most of that. Choose a smaller size or frame rate of the camera (--size, --fps), or a "
        f"--cpu-limit of {percent} or more"
    )


class State(Enum):
    """What viewers currently see."""

    STARTING = "starting"
    LIVE = "live"
    DEGRADED = "degraded"
    PAUSED = "paused"
    AWAY = "away"

    @property
    def words(self) -> str:
        """Text for people. Programs use the value."""
        return "viewers do not see you" if self is State.DEGRADED else self.value


@dataclass(frozen=True, slots=True)
class LiveReport:
    """Statistics of a finished live run.

    Attributes:
        frames: composited frames written, each counted once.
        repeated: times that the last of them was written again.
        fallback_frames: times that the background or slate was written.
        dropped: camera frames superseded by newer ones.
        faults: faults that began, of camera, network, background and output.
        seconds: from the first to the last composited frame.
        latencies_s: of the last frames, from arrival to write, in seconds.
    """

    frames: int
    repeated: int
    fallback_frames: int
    dropped: int
    faults: int
    seconds: float
    latencies_s: list[float] = field(repr=False)


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """The camera of a run.

    Attributes:
        name: without secrets, for people.
        mode: size, rate and format that it gives; None while it is closed, or does not tell.
        fault: what is wrong with it; None if nothing is.
    """

    name: str
    mode: str | None
    fault: str | None


class OutputState(Enum):
    """What an output is doing."""

    OPENING = "opening"
    ON = "on"
    FAILING = "failing"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class OutputStatus:
    """One output of a run.

    Attributes:
        output: what was asked for, which may hold secrets; None for the first free virtual camera.
        name: without secrets, for people.
        url: of the page that it serves, with the token that opens it: a secret; else None.
        fault: what is wrong with it; None if nothing is.
        watched: whether it has viewers; None if unknown.
    """

    output: str | None
    name: str
    url: str | None
    state: OutputState
    fault: str | None
    watched: bool | None


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """Current status of a run.

    Attributes:
        state: what viewers see.
        reason: why the run is not live; None if it is.
        fps: composited frames a second, over the last second or so.
        cpu_percent: of one core, over the same time.
        latency_ms: of the last frame; None before the first.
        watched: whether the output has viewers; None if unknown.
        reduced: a sentence if the network's input size or rate is reduced; else None.
    """

    state: State
    reason: str | None
    fps: float
    cpu_percent: float
    latency_ms: float | None
    watched: bool | None
    reduced: str | None = None


@dataclass(frozen=True, slots=True)
class BackendStatus:
    """What runs the network of a run.

    Attributes:
        name: device and library, such as "OpenVINO CPU"; "" before it is loaded.
        precision: of the computation.
        network: the network and the size of its input at the moment, in words.
        refused: why each device before it was not taken, by device.
    """

    name: str
    precision: str
    network: str
    refused: dict[str, str]
