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
    # A distribution names itself and those that it is like
    try:
        release = platform.freedesktop_os_release()
        distributions = f"{release['ID']} {release.get('ID_LIKE', '')}".split()
    except OSError:
        distributions = []
    for system in (sys.platform, *distributions):
        if system in packages:
            return f"`{_COMMANDS[system]} {packages[system]}`"
    return ", ".join(
        f"{name}: `{_COMMANDS[system]} {packages[system]}`"
        for system, name in _NAMES.items()
        if system in packages
    )
