"""The command that installs a program on this system."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping

_COMMANDS = {
    "debian": "sudo apt install",
    "fedora": "sudo dnf install",
    "arch": "sudo pacman -S",
    "darwin": "brew install",
    "win32": "winget install",
}
_NAMES = {"debian": "Debian and Ubuntu", "fedora": "Fedora", "arch": "Arch"}


def install_step(packages: Mapping[str, str]) -> str:
    """Return the command that installs packages here, or all distributions' if it is unknown.

    Args:
        packages: names by "debian", "fedora", "arch", "darwin" or "win32"; a system that is
            missing has no such package.
    """
    for system in (sys.platform, *_distribution()):
        if system in packages:
            return f"`{_COMMANDS[system]} {packages[system]}`"
    return ", ".join(
        f"{name}: `{_COMMANDS[system]} {packages[system]}`"
        for system, name in _NAMES.items()
        if system in packages
    )


def _distribution() -> list[str]:
    """Return the distribution's ID and the similar ones in /etc/os-release."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return []
    return f"{release['ID']} {release.get('ID_LIKE', '')}".split()
