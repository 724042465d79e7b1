"""The preview window, through OpenCV."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Mapping

from vidbg.errors import SinkError
from vidbg.frame import Frame, StreamInfo
from vidbg.sinks.live_sink import LiveSink
from vidbg.sinks.preview.overlay import PreviewStatus, draw_view
from vidbg.sinks.preview.preview_keys import Action, PreviewKeys

_X11_ESCAPE = 0xFF1B
_KEYS_A_FRAME = 8
"""Maximum number of keys read after a frame; each costs up to a millisecond."""


class WindowSink(LiveSink):
    """A window that shows frames until the user closes it with q, Esc or its button.

    From then on `closed` is True and frames are ignored. The window belongs to the thread that
    writes: if another thread closes the sink, the window stays until the writing thread or the
    process ends.

    Keys are read while a frame is written; take_keys() returns their actions. Overlays are
    drawn on a copy of the frame.

    Attributes:
        status: shown by the overlays; set it again whenever it changes.

    Args:
        info: of the frames.
        title: of the window; must be unique.
        mirror: mirror the image; the m key toggles it. Other sinks' frames and text are never
            mirrored.
    Raises:
        SinkError: there is no display, OpenCV was built without windows, or on macOS, which draws
            from the main thread only, another thread writes.
    """

    def __init__(self, info: StreamInfo, *, title: str = "vidbg", mirror: bool = True) -> None:
        super().__init__("the preview window", info.width, info.height)
        problem = display_problem(os.environ, sys.platform)
        if problem is not None:
            raise SinkError(problem)
        self._title = title
        self._drawer: threading.Thread | None = None
        self._dismissed = False
        self.status: PreviewStatus | None = None
        self._keys = PreviewKeys(mirror=mirror, now=time.monotonic())
        self._actions: list[Action] = []

    def adapt(self, info: StreamInfo) -> None:
        """Take frames of another size; the window keeps its own."""
        self._shape = (info.height, info.width, 3)

    @property
    def passthrough(self) -> bool:
        """Whether the frames show the real room; the window then warns in red."""
        return self._keys.passthrough

    @passthrough.setter
    def passthrough(self, on: bool) -> None:
        self._keys.passthrough = on

    def take_keys(self) -> list[Action]:
        """Return the user's actions since the last call, in order; closing the window is QUIT."""
        actions, self._actions = self._actions, []
        return actions

    @property
    def closed(self) -> bool:
        """Whether the user closed the window or the sink was closed."""
        return self._dismissed or not self._open

    def show_frame(self, frame: Frame) -> None:
        if not self._dismissed:
            import cv2

            try:
                self._draw(frame)
            except cv2.error as error:
                reason = str(error).strip().splitlines()[-1]
                raise SinkError(
                    f"OpenCV cannot open a window ({reason}). If opencv-python-headless is "
                    "installed, `pip uninstall opencv-python-headless` and `pip install "
                    "--force-reinstall opencv-python`; or run without --show"
                ) from error

    def _draw(self, frame: Frame) -> None:
        """Show a frame and take the keys; the first frame opens the window."""
        import cv2

        if self._drawer is None:
            thread = threading.current_thread()
            if sys.platform == "darwin" and thread is not threading.main_thread():
                raise SinkError(
                    "macOS draws windows from a program's main thread only, and the preview is "
                    "written from another: run without --show"
                )
            # Qt adds a tool bar and a status line by default.
            cv2.namedWindow(
                self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL
            )
            cv2.resizeWindow(self._title, frame.width, frame.height)
            self._drawer = thread
        view = self._keys.view(self.status, time.monotonic())
        cv2.imshow(self._title, draw_view(frame.image, view))
        if not self._read_keys():
            self._actions.append(Action.QUIT)
        if Action.QUIT in self._actions:
            self._dismissed = True
            self.release()

    def _read_keys(self) -> bool:
        """Read the pending keys and return whether the window still exists."""
        import cv2

        try:
            for _ in range(_KEYS_A_FRAME):
                code = cv2.waitKeyEx(1)  # which also lets the window system draw
                if code == -1:
                    break
                character = _character(code)
                action = self._keys.press(character, time.monotonic()) if character else None
                if action is not None:
                    self._actions.append(action)
            return bool(cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1)
        except cv2.error:  # OpenCV 5 with Qt fails here once the last window is closed
            return False

    def release(self) -> None:
        import cv2

        if self._drawer is threading.current_thread():
            self._drawer = None
            try:
                cv2.destroyWindow(self._title)
                cv2.waitKey(1)  # lets the window system take it down
            except cv2.error:  # the user has closed it already
                return


def _character(code: int) -> str:
    """Return the character of a key, "" if it has none.

    Qt and GTK give X11's key symbols, GTK with modifiers above bit 16: the left arrow is 0xFF51,
    which waitKey(), keeping only 8 bits, turns into Q.
    """
    symbol = code & 0xFFFF
    if symbol == _X11_ESCAPE:
        return "\x1b"
    return chr(symbol) if symbol < 0x80 else ""


def display_problem(environ: Mapping[str, str], platform: str) -> str | None:
    """Return why no window can be opened here, with the next step; None if one can.

    Checked first because OpenCV's Qt ends the whole process if it finds no display.
    """
    if platform in ("win32", "darwin"):
        return None
    display = environ.get("DISPLAY", "")
    if not display:
        return (
            "there is no display for the preview window (DISPLAY is not set): run without --show, "
            "or from a desktop session (on Wayland with XWayland)"
        )
    # "host:number.screen" is an X server; without a host, or with "unix", on this machine
    host, _, rest = display.rpartition(":")
    number = rest.split(".")[0]
    answers = False
    if number.isdecimal() and host in ("", "unix"):
        path = f"/tmp/.X11-unix/X{number}"
        answers = _connects(socket.AF_UNIX, path) or _connects(socket.AF_UNIX, "\0" + path)
    elif number.isdecimal():
        answers = _connects(socket.AF_INET, (host, 6000 + int(number)))
    if not answers:
        return (
            f"the display {display} (DISPLAY) does not answer, so there is no preview window: "
            "run without --show, or set DISPLAY to a running X server"
        )
    return None


def _connects(family: socket.AddressFamily, address: str | tuple[str, int]) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(address)
        except OSError:
            return False
    return True
