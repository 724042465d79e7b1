"""Compute alpha by a backend of your own: key out a green screen.

python examples/own_backend.py actor.jpg beach.jpg out.png

A backend takes the network's input and returns alpha. vidbg does the rest: it reduces the frame,
smooths alpha over time and enlarges it along the frame's edges.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import vidbg

# The network's input is normalised by ImageNet's mean and standard deviation.
MEAN = np.array([0.485, 0.456, 0.406], np.float32).reshape(3, 1, 1)
STD = np.array([0.229, 0.224, 0.225], np.float32).reshape(3, 1, 1)


class GreenScreen:
    """Takes pixels for background where green exceeds red and blue.

    Args:
        strength: how steep the step from background to person is.
    """

    name = "green screen"
    precision = "fp32"

    def __init__(self, strength: float = 5.0) -> None:
        self._strength = strength

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute alpha.

        Args:
            batch: float32 (1, 4, h, w): normalised R, G, B, and the previous alpha or 0.
        Returns:
            float32 (h, w) in [0, 1]; a new array.
        """
        red, green, blue = batch[0, :3] * STD + MEAN
        excess = green - np.maximum(red, blue)
        return np.asarray(np.clip(1 - self._strength * excess, 0, 1), np.float32)

    def ready(self, height: int, width: int) -> bool:
        """Return True: no size needs compiling."""
        del height, width
        return True

    def prepare(self, height: int, width: int) -> None:
        """Do nothing: no size needs compiling."""

    def close(self) -> None:
        """Do nothing: there is nothing to free."""


def read(path: Path) -> NDArray[np.uint8]:
    """Read an image as uint8 (H, W, 3), BGR."""
    image = cv2.imread(str(path))
    if image is None:
        sys.exit(f"{path} cannot be read as an image")
    return np.asarray(image, np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description="Key out a green screen.")
    parser.add_argument("image", type=Path)
    parser.add_argument("background", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()

    image, background = read(arguments.image), read(arguments.background)
    background = np.asarray(cv2.resize(background, image.shape[1::-1]), np.uint8)

    with vidbg.VideoMatting(backend=GreenScreen()) as matting:
        alpha = matting(image)
    cv2.imwrite(str(arguments.output), vidbg.composite(image, alpha, background))
    print(f"{arguments.output}: {alpha.mean():.0%} of the image is kept")


if __name__ == "__main__":
    main()
