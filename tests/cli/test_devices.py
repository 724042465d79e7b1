"""What Linux reports about video devices, the advice based on it, and `vidbg devices`."""

from __future__ import annotations

import errno
import json
import os
from fractions import Fraction
from pathlib import Path

import pytest
import typer
from nodes import FakeDevice, FakeLoopback, FakeNode, Kernel, put, refuse
from typer.testing import CliRunner

from vidbg.cli import devices as command
from vidbg.pipeline.setup_steps import NO_CAMERA, SetupStep, setup_steps
from vidbg.platform import nvidia
from vidbg.platform.video_nodes import capability
from vidbg.sinks.camera import virtual_camera
from vidbg.sinks.camera.loopback import (
    MODPROBE,
    RELOAD,
    LoopbackFacts,
    LoopbackNode,
    ModuleState,
    NodeState,
    gather_facts,
    loopback_devices,
    next_step,
    node_step,
    warnings,
)
from vidbg.sinks.camera.virtual_camera import VirtualCameraReport, explain, linux_report
from vidbg.sources.camera import camera_source as camera_module
from vidbg.sources.camera.camera_formats import CameraFormat, FrameSize, formats
from vidbg.sources.camera.v4l2 import CameraInfo, cameras, refusal

METADATA = 0x00800000  # V4L2_CAP_META_CAPTURE

# A UVC camera's answers, as v4l2-ctl --list-formats-ext prints them.
OFFERS: dict[str, dict[tuple[int, ...], list[tuple[int, int]]]] = {
    "YUYV": {(640, 480): [(1, 30), (1, 15)], (1280, 720): [(1, 10), (1, 5)]},
    "MJPG": {(1280, 720): [(333333, 10000000), (1, 60)], (1920, 1080): [(1001, 30000)]},
}


# --- cameras --------------------------------------------------------------------------------------


def plug(root: Path, kernel: Kernel, **indexes: str) -> None:
    """Write the entries of /sys that the kernel makes for its devices."""
    for path, device in kernel.items():
        entry = root / "sys/class/video4linux" / Path(path).name
        put(entry / "name", "HD Webcam\n" if isinstance(device, OSError) else device.card + "\n")
        put(entry / "index", indexes.get(entry.name, "0"))


def test_only_capturing_nodes_are_cameras(tmp_path: Path) -> None:
    kernel = Kernel(
        {
            "/dev/video10": FakeLoopback(written=True, bus="platform:v4l2loopback-000"),
            "/dev/video2": FakeDevice(card="Phone", bus="usb-2"),
            "/dev/video0": FakeDevice(offers=OFFERS, bus="usb-1"),
            "/dev/video1": FakeDevice(caps=METADATA),
            "/dev/video11": FakeLoopback(card="Idle loopback"),
        }
    )
    plug(tmp_path, kernel)
    put(tmp_path / "sys/class/video4linux/v4l-subdev0/name", "sensor")
    first, *others = cameras(tmp_path, kernel.open)
    assert (first.index, first.device, first.name, first.bus) == (
        0,
        "/dev/video0",
        "HD Webcam",
        "usb-1",
    )
    assert [f.pixel_format for f in first.formats] == ["YUYV", "MJPG"]
    assert others == [
        CameraInfo(2, "/dev/video2", "Phone", bus="usb-2"),
        CameraInfo(10, "/dev/video10", "vidbg", virtual=True, bus="platform:v4l2loopback-000"),
    ]
    assert not any(device.opened for device in kernel.values() if isinstance(device, FakeDevice))


def test_cameras_without_permission_are_listed_once_with_the_next_step(tmp_path: Path) -> None:
    kernel = Kernel({f"/dev/video{n}": refuse(errno.EACCES) for n in (0, 1)})
    plug(tmp_path, kernel, video1="1")
    (camera,) = cameras(tmp_path, kernel.open)
    assert (camera.device, camera.name) == ("/dev/video0", "HD Webcam")
    assert "sudo usermod -aG video $USER" in (camera.problem or "")


def test_a_camera_that_does_not_answer_is_listed(tmp_path: Path) -> None:
    kernel = Kernel({"/dev/video0": refuse(errno.ENODEV)})
    plug(tmp_path, kernel)
    (camera,) = cameras(tmp_path, kernel.open)
    assert "No such device" in (camera.problem or "")


