"""Size, format and content of the pictures, as several readers get them."""

from __future__ import annotations

import os
import time
from collections import Counter

import cv2
import numpy as np

from vidbg.frame import Image
from vm.guest.check import check, rate, require_no_room
from vm.guest.devices import LOOPBACK, roles
from vm.guest.pictures import REFERENCE, SIZE, load, sides
from vm.guest.programs import Vidbg, Watcher, require, run_program, summary

STREAM = ("v4l2-ctl", "-d", LOOPBACK, "--stream-mmap=2")


@check()
def capture_device_only_while_written() -> str:
    """exclusive_caps=1: browsers list a device that captures and does nothing else."""
    before = roles()
    with Vidbg() as vidbg:
        vidbg.wait_until_written()
        vidbg.end()
    after = roles()
    require(before == after == ["output"], f"{before} before, {after} after")
    return "output, capture, output"


@check()
def writer_first() -> str:
    """Read from a run that has already started."""
    with Vidbg() as vidbg:
        vidbg.wait_until_written()
        time.sleep(1)
        with Watcher() as reader:
            reader.wait_for(lambda one: one.composite, count=20)
            frames = reader.pictures()
    require_no_room(frames)
    require({one.size for one in frames} == {SIZE}, summary(frames))
    return f"{rate(frames):.1f} FPS; {summary(frames)}"


@check()
def reader_first() -> str:
    """Read again and again, next to a program that merely has the device open."""
    idle = os.open(LOOPBACK, os.O_RDWR)
    try:
        with Watcher() as reader:
            reader.wait_for(lambda one: one.size is None)
            with Vidbg():
                reader.wait_for(lambda one: one.composite, count=20)
                frames = reader.pictures()
    finally:
        os.close(idle)
    require_no_room(frames)
    return summary(frames)


@check()
def read_by_v4l2ctl() -> str:
    """Return the format and the bytes of the images."""
    with Vidbg() as vidbg:
        vidbg.wait_until_written()
        form = run_program("format", "v4l2-ctl", "-d", LOOPBACK, "--get-fmt-video")
        require(f"{SIZE[0]}/{SIZE[1]}" in form and "'YU12'" in form, form)
        run_program(
            "v4l2-ctl",
            *STREAM,
            *("--stream-count=50", "--stream-to=/run/scratch/raw"),
        )
    width, height = SIZE
    planes = np.fromfile("/run/scratch/raw", np.uint8).reshape(-1, height * 3 // 2, width)
    converted = (cv2.cvtColor(one, cv2.COLOR_YUV2BGR_I420) for one in planes)
    pictures = [np.asarray(one, np.uint8) for one in converted]
    return _require_composites(pictures)


@check()
def read_by_ffmpeg() -> str:
    with Vidbg() as vidbg:
        vidbg.wait_until_written()
        run_program(
            "ffmpeg",
            *("ffmpeg", "-loglevel", "warning", "-f", "v4l2", "-i", LOOPBACK),
            *("-frames:v", "50", "-fps_mode", "passthrough"),
            *("-f", "rawvideo", "-pix_fmt", "bgr24", "-y", "/run/scratch/raw"),
        )
    width, height = SIZE
    pictures = np.fromfile("/run/scratch/raw", np.uint8).reshape(-1, height, width, 3)
    return _require_composites(list(pictures))


def _require_composites(pictures: list[Image]) -> str:
    """There are composites; what came too late on this slow machine is the background."""
    reference = load(REFERENCE)
    counted = Counter("|".join(sides(picture, reference)) for picture in pictures)
    good, late = counted["camera|background"], counted["background|background"]
    require(good + late == len(pictures) and good >= 10, dict(counted))
    height, width = pictures[0].shape[:2]
    return f"{good} composites and {late} backgrounds of {width}x{height}"


@check("0.12.7")
def two_readers_share() -> str:
    with Vidbg() as vidbg, Watcher() as one, Watcher() as other:
        vidbg.wait_until_written()
        for reader in (one, other):
            reader.wait_for(lambda observed: observed.composite, count=15, limit_s=60)
        rates = [rate(reader.pictures()) for reader in (one, other)]
    return " and ".join(f"{rate:.1f} FPS" for rate in rates)


@check("0.15.0")
def second_reader_is_refused() -> str:
    with Vidbg() as vidbg, Watcher() as one:
        vidbg.wait_until_written()
        one.wait_for(lambda observed: observed.composite)
        output = run_program("v4l2-ctl", *STREAM, "--stream-count=5")  # exits 0 even so
        require("Device or resource busy" in output, f"v4l2-ctl says {output!r}")
        one.wait_for(lambda observed: observed.composite, count=10, since=time.monotonic())
    return "busy for the second, the first reads on"
