"""The preview window, through OpenCV."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Mapping

from vidbg.errors import SinkError
from vidbg.frame import Frame, StreamInfo
from vidbg.sinks.live import LiveSink

_QUIT_KEYS = (ord("q"), 27)  # 27 is Esc


class WindowSink(LiveSink):
    """Shows frames in a window until the user closes it with q, Esc or its button.

    From then on `closed` is True and frames are ignored. The window belongs to the thread that
    writes; closed from another thread, the sink leaves it to that thread's or the process's end.

    Raises:
        SinkError: there is no display, OpenCV was built without windows, or on macOS, which draws
            from the main thread only, another thread writes.
    """

    def __init__(self, info: StreamInfo, *, title: str = "vidbg") -> None:
        super().__init__("the preview window", info.width, info.height)
        problem = display_problem(os.environ, sys.platform)
        if problem is not None:
            raise SinkError(problem)
        self._title = title
        self._drawer: threading.Thread | None = None
        self._dismissed = False

    @property
    def closed(self) -> bool:
        """The user has closed the window, or the sink was closed."""
        return self._dismissed or not self._open

    def _show(self, frame: Frame) -> None:
        if not self._dismissed:
            import cv2

            try:
                self._draw(frame)
            except cv2.error as error:
                raise SinkError(_no_windows(error)) from error

    def _draw(self, frame: Frame) -> None:
        import cv2

        if self._drawer is None:
            _require_thread(sys.platform)
            cv2.namedWindow(self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
            cv2.resizeWindow(self._title, frame.width, frame.height)
            self._drawer = threading.current_thread()
        cv2.imshow(self._title, frame.image)
        key = cv2.waitKey(1) & 0xFF
        visible = cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1
        if key in _QUIT_KEYS or not visible:
            self._dismissed = True
            self._destroy()

    def _destroy(self) -> None:
        import cv2

        if self._drawer is threading.current_thread():
            self._drawer = None
            try:
                cv2.destroyWindow(self._title)
                cv2.waitKey(1)  # lets the window system take it down
            except cv2.error:  # the user's click was first
                return

    def _release(self) -> None:
        self._destroy()


def _require_thread(platform: str) -> None:
    if platform == "darwin" and threading.current_thread() is not threading.main_thread():
        raise SinkError(
            "macOS draws windows from a program's main thread only, and the preview is written "
            "from another: run without --show"
        )


def _no_windows(error: Exception) -> str:
    return (
        f"OpenCV cannot open a window ({str(error).strip().splitlines()[-1]}). If "
        "opencv-python-headless is installed, `pip uninstall opencv-python-headless` and "
        "`pip install --force-reinstall opencv-python`; or run without --show"
    )


def display_problem(environ: Mapping[str, str], platform: str) -> str | None:
    """Why no window can be opened here, with the next step; None if one can.

    Asked beforehand, because OpenCV's Qt ends the whole process where it finds no display.
    """
    if platform in ("win32", "darwin"):
        return None
    display = environ.get("DISPLAY", "")
    if not display:
        return (
            "there is no display for the preview window (DISPLAY is not set): run without --show, "
            "or from a desktop session (on Wayland with XWayland)"
        )
    if not _answers(display):
        return (
            f"the display {display} (DISPLAY) does not answer, so there is no preview window: "
            "run without --show, or set DISPLAY to a running X server"
        )
    return None


def _answers(display: str) -> bool:
    """Whether an X server listens at "host:number.screen"; without a host, on this machine."""
    host, _, rest = display.rpartition(":")
    number = rest.split(".")[0]
    if not number.isdecimal():
        return False
    if host in ("", "unix"):
        path = f"/tmp/.X11-unix/X{number}"
        return _connects(socket.AF_UNIX, path) or _connects(socket.AF_UNIX, "\0" + path)
    return _connects(socket.AF_INET, (host, 6000 + int(number)))


def _connects(family: socket.AddressFamily, address: str | tuple[str, int]) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(address)
        except OSError:
            return False
    return True