def test_a_system_without_video_has_no_cameras(tmp_path: Path) -> None:
    assert list(cameras(tmp_path)) == []


def test_each_refusal_has_its_own_message(tmp_path: Path) -> None:
    node = tmp_path / "video0"
    kernel = Kernel({"/dev/video0": refuse(errno.EACCES)})
    assert "there is no camera" in (refusal(str(node)) or "")
    put(node)
    assert "is not a camera (Inappropriate ioctl" in (refusal(str(node)) or "")
    assert "usermod -aG video" in (refusal(str(node), kernel.open) or "")
    kernel["/dev/video0"] = FakeDevice(caps=METADATA)
    assert "(HD Webcam) gives no pictures" in (refusal(str(node), kernel.open) or "")
    kernel["/dev/video0"] = FakeDevice()
    assert refusal(str(node), kernel.open) is None


# --- what a camera offers -------------------------------------------------------------------------


def offered(device: FakeDevice) -> tuple[CameraFormat, ...]:
    with FakeNode(device) as node:
        return formats(node, capability(node))


def test_formats_have_their_sizes_and_top_rates() -> None:
    yuyv, mjpg = offered(FakeDevice(offers=OFFERS))
    assert yuyv == CameraFormat(
        "YUYV",
        (FrameSize(1280, 720, None, Fraction(10)), FrameSize(640, 480, None, Fraction(30))),
    )
    assert mjpg.sizes[0] == FrameSize(1920, 1080, None, Fraction(30000, 1001))
    assert mjpg.sizes_text() == "1920x1080@29.97, 1280x720@60"


def test_a_range_of_sizes() -> None:
    stepwise: dict[tuple[int, ...], list[tuple[int, int]]]
    stepwise = {(96, 1920, 16, 72, 1080, 8): [(1, 60)]}  # min, max, step of width, then of height
    (camera,) = offered(FakeDevice(offers={"NV12": stepwise}))
    assert camera.sizes == (FrameSize(1920, 1080, (96, 72), Fraction(60)),)
    assert camera.sizes_text() == "96x72 to 1920x1080@60"


def test_a_multiplanar_camera_is_queried_as_one() -> None:
    device = FakeDevice(caps=0x1000, kind=9, offers={"NV12": {(640, 480): [(1, 30)]}})
    assert [f.sizes_text() for f in offered(device)] == ["640x480@30"]


def test_a_driver_that_reports_little() -> None:
    assert offered(FakeDevice()) == ()
    (bare,) = offered(FakeDevice(offers={"YUYV": {}}))
    assert (bare.sizes, bare.sizes_text()) == ((), "")
    (rateless,) = offered(FakeDevice(offers={"YUYV": {(640, 480): []}}))
    assert rateless.sizes_text() == "640x480"
    (zero,) = offered(FakeDevice(offers={"YUYV": {(640, 480): [(0, 0), (0, 30)]}}))
    assert zero.sizes_text() == "640x480"


def test_a_driver_that_never_ends_is_left() -> None:
    device = FakeDevice(offers={"YUYV": {(640, 480): [(1, 30)]}})
    answer = device.enumerate_formats

    def endless(argument: bytearray) -> None:
        argument[:4] = bytes(4)
        answer(argument)

    device.enumerate_formats = endless  # type: ignore[method-assign]
    assert 1 < len(offered(device)) < 1000


# --- v4l2loopback ---------------------------------------------------------------------------------

KERNEL = "6.1.0-9-amd64"


def test_facts_of_a_loaded_module(tmp_path: Path) -> None:
    put(tmp_path / "etc/os-release", 'NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"\n')
    kernel = Kernel(
        {
            "/dev/video10": FakeLoopback(),
            "/dev/video9": FakeLoopback(card="OBS", written=True),
            "/dev/video11": FakeLoopback(),
        }
    )
    kernel.lay_out(tmp_path)
    (tmp_path / "dev/video11").unlink()
    put(tmp_path / "sys/devices/virtual/video4linux/video3/name", "another driver's")
    facts = gather_facts(tmp_path, KERNEL, kernel.open)
    assert (facts.module, facts.version, facts.max_buffers) == ("loaded", "0.15.0", 2)
    assert facts.distribution == ("linuxmint", "ubuntu", "debian")
    assert [(node.device, node.name, node.state) for node in facts.nodes] == [
        ("/dev/video9", "OBS", "written"),
        ("/dev/video10", "vidbg", "free"),
        ("/dev/video11", "vidbg", "absent"),
    ]
    assert facts.free_device() == "/dev/video10"
    assert next_step(facts) is None
    assert loopback_devices(tmp_path) == ["/dev/video9", "/dev/video10", "/dev/video11"]


