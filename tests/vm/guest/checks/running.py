"""Starting, stopping, sizes, permissions, on demand."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from vm.guest.check import check, line_with, require_no_room
from vm.guest.devices import LOOPBACK, camera, until
from vm.guest.pictures import SIZE
from vm.guest.programs import NOBODY, VIDEO_GROUP, Vidbg, Watcher, require, summary


@check()
def sigterm_ends_cleanly() -> str:
    """Exit status 143, and the device serves a second run."""
    statuses = []
    for _ in range(2):
        with Vidbg() as vidbg, Watcher() as reader:
            reader.wait_for(lambda one: one.composite, count=3)
            statuses.append(vidbg.end())
    require(statuses == [143, 143], f"exit statuses {statuses}")
    return f"exit statuses {statuses}, pictures in both runs"


@check()
def sigkill_leaves_the_device_usable() -> str:
    with Vidbg() as vidbg:
        vidbg.wait_until_written()
        vidbg.end(signal.SIGKILL)
    with Vidbg(), Watcher() as reader:
        reader.wait_for(lambda one: one.composite, count=3)
    return "pictures from the next run"


@check()
def writer_restarts_under_a_reader() -> str:
    """After SIGTERM and after SIGKILL the reader that stayed goes on with the next run."""
    waits = []
    with Watcher() as reader:
        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
            with Vidbg() as vidbg:
                since = time.monotonic()
                first = reader.wait_for(lambda one: one.composite, count=5, since=since)
                waits.append(first.at - since)
                vidbg.end(number)
            time.sleep(1)
        frames = reader.pictures()
    require_no_room(frames)
    return "pictures after " + ", ".join(f"{wait:.1f}" for wait in waits) + " s"


@check()
def size_is_locked_by_a_reader() -> str:
    """Adopt the size that a reader holds, and scale to it."""
    with Watcher() as reader:
        with Vidbg() as vidbg:
            reader.wait_for(lambda one: one.composite, count=3)
            vidbg.end()
        since = time.monotonic()
        with Vidbg(size=(640, 360)):
            reader.wait_for(lambda one: one.composite, count=10, since=since)
            frames = reader.pictures(since)
    require_no_room(frames)
    require({one.size for one in frames} == {SIZE}, summary(frames))
    return summary(frames)


@check()
def new_size_without_a_reader() -> str:
    with Vidbg(size=(640, 360)), Watcher() as reader:
        reader.wait_for(lambda one: one.composite and one.size == (640, 360), count=5)
        return summary(reader.pictures())


@check()
def no_permission_for_the_output() -> str:
    return _refused(LOOPBACK, str(camera()))


@check()
def no_permission_for_the_camera() -> str:
    return _refused(str(camera()), LOOPBACK)


def _refused(closed: str, opened: str) -> str:
    """Another user's run says which device it may not open and what to do."""
    Path(closed).chmod(0o600)
    Path(opened).chmod(0o666)
    with Vidbg(user=NOBODY) as vidbg:
        lines = line_with(vidbg, "no permission", closed, "usermod")
        return f"{lines} (exit status {vidbg.process.poll()})"


@check()
def sleeps_and_wakes() -> str:
    """Nobody watches: the camera is closed. Somebody does: it is open, with a picture soon."""
    return _sleep_and_wake(0, (), times=2)


@check()
def serves_a_user_of_the_video_group() -> str:
    """Neither root nor the devices' owner, as people are: the same, for a reader of their own."""
    for device in (str(camera()), LOOPBACK):
        os.chown(device, 0, VIDEO_GROUP)
        Path(device).chmod(0o660)
    return _sleep_and_wake(NOBODY, (VIDEO_GROUP,), times=1)


def _sleep_and_wake(user: int, groups: Sequence[int], times: int) -> str:
    lines = []
    with Vidbg(user=user, groups=groups) as vidbg:
        vidbg.wait_until_written()
        for _ in range(times):
            since = time.monotonic()
            require(until(lambda: not vidbg.holds_camera), "the camera is open without a reader")
            slept = time.monotonic() - since
            with Watcher(user, groups) as reader:
                opened = reader.wait_for(lambda one: one.left == "opened").at
                woken = reader.wait_for(lambda one: one.composite).at - opened
                reader.wait_for(lambda one: one.composite, count=10)
                require_no_room(reader.pictures())
                require(vidbg.holds_camera, "pictures without the camera")
            lines.append(f"asleep after {slept:.1f} s, first composite {woken:.1f} s after opening")
    return "; ".join(lines)


@check()
def without_on_demand_the_camera_stays_open() -> str:
    with Vidbg("--no-ondemand") as vidbg:
        vidbg.wait_until_written()
        require(until(lambda: vidbg.holds_camera), "the camera is not opened")
        require(
            not until(lambda: not vidbg.holds_camera, limit_s=15),
            f"the camera is closed; vidbg says: {vidbg.log[-600:]}",
        )
    return "open for 15 s without a reader"
