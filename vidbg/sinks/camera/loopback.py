"""State and next step of v4l2loopback, the kernel module for virtual cameras on Linux."""

from __future__ import annotations

import errno
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vidbg.platform.system_files import content
from vidbg.platform.video_nodes import OpenNode, VideoNode, capability, holders
from vidbg.sinks.camera.loopback_node import keeps_format
from vidbg.util.paths import resolved

MODPROBE = "sudo modprobe v4l2loopback exclusive_caps=1 card_label=vidbg video_nr=10"
"""Loads the module as browsers need it: the device is shown as a camera only while written to."""

RELOAD = f"sudo modprobe -r v4l2loopback && {MODPROBE}"

_RELOAD_WITH_TWO = (
    "sudo modprobe -r v4l2loopback && sudo modprobe v4l2loopback exclusive_caps=1,1 "
    "card_label=vidbg,vidbg2 video_nr=10,11"
)

NodeState = Literal["free", "written", "locked", "used up", "forbidden", "absent"]
ModuleState = Literal["missing", "not built", "installed", "loaded"]

_DEVICES = "sys/devices/virtual/video4linux"
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
    "written": "in use by another program",
    "locked": "its format is locked by keep_format",
    "used up": "left by its last writer, to be freed when it is opened",
    "forbidden": "no permission to write",
    "absent": "known to the kernel, but not in /dev",
}


@dataclass(frozen=True, slots=True)
class LoopbackNode:
    """A v4l2loopback device.

    Attributes:
        state: "used up" occurs with module 0.12, after a writer that left without STREAMON; see
            loopback_node.claim_output.
        holders: the visible programs that have it open; not looked up for a free device.
    """

    device: str
    name: str
    state: NodeState
    holders: tuple[str, ...] = ()

    @property
    def situation(self) -> str:
        """A description of the state, with the programs that hold the device."""
        held = f"; open in {', '.join(self.holders)}" if self.holders else ""
        return _STATES[self.state] + held

    def __str__(self) -> str:
        return f"{self.device} ({self.name}): {self.situation}"


@dataclass(frozen=True, slots=True)
class LoopbackFacts:
    """The facts about v4l2loopback on this computer.

    Attributes:
        module: "not built" if its source is installed but not built for the running kernel.
        version: of the loaded module; "" if unknown: 0.12 and older do not report it.
        distribution: the system's ID and the IDs it is like, from /etc/os-release.
        nodes: its devices, by number.
        max_buffers: how many images each device holds; None if unknown.
    """

    module: ModuleState
    version: str
    distribution: tuple[str, ...]
    nodes: tuple[LoopbackNode, ...]
    max_buffers: int | None = None

    def free_device(self) -> str | None:
        """Return the first free device, or a used-up one if there is no other."""
        for state in ("free", "used up"):
            for node in self.nodes:
                if node.state == state:
                    return node.device
        return None

    def node(self, device: str) -> LoopbackNode | None:
        """Return the device at this path, which may be a link."""
        target = str(resolved(device))
        return next((node for node in self.nodes if node.device == target), None)

    @property
    def old(self) -> bool:
        """Whether the module is loaded and is version 0.12 or older."""
        return self.module == "loaded" and (not self.version or self.version.startswith("0.12."))


def gather_facts(
    root: Path = Path("/"), kernel: str | None = None, open_node: OpenNode = VideoNode
) -> LoopbackFacts:
    """Read the facts from the file systems under `root`, and ask each device."""
    loaded = root / "sys/module/v4l2loopback"
    module = "loaded" if loaded.is_dir() else _module_on_disk(root, kernel or platform.release())
    buffers = content(loaded / "parameters/max_buffers")
    # Lines such as ID=fedora and ID_LIKE="rhel centos"
    lines = content(root / "etc/os-release").splitlines()
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    release = {key: value.strip("\"'") for key, value in pairs}
    nodes = []
    for device in loopback_devices(root):
        folder = root / _DEVICES / Path(device).name
        state = _state(folder, root / "dev" / folder.name, open_node)
        held = holders(device, root / "proc") if state in ("written", "locked") else []
        name = content(folder / "name") or folder.name
        nodes.append(LoopbackNode(device, name, state, tuple(held)))
    return LoopbackFacts(
        module=module,
        version=content(loaded / "version"),
        distribution=tuple(f"{release.get('ID', '')} {release.get('ID_LIKE', '')}".split()),
        nodes=tuple(nodes),
        max_buffers=int(buffers) if buffers.isdecimal() else None,
    )


