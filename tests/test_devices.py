"""What Linux tells of video devices, the advice drawn from it, and `vidbg devices`."""

from __future__ import annotations

import errno
import json
import struct
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from vidbg.cli import devices as command
from vidbg.sinks import virtual_camera
from vidbg.sinks.loopback import (
    MODPROBE,
    RELOAD,
    LoopbackFacts,
    LoopbackNode,
    ModuleState,
    NodeState,
    gather_facts,
    next_step,
    node_step,
)
from vidbg.sinks.virtual_camera import VirtualCameraReport, explain, linux_report
from vidbg.sources import camera as camera_module
from vidbg.sources import v4l2
from vidbg.sources.v4l2 import CameraInfo, Capability, cameras, holders, parse_capability, refusal

WEBCAM = Capability("uvcvideo", "HD Webcam", captures=True)
METADATA = Capability("uvcvideo", "HD Webcam", captures=False)


def put(file: Path, content: str = "") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)


# --- cameras --------------------------------------------------------------------------------------


def answer(driver: str, card: str, all_nodes: int, this_node: int) -> bytes:
    """struct v4l2_capability as the kernel fills it."""
    texts = driver.encode().ljust(16, b"\0") + card.encode().ljust(32, b"\0") + b"usb".ljust(32)
    return texts + struct.pack("=III", 0x60100, all_nodes, this_node) + bytes(12)


@pytest.mark.parametrize(
    ("all_nodes", "this_node", "captures"),
    [
        (0x84A00001, 0x04200001, True),  # a UVC camera's first node, as v4l2-ctl -D prints it
        (0x84A00001, 0x04A00000, False),  # its second: metadata
        (0x85200003, 0x05200002, False),  # v4l2loopback without a writer: output only
        (0x00000001, 0x00000000, True),  # an old driver, without V4L2_CAP_DEVICE_CAPS
        (0x84201000, 0x04201000, True),  # multi-planar, as on phones and boards
    ],
)
def test_capability_is_read(all_nodes: int, this_node: int, captures: bool) -> None:
    capability = parse_capability(answer("uvcvideo", "HD Webcam", all_nodes, this_node))
    assert capability == Capability("uvcvideo", "HD Webcam", captures)


def test_a_file_is_no_video_device(tmp_path: Path) -> None:
    put(tmp_path / "video0")
    with pytest.raises(OSError, match="ioctl"):
        v4l2.query(str(tmp_path / "video0"))


def test_only_capturing_nodes_are_cameras(tmp_path: Path) -> None:
    names = {10: "vidbg", 2: "Phone", 0: "HD Webcam", 1: "HD Webcam", 11: "Idle loopback"}
    for number, name in names.items():
        put(tmp_path / f"sys/class/video4linux/video{number}/name", name + "\n")
    put(tmp_path / "sys/class/video4linux/v4l-subdev0/name", "sensor")
    answers = {
        "/dev/video0": WEBCAM,
        "/dev/video1": METADATA,
        "/dev/video2": WEBCAM,
        "/dev/video10": Capability("v4l2 loopback", "vidbg", captures=True),
        "/dev/video11": Capability("v4l2 loopback", "Idle loopback", captures=False),
    }
    assert list(cameras(tmp_path, answers.__getitem__)) == [
        CameraInfo(0, "/dev/video0", "HD Webcam"),
        CameraInfo(2, "/dev/video2", "Phone"),
        CameraInfo(10, "/dev/video10", "vidbg", virtual=True),
    ]


def forbid(_device: str) -> Capability:
    raise PermissionError(errno.EACCES, "Permission denied")


def vanish(_device: str) -> Capability:
    raise OSError(errno.ENODEV, "No such device")


def test_cameras_without_permission_are_listed_once_with_the_next_step(tmp_path: Path) -> None:
    for node, index in (("video0", "0"), ("video1", "1")):
        put(tmp_path / f"sys/class/video4linux/{node}/name", "HD Webcam")
        put(tmp_path / f"sys/class/video4linux/{node}/index", index)
    (found,) = cameras(tmp_path, forbid)
    assert (found.device, found.name) == ("/dev/video0", "HD Webcam")
    assert "sudo usermod -aG video $USER" in (found.problem or "")


def test_a_camera_that_does_not_answer_is_listed(tmp_path: Path) -> None:
    put(tmp_path / "sys/class/video4linux/video0/name", "HD Webcam")
    (found,) = cameras(tmp_path, vanish)
    assert "No such device" in (found.problem or "")


def test_a_system_without_video_has_no_cameras(tmp_path: Path) -> None:
    assert list(cameras(tmp_path)) == []


def test_each_refusal_is_told_apart(tmp_path: Path) -> None:
    node = tmp_path / "video0"
    assert "there is no camera" in (refusal(str(node)) or "")
    put(node)
    assert "is no camera (Inappropriate ioctl" in (refusal(str(node)) or "")
    assert "usermod -aG video" in (refusal(str(node), forbid) or "")
    assert "(HD Webcam) gives no pictures" in (refusal(str(node), lambda _: METADATA) or "")
    assert refusal(str(node), lambda _: WEBCAM) is None


