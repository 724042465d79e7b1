"""The table of live outputs: what names mean, and the errors for wrong ones."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from vidbg.errors import ConfigError
from vidbg.frame import StreamInfo
from vidbg.sinks import (
    FIRST_FREE,
    OUTPUTS,
    VIRTUAL_CAMERA,
    Late,
    LiveOutput,
    find_output,
    open_output,
)

INFO = StreamInfo(64, 48, frame_rate=Fraction(30), live=True)


@pytest.mark.parametrize(
    ("output", "name"),
    [
        ("-", "-"),
        ("none", "none"),
        ("pipewire", "pipewire"),
        ("pipewire:Desk: left", "pipewire"),
        ("web:8090", "web"),
        ("http://127.0.0.1:8090/", "http"),
        ("udp://127.0.0.1:5000", "udp"),
        ("rtmp://host/app/key", "rtmp"),
        ("rtmps://host/app/key", "rtmps"),
        ("srt://host:9000?mode=caller", "srt"),
    ],
)
def test_every_kind_is_found_by_its_name(output: str, name: str) -> None:
    kind = find_output(output)
    assert kind is OUTPUTS[name]
    check_arguments(kind, output)


def check_arguments(kind: LiveOutput, output: str) -> None:
    """Check that the sink and the look-up for doctor exist, and take what the table gives them."""
    inspect.signature(kind.sink.resolve()).bind(INFO, *kind.parse(output))
    if isinstance(kind.problem, Late):
        inspect.signature(kind.problem.resolve()).bind(*kind.problem.fixed)


@pytest.mark.parametrize("output", [FIRST_FREE, "/dev/video10"])
def test_the_virtual_camera_takes_a_device(output: str) -> None:
    check_arguments(VIRTUAL_CAMERA, output)


def test_a_device_is_a_virtual_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for output in (None, "/dev/video10", "/dev/v4l/by-id/x"):
        assert find_output(output) is VIRTUAL_CAMERA
    for platform in ("win32", "darwin"):
        monkeypatch.setattr(sys, "platform", platform)
        for output in ("OBS Virtual Camera", "Unity Video Capture"):
            assert find_output(output) is VIRTUAL_CAMERA


@pytest.mark.parametrize("platform", ["linux", "win32", "darwin"])
@pytest.mark.parametrize(
    ("output", "hint"),
    [
        ("pipwire", "unknown output 'pipwire'; did you mean 'pipewire'? choose from "),
        ("webb:8090", "unknown output 'webb:8090'; did you mean 'web'? choose from "),
        ("rtmpx://host/a/secret", "unknown kind of output 'rtmpx://'; did you mean 'rtmp'?"),
        ("ftp://host/secret", "unknown kind of output 'ftp://';"),
        ("web", "output 'web' is malformed; write web:PORT"),
        ("udp", "write udp://HOST:PORT"),
        ("http:", "write http://HOST:PORT/"),
        ("rtmp:host/a/b", "write rtmp://HOST/APP/KEY"),
        ("none:x", "write none"),
        ("-:", "write -"),
        ("web:eighty", "the address is malformed: its port must be a number from 0 to 65535"),
        ("web:", "web:PORT"),
        ("pipewire:", "names no camera"),
        ("udp://host", "udp://HOST:PORT"),
        ("out.mp4", "looks like a file.*`vidbg run -o - | ffmpeg -i - out.mp4`.*`vidbg process`"),
        ("videos/out", "looks like a file"),
    ],
)
def test_what_is_no_output_is_refused_with_what_was_meant(
    output: str, hint: str, platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    pattern = re.escape(hint).replace(r"\.\*", ".*")
    with pytest.raises(ConfigError, match=pattern) as refused:
        find_output(output)
    assert "secret" not in str(refused.value)


def test_a_number_means_a_device_on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(ConfigError, match="did you mean '/dev/video10'"):
        find_output("10")


def test_the_table_opens_sinks() -> None:
    for output in ("none", "web:0"):
        open_output(output, INFO).close()
    with pytest.raises(ConfigError, match="unknown output"):
        open_output("nowhere", INFO)


def test_help_names_every_output(
    vidbg: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    shown = vidbg("run", "--help")[1]
    assert {kind.usage for kind in OUTPUTS.values() if f"{kind.usage}: " not in shown} == set()


@pytest.mark.parametrize(
    "options",
    [
        ["-o", "pipwire"],
        ["-o", "-", "--device", "cuda2"],
        ["-o", "-", "--precision", "int9"],
        ["-o", "-", "-b", "missing.jpg"],
        ["-o", "-", "-b", "color:gren"],
        ["-o", "-", "--fit", "covr"],
        ["-o", "-", "--format", "MPJG"],
    ],
)
def test_wrong_values_are_refused_before_the_camera_opens(
    options: list[str], vidbg: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidbg.pipeline.live.capture import camera_opener as opening

    def opened(*_: object) -> None:
        raise AssertionError("the camera was opened")

    monkeypatch.setattr(opening, "CameraOpener", opened)
    code, out, err = vidbg("run", "-c", "synthetic", *options)
    assert (code, out, err.count("\n")) == (2, "", 1), err


def test_doctor_needs_no_package_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.chdir(tmp_path)
    problem = OUTPUTS["web"].problem() or ""
    assert problem.startswith("aiohttp is not installed: `")
    assert "[web]" in problem
