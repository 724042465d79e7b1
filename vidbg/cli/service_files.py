"""Files that integrate vidbg into a Linux desktop: a systemd user unit, a menu entry, its icon."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vidbg.errors import ConfigError

MARKER = "Written by `vidbg service install`"
"""Only files that contain this are replaced and removed."""

UNIT = "vidbg.service"
WANTED_BY = "graphical-session.target"

_UNIT_TEXT = """\
# {marker}, which replaces the file; remove this line to keep your own.
[Unit]
Description=vidbg, a webcam that replaces your background
# Releases the camera at log-out, not only at shutdown.
PartOf={wanted_by}
After={wanted_by}
# Five failures in a minute will not pass by themselves: see `systemctl --user status vidbg`.
StartLimitIntervalSec=60
StartLimitBurst=5

[Service]
Type=simple
# "+" is for a log folder that was removed: the sandbox below shows it read-only.
ExecStartPre=+/bin/mkdir -p {log_folder}
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
KillSignal=SIGTERM
TimeoutStopSec=10
# 130 and 143 are Ctrl-C and SIGTERM. 2 is an invalid option, with which the next start fails too.
SuccessExitStatus=130 143
RestartPreventExitStatus=2
Restart=on-failure
RestartSec=2
# Messages go to the journal and the log file; raw video (output = "-") must not go there.
StandardOutput=null
StandardError=journal
# No Nice=: below 0 is not granted to users, above 0 other programs' work costs frames.

# The sandbox, for a program that decodes what cameras and files hold. Devices and writable,
# executable memory stay allowed: cameras need the former, compilers of networks (OpenVINO, CUDA)
# the latter. X11 and Wayland need /tmp and $XDG_RUNTIME_DIR as they are, so these are not private.
# No more rights by setuid programs. CUDA's own, nvidia-modprobe, is one of them: where no udev
# rule loads the module, nvidia_uvm belongs into /etc/modules-load.d.
NoNewPrivileges=yes
# All files are read-only but those below; the first of the two leaves homes writable. In effect
# from systemd 254 on, and where users may have namespaces (Ubuntu 24.04 denies them); elsewhere
# systemd leaves this out and starts vidbg anyway.
ProtectSystem=strict
ProtectHome=read-only
# vidbg's built engines; systemd creates the folder.
CacheDirectory=vidbg
# The log; GPU drivers' caches of compiled code; $XDG_RUNTIME_DIR; TensorRT's temporary files.
ReadWritePaths={writable} -%C -%h/.nv -%t /tmp
# Local sockets (displays), network outputs; netlink for name look-ups and cameras plugged in. Not
# Bluetooth, raw packets or the kernel's rarer interfaces.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK

[Install]
# Not default.target: that is also reached by SSH and by lingering, and the camera should only be on
# while somebody is at the desktop. For a desktop that does not start this target (some without
# systemd sessions): systemctl --user add-wants default.target {unit}
WantedBy={wanted_by}
"""

# The entry opens the preview because a start without a window looks like a failure; the service
# is in its actions.
_ENTRY_TEXT = """\
# {marker}, which replaces the file; remove this line to keep your own.
[Desktop Entry]
Type=Application
Name=vidbg
GenericName=Webcam background
Comment=Replace the background behind you in video calls
Exec={preview}
TryExec={program}
Icon=vidbg
Terminal=false
Categories=AudioVideo;Video;
Keywords=camera;webcam;background;blur;virtual;
Actions=page;start;stop;

[Desktop Action page]
Name=Open the page
Exec={page}

[Desktop Action start]
Name=Start in the background
Exec=systemctl --user start {unit}

[Desktop Action stop]
Name=Stop
Exec=systemctl --user stop {unit}
"""

_ICON_TEXT = """\
<?xml version="1.0" encoding="UTF-8"?>
<!-- {marker}, which replaces the file. -->
<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64" viewBox="0 0 64 64">
  <clipPath id="frame"><rect x="4" y="10" width="56" height="44" rx="8"/></clipPath>
  <g clip-path="url(#frame)">
    <rect x="4" y="10" width="56" height="44" fill="#2f6fb3"/>
    <circle cx="48" cy="21" r="5" fill="#ffd166"/>
    <path d="M4 46 18 30 29 42 41 27 60 46V54H4Z" fill="#2a9d8f"/>
    <path d="M14 56C14 44 22 40 32 40S50 44 50 56Z" fill="#f7f7f2"/>
    <circle cx="32" cy="29" r="10" fill="#f7f7f2"/>
  </g>
