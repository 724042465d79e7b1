"""`vidbg doctor` with every part of the computer faked."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from vidbg.cli import doctor as command
from vidbg.cli.doctor import Ffmpeg, Findings, Package, examine, show
from vidbg.matting import backends, engines
from vidbg.matting.backends import BackendReport
from vidbg.matting.engines import EngineReport
from vidbg.platform.processor import read_cpuinfo
from vidbg.sinks import OUTPUTS
from vidbg.sinks.camera import pipewire, virtual_camera
from vidbg.sinks.camera.virtual_camera import VirtualCameraReport
from vidbg.sinks.stream import broadcast
from vidbg.sources.camera import camera_source as camera
from vidbg.sources.camera.v4l2 import CameraInfo

app = typer.Typer()
app.command()(command.doctor)

BACKENDS = [
    BackendReport("cuda", False, "torch sees no CUDA device", False),
    BackendReport("cpu", True, "OpenVINO, int8", True, 15.2),
    BackendReport("torch-cpu", True, "PyTorch, fp32", False),
]
ENGINES = [
    EngineReport("vidbg-r50", Path("/e/vidbg-r50.json"), True, "vidbg-r50.onnx 0123456789ab")
]
DAMAGED = EngineReport("vidbg-r50", Path("/e/vidbg-r50.json"), False, "x is damaged; install again")
READY = VirtualCameraReport(
    True, ("v4l2loopback 0.15.0: loaded", "/dev/video10 (vidbg): free"), None
)


@pytest.fixture
def healthy(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Fake a computer on which everything works."""
    webcam = CameraInfo(0, "/dev/video0", "HD Webcam")
    monkeypatch.setattr(backends, "examine", lambda: BACKENDS)
    monkeypatch.setattr(engines, "verify", lambda: ENGINES)
    monkeypatch.setattr(camera, "list_cameras", lambda: [webcam])
    monkeypatch.setattr(virtual_camera, "virtual_camera_report", lambda: READY)
    monkeypatch.setattr(pipewire, "pipewire_problem", lambda: None)
    monkeypatch.setattr(broadcast, "broadcast_problem", lambda _: None)
    return monkeypatch