class OpenCaps(FakeLoopback):
    """Loaded without exclusive_caps: both capabilities, always."""

    def query(self, argument: bytearray) -> None:
        super().query(argument)
        argument[88:92] = (0x05200003).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("device", "file", "state"),
    [
        (FakeLoopback(old=True), "", "free"),
        (FakeLoopback(old=True, written=True), "", "written"),
        (FakeLoopback(old=True, used_up=True), "", "used up"),
        (FakeLoopback(old=True, readers=1), "", "free"),  # the last writer left, a reader stays
        (FakeLoopback(), "output", "free"),
        (FakeLoopback(written=True), "capture", "written"),
        (FakeLoopback(keep_format=True), "capture", "locked"),
        (OpenCaps(old=True), "", "free"),
        (OpenCaps(), "output", "free"),
        (OpenCaps(written=True), "capture", "written"),
        (OpenCaps(keep_format=True), "capture", "free"),  # pyvirtualcam may write in that format
        (refuse(errno.EACCES), "", "forbidden"),
        (refuse(errno.EPERM), "", "forbidden"),
        (refuse(errno.EBUSY), "", "written"),
        (refuse(errno.ENXIO), "", "absent"),
    ],
)
def test_the_state_of_a_device(
    tmp_path: Path, device: FakeDevice | OSError, file: str, state: NodeState
) -> None:
    kernel = Kernel({"/dev/video10": device})
    kernel.lay_out(tmp_path)
    if file:
        put(tmp_path / "sys/devices/virtual/video4linux/video10/state", file + "\n")
    (node,) = gather_facts(tmp_path, KERNEL, kernel.open).nodes
    assert node.state == state


def test_the_program_that_uses_a_device_is_named(tmp_path: Path) -> None:
    kernel = Kernel({"/dev/video10": FakeLoopback(written=True)})
    kernel.lay_out(tmp_path)
    put(tmp_path / "proc/77/comm", "obs\n")
    (tmp_path / "proc/77/fd").mkdir()
    (tmp_path / "proc/77/fd/9").symlink_to("/dev/video10")
    facts = gather_facts(tmp_path, KERNEL, kernel.open)
    assert str(facts.nodes[0]) == (
        "/dev/video10 (vidbg): in use by another program; open in obs (pid 77)"
    )
    assert "(open in obs (pid 77))" in (next_step(facts) or "")


def test_a_used_up_device_is_the_second_choice() -> None:
    facts = facts_of("loaded", "written", "used up", "free")
    assert facts.free_device() == "/dev/video12"
    facts = facts_of("loaded", "written", "used up")
    assert facts.free_device() == "/dev/video11"
    assert next_step(facts) is None


@pytest.mark.parametrize(
    ("version", "max_buffers", "warned"),
    [("", 8, True), ("0.12.7", 3, True), ("", 2, False), ("0.15.0", 8, False)],
)
def test_buffers_that_crash_the_kernel(
    tmp_path: Path, version: str, max_buffers: int, warned: bool
) -> None:
    kernel = Kernel({"/dev/video10": FakeLoopback(old=True)})
    kernel.lay_out(tmp_path, version, max_buffers)
    facts = gather_facts(tmp_path, KERNEL, kernel.open)
    messages = list(warnings(facts))
    assert len(messages) == warned
    assert linux_report(facts).warnings == tuple(messages)
    if warned:
        assert f"max_buffers={max_buffers}: a reader" in messages[0]
        assert RELOAD in messages[0]


