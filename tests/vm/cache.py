"""The parts of a virtual machine, and where they are kept outside the repository."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

SUITES = {"0.12.7": "bookworm", "0.15.0": "trixie"}
"""The Debian release whose package brings a version of v4l2loopback."""

VERSIONS = tuple(SUITES)

KERNEL_SUITE = "bookworm"
"""Its kernel boots with either version."""


@dataclass(frozen=True, slots=True)
class Cache:
    """Packages, kernel and modules, under ~/.cache/vidbg-vm or XDG_CACHE_HOME/vidbg-vm."""

    root: Path

    @classmethod
    def usual(cls) -> Cache:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return cls(Path(base) / "vidbg-vm")

    @property
    def system(self) -> Path:
        """The kernel's packages, unpacked."""
        return self.root / "system"

    @property
    def kernel_file(self) -> Path:
        """Holds the kernel's release; written once everything of it is there."""
        return self.root / "kernel"

    @property
    def kernel(self) -> str:
        return self.kernel_file.read_text().strip()

    @property
    def kernel_image(self) -> Path:
        return self.system / "boot" / f"vmlinuz-{self.kernel}"

    @property
    def kernel_modules(self) -> Path:
        return self.system / "lib/modules" / self.kernel

    @property
    def headers(self) -> Path:
        return self.system / "usr/src" / f"linux-headers-{self.kernel}"

    def loopback(self, version: str) -> Path:
        """Return the built module."""
        return self.root / "loopback" / version / "v4l2loopback.ko"

    def results(self, version: str) -> Path:
        """Return what the last run with that version left."""
        return self.root / "results" / version

    def is_ready(self, version: str) -> bool:
        return self.kernel_file.exists() and self.loopback(version).exists()
