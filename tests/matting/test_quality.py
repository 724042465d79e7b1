"""What ships is good enough: scores on the validation pictures of ../shared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from training.data.image_sets import find_sets, read_sample
from training.evaluate.metrics import mad
from training.evaluate.quick_scores import score_set
from vidbg.frame import Image
from vidbg.matting import preprocess
from vidbg.matting.backends import load_backend
from vidbg.matting.ladder import USUAL_PIXELS
from vidbg.matting.video_matting import VideoMatting
from vidbg.util.brightness import MAX_GAIN

VALIDATION = Path(__file__).resolve().parents[3] / "shared" / "data" / "val"


@pytest.mark.data
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("name", "least_iou"), [("portraits", 0.965), ("street", 0.92)])
def test_people_are_cut_out(name: str, least_iou: float) -> None:
    """In INT8, at the size that the program works at."""
    if not VALIDATION.is_dir():
        pytest.skip("the validation pictures of ../shared are absent")
    pictures = next(s for s in find_sets(VALIDATION) if s.name == name)
    backend = load_backend("cpu", "int8")
    assert score_set(backend, pictures, USUAL_PIXELS)["iou"] > least_iou


@pytest.mark.data
@pytest.mark.timeout(300)
def test_rooms_have_no_people() -> None:
    if not VALIDATION.is_dir():
        pytest.skip("the validation pictures of ../shared are absent")
    rooms = next(s for s in find_sets(VALIDATION) if s.name == "rooms")
    backend = load_backend("cpu", "int8")
    assert score_set(backend, rooms, USUAL_PIXELS)["false_person"] <= 0.04


def darkened(rng: np.random.Generator, image: Image, light: float) -> Image:
    """Darken an image, with the shot and read-out noise of a webcam's sensor."""
    linear = (image / 255) ** 2.2 * light
    linear += rng.normal(size=linear.shape) * np.sqrt(6e-4 * linear + 4e-6)
    return np.asarray(np.clip(linear, 0, 1) ** (1 / 2.2) * 255 + 0.5).astype(np.uint8)


@pytest.mark.data
@pytest.mark.timeout(300)
def test_dark_portraits_are_matted_better_when_brightened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not VALIDATION.is_dir():
        pytest.skip("the validation pictures of ../shared are absent")
    portraits = next(s for s in find_sets(VALIDATION) if s.name == "portraits")
    served, rng = VideoMatting("cpu", "int8"), np.random.default_rng(0)
    errors: dict[float, list[float]] = {MAX_GAIN: [], 1.0: []}
    for sample in portraits.samples:
        image, mask = read_sample(sample)
        dark, truth = darkened(rng, image, 0.03), np.float32(1 / 255) * mask
        for gain, differences in errors.items():
            monkeypatch.setattr(preprocess, "MAX_GAIN", gain)
            served.reset()
            differences.append(mad(served(dark), truth))
    assert np.mean(errors[MAX_GAIN]) < 0.95 * np.mean(errors[1.0])