@pytest.mark.parametrize(
    ("files", "module"),
    [
        ({}, "missing"),
        ({"usr/src/v4l2loopback-0.12.7/dkms.conf": ""}, "not built"),
        ({"lib/modules/6.1.0-8/modules.dep": "updates/dkms/v4l2loopback.ko.xz: \n"}, "not built"),
        ({f"lib/modules/{KERNEL}/modules.dep": "extra/v4l2loopback.ko: \n"}, "installed"),
        ({"sys/module/v4l2loopback/version": "0.12.7"}, "loaded"),
    ],
)
def test_where_the_module_is(tmp_path: Path, files: dict[str, str], module: ModuleState) -> None:
    for name, content in files.items():
        put(tmp_path / name, content)
    assert gather_facts(tmp_path, KERNEL).module == module


def facts_of(module: ModuleState, *states: NodeState, like: str = "debian") -> LoopbackFacts:
    nodes = (LoopbackNode(f"/dev/video{10 + n}", "vidbg", s) for n, s in enumerate(states))
    return LoopbackFacts(module, "", tuple(like.split()), tuple(nodes))


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (facts_of("missing"), "apt install v4l2loopback-dkms"),
        (facts_of("missing", like="linuxmint ubuntu debian"), "apt install v4l2loopback-dkms"),
        (facts_of("missing", like="fedora"), "dnf install akmod-v4l2loopback"),
        (facts_of("missing", like="endeavouros arch"), "pacman -S v4l2loopback-dkms"),
        (facts_of("missing", like="opensuse suse"), "zypper install"),
        (facts_of("missing", like=""), "your distribution's"),
        (facts_of("not built"), "dkms autoinstall"),
        (facts_of("installed"), f"not loaded: `{MODPROBE}`"),
        (facts_of("loaded"), f"has no device: `{RELOAD}`"),
        (facts_of("loaded", "written"), "is taken: close the program that uses it (another"),
        (facts_of("loaded", "locked"), "`v4l2-ctl -d /dev/video10 -c keep_format=0`"),
        (facts_of("loaded", "absent"), "missing from /dev"),
        (facts_of("loaded", "written", "forbidden"), "no permission to write to /dev/video11"),
    ],
)
def test_next_step(facts: LoopbackFacts, words: str) -> None:
    step = next_step(facts)
    assert step is not None
    assert words in step
    assert linux_report(facts).next_step == step
    assert not linux_report(facts).usable


def test_the_modprobe_line_is_what_browsers_need() -> None:
    assert MODPROBE == ("sudo modprobe v4l2loopback exclusive_caps=1 card_label=vidbg video_nr=10")


def test_a_named_device_gets_its_own_advice() -> None:
    facts = facts_of("loaded", "written", "free")
    assert "/dev/video10 is taken" in explain("refused", "/dev/video10", facts, "linux")
    assert "close the programs that read it" in explain("refused", "/dev/video11", facts, "linux")
    listed = explain("refused", "/dev/video3", facts, "linux")
    assert listed.endswith("of this computer: /dev/video10, /dev/video11")
    assert "not installed" in explain("no", "/dev/video3", facts_of("missing"), "linux")


@pytest.mark.parametrize("state", ["free", "written", "locked", "used up", "forbidden", "absent"])
def test_every_state_has_words(state: NodeState) -> None:
    node = LoopbackNode("/dev/video10", "vidbg", state)
    assert str(node).startswith("/dev/video10 (vidbg): ")
    assert "/dev/video10" in node_step(node)


def test_report_of_a_free_device() -> None:
    report = linux_report(facts_of("loaded", "free"))
    assert report == VirtualCameraReport(
        True, ("v4l2loopback 0.12 or older: loaded", "/dev/video10 (vidbg): free"), None
    )


# --- the command ----------------------------------------------------------------------------------

app = typer.Typer()
app.command()(command.devices)

CAMERAS = [
    CameraInfo(
        0,
        "/dev/video0",
        "HD [USB] Webcam",
        bus="usb-1",
        formats=(CameraFormat("MJPG", (FrameSize(1920, 1080, None, Fraction(30000, 1001)),)),),
    ),
    CameraInfo(2, "/dev/video2", "Phone", virtual=True),
    CameraInfo(4, "/dev/video4", "Locked", problem="no permission to open the camera /dev/video4"),
]
NO_MODULE = VirtualCameraReport(False, ("v4l2loopback: installed",), f"not loaded: `{MODPROBE}`")


