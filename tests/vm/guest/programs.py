"""Programs that checks start: vidbg, and readers of the virtual camera."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vm.guest.devices import LOOPBACK, camera, roles, until
from vm.guest.pictures import BACKGROUND, SIZE

NOBODY, VIDEO_GROUP = 65534, 44
START_LIMIT_S, STOP_LIMIT_S = 90.0, 30.0
"""vidbg starts within 5 s where the machine has nothing else to do."""


class CheckFailed(Exception):
    """What was seen instead; the message of a check's finding."""


def require(true: object, observed: object) -> None:
    if not true:
        raise CheckFailed(str(observed))


class Program:
    """A process in a folder of its own within the check's; ended at the end of its `with`."""

    def __init__(self, name: str, command: Sequence[str], **how: Any) -> None:
        number = sum(1 for _ in Path.cwd().iterdir()) + 1
        folder = Path.cwd() / f"{number}-{name}"
        folder.mkdir()
        folder.chmod(0o777)  # a program of another user writes there, too
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                **how,
            )

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace").strip()

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def wait(self, limit_s: float = 60.0) -> int:
        """Its exit status once it ends by itself."""
        require(until(lambda: not self.running, limit_s), f"runs on after {limit_s:g} s")
        return self.process.wait()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit status after a signal."""
        if self.running:
            self.process.send_signal(number)
        return self.wait(STOP_LIMIT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self.running:
            self.process.terminate()
            if not until(lambda: not self.running, STOP_LIMIT_S):
                self.process.kill()
        self.process.wait()


class Vidbg(Program):
    """`vidbg run` from vivid to v4l2loopback, as whom and how a check wants it."""

    def __init__(
        self,
        *options: str,
        size: tuple[int, int] = SIZE,
        user: int = 0,
        groups: Sequence[int] = (),
    ) -> None:
        usual = {
            "--camera": str(camera()),
            "--output": LOOPBACK,
            "--size": f"{size[0]}x{size[1]}",
            "--fps": "5",
            "--background": BACKGROUND,
            "--device": "cpu",  # see scripted.py
            "--network-size": "192x112",
        }
        words = [word for pair in usual.items() for word in pair]
        super().__init__(
            "vidbg",
            [sys.executable, "-m", "vm.guest.scripted", "--verbose", "run", *words, *options],
            **_as_user(user, groups),
        )

    def wait_until_written(self) -> None:
        """Until the virtual camera shows as one."""
        require(
            until(lambda: roles() == ["capture"] or not self.running, START_LIMIT_S)
            and self.running,
            f"the virtual camera is {roles()}, vidbg says: {self.log[-600:]}",
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is CheckFailed and self.running:
            self._tell_where()
        super().__exit__(kind, error, trace)

    def _tell_where(self) -> None:
        """Add to the log what its threads are at, in Python and in the kernel."""
        self.process.send_signal(signal.SIGUSR1)  # see scripted.py
        time.sleep(1)
        stacks = Path(f"/proc/{self.process.pid}/task").glob("*/stack")
        with self._log.open("a") as log:
            log.writelines(f"\n{stack}\n{stack.read_text()}" for stack in stacks)

    @property
    def message(self) -> str:
        """Its last line: with --verbose a traceback precedes it."""
        return self.log.rpartition("\n")[2]

    @property
    def holds_camera(self) -> bool:
        """Whether it has a video device open beside the virtual camera."""
        for handle in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with suppress(OSError):  # closed meanwhile
                target = str(handle.readlink())
                if target.startswith("/dev/video") and target != LOOPBACK:
                    return True
        return False


def _as_user(user: int, groups: Sequence[int]) -> dict[str, Any]:
    return {"user": user, "group": user, "extra_groups": list(groups)}


@dataclass(frozen=True, slots=True)
class Seen:
    """An attempt to read.

    Attributes:
        at: of the guest's monotonic clock, in seconds.
        size: width and height; None if there was no picture.
        left, right: camera, background or other.
    """

    at: float
    size: tuple[int, int] | None
    left: str = ""
    right: str = ""

    @property
    def composite(self) -> bool:
        return (self.left, self.right) == ("camera", "background")

    @property
    def covered(self) -> bool:
        """A picture without any part of the camera's."""
        return self.size is not None and "camera" not in (self.left, self.right)


class Watcher(Program):
    """A reader in a process of its own; see watch.py."""

    def __init__(self, user: int = 0, groups: Sequence[int] = ()) -> None:
        command = [sys.executable, "-m", "vm.guest.watch"]
        super().__init__("watch", command, **_as_user(user, groups))

    def seen(self, since: float = 0.0) -> list[Seen]:
        """Its attempts from a time on, the oldest first."""
        lines = [line for line in self.log.splitlines() if line.startswith("{")]
        all_seen = (_parse(line) for line in lines if line.endswith("}"))
        return [one for one in all_seen if one.at >= since]

    def pictures(self, since: float = 0.0) -> list[Seen]:
        return [one for one in self.seen(since) if one.size is not None]

    def wait_for(
        self,
        wanted: Callable[[Seen], bool],
        count: int = 1,
        since: float = 0.0,
        limit_s: float = START_LIMIT_S,
    ) -> Seen:
        """Return what matches, once there are `count` of them."""

        def matching() -> list[Seen]:
            return [one for one in self.seen(since) if wanted(one)]

        until(lambda: len(matching()) >= count or not self.running, limit_s)
        require(
            len(matching()) >= count,
            f"{len(matching())} of {count} in {limit_s:g} s; the reader saw "
            f"{summary(self.seen(since))}",
        )
        return matching()[0]


def _parse(line: str) -> Seen:
    fields = json.loads(line)
    size = fields.pop("size")
    return Seen(size=None if size is None else (size[0], size[1]), **fields)


def summary(observed: Sequence[Seen]) -> str:
    """Describe what a reader got, in the order in which it changed, for people."""
    kinds = [_kind(one) for one in observed]
    runs = [(kind, len(list(run))) for kind, run in itertools.groupby(kinds)]
    return ", ".join(f"{count} x {kind}" for kind, count in runs[-12:]) or "nothing was read"


def _kind(one: Seen) -> str:
    if one.size is None:
        return "no picture"
    return f"{one.size[0]}x{one.size[1]} {one.left}|{one.right}"


def run_program(name: str, *command: str) -> str:
    """Run a program to its end and return what it printed.

    Raises:
        CheckFailed: it failed.
    """
    with Program(name, command) as program:
        status = program.wait()
        require(status == 0, f"{name} exited {status}: {program.log[-400:]}")
        return program.log
