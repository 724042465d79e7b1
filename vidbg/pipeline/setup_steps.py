"""What a person must do before a live run can work: for `vidbg doctor`, `devices` and the page."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from vidbg.sinks.camera.virtual_camera import VirtualCameraReport
    from vidbg.sources.camera.v4l2 import CameraInfo

NO_CAMERA = "no camera was found: plug one in, or open what blocks it (lid, switch, shutter)"


@dataclass(frozen=True, slots=True)
class SetupStep:
    """Something that is missing on this computer.

    Attributes:
        about: what needs it.
        words: what is missing and what to do, in one line; commands stand in backticks.
        commands: these commands, to be copied.
    """

    about: Literal["camera", "virtual camera"]
    words: str
    commands: tuple[str, ...]


def camera_steps(cameras: Iterable[CameraInfo]) -> list[str]:
    """Return what to do about cameras that cannot be opened, or that there is none."""
    cameras = list(cameras)
    if not cameras:
        return [NO_CAMERA]
    return [camera.problem for camera in cameras if camera.problem]


def virtual_camera_steps(report: VirtualCameraReport) -> list[str]:
    """Return what to do to get a virtual camera, or a safer one; empty if nothing."""
    return [*([report.next_step] if report.next_step else []), *report.warnings]


def setup_steps(*, camera: bool = True, virtual_camera: bool = True) -> list[SetupStep]:
    """Examine this computer.

    Args:
        camera, virtual_camera: what to look at. Leave out what the run itself has open: it would
            look as if another program had taken it.
    """
    from vidbg.sinks.camera.virtual_camera import virtual_camera_report
    from vidbg.sources.camera.camera_source import list_cameras

    result: list[SetupStep] = []
    if camera:
        result += [_setup_step("camera", words) for words in camera_steps(list_cameras())]
    if virtual_camera:
        steps = virtual_camera_steps(virtual_camera_report())
        result += [_setup_step("virtual camera", words) for words in steps]
    return result


def _setup_step(about: Literal["camera", "virtual camera"], words: str) -> SetupStep:
    return SetupStep(about, words, tuple(re.findall(r"`([^`]+)`", words)))
