"""The scenes that ship: their names, what they look like, and that they are drawn fast enough."""

from __future__ import annotations

import time
from fractions import Fraction

import cv2
import numpy as np
import pytest

from vidbg.compositing.backgrounds import SceneSpec, check_background, parse_background
from vidbg.compositing.backgrounds.scene import SCENES
from vidbg.compositing.scenes import DRAWINGS, draw_scene
from vidbg.errors import ConfigError
from vidbg.frame import Image


def test_every_scene_has_a_name_and_a_drawing() -> None:
    assert list(SCENES) == list(DRAWINGS)
    assert len(set(SCENES.values())) == len(SCENES)


def test_names_are_read_as_people_write_them() -> None:
    assert parse_background("scene: Dusk") == SceneSpec("dusk")
    with pytest.raises(ConfigError, match=r"unknown scene 'dsk'; did you mean 'dusk'\? choose"):
        parse_background("scene:dsk")
    with pytest.raises(ConfigError, match="choose from studio, slate"):
        parse_background("scene")
    with pytest.raises(ConfigError, match="did you mean 'scene:dusk'"):
        check_background(parse_background("Dusk"))


def small(image: Image) -> Image:
    return np.asarray(cv2.resize(image, (64, 36), interpolation=cv2.INTER_AREA), np.uint8)


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_is_calm_without_bands_and_the_same_at_every_size(name: str) -> None:
    start = time.process_time()
    image = draw_scene(name, 720, 1280)
    assert time.process_time() - start < 1.5  # 0.15 s with nothing else to do
    np.testing.assert_array_equal(image, draw_scene(name, 720, 1280))
    assert 20 < image.mean() < 225
    assert (image == 255).mean() < 0.01

    # Neighbours differ by the dither nearly everywhere: a band has equal ones on both its sides
    assert (image[:, 1:] == image[:, :-1]).all(axis=2).mean() < 0.5
    # ... which is too little to be seen
    steps = np.abs(image[:, 1:].astype(int) - image[:, :-1])
    assert np.percentile(steps, 90) <= 2

    large = small(draw_scene(name, 1080, 1920)).astype(int)
    assert np.abs(large - small(image)).mean() < 1.5


def test_upright_frames_show_shelves() -> None:
    """And not the bare wall between them."""
    rows = cv2.cvtColor(draw_scene("shelf", 320, 180), cv2.COLOR_BGR2GRAY).astype(int)
    assert rows.std(axis=1).mean() > 10  # 1.7 in the middle


def test_frames_of_other_shapes_show_the_middle() -> None:
    whole = draw_scene("window", 720, 1280)
    across = (1280 - 960) // 2
    np.testing.assert_array_equal(draw_scene("window", 720, 960).shape, (720, 960, 3))
    middle = draw_scene("window", 720, 960).astype(int) - whole[:, across : across + 960]
    assert np.abs(middle).max() <= 1  # another place in the dither
    tall = draw_scene("window", 320, 180)
    assert tall.shape == (320, 180, 3)
    # Pixels twice as wide as high: half as many across show the same
    wide = small(draw_scene("window", 360, 320, Fraction(2)))
    assert np.abs(wide.astype(int) - small(draw_scene("window", 360, 640))).mean() < 1
