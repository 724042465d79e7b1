"""Live sources and sinks, and every backend, keep to the contract of their interface.

File sources and sinks are run through it in test_sources_files.py and test_sinks_files.py.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from contracts import (
    OpenSink,
    OpenSource,
    check_backend,
    check_sink_aborts,
    check_sink_aborts_on_error,
    check_sink_completes,
    check_source_closes,
    check_source_closes_from_another_thread,
    check_source_gives_frames_in_order,
    precisions_here,
)

from vidbg.errors import BackendError
from vidbg.frame import Frame, StreamInfo
from vidbg.matting.backends import CPU_DEVICES, load_backend
from vidbg.matting.backends.constant import ConstantBackend
from vidbg.sinks import OUTPUTS, open_output
from vidbg.sinks.fan_out import FanOutSink
from vidbg.sinks.memory_sink import MemorySink
from vidbg.sinks.stream.raw_pipe import RawPipeSink
from vidbg.sources.synthetic import SyntheticSource

INFO = StreamInfo(48, 32, frame_rate=Fraction(30), time_base=Fraction(1, 30))
FRAMES = [Frame(np.full((32, 48, 3), 40 * i, np.uint8), i / 30, i) for i in range(4)]

SOURCES: dict[str, OpenSource] = {
    "synthetic": lambda: SyntheticSource(48, 32, Fraction(30000, 1001), 60),
    "synthetic live": lambda: SyntheticSource(48, 32, Fraction(1000), None, live=True),
}
SINKS: dict[str, OpenSink] = {
    "-": lambda: RawPipeSink(INFO, io.BytesIO()),
    "none": lambda: open_output("none", INFO),
    "web": lambda: open_output("web:0", INFO),
    "udp": lambda: open_output("udp://127.0.0.1:9", INFO),
    "memory": MemorySink,
    "fan-out": lambda: FanOutSink([MemorySink(), RawPipeSink(INFO, io.BytesIO())]),
}
"""Outputs of `vidbg run` by their name in OUTPUTS, and the other sinks."""

NEED_A_SERVER = {"pipewire", "rtmp", "rtmps", "srt"}
"""Outputs that open only where something receives them: see test_outputs_programs.py."""

SAME_SINK = {"http": "web"}
"""Outputs that another output's sink serves."""


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize(
    "check",
    [
        check_source_gives_frames_in_order,
        check_source_closes,
        check_source_closes_from_another_thread,
    ],
)
def test_source(name: str, check: Callable[[OpenSource], None]) -> None:
    check(SOURCES[name])


def test_every_output_keeps_to_the_contract() -> None:
    missing = set(OUTPUTS) - set(SINKS) - NEED_A_SERVER - set(SAME_SINK)
    assert not missing, f"add {', '.join(sorted(missing))} to SINKS in {Path(__file__).name}"


@pytest.mark.parametrize("name", SINKS)
@pytest.mark.parametrize(
    "check", [check_sink_completes, check_sink_aborts, check_sink_aborts_on_error]
)
def test_sink(name: str, check: Callable[[OpenSink, list[Frame]], None]) -> None:
    check(SINKS[name], FRAMES)


@pytest.mark.parametrize("device", CPU_DEVICES)
def test_backend(device: str) -> None:
    for precision in precisions_here(device):
        backend = load_backend(device, precision, "light")
        batch = check_backend(backend)
        with pytest.raises(BackendError, match="closed"):
            backend(batch)


def test_constant_backend() -> None:
    check_backend(ConstantBackend(0.5))
