"""The guest's video devices: loading their modules, what they are, unplugging the camera."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from vidbg.platform.video_nodes import VideoNode, capability
from vidbg.sinks.camera.loopback import MODPROBE

LOOPBACK = "/dev/video10"
MODULES = Path("/run/modules")
VIVID_OPTIONS = ("n_devs=1", "node_types=0x1", "num_inputs=1", "input_types=0x0", "vid_cap_nr=0")
_VIVID = Path("/sys/bus/platform/drivers/vivid")
_NODES = Path("/sys/class/video4linux")


def load_modules() -> None:
    """vivid, as a webcam, and what v4l2loopback needs."""
    for name in (MODULES / "cameras").read_text().split():
        _insert(name, *(VIVID_OPTIONS if name == "vivid.ko" else ()))
    _still_picture()


def load_loopback() -> None:
    """Load an unused virtual camera with the options that vidbg recommends.

    Should the last check have left it in a bad state, this one is not to suffer from it.
    """
    if Path(LOOPBACK).exists():
        subprocess.run(["busybox", "rmmod", "v4l2loopback"], check=True)
    words = shlex.split(MODPROBE)
    _insert("v4l2loopback.ko", *words[words.index("v4l2loopback") + 1 :])
    if not until(Path(LOOPBACK).exists):
        raise RuntimeError(f"{LOOPBACK} did not appear")


def _insert(module: str, *options: str) -> None:
    subprocess.run(["busybox", "insmod", str(MODULES / module), *options], check=True)


def roles() -> list[str]:
    """Return what the virtual camera says it is: capture, output, both or neither."""
    with VideoNode(LOOPBACK) as node:
        capabilities = capability(node)
    return [
        role
        for role, is_it in (("capture", capabilities.captures), ("output", capabilities.outputs))
        if is_it
    ]


def camera() -> str | None:
    """Where vivid is: under another number if its old one was still open when it came back."""
    for node in _NODES.glob("video*"):
        if (node / "name").read_text().startswith("vivid"):
            return f"/dev/{node.name}"
    return None


def unplug_camera() -> None:
    (_VIVID / "unbind").write_text("vivid.0")


def plug_camera() -> None:
    (_VIVID / "bind").write_text("vivid.0")
    _still_picture()


def drop_pictures(percent: int) -> None:
    """Make the camera lose pictures."""
    _set_control(f"percentage_of_dropped_buffers={percent}")


def _still_picture() -> None:
    """Without the clock that vivid writes into its pictures."""
    _set_control("osd_text_mode=2")


def _set_control(control: str) -> None:
    if not until(lambda: (device := camera()) and Path(device).exists()):
        raise RuntimeError("vivid did not appear")
    command = ["v4l2-ctl", "-d", str(camera()), "-c", control]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def until(true: Callable[[], object], limit_s: float = 30.0) -> bool:
    """Wait until something is true; False if it is not so in time."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return bool(true())