def run(
    monkeypatch: pytest.MonkeyPatch,
    camera: list[CameraInfo],
    report: VirtualCameraReport,
    *options: str,
) -> str:
    monkeypatch.setattr(camera_module, "list_cameras", lambda: camera)
    monkeypatch.setattr(virtual_camera, "virtual_camera_report", lambda: report)
    result = CliRunner().invoke(app, list(options), env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    return result.output


def test_devices_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [" ".join(line.split()) for line in run(monkeypatch, CAMERAS, NO_MODULE).splitlines()]
    assert "ok /dev/video0 HD [USB] Webcam" in lines
    assert "MJPG 1920x1080@29.97" in lines
    assert "ok /dev/video2 Phone (virtual)" in lines
    assert "no /dev/video4 Locked" in lines
    assert "no v4l2loopback installed" in lines
    assert "- no permission to open the camera /dev/video4" in lines
    assert f"- not loaded: `{MODPROBE}`" in lines  # in one piece, to be copied


def test_devices_where_there_is_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    ready = VirtualCameraReport(True, ("v4l2loopback: loaded", "/dev/video10 (vidbg): free"), None)
    output = run(monkeypatch, CAMERAS[:1], ready)
    assert "/dev/video10 (vidbg)" in output
    assert "\n- " not in output


def test_a_warning_is_printed_where_all_works(monkeypatch: pytest.MonkeyPatch) -> None:
    ready = VirtualCameraReport(True, (), None, ("max_buffers=8 is dangerous",))
    assert "\n- max_buffers=8 is dangerous" in run(monkeypatch, CAMERAS[:1], ready)


def test_no_camera_has_a_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"- {NO_CAMERA}" in run(monkeypatch, [], NO_MODULE)


def test_the_steps_of_the_page_are_the_doctors_with_their_commands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    step = "v4l2loopback is not installed: `sudo apt install it`, then `sudo modprobe it`"
    lacking = VirtualCameraReport(False, (), step)
    monkeypatch.setattr(camera_module, "list_cameras", list)
    monkeypatch.setattr(virtual_camera, "virtual_camera_report", lambda: lacking)
    camera = SetupStep("camera", NO_CAMERA, ())
    virtual = SetupStep("virtual camera", step, ("sudo apt install it", "sudo modprobe it"))
    assert setup_steps() == [camera, virtual]
    assert setup_steps(virtual_camera=False) == [camera]
    assert setup_steps(camera=False) == [virtual]
    monkeypatch.setattr(camera_module, "list_cameras", lambda: CAMERAS[:1])
    assert setup_steps(virtual_camera=False) == []


def nvidia_smi(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Put an nvidia-smi of our own first on the path."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


def test_gpus_are_listed_by_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nvidia_smi(monkeypatch, tmp_path, "echo 0, NVIDIA T4, 15360 MiB; echo 1, NVIDIA L4, 23034 MiB")
    lines = [" ".join(line.split()) for line in run(monkeypatch, CAMERAS, NO_MODULE).splitlines()]
    assert "ok 1 NVIDIA L4, 23034 MiB" in lines
    gpus = json.loads(run(monkeypatch, CAMERAS, NO_MODULE, "--json"))["gpus"]
    assert gpus[0] == {"number": 0, "name": "NVIDIA T4", "memory": "15360 MiB"}


@pytest.mark.parametrize("script", ["exit 9", "echo No devices were found", "sleep 5"])
def test_an_nvidia_smi_that_fails_lists_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str
) -> None:
    nvidia_smi(monkeypatch, tmp_path, script)
    monkeypatch.setattr(nvidia, "PATIENCE_S", 0.2)
    assert nvidia.list_gpus() == []


def test_devices_for_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = json.loads(run(monkeypatch, CAMERAS, NO_MODULE, "--json"))
    assert camera["cameras"][1] == {
        "index": 2,
        "device": "/dev/video2",
        "name": "Phone",
        "virtual": True,
        "problem": None,
        "bus": "",
        "formats": [],
    }
    (mjpg,) = camera["cameras"][0]["formats"]
    assert mjpg["pixel_format"] == "MJPG"
    assert mjpg["sizes"][0]["frame_rate"] == pytest.approx(29.97, abs=0.001)
    assert camera["virtual_camera"]["usable"] is False
    assert MODPROBE in camera["virtual_camera"]["next_step"]
