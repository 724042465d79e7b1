"""A reader like a browser or a video call: OpenCV opens the virtual camera and reads from it.

`python -m vm.guest.watch` prints a line of JSON for each attempt to read and saves the first
picture whose two sides are as they should be, until it is ended.
"""

from __future__ import annotations

import json
import time

import cv2
import numpy as np

from vm.guest.devices import LOOPBACK
from vm.guest.pictures import REFERENCE, load, sides

PICTURE = "frame.png"


def main() -> None:
    reference = load(REFERENCE)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    while not (capture := cv2.VideoCapture(LOOPBACK, cv2.CAP_V4L2)).isOpened():
        _tell(size=None)
        time.sleep(0.25)
    _tell(size=None, left="opened")
    saved = False
    while True:
        given, image = capture.read()
        if not given:
            _tell(size=None)
            continue
        left, right = sides(np.asarray(image, np.uint8), reference)
        _tell(size=image.shape[1::-1], left=left, right=right)
        if not saved and (left, right) == ("camera", "background"):
            saved = cv2.imwrite(PICTURE, image)


def _tell(**observed: object) -> None:
    print(json.dumps({"at": time.monotonic(), **observed}), flush=True)  # noqa: T201  (a command)


if __name__ == "__main__":
    main()
