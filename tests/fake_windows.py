"""OpenCV's window functions without windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import pytest

from vidbg.sinks.preview import window


class FakeWindows:
    """OpenCV's window functions, with a user who presses `keys` or clicks the window away."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[Any] = []
        self.keys: list[int] = []
        self.visible, self.destroyed = 1.0, 0
        self.forgotten = False
        """OpenCV 5 with Qt knows no window once the user has closed the last."""
        answers: dict[str, Callable[..., Any]] = {
            "namedWindow": lambda *_: None,
            "resizeWindow": lambda *_: None,
            "imshow": lambda _, image: self.shown.append(image),
            "waitKey": lambda _: -1,
            "waitKeyEx": lambda _: self.keys.pop(0) if self.keys else -1,
            "getWindowProperty": lambda *_: self.look_up(),
            "destroyWindow": self.destroy,
        }
        for name, answer in answers.items():
            monkeypatch.setattr(cv2, name, answer)
        monkeypatch.setattr(window, "display_problem", lambda *_: None)

    def look_up(self) -> float:
        if self.forgotten:
            raise cv2.error("NULL guiReceiver (please create a window)")
        return self.visible

    def destroy(self, _title: str) -> None:
        self.destroyed += 1