def test_holders_are_found_by_their_open_files(tmp_path: Path) -> None:
    for pid, name, target in (("7", "zoom", "/dev/video0"), ("8", "bash", "/dev/null")):
        put(tmp_path / pid / "comm", name + "\n")
        (tmp_path / pid / "fd").mkdir()
        (tmp_path / pid / "fd/3").symlink_to(target)
    put(tmp_path / "9/comm", "gone meanwhile")
    assert holders("/dev/video0", tmp_path) == ["zoom (pid 7)"]


# --- v4l2loopback ---------------------------------------------------------------------------------

KERNEL = "6.1.0-9-amd64"


def load(root: Path, **states: str | None) -> None:
    """A root in which the module is loaded and has devices; None is a node missing from /dev."""
    put(root / "sys/module/v4l2loopback/version", "0.15.0\n")
    for node, state in states.items():
        folder = root / "sys/devices/virtual/video4linux" / node
        put(folder / "name", f"label of {node}\n")
        put(folder / "max_openers", "10\n")
        put(folder / "state", f"{state}\n")
        if state is not None:
            put(root / "dev" / node)


def test_facts_of_a_loaded_module(tmp_path: Path) -> None:
    put(tmp_path / "etc/os-release", 'NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"\n')
    load(tmp_path, video10="output", video9="capture", video11=None)
    put(tmp_path / "sys/devices/virtual/video4linux/video3/name", "another driver's")
    facts = gather_facts(tmp_path, KERNEL)
    assert (facts.module, facts.version) == ("loaded", "0.15.0")
    assert facts.distribution == ("linuxmint", "ubuntu", "debian")
    assert [(node.device, node.name, node.state) for node in facts.nodes] == [
        ("/dev/video9", "label of video9", "written"),
        ("/dev/video10", "label of video10", "free"),
        ("/dev/video11", "label of video11", "absent"),
    ]
    assert facts.free_device() == "/dev/video10"
    assert next_step(facts) is None


def test_a_device_without_permission(tmp_path: Path) -> None:
    load(tmp_path, video10="output")
    facts = gather_facts(tmp_path, KERNEL, may_write=lambda _: False)
    assert facts.nodes[0].state == "forbidden"
    assert "/dev/video10: `sudo usermod -aG video $USER`" in (next_step(facts) or "")


def test_a_used_up_device_answers_eagain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(tmp_path, video10="output")
    read_text = Path.read_text

    def read(path: Path, errors: str | None = None) -> str:
        if path.name == "state":
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return read_text(path, errors=errors)

    monkeypatch.setattr(Path, "read_text", read)
    facts = gather_facts(tmp_path, KERNEL)
    assert facts.nodes[0].state == "used up"
    assert RELOAD in (next_step(facts) or "")


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
        (facts_of("loaded", "written"), "/dev/video10 is taken: close the program"),
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


@pytest.mark.parametrize("state", ["free", "written", "used up", "forbidden", "absent"])
def test_every_state_has_words(state: NodeState) -> None:
    node = LoopbackNode("/dev/video10", "vidbg", state)
    assert str(node).startswith("/dev/video10 (vidbg): ")
    assert "/dev/video10" in node_step(node)


def test_report_of_a_free_device() -> None:
    report = linux_report(facts_of("loaded", "free"))
    assert report == VirtualCameraReport(
        True, ("v4l2loopback: loaded", "/dev/video10 (vidbg): free"), None
    )


# --- the command ----------------------------------------------------------------------------------

app = typer.Typer()
app.command()(command.devices)

CAMERAS = [
    CameraInfo(0, "/dev/video0", "HD [USB] Webcam"),
    CameraInfo(2, "/dev/video2", "Phone", virtual=True),
    CameraInfo(4, "/dev/video4", "Locked", problem="no permission to open the camera /dev/video4"),
]
NO_MODULE = VirtualCameraReport(False, ("v4l2loopback: installed",), f"not loaded: `{MODPROBE}`")


def run(
    monkeypatch: pytest.MonkeyPatch,
    found: list[CameraInfo],
    report: VirtualCameraReport,
    *options: str,
) -> str:
    monkeypatch.setattr(camera_module, "list_cameras", lambda: found)
    monkeypatch.setattr(virtual_camera, "virtual_camera_report", lambda: report)
    result = CliRunner().invoke(app, list(options), env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    return result.output


def test_devices_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [" ".join(line.split()) for line in run(monkeypatch, CAMERAS, NO_MODULE).splitlines()]
    assert "ok /dev/video0 HD [USB] Webcam" in lines
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


def test_no_camera_has_a_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"- {command.NO_CAMERA}" in run(monkeypatch, [], NO_MODULE)


def test_devices_for_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    found = json.loads(run(monkeypatch, CAMERAS, NO_MODULE, "--json"))
    assert found["cameras"][1] == {
        "index": 2,
        "device": "/dev/video2",
        "name": "Phone",
        "virtual": True,
        "problem": None,
    }
    assert found["virtual_camera"]["usable"] is False
    assert MODPROBE in found["virtual_camera"]["next_step"]
