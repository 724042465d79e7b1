"""OpenCV's window functions without windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import pytest

from vidbg.sinks import window


class FakeWindows:
    """OpenCV's window functions, with a user who presses `keys` or clicks the window away."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[Any] = []
        self.keys: list[int] = []
        self.visible, self.destroyed = 1.0, 0
        answers: dict[str, Callable[..., Any]] = {
            "namedWindow": lambda *_: None,
            "resizeWindow": lambda *_: None,
            "imshow": lambda _, image: self.shown.append(image),
            "waitKey": lambda _: -1,
            "waitKeyEx": lambda _: self.keys.pop(0) if self.keys else -1,
            "getWindowProperty": lambda *_: self.visible,
            "destroyWindow": self.destroy,
        }
        for name, answer in answers.items():
            monkeypatch.setattr(cv2, name, answer)
        monkeypatch.setattr(window, "display_problem", lambda *_: None)

    def destroy(self, _title: str) -> None:
        self.destroyed += 1