def loopback_devices(root: Path = Path("/")) -> list[str]:
    """Return the paths of v4l2loopback's devices, ordered by number."""
    folders = (root / _DEVICES).glob("video*")
    ours = (folder.name for folder in folders if (folder / "max_openers").exists())
    return [f"/dev/{name}" for name in sorted(ours, key=lambda name: int(name[5:]))]


def _module_on_disk(root: Path, kernel: str) -> ModuleState:
    modules = root / "lib/modules"
    if "v4l2loopback.ko" in content(modules / kernel / "modules.dep"):
        return "installed"
    sources = any((root / "usr/src").glob("v4l2loopback-*"))
    other_kernels = modules.glob("*/modules.dep")
    if sources or any("v4l2loopback.ko" in content(file) for file in other_kernels):
        return "not built"
    return "missing"


def _state(folder: Path, path: Path, open_node: OpenNode) -> NodeState:
    if not path.exists():
        return "absent"
    try:
        with open_node(str(path)) as node:
            capabilities = capability(node)
            locked = keeps_format(node)
    except PermissionError:
        return "forbidden"
    except OSError as error:  # EBUSY: as many programs as max_openers allows have it open
        return "written" if error.errno == errno.EBUSY else "absent"
    # With exclusive_caps=1 a device announces an output while it waits for a writer, a capture
    # while it has one, both on module 0.12 while only readers are left, and nothing on 0.12 after
    # a writer that left without STREAMON. With exclusive_caps=0 it always announces both, and only
    # the file `state` of newer modules tells: "output" waits for a writer, "capture" has one or is
    # locked.
    if capabilities.outputs:
        written = capabilities.captures and content(folder / "state") == "capture"
        return "written" if written and not locked else "free"
    if capabilities.captures:
        return "locked" if locked else "written"
    return "used up"


def next_step(facts: LoopbackFacts) -> str | None:
    """Return what to do to get a virtual camera; None if a device is free."""
    if facts.free_device() is not None:
        return None
    if facts.module == "missing":
        known = (_INSTALL[name] for name in facts.distribution if name in _INSTALL)
        return (
            f"v4l2loopback is not installed: `{next(known, _INSTALL_OTHERWISE)}`, then `{MODPROBE}`"
        )
    if facts.module == "not built":
        return (
            "v4l2loopback is not built for the running kernel: install that kernel's headers "
            f"(linux-headers-$(uname -r)) and run `sudo dkms autoinstall`, then `{MODPROBE}`"
        )
    if facts.module == "installed":
        return f"v4l2loopback is not loaded: `{MODPROBE}`"
    for state in ("forbidden", "locked", "written", "absent"):
        for node in facts.nodes:
            if node.state == state:
                return node_step(node)
    return f"v4l2loopback is loaded but has no device: `{RELOAD}`"


def node_step(node: LoopbackNode) -> str:
    """Return what to do about a device that could not be opened for writing."""
    suspects = (
        f"open in {', '.join(node.holders)}" if node.holders else "another vidbg, OBS, ffmpeg"
    )
    steps: dict[NodeState, str] = {
        "forbidden": f"no permission to write to {node.device}: "
        "`sudo usermod -aG video $USER`, then log out and in",
        "used up": f"{node.device} was used once and this version of v4l2loopback does not free "
        f"it: close the programs that read it, then `{RELOAD}`",
        "written": f"{node.device} is taken: close the program that uses it "
        f"({suspects}), or make a second device by `{_RELOAD_WITH_TWO}`",
        "locked": f"the format of {node.device} is locked: unlock it by "
        f"`v4l2-ctl -d {node.device} -c keep_format=0`",
        "absent": f"{node.device} is missing from /dev: reload the module by `{RELOAD}` (in a "
        "container, hand the device in)",
        "free": f"{node.device} looks free: close the programs that read it, because they may lock "
        f"its format, or `{RELOAD}`",
    }
    return steps[node.state]


def warnings(facts: LoopbackFacts) -> Iterator[str]:
    """Yield a warning, with the next step, for each thing that works but is not safe."""
    if facts.old and facts.max_buffers is not None and facts.max_buffers > 2:
        yield (
            f"v4l2loopback {facts.version or '0.12'} is loaded with max_buffers="
            f"{facts.max_buffers}: a reader that asks for fewer crashes the kernel. Keep to 2: "
            f"`{RELOAD}`, and take max_buffers out of /etc/modprobe.d"
        )
