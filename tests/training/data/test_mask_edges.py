"""Where masks put the edge: shifted, and measured against a network's alpha."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

pytest.importorskip("torch")

from training.data.image_sets import Mask
from training.data.mask_edges import UNIT_PIXELS, edge_offset, shift_edge
from training.tools import edge_offsets
from vidbg.matting.backends.constant import ConstantBackend

SIDES = 224, 384


def disk(radius: float, scale: int = 1) -> Mask:
    """Draw a disk with a soft edge, its radius in pixels of an image of UNIT_PIXELS."""
    large = np.zeros((SIDES[0] * scale, SIDES[1] * scale), np.uint8)
    centre = (SIDES[1] * scale // 2 * 16, SIDES[0] * scale // 2 * 16)
    cv2.circle(large, centre, round(radius * scale * 16), 255, -1, cv2.LINE_AA, 4)
    return large


def radius_of(mask: Mask, scale: int = 1) -> float:
    return float((mask.sum() / 255 / np.pi) ** 0.5) / scale


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("pixels", [-1.5, -0.3, 0.2, 0.5, 1.0, 1.7])
def test_an_edge_moves_by_so_many_pixels(pixels: float, scale: int) -> None:
    mask = disk(60, scale)
    moved = radius_of(shift_edge(mask, pixels), scale) - radius_of(mask, scale)
    assert moved == pytest.approx(pixels, abs=0.12 * abs(pixels) + 0.02)


def test_no_shift_changes_nothing() -> None:
    mask = disk(60)
    assert shift_edge(mask, 0.0) is mask
    assert SIDES[0] * SIDES[1] == UNIT_PIXELS


@pytest.mark.parametrize("difference", [-0.8, 0.0, 0.4, 1.0])
def test_an_offset_is_measured_in_pixels(difference: float) -> None:
    mask, alpha = (np.float32(1 / 255) * disk(r) for r in (60 + difference, 60))
    alpha[:20, :40] = 1  # somebody whom the mask leaves out
    assert edge_offset(mask, alpha) == pytest.approx(difference, abs=0.06)


def test_a_mask_without_an_edge_has_no_offset() -> None:
    empty = np.zeros(SIDES, np.float32)
    assert edge_offset(empty, empty) is None


def write_set(folder: Path, radius: float) -> None:
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for index in range(3):
        image = np.repeat(disk(50 + index)[..., None], 3, 2)
        assert cv2.imwrite(str(folder / "images" / f"{index}.png"), image)
        assert cv2.imwrite(str(folder / "masks" / f"{index}.png"), disk(radius + index))


def see_white(batch: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = batch[0, 0].min(), batch[0, 0].max()
    return np.asarray((batch[0, 0] - low) / (high - low), np.float32)


def measure(data: Path, reference: str) -> Result:
    app = typer.Typer()
    app.command()(edge_offsets.main)
    return CliRunner().invoke(app, ["--data", str(data), "--reference", reference])


def test_sets_are_brought_to_the_keyed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = ConstantBackend(see_white)
    monkeypatch.setattr(edge_offsets, "load_backend", lambda *_: backend)
    write_set(tmp_path / "keyed", 50.5)
    write_set(tmp_path / "drawn", 51.5)
    result = measure(tmp_path, "keyed")
    assert result.exit_code == 0, result.output
    (option,) = [line for line in result.output.splitlines() if line.startswith("--edge")]
    name, _, shift = option.removeprefix("--edge ").partition("=")
    assert name == "drawn"
    assert float(shift) == pytest.approx(-1.0, abs=0.1)
    assert "no set named" in str(measure(tmp_path, "other").exception)
