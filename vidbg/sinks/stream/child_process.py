"""A sink that feeds frames to another program through its standard input."""

from __future__ import annotations

import logging
import os
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import IO, cast

from vidbg.errors import SinkError
from vidbg.frame import Frame, StreamInfo
from vidbg.sinks.newest_frame_sink import PATIENCE_S, NewestFrameSink

_log = logging.getLogger(__name__)

START_S = 0.4
"""How long opening waits to see whether the program exits at once, in seconds."""

_WORDS_S = 0.5  # for the last messages of a program that has just exited
_TERMINATE_S = 1.0  # between SIGTERM and SIGKILL
_LINES = 20  # of standard error that are kept

# Ctrl-C at the terminal must reach vidbg only, which then closes the program.
_NEW_GROUP: int = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)  # the same on Windows


class ChildProcessSink(NewestFrameSink):
    """A sink that feeds raw BGR frames to a program, which runs while the sink is open.

    Subclasses may override summary() and conceal(), for the program's messages.

    Args:
        name: of this sink in messages ("the stream to rtmp://host").
        info: of the frames.
        command: the program and its arguments.
        advice: the next step when it ends unexpectedly, a sentence without its full stop.
        stall_s: accepting no frame for longer than this, in seconds, is a failure; None: never.
    Raises:
        SinkError: it cannot be started or ends within START_S; or, while writing, it has ended or
            stalled.
    """

    def __init__(
        self,
        name: str,
        info: StreamInfo,
        command: Sequence[str],
        *,
        advice: str,
        stall_s: float | None,
    ) -> None:
        super().__init__(name, info, stall_s=stall_s)
        self._program, self._advice = command[0], advice
        self._said: deque[str] = deque(maxlen=_LINES)
        self._process = self._started(command)
        self._listener = threading.Thread(
            target=self._listen, name=f"vidbg: {self._program}", daemon=True
        )
        self._listener.start()
        self._thread.start()
        try:
            if self._ends_within(START_S):
                self._failure = BrokenPipeError(f"{self._program} has ended")
                raise self.failure_error("cannot be opened")
        except BaseException:
            self.close()
            raise
        _log.info("%s goes through %s, process %d", name, self._program, self._process.pid)

    def _started(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={**os.environ, "LC_ALL": "C.UTF-8"},  # its messages are parsed
                start_new_session=True,
                creationflags=_NEW_GROUP,
            )
        except OSError as error:
            self._open = False
            raise SinkError(f"{self._program} cannot be started: {error}. {self._advice}") from None

    def deliver_frames(self, frames: Iterator[Frame]) -> None:
        stdin = cast(IO[bytes], self._process.stdin)
        try:
            for frame in frames:
                stdin.write(frame.image.data)
                stdin.flush()
        finally:
            with suppress(OSError):  # the program exited before it took the last frame
                stdin.close()

    def _listen(self) -> None:
        with cast(IO[bytes], self._process.stderr) as stderr:
            for line in stderr:
                words = self.conceal(line.decode(errors="replace").strip())
                if words:
                    self._said.append(words)
                    _log.debug("%s: %s", self._program, words)

    def show_frame(self, frame: Frame) -> None:
        if self._failure is None and self._process.poll() is not None:
            self._failure = BrokenPipeError(f"{self._program} has ended")
        super().show_frame(frame)

    def failure_error(self, what: str) -> SinkError:
        if isinstance(self._failure, (TimeoutError, ConnectionResetError)):
            reason = str(self._failure)
        else:
            reason = self._last_words()
        return SinkError(f"{self._name} {what}: {reason}. {self._advice}")

    def _last_words(self) -> str:
        """Return why the program ended, according to its output."""
        ended = "takes no more frames"
        if self._ends_within(_WORDS_S):
            ended = f"ended with exit code {self._process.returncode}"
        self._listener.join(_WORDS_S)
        words = self.summary(list(self._said)).rstrip(".")
        return f"{self._program} {ended}" + (f" ({words})" if words else "")

    def summary(self, lines: Sequence[str]) -> str:
        """Return the most useful of the program's last lines on standard error, newest last."""
        return lines[-1] if lines else ""

    def conceal(self, line: str) -> str:
        """Return a line of the program's output without secrets."""
        return line

    def release(self) -> None:
        self._newest.close()
        deadline = time.monotonic() + (PATIENCE_S if self._failure is None else 0.0)
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if not self._ends_within(deadline - time.monotonic()):
            _log.info("%s: %s does not end and is stopped", self._name, self._program)
            self._process.terminate()
            if not self._ends_within(_TERMINATE_S):
                self._process.kill()
                self._process.wait()
        elif self._failure is None and self._process.returncode:
            _log.warning("%s ended with an error: %s", self._name, self._last_words())
        self._thread.join(_WORDS_S)
        self._listener.join(_WORDS_S)
        if self.dropped:
            _log.info("%s dropped %d frames", self._name, self.dropped)

    def _ends_within(self, seconds: float) -> bool:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, seconds))
        return self._process.returncode is not None
