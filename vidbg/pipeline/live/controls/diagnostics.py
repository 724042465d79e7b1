"""The last messages of a run, and a report of it that can be shown to strangers."""

from __future__ import annotations

import json
import logging
import platform
import re
import threading
from collections import deque
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from vidbg.option_values import to_json
from vidbg.pipeline.live.controls.api_types import LogLine, RunState
from vidbg.pipeline.live.controls.live_settings import SETTINGS
from vidbg.platform.processor import processor_features, processor_name
from vidbg.util.lifecycle import Closeable

if TYPE_CHECKING:
    from vidbg.pipeline.live.live_config import LiveConfig

KEPT = 300
"""Messages that are kept."""

_LOGGER = logging.getLogger("vidbg")


class RecentLog(logging.Handler, Closeable):
    """Keeps the last messages of the program until it is closed."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._kept: deque[LogLine] = deque(maxlen=KEPT)
        self._keeping = threading.Lock()
        self.setFormatter(logging.Formatter(datefmt="%H:%M:%S"))
        self._level_before = _LOGGER.level
        _LOGGER.addHandler(self)
        _LOGGER.setLevel(min(_LOGGER.getEffectiveLevel(), logging.INFO))

    def emit(self, record: logging.LogRecord) -> None:
        time = self.formatter.formatTime(record, "%H:%M:%S") if self.formatter else ""
        line = LogLine(time, record.levelname, record.getMessage())
        with self._keeping:
            self._kept.append(line)

    def lines(self) -> list[LogLine]:
        """Return the messages, oldest first."""
        with self._keeping:
            return list(self._kept)

    def close(self) -> None:
        _LOGGER.removeHandler(self)
        _LOGGER.setLevel(self._level_before)
        super().close()


def diagnostics_of(state: RunState, config: LiveConfig | None, lines: list[LogLine]) -> str:
    """Write a report: this computer, the settings that were changed, the state and the messages.

    Args:
        config: of the run; None before it has begun.
        lines: the last messages.
    Returns:
        Text without the user's paths, tokens and addresses.
    """
    features = ", ".join(processor_features() or ()) or "unknown features"
    changed = []
    for key, value in state.settings.items():
        option = SETTINGS[key]
        if value != to_json(option, option.default_for("run")):
            changed.append(f"{key} = {json.dumps(value)}")
    parts = [
        f"vidbg {state.version}, Python {platform.python_version()}, {platform.platform()}",
        f"{processor_name()} ({features})",
        ", ".join(_packages()),
        "",
        *changed,
        "",
        "not started" if config is None else f"output {config.asked.width}x{config.asked.height}",
    ]
    if state.status is not None:
        status = state.status
        parts.append(
            f"{status.words}{': ' + status.reason if status.reason else ''}; {status.fps} FPS, "
            f"{status.latency_ms} ms, {status.cpu_percent} % of a core"
        )
    parts += [f"output {each.name}: {each.state} {each.problem or ''}" for each in state.outputs]
    parts += ["", *(f"{line.time} {line.level} {line.text}" for line in lines)]
    return without_secrets("\n".join(parts))


def without_secrets(text: str) -> str:
    """Replace paths, tokens and addresses in a text, and keep what kind of file a path was."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text.replace(str(Path.home()), "~")


_FOLDERS = r"(?:~|[A-Za-z]:)?[\\/](?!dev/|proc/|sys/)"
_SECRETS = (
    (re.compile(r"(token=|Bearer )[\w%-]+"), r"\1***"),
    (re.compile(r"\b([a-z]+)://[^\s'\"]+"), r"\1://***"),
    (re.compile(rf"(['\"]){_FOLDERS}[^'\"\n]*?(\.\w{{1,5}})?\1"), r"\1<path>\2\1"),
    (
        re.compile(rf"(?<![\w.:<]){_FOLDERS}[^\s'\":,;()]*?(\.\w{{1,5}})?(?=[\s'\":,;()]|$)"),
        r"<path>\1",
    ),
)


def _packages() -> list[str]:
    """Return the packages that this program can use, with the versions that are installed."""
    versions = []
    for requirement in metadata.requires("vidbg") or ():
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return list(dict.fromkeys(versions))
