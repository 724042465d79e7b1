"""Replace the background of one photo.

python examples/image.py me.jpg beach.jpg out.jpg
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import vidbg


def read(path: Path) -> NDArray[np.uint8]:
    """Read an image as uint8 (H, W, 3), BGR."""
    image = cv2.imread(str(path))
    if image is None:
        sys.exit(f"{path} cannot be read as an image")
    return np.asarray(image, np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description="Replace the background of one photo.")
    parser.add_argument("image", type=Path)
    parser.add_argument("background", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()

    image = read(arguments.image)
    height, width = image.shape[:2]
    background = np.asarray(cv2.resize(read(arguments.background), (width, height)), np.uint8)

    with vidbg.VideoMatting() as matting:
        alpha = matting(image)  # float32 (H, W) in [0, 1]; 1 is the person

    cv2.imwrite(str(arguments.output), vidbg.composite(image, alpha, background))
    print(f"{arguments.output}: {alpha.mean():.0%} of the image is a person")


if __name__ == "__main__":
    main()