def printed(findings: Findings, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    show(findings, console)
    return console.export_text()


def call(*options: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(options), env={"COLUMNS": "100"})
    return result.exit_code, result.output


@pytest.mark.usefixtures("healthy")
def test_a_healthy_computer() -> None:
    code, output = call()
    assert code == 0
    assert "vidbg can process files here." in output
    assert "vidbg can run live here." in output
    assert "cpu (chosen)" in output
    assert "torch sees no CUDA device" in output
    assert "/dev/video10 (vidbg)" in output
    assert "vidbg-r50.onnx 0123456789ab" in output


@pytest.mark.usefixtures("healthy")
def test_one_json_object_for_scripts() -> None:
    code, output = call("--json")
    report = json.loads(output)
    assert (code, report["can_process"], report["problems"], report["live_steps"]) == (
        0,
        True,
        [],
        [],
    )
    assert report["backends"][1] == {
        "name": "cpu",
        "usable": True,
        "reason": "OpenVINO, int8",
        "chosen": True,
        "ms": 15.2,
        "light_ms": None,
    }
    assert report["engines"][0]["path"] == "/e/vidbg-r50.json"
    assert report["ffmpeg"]["encoders"] == {"libx264": True, "prores_ks": True, "libvpx-vp9": True}
    assert {"vidbg", "python", "os", "cpu", "cpu_count", "cpu_features"} == set(report["system"])


@pytest.mark.parametrize(
    ("module", "name", "answer", "words"),
    [
        (backends, "examine", BACKENDS[:1], "no backend can run the network: `pip install"),
        (engines, "verify", [DAMAGED], "x is damaged; install again"),
        (
            Ffmpeg,
            "examine",
            Ffmpeg({}, {}, "PyAV is missing: `pip install av`"),
            "PyAV is missing",
        ),
        (Ffmpeg, "examine", Ffmpeg({}, {"libx264": False}), "PyAV has no libx264: `pip install"),
    ],
)
def test_what_keeps_files_from_being_processed(
    healthy: pytest.MonkeyPatch, module: object, name: str, answer: object, words: str
) -> None:
    healthy.setattr(module, name, lambda: answer)
    code, output = call()
    assert code == 1
    assert words in output
    assert "To process files:" in output
    code, output = call("--json")
    assert code == 1
    assert words in json.loads(output)["problems"][0]


def test_other_outputs_are_listed_even_if_unusable(healthy: pytest.MonkeyPatch) -> None:
    healthy.setattr(pipewire, "pipewire_problem", lambda: "no gst-launch-1.0: `apt install x`")
    code, output = call()
    assert code == 0
    lines = [line.split() for line in output.splitlines() if "://" in line or " pipewire[" in line]
    assert ["-", "pipewire[:NAME]", "no", "gst-launch-1.0:", "`apt", "install", "x`"] in lines
    assert ["ok", "srt://HOST:PORT", "an", "SRT", "listener"] in lines
    assert lines[1][:5] == ["ok", "http://HOST:PORT/", "the", "same", "page,"]
    assert "vidbg can run live here." in output
    report = json.loads(call("--json")[1])["other_outputs"]
    assert [(kind["name"], kind["problem"]) for kind in report] == [
        ("pipewire[:NAME]", "no gst-launch-1.0: `apt install x`"),
        *((kind.usage, None) for name, kind in OUTPUTS.items() if name != "pipewire"),
    ]


def test_live_devices_do_not_matter_for_files(healthy: pytest.MonkeyPatch) -> None:
    healthy.setattr(camera, "list_cameras", lambda: [])
    step = VirtualCameraReport(False, ("v4l2loopback: missing",), "install v4l2loopback")
    healthy.setattr(virtual_camera, "virtual_camera_report", lambda: step)
    code, output = call()
    assert code == 0
    assert "To run live:\n- no camera was found" in output
    assert "- install v4l2loopback" in output


@pytest.mark.parametrize(
    ("module", "name", "code"),
    [
        (backends, "examine", 1),
        (engines, "verify", 1),
        (camera, "list_cameras", 0),
        (virtual_camera, "virtual_camera_report", 0),
        (pipewire, "pipewire_problem", 0),
    ],
)
def test_no_failure_hides_the_rest(
    healthy: pytest.MonkeyPatch, module: object, name: str, code: int
) -> None:
    def fail() -> None:
        raise OSError("libfoo.so.3: cannot open shared object file")

    healthy.setattr(module, name, fail)
    report, output = call()
    assert report == code
    assert "failed with OSError: libfoo.so.3" in output
    assert "libx264" in output


def test_absent_packages_are_listed_with_their_purpose(healthy: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name in ("torch", "opencv-python"):
            raise metadata.PackageNotFoundError(name)
        return "1.2.3"

    healthy.setattr(metadata, "version", version)
    packages = {package.name: package for package in examine().packages}
    assert packages["torch"].version is None
    assert packages["opencv-contrib-python"].version == "1.2.3"
    text = " ".join(printed(replace(examine(), packages=list(packages.values())), 120).split())
    assert "- torch not installed: the network on NVIDIA and Apple GPUs, training" in text


def test_an_absent_required_package_is_highlighted() -> None:
    assert Package("av", None, "video files").row().mark == "no"
    assert Package("torch", None, "GPUs (optional)").row().mark == "-"


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal_except_next_steps(width: int) -> None:
    findings = replace(examine(), failures=["a `command` " + "that is long " * 20])
    lines = printed(findings, width).splitlines()
    assert max(len(line) for line in lines if not line.startswith("- a `command`")) <= width
    assert sum(line.startswith("- a `command`") for line in lines) == 1


def test_pyav_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    assert "`pip install av`" in (Ffmpeg.examine().problem or "")


def test_an_encoder_that_ffmpeg_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_ENCODERS", {"no_such_encoder": ""})
    assert Ffmpeg.examine().encoders == {"no_such_encoder": False}


def test_cpu_features_are_read() -> None:
    cpuinfo = "model name\t: Some CPU\nflags\t\t: fpu avx2 avx512_vnni amx_int8\n\nmodel name\t: b"
    assert read_cpuinfo(cpuinfo) == ("Some CPU", ("avx2", "avx512_vnni", "amx_int8"))
    assert read_cpuinfo("") == ("", None)
    assert read_cpuinfo("model name: Arm\nFeatures: asimd") == ("Arm", None)


def test_unknown_cpu_features_are_reported_as_unknown(healthy: pytest.MonkeyPatch) -> None:
    healthy.setattr(command, "processor_features", lambda: None)
    assert "unknown on this system" in printed(examine(), 120)
