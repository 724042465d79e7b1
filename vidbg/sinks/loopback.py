"""v4l2loopback, the kernel module behind virtual cameras on Linux: its state and the next step."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

MODPROBE = "sudo modprobe v4l2loopback exclusive_caps=1 card_label=vidbg video_nr=10"
"""Loads the module as browsers want it: a device that shows as a camera while it is written to."""

RELOAD = f"sudo modprobe -r v4l2loopback && {MODPROBE}"

_RELOAD_WITH_TWO = (
    "sudo modprobe -r v4l2loopback && sudo modprobe v4l2loopback exclusive_caps=1,1 "
    "card_label=vidbg,vidbg2 video_nr=10,11"
)

NodeState = Literal["free", "written", "used up", "forbidden", "absent"]
ModuleState = Literal["missing", "not built", "installed", "loaded"]

_INSTALL = {
    "debian": "sudo apt install v4l2loopback-dkms linux-headers-$(uname -r)",
    "ubuntu": "sudo apt install v4l2loopback-dkms linux-headers-$(uname -r)",
    "fedora": "sudo dnf install akmod-v4l2loopback (from RPM Fusion)",
    "arch": "sudo pacman -S v4l2loopback-dkms linux-headers",
    "suse": "sudo zypper install v4l2loopback-kmp-default",
    "nixos": "add config.boot.kernelPackages.v4l2loopback to boot.extraModulePackages",
    "gentoo": "sudo emerge media-video/v4l2loopback",
}
_INSTALL_OTHERWISE = "install your distribution's v4l2loopback package"
_STATES: dict[NodeState, str] = {
    "free": "free",
    "written": "another program writes to it, or its format is locked",
    "used up": "old module: used once, must be reloaded",
    "forbidden": "no permission to write",
    "absent": "known to the kernel, but not in /dev",
}


@dataclass(frozen=True, slots=True)
class LoopbackNode:
    """A device of v4l2loopback."""

    device: str
    name: str
    state: NodeState

    def __str__(self) -> str:
        return f"{self.device} ({self.name}): {_STATES[self.state]}"


@dataclass(frozen=True, slots=True)
class LoopbackFacts:
    """What this computer tells of v4l2loopback.

    Attributes:
        module: "not built" where its source is here, but nothing built for the running kernel.
        version: of the loaded module; "" where unknown.
        distribution: the system's ID and the IDs it is like, from /etc/os-release.
        nodes: its devices, by number.
    """

    module: ModuleState
    version: str
    distribution: tuple[str, ...]
    nodes: tuple[LoopbackNode, ...]

    def free_device(self) -> str | None:
        """The first device that can be written to."""
        return next((node.device for node in self.nodes if node.state == "free"), None)


def gather_facts(
    root: Path = Path("/"),
    kernel: str | None = None,
    may_write: Callable[[Path], bool] = lambda node: os.access(node, os.W_OK),
) -> LoopbackFacts:
    """Read the facts from the file systems under `root`."""
    loaded = root / "sys/module/v4l2loopback"
    module = "loaded" if loaded.is_dir() else _module_on_disk(root, kernel or platform.release())
    found = (root / "sys/devices/virtual/video4linux").glob("video*")
    ours = [folder for folder in found if (folder / "max_openers").exists()]
    ours.sort(key=lambda folder: int(folder.name[5:]))
    return LoopbackFacts(
        module=module,
        version=_content(loaded / "version"),
        distribution=_distribution(_content(root / "etc/os-release")),
        nodes=tuple(_node(folder, root, may_write) for folder in ours),
    )


def _module_on_disk(root: Path, kernel: str) -> ModuleState:
    modules = root / "lib/modules"
    if "v4l2loopback.ko" in _content(modules / kernel / "modules.dep"):
        return "installed"
    sources = any((root / "usr/src").glob("v4l2loopback-*"))
    other_kernels = modules.glob("*/modules.dep")
    if sources or any("v4l2loopback.ko" in _content(file) for file in other_kernels):
        return "not built"
    return "missing"


def _node(folder: Path, root: Path, may_write: Callable[[Path], bool]) -> LoopbackNode:
    device = f"/dev/{folder.name}"
    name = _content(folder / "name") or folder.name
    node = root / "dev" / folder.name
    if not node.exists():
        return LoopbackNode(device, name, "absent")
    if not may_write(node):
        return LoopbackNode(device, name, "forbidden")
    return LoopbackNode(device, name, _writer_state(folder / "state"))


def _writer_state(file: Path) -> NodeState:
    """From the module's own word: "output" waits for a writer, "capture" has one.

    Module 0.12 with exclusive_caps=1 is neither after its first writer left without STREAMON;
    the file then answers EAGAIN.
    """
    try:
        return "written" if file.read_text().strip() == "capture" else "free"
    except BlockingIOError:
        return "used up"
    except OSError:
        return "free"


def _distribution(os_release: str) -> tuple[str, ...]:
    pairs = (line.split("=", 1) for line in os_release.splitlines() if "=" in line)
    fields = {key: value.strip("\"'") for key, value in pairs}
    return tuple(f"{fields.get('ID', '')} {fields.get('ID_LIKE', '')}".split())


def _content(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""


def next_step(facts: LoopbackFacts) -> str | None:
    """What to do so that vidbg gets a virtual camera; None if a device is free."""
    if facts.free_device() is not None:
        return None
    if facts.module == "missing":
        return f"v4l2loopback is not installed: `{_install(facts.distribution)}`, then `{MODPROBE}`"
    if facts.module == "not built":
        return (
            "v4l2loopback is not built for the running kernel: install that kernel's headers "
            f"(linux-headers-$(uname -r)) and run `sudo dkms autoinstall`, then `{MODPROBE}`"
        )
    if facts.module == "installed":
        return f"v4l2loopback is not loaded: `{MODPROBE}`"
    for state in ("forbidden", "used up", "written", "absent"):
        for node in facts.nodes:
            if node.state == state:
                return node_step(node)
    return f"v4l2loopback is loaded but has no device: `{RELOAD}`"


def node_step(node: LoopbackNode) -> str:
    """What to do about a device that could not be opened for writing."""
    steps: dict[NodeState, str] = {
        "forbidden": f"no permission to write to {node.device}: "
        "`sudo usermod -aG video $USER`, then log out and in",
        "used up": f"{node.device} was used once and this version of v4l2loopback does not free "
        f"it: close the programs that read it, then `{RELOAD}`",
        "written": f"{node.device} is taken: close the program that writes to it (another vidbg, "
        f"OBS, ffmpeg), or make a second device by `{_RELOAD_WITH_TWO}`",
        "absent": f"{node.device} is missing from /dev: reload the module by `{RELOAD}` (in a "
        "container, hand the device in)",
        "free": f"{node.device} looks free: close the programs that read it, for they may lock "
        f"its format, or `{RELOAD}`",
    }
    return steps[node.state]


def _install(distribution: tuple[str, ...]) -> str:
    known = (_INSTALL[name] for name in distribution if name in _INSTALL)
    return next(known, _INSTALL_OTHERWISE)
