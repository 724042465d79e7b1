"""The programs in examples/ run."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import tools
from vidbg.frame import Frame, StreamInfo
from vidbg.sinks.encoding.formats import Encoding
from vidbg.sinks.files.video_file_sink import VideoFileSink
from vidbg.sources.synthetic import swaying_person

EXAMPLES = Path(tools.__file__).resolve().parents[1] / "examples"

WIDTH, HEIGHT = 320, 180


def run_example(name: str, *arguments: str | Path) -> str:
    """Run an example in a process of its own; what it printed."""
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=110, check=False, cwd=EXAMPLES.parent
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def person(tmp_path: Path) -> Path:
    """Write a photo of the synthetic person."""
    path = tmp_path / "person.png"
    cv2.imwrite(str(path), swaying_person(WIDTH, HEIGHT)[0])
    return path


@pytest.fixture
def beach(tmp_path: Path) -> Path:
    """Write a background of one colour."""
    path = tmp_path / "beach.png"
    cv2.imwrite(str(path), np.full((HEIGHT, WIDTH, 3), (200, 120, 40), np.uint8))
    return path


def test_every_example_is_tested() -> None:
    tested = {"image.py", "video_file.py", "webcam.py", "own_backend.py", "own_sink.py"}
    assert {path.name for path in EXAMPLES.glob("*.py")} == tested


def test_image(person: Path, beach: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.png"
    assert "is a person" in run_example("image.py", person, beach, output)
    image = cv2.imread(str(output))
    assert image is not None
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(image[:20, :20].astype(int) - (200, 120, 40)).max() <= 2  # not the room's corner


def test_video_file(tmp_path: Path) -> None:
    source, output = tmp_path / "talk.mp4", tmp_path / "out.mp4"
    info = StreamInfo(WIDTH, HEIGHT, frame_rate=Fraction(30), time_base=Fraction(1, 30))
    with VideoFileSink(source, info, encoding=Encoding()) as sink:
        for index, image in enumerate(swaying_person(WIDTH, HEIGHT)[:4]):
            sink.write(Frame(image, index / 30, index))
    printed = run_example(
        "video_file.py", source, output, "--background", "green", "--quality", "fast"
    )
    assert "4 of 4 frames" in printed
    assert output.stat().st_size > 1000


def test_webcam() -> None:
    arguments = ("--camera", "synthetic", "--output", "none", "--frames", "3")
    assert "3 frames" in run_example("webcam.py", *arguments)


def test_own_backend(beach: Path, tmp_path: Path) -> None:
    actor, output = tmp_path / "actor.png", tmp_path / "out.png"
    screen = np.full((HEIGHT, WIDTH, 3), (64, 177, 0), np.uint8)  # chroma-key green, in BGR
    screen[60:, 120:200] = (90, 120, 200)
    cv2.imwrite(str(actor), screen)
    run_example("own_backend.py", actor, beach, output)
    image = cv2.imread(str(output))
    assert image is not None
    assert tuple(image[20, 20]) == (200, 120, 40)
    assert tuple(image[120, 160]) == (90, 120, 200)


def test_own_sink(tmp_path: Path) -> None:
    output = tmp_path / "clip.gif"
    run_example("own_sink.py", output, "--frames", "5")
    with Image.open(output) as gif:
        assert gif.size == (320, 180)
        assert getattr(gif, "n_frames", 1) == 5
    assert list(tmp_path.iterdir()) == [output]
