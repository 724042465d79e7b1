"""The network runs once for a still picture, and again after every change."""

from __future__ import annotations

import numpy as np
import pytest

from vidbg.config import MattingConfig
from vidbg.frame import Alpha, Image
from vidbg.matting.backends.constant import ConstantBackend
from vidbg.matting.still import STILL_LEVELS
from vidbg.matting.video_matting import VideoMatting

HEIGHT, WIDTH = 720, 1280


class Counting:
    """A network that takes bright for person, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, batch: np.ndarray) -> Alpha:
        self.asked += 1
        return np.asarray(batch[0, 0] > 0, np.float32)


def room(seed: int = 0) -> Image:
    """Draw a dark room with a bright person on the left and a little grain."""
    image = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    image[200:, 300:600] = 200
    grain: Image = np.random.default_rng(seed).integers(0, 3, image.shape, np.uint8)
    return image + grain


def noisy(image: Image, seed: int, sigma: float) -> Image:
    """Add a sensor's noise, another for each seed."""
    field = np.random.default_rng(0).normal(0, sigma, (HEIGHT, 96, 3)).astype(np.float32)
    noise = np.tile(np.roll(field, (37 * seed, 11 * seed), (0, 1)), (1, 14, 1))[:, :WIDTH]
    return np.asarray(np.clip(image + noise + 0.5, 0, 255), np.uint8)


def counted(**options: bool) -> tuple[VideoMatting, Counting]:
    network = Counting()
    return VideoMatting(backend=ConstantBackend(network), config=MattingConfig(**options)), network  # type: ignore[arg-type]


def test_the_network_rests_while_only_grain_changes() -> None:
    matter, network = counted()
    alphas = [matter(room(seed), seed / 30) for seed in range(40)]
    assert (network.asked, matter.reused) == (1, 39)
    fresh = VideoMatting(backend=ConstantBackend(Counting()))(room(39))
    assert np.abs(alphas[-1] - fresh).max() < 0.05
    alphas[-1][:] = 0  # the caller's own
    assert matter(room(39), 2.0).max() == 1


@pytest.mark.parametrize("sigma", [2, 4, 6])
def test_the_network_rests_in_a_camera_s_noise_for_seconds(sigma: float) -> None:
    matter, network = counted()
    for step in range(11):
        matter(noisy(room(), step, sigma), 0.45 * step)
    assert (network.asked, matter.reused) == (2, 9)


@pytest.mark.parametrize(("side", "rise"), [(8, 60), (12, 30), (24, 12), (40, 6)])
@pytest.mark.parametrize("sigma", [2, 4])
def test_what_appears_in_noise_asks_the_network_at_once(sigma: float, side: int, rise: int) -> None:
    matter, network = counted()
    for step in range(3):
        matter(noisy(room(), step, sigma), step / 30)
    image = room()
    image[100 : 100 + side, 900 : 900 + side] += np.uint8(rise)
    matter(noisy(image, 3, sigma), 3 / 30)
    assert network.asked == 2


def test_noise_in_the_dark_asks_the_network() -> None:
    """There the network is shown a brightened image, and sees what the noise hides here."""
    matter, network = counted()
    for step in range(4):
        matter(noisy(room() // 3, step, 4), step / 30)
    assert network.asked == 4


def test_a_person_who_moves_by_a_pixel_in_noise_asks_the_network() -> None:
    matter, network = counted()
    for step in range(3):
        matter(noisy(np.roll(room(), step, axis=1), step, 4), step / 30)
    assert network.asked == 3


def test_the_same_alpha_is_shared_while_nothing_moves() -> None:
    matter, _ = counted()
    shared = [matter.shared_alpha(room(seed), seed / 30) for seed in range(30)]
    assert shared[-1] is shared[-2]
    assert not shared[-1].flags.writeable
    own = matter(room(30), 1.0)
    assert own is not shared[-1]
    assert own.flags.writeable
    np.testing.assert_array_equal(own, shared[-1])
    moved = np.roll(room(), 30, axis=1)
    assert matter.shared_alpha(moved, 1.1).flags.writeable


def test_propagated_frames_rest_as_well() -> None:
    matter, network = counted()
    for step in range(9):
        matter.shared_alpha(noisy(room(), step, 3), step / 30, propagates=step % 3 > 0)
    assert (network.asked, matter.reused) == (1, 8)


@pytest.mark.parametrize("side", [2, 3, 8])
def test_a_few_changed_pixels_ask_the_network(side: int) -> None:
    matter, network = counted()
    image = room()
    matter(image, 0.0)
    image[100 : 100 + side, 900 : 900 + side] = 70  # 30 levels brighter
    matter(image, 0.04)
    assert network.asked == 2


@pytest.mark.parametrize(("rise", "asked"), [(STILL_LEVELS, 1), (STILL_LEVELS + 1, 2)])
def test_a_change_of_all_pixels_is_noise_up_to_the_limit(rise: int, asked: int) -> None:
    matter, network = counted()
    matter(room(), 0.0)
    matter(room() + np.uint8(rise), 0.04)
    assert network.asked == asked


def test_slow_changes_add_up_until_the_network_runs() -> None:
    matter, network = counted()
    for step in range(4 * (STILL_LEVELS + 1)):
        matter(room() + np.uint8(step), step / 30)
    assert network.asked == 4


def test_a_person_who_appears_is_seen_in_the_same_frame() -> None:
    matter, network = counted()
    empty = np.full((HEIGHT, WIDTH, 3), 10, np.uint8)
    for step in range(5):
        assert matter(empty, step / 30).max() == 0
    alpha = matter(room(), 5 / 30)
    assert network.asked == 2
    assert alpha[300:, 320:580].min() > 0.99


def test_a_buffer_that_is_written_again_is_no_still_picture() -> None:
    """At the network's own size the frame is not shrunk: the camera's buffer must not be kept."""
    matter, network = counted()
    buffer = np.full((224, 384, 3), 40, np.uint8)
    matter(buffer, 0.0)
    buffer[50:, 100:200] = 220
    assert matter(buffer, 0.04)[100:, 120:180].min() > 0.99
    assert network.asked == 2


def test_reset_another_size_and_settings_ask_again() -> None:
    matter, network = counted()
    matter(room(), 0.0)
    matter.reset()
    matter(room(), 0.04)
    matter(room()[:, :1000], 0.08)
    assert network.asked == 3
    for options in ({"reuse": False}, {"prior": True}):
        matter, network = counted(**options)
        for step in range(3):
            matter(room(), step / 30)
        assert (network.asked, matter.reused) == (3, 0)
