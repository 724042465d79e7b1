"""What ships is good enough: scores on the validation pictures of ../shared."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from training.data import find_sets
from training.validate import score_set
from vidbg.config import MattingConfig
from vidbg.matting.backends import load_backend

VALIDATION = Path(__file__).resolve().parents[2] / "shared" / "data" / "val"


@pytest.mark.data
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("name", "least_iou"), [("portraits", 0.965), ("street", 0.92)])
def test_people_are_cut_out(name: str, least_iou: float) -> None:
    """In INT8, at the size that the program works at."""
    if not VALIDATION.is_dir():
        pytest.skip("the validation pictures of ../shared are absent")
    pictures = next(s for s in find_sets(VALIDATION) if s.name == name)
    backend = load_backend("cpu", "int8")
    assert score_set(backend, pictures, MattingConfig().network_pixels)["iou"] > least_iou


@pytest.mark.data
@pytest.mark.timeout(300)
def test_rooms_hold_nobody() -> None:
    if not VALIDATION.is_dir():
        pytest.skip("the validation pictures of ../shared are absent")
    rooms = next(s for s in find_sets(VALIDATION) if s.name == "rooms")
    backend = load_backend("cpu", "int8")
    assert score_set(backend, rooms, MattingConfig().network_pixels)["false_person"] <= 0.04
