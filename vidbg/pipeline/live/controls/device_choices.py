"""The cameras and outputs to choose from on this computer, and what is missing for the others."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from vidbg.option_table import PIXEL_FORMAT
from vidbg.pipeline.live.controls.api_types import (
    CameraChoice,
    CameraModeAnswer,
    OutputArgument,
    OutputChoice,
    SetupStepAnswer,
)
from vidbg.pipeline.live.live_config import LiveConfig
from vidbg.pipeline.setup_steps import setup_steps
from vidbg.sinks import FIRST_FREE, OUTPUTS, VIRTUAL_CAMERA, find_output
from vidbg.sources.camera.camera_source import list_cameras
from vidbg.sources.camera.cameras import SAMPLE, SYNTHETIC, camera_name
from vidbg.sources.camera.v4l2 import CameraInfo

_USUAL_RATE = 30.0  # where a camera does not report one

_STAND_INS = {SAMPLE: "Sample clip", SYNTHETIC: "Drawn person"}


def camera_choices(current: str) -> list[CameraChoice]:
    """List the cameras of this computer, and what can stand in for one.

    Only Linux lists cameras without opening them; elsewhere the one in use is listed alone.

    Args:
        current: the setting "camera".
    """
    cameras = list_cameras() if sys.platform == "linux" else []
    listed = [
        CameraChoice(camera.device, camera.name, list(_modes(camera)), camera.problem)
        for camera in cameras
        if not camera.virtual
    ]
    listed += [CameraChoice(value, label, [], None) for value, label in _STAND_INS.items()]
    if current not in {each.value for each in listed}:
        listed.insert(0, CameraChoice(current, camera_name(current), [], None))
    return listed


def _modes(camera: CameraInfo) -> Iterator[CameraModeAnswer]:
    """Yield the modes that the settings can ask for, the largest first."""
    for offered in camera.formats:
        if offered.pixel_format in PIXEL_FORMAT.choices:
            for size in offered.sizes:
                rate = round(float(size.frame_rate or _USUAL_RATE), 3)
                yield CameraModeAnswer(f"{size.width}x{size.height}", rate, offered.pixel_format)


def output_choices() -> list[OutputChoice]:
    """List the kinds of output, with the reason where one cannot be used here."""
    camera = VIRTUAL_CAMERA
    problem = None
    if sys.platform == "linux":  # elsewhere, only opening one would tell
        from vidbg.sinks.camera.virtual_camera import virtual_camera_report

        problem = virtual_camera_report().next_step
    listed = [OutputChoice(FIRST_FREE, camera.label, camera.purpose, None, problem)]
    for kind in OUTPUTS.values():
        if kind.label:
            argument = None if kind.argument is None else OutputArgument(*kind.argument)
            listed.append(
                OutputChoice(kind.prefix, kind.label, kind.purpose, argument, kind.problem())
            )
    return listed


def setup_of(config: LiveConfig) -> list[SetupStepAnswer]:
    """Say what this computer lacks that the run does not have open itself.

    What it has open would look as if another program had taken it; whatever is wrong with that is
    in the run's state.
    """
    steps = setup_steps(
        camera=sys.platform == "linux" or config.camera in _STAND_INS,
        virtual_camera=all(find_output(name) is not VIRTUAL_CAMERA for name in config.outputs),
    )
    return [SetupStepAnswer(step.about, step.words, list(step.commands)) for step in steps]
