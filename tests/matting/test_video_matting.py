"""VideoMatting: its inputs, its alpha and its state."""

from __future__ import annotations

import time

import numpy as np
import pytest

from vidbg.config import MattingConfig
from vidbg.errors import BackendError, ConfigError
from vidbg.matting.backends import CANDIDATES, load_backend, survey
from vidbg.matting.backends.constant import ConstantBackend
from vidbg.matting.video_matting import VideoMatting, apply_levels
from vidbg.util.timing import StageClock


def picture(height: int = 72, width: int = 128, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)


@pytest.mark.parametrize("size", [(72, 128), (128, 72), (1, 1), (33, 500)])
def test_alpha_has_the_pictures_size(size: tuple[int, int]) -> None:
    with VideoMatting(backend=ConstantBackend(0.6)) as matter:
        alpha = matter(picture(*size))
    assert alpha.dtype == np.float32
    assert alpha.shape == size
    np.testing.assert_allclose(alpha, 0.57 / 0.94, atol=1e-5)


def test_nearly_sure_is_sure() -> None:
    alpha = apply_levels(np.array([0, 0.02, 0.5, 0.98, 1], np.float32))
    np.testing.assert_allclose(alpha, [0, 0, 0.5, 1, 1], atol=1e-6)


def test_state_is_kept_until_reset_or_another_size() -> None:
    answers = iter([1.0, 0.0, 0.0, 0.0])
    matter = VideoMatting(
        backend=ConstantBackend(lambda batch: np.full(batch.shape[2:], next(answers), np.float32)),
        config=MattingConfig(smoothing_s=1.0, reuse=False),
    )
    image = picture()
    assert matter(image).min() == 1
    assert 0.9 < matter(image).min() < 1  # still the same picture: remembered
    matter.reset()
    assert matter(image).max() == 0
    assert matter(picture(64, 64)).max() == 0


def test_a_stage_in_two_parts_is_one_measurement() -> None:
    clock = StageClock()
    for _ in range(2):
        with clock.beginning("smooth"):
            time.sleep(0.02)
        with clock.stage("network"):
            time.sleep(0.001)
        with clock.stage("smooth"):
            pass
    seconds = clock.seconds()["smooth"]
    assert len(seconds) == 2
    assert min(seconds) >= 0.02


@pytest.mark.parametrize("prior", [False, True])
def test_the_network_gets_its_last_alpha_if_enabled_and_never_over_a_cut(prior: bool) -> None:
    observed: list[float] = []

    def network(batch: np.ndarray) -> np.ndarray:
        observed.append(float(batch[0, 3].mean()))
        return np.full(batch.shape[2:], 0.75, np.float32)

    config = MattingConfig(prior=prior, reuse=False)
    matter = VideoMatting(backend=ConstantBackend(network), config=config)
    image = picture() // 4
    other = 255 - image
    for frame, pts in ((image, 0.0), (image, 0.04), (other, 0.08), (other, 0.12), (other, 9.0)):
        matter(frame, pts)
    given = 0.75 if prior else 0.0
    assert observed == [0.0, given, 0.0, given, 0.0]


@pytest.mark.parametrize(
    "bad",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8), 5],
)
def test_what_is_no_picture_is_refused_by_name(bad: object) -> None:
    with (
        VideoMatting(backend=ConstantBackend()) as matter,
        pytest.raises(ValueError, match="a picture must"),
    ):
        matter(bad)  # type: ignore[arg-type]


def test_unknown_names_list_what_is_allowed() -> None:
    with pytest.raises(ConfigError, match=r"'gpu'.*choose from auto, tensorrt, cuda"):
        load_backend("gpu")
    with pytest.raises(ConfigError, match=r"'int4'; did you mean 'int8'\? choose from auto, int8"):
        load_backend("cpu", "int4")


def test_a_named_device_is_never_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    from vidbg.matting.backends import openvino

    def refuse(*_: object) -> None:
        raise BackendError("no such device today")

    monkeypatch.setattr(openvino, "load", refuse)
    with pytest.raises(BackendError, match="no such device today"):
        load_backend("cpu")


def test_auto_names_every_refusal_when_nothing_works(monkeypatch: pytest.MonkeyPatch) -> None:
    from vidbg.matting import backends

    def refuse(name: str, *_: object) -> None:
        raise BackendError(f"{name} is out")

    monkeypatch.setattr(backends, "open_device", refuse)
    with pytest.raises(BackendError) as caught:
        load_backend()
    assert all(f"{name} is out" in str(caught.value) for name in CANDIDATES)


def test_survey_has_one_choice_and_a_reason_for_each() -> None:
    reports = survey()
    assert [report.name for report in reports] == list(CANDIDATES)
    assert sum(report.chosen for report in reports) == 1
    assert all(report.reason for report in reports)
