"""A camera that is unplugged, freezes, or is held by another program."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

from vm.guest.check import check, line_with, require_no_room
from vm.guest.devices import CAMERA, drop_pictures, plug_camera, unplug_camera
from vm.guest.pictures import SIZE
from vm.guest.programs import Program, Vidbg, Watcher, require, summary


@check()
def camera_unplugged_and_back() -> str:
    """While vivid is unbound the reader gets the background, and the picture when it is back."""
    return _fault(unplug_camera, plug_camera)


@check()
def camera_freezes() -> str:
    """vivid drops all its pictures for a while, without an error."""
    return _fault(lambda: drop_pictures(100), lambda: drop_pictures(0))


def _fault(begin: Callable[[], None], end: Callable[[], None]) -> str:
    with Vidbg() as vidbg, Watcher() as reader:
        reader.wait_for(lambda one: one.composite, count=5)
        broken = time.monotonic()
        begin()
        try:
            covered = reader.wait_for(lambda one: one.covered, since=broken).at - broken
            time.sleep(4)
            told = vidbg.log
        finally:
            mended = time.monotonic()
            end()
        require(vidbg.running, f"vidbg ended: {told[-600:]}")
        during = reader.seen(broken + covered)
        recovered = reader.wait_for(lambda one: one.composite, count=5, since=mended).at - mended
        frames = reader.seen(broken)
    require({one.size for one in frames} == {SIZE}, summary(frames))
    while_broken = [one for one in during if one.at < mended]
    require(all(one.covered for one in while_broken), summary(during))
    pause = max(b.at - a.at for a, b in itertools.pairwise(frames))
    require(pause < 2, f"no picture for {pause:.1f} s; {summary(frames)}")
    require_no_room(frames)
    return (
        f"covered after {covered:.2f} s, back after {recovered:.1f} s, longest pause {pause:.2f} s"
    )


@check()
def camera_held_by_another() -> str:
    """A busy camera is told, with who has it, and taken once it is free."""
    command = ("v4l2-ctl", "-d", CAMERA, "--stream-mmap")
    with Program("rival", command) as rival, Vidbg() as vidbg, Watcher() as reader:
        told = line_with(vidbg, CAMERA, "v4l2-ctl", str(rival.process.pid))
        require(vidbg.running, f"vidbg ended: {vidbg.message}")
        rival.end()
        reader.wait_for(lambda one: one.composite, count=5)
        require_no_room(reader.pictures())
    return told
