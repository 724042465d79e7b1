"""The guest's video devices: loading their modules, what they are, unplugging the camera."""

from __future__ import annotations

import os
import shlex
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from vidbg.sinks.loopback import MODPROBE

CAMERA, LOOPBACK = "/dev/video0", "/dev/video10"
MODULES = Path("/run/modules")
VIVID_OPTIONS = ("n_devs=1", "node_types=0x1", "num_inputs=1", "input_types=0x0", "vid_cap_nr=0")
_VIVID = Path("/sys/bus/platform/drivers/vivid")
_QUERYCAP = 0x80685600
_ROLES = {1: "capture", 2: "output"}


def load_modules() -> None:
    """vivid as a webcam, v4l2loopback with the options that vidbg tells its users to give."""
    for name in (MODULES / "cameras").read_text().split():
        if name != "vivid.ko":
            insert(name)
    insert("vivid.ko", *VIVID_OPTIONS)
    insert("v4l2loopback.ko", *loopback_options())
    if not until(Path(LOOPBACK).exists):
        raise RuntimeError(f"{LOOPBACK} did not appear")
    still_picture()


def loopback_options() -> list[str]:
    words = shlex.split(MODPROBE)
    return words[words.index("v4l2loopback") + 1 :]


def insert(module: str, *options: str) -> None:
    command = ["busybox", "insmod", str(MODULES / module), *options]
    subprocess.run(command, check=True)


def roles(device: str = LOOPBACK) -> set[str]:
    """What a device says that it is: capture, output, both or neither."""
    import fcntl  # not on Windows, where the checks are counted, but not run

    node = os.open(device, os.O_RDWR | os.O_NONBLOCK)
    try:
        answer = fcntl.ioctl(node, _QUERYCAP, bytes(104))
    finally:
        os.close(node)
    (capabilities,) = struct.unpack_from("=I", answer, 88)
    return {name for bit, name in _ROLES.items() if capabilities & bit}


def unplug_camera() -> None:
    (_VIVID / "unbind").write_text("vivid.0")


def plug_camera() -> None:
    (_VIVID / "bind").write_text("vivid.0")
    still_picture()


def still_picture() -> None:
    """Without the clock that vivid writes into its pictures."""
    if not until(Path(CAMERA).exists):
        raise RuntimeError(f"{CAMERA} did not appear")
    set_controls("osd_text_mode=2")


def drop_pictures(percent: int) -> None:
    """Make the camera lose pictures."""
    set_controls(f"percentage_of_dropped_buffers={percent}")


def set_controls(controls: str) -> None:
    command = ["v4l2-ctl", "-d", CAMERA, "-c", controls]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def holders(device: str) -> set[int]:
    """The processes that have a device open."""
    found = set()
    for handle in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(handle.readlink()).removesuffix(" (deleted)") == device:
                found.add(int(handle.parts[2]))
        except OSError:  # closed meanwhile
            continue
    return found


def until(true: Callable[[], object], limit_s: float = 30.0) -> bool:
    """Wait until something is true; False if it is not so in time."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return bool(true())
