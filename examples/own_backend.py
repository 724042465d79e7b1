"""Compute alpha without a network of vidbg's: key out a green screen.

python examples/own_backend.py actor.jpg beach.jpg out.png

A backend takes the network's input and returns alpha. vidbg does the rest: it scales the frame
down, smooths alpha over time and brings it back to the frame's size along the frame's edges.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import vidbg

# The input's normalisation, as of ImageNet.
MEAN = np.array([0.485, 0.456, 0.406], np.float32).reshape(3, 1, 1)
STD = np.array([0.229, 0.224, 0.225], np.float32).reshape(3, 1, 1)


class GreenScreen:
    """Calls a pixel background where green exceeds red and blue.

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
        """Whether a call at this size returns soon: always, nothing is compiled."""
        del height, width
        return True

    def prepare(self, height: int, width: int) -> None:
        """Compile for this size: nothing to do."""

    def close(self) -> None:
        """Free the device: nothing to do."""


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