</svg>
"""


@dataclass(frozen=True, slots=True)
class Folders:
    """Folders where a Linux desktop looks for the user's files."""

    config: Path
    data: Path
    state: Path

    @classmethod
    def of_user(cls) -> Folders:
        """Read $XDG_CONFIG_HOME, $XDG_DATA_HOME and $XDG_STATE_HOME, or use the defaults."""
        return cls(
            _xdg("XDG_CONFIG_HOME", ".config"),
            _xdg("XDG_DATA_HOME", ".local/share"),
            _xdg("XDG_STATE_HOME", ".local/state"),
        )

    @property
    def unit(self) -> Path:
        return self.config / "systemd/user" / UNIT

    @property
    def unit_link(self) -> Path:
        """The symbolic link that enabling the unit creates."""
        return self.unit.parent / f"{WANTED_BY}.wants" / UNIT

    @property
    def entry(self) -> Path:
        return self.data / "applications/vidbg.desktop"

    @property
    def icon(self) -> Path:
        return self.data / "icons/hicolor/scalable/apps/vidbg.svg"

    @property
    def log(self) -> Path:
        return self.state / "vidbg/vidbg.log"


def _xdg(variable: str, otherwise: str) -> Path:
    value = Path(os.environ.get(variable, ""))
    return value if value.is_absolute() else Path.home() / otherwise


def unit_text(program: Sequence[str], options: Sequence[str], log: Path) -> str:
    """Return the text of the systemd unit.

    Args:
        program: the command that starts vidbg; its first word is an absolute path.
        options: options of `vidbg run`.
        log: path of the log file.
    Raises:
        ConfigError: systemd does not accept the program's path.
    """
    if re.search(r"[\"'\\]", program[0]):
        raise ConfigError(
            f"systemd starts no program with a quote or a backslash in its path ({program[0]}): "
            "install vidbg in another folder"
        )
    arguments = [*program[1:], "run", *options, "--log-file", str(log)]
    return _UNIT_TEXT.format(
        marker=MARKER,
        unit=UNIT,
        wanted_by=WANTED_BY,
        log_folder=unit_argument(str(log.parent)),
        # systemd does not expand variables in the program's own path.
        command=" ".join([_unit_word(program[0]), *map(unit_argument, arguments)]),
        writable=_unit_word(str(log.parent)),
    )


def entry_text(program: Sequence[str], options: Sequence[str]) -> str:
    """Return the text of the menu entry; the arguments are those of unit_text."""
    preview = [*program, "service", "preview", *options]
    return _ENTRY_TEXT.format(
        marker=MARKER,
        unit=UNIT,
        preview=" ".join(map(entry_argument, preview)),
        page=" ".join(map(entry_argument, [*program, "app", *options])),
        program=_entry_string(program[0]),
    )


def icon_text() -> str:
    return _ICON_TEXT.format(marker=MARKER)


def unit_argument(text: str) -> str:
    """Quote an argument for ExecStart=; see systemd.service(5), "Command lines"."""
    return _unit_word(text).replace("$", "$$")


def _unit_word(text: str) -> str:
    """Quote a word of a unit's line if necessary; % begins a specifier."""
    escaped = (
        text.replace("\\", "\\\\").replace("%", "%%").replace("\n", "\\n").replace("\t", "\\t")
    )
    if re.fullmatch(r"[\w@%+=:,./\\$-]+", escaped):
        return escaped
    return '"' + escaped.replace('"', '\\"') + '"'


def entry_argument(text: str) -> str:
    """Quote an argument for Exec=; see the Desktop Entry Specification, "The Exec key"."""
    argument = text.replace("%", "%%")
    if not re.fullmatch(r"[\w@%+=:,./-]+", argument):
        argument = '"' + re.sub(r'(["`$\\])', r"\\\1", argument) + '"'
    return _entry_string(argument)


def _entry_string(text: str) -> str:
    """Escapes that hold for every string of such a file, before it is read as a command."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
