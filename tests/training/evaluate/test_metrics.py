"""The metrics, by hand, by their properties and against published code's golden numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from training.evaluate.metrics import (
    boundary_f,
    conn,
    dtssd,
    flicker,
    gaussian_kernels,
    grad,
    grey_interior,
    is_false_person,
    mad,
    mse,
    person_share,
    segmentation_scores,
)
from vidbg.frame import Alpha

GOLDEN = Path(__file__).resolve().parents[4] / "shared" / "metrics"
PER_FRAME: dict[str, Callable[[Alpha, Alpha], float]] = {
    "mad": mad,
    "mse": mse,
    "grad": grad,
    "conn": conn,
}

alphas = arrays(np.uint8, (12, 17), elements=st.sampled_from([0, 20, 60, 100, 128, 200, 255])).map(
    lambda codes: codes.astype(np.float32) / 255
)


def test_segmentation_scores_by_hand() -> None:
    truth, alpha = np.zeros((10, 10), np.float32), np.zeros((10, 10), np.float32)
    truth[:, :4], alpha[:, 2:6] = 1, 0.9
    scores = segmentation_scores(alpha, truth)
    assert scores.iou == pytest.approx(20 / 60)
    assert (scores.precision, scores.recall, scores.f1) == (0.5, 0.5, 0.5)
    assert segmentation_scores(truth * 0, truth * 0).iou == 1


def test_boundary_f_tolerates_one_pixel() -> None:
    truth = np.zeros((300, 400), np.float32)
    truth[100:200, 100:300] = 1
    assert boundary_f(truth, truth) == 1
    assert boundary_f(np.roll(truth, 3, axis=1), truth) == 1  # within 0.008 x 500 = 4
    assert boundary_f(np.roll(truth, 30, axis=1), truth) < 0.75
    assert boundary_f(truth * 0, truth) == 0


def test_grey_counts_only_away_from_true_edges() -> None:
    truth = np.zeros((300, 400), np.float32)
    truth[100:200, 100:300] = 1
    alpha = truth.copy()
    alpha[102, 100:300] = alpha[98, 100:300] = 0.5  # within 4 pixels of the edge
    assert grey_interior(alpha, truth) == 0
    alpha[140:150, 150:170] = 0.5  # a half-transparent part of the person
    alpha[20:30, 20:30] = 0.3  # a ghost
    alpha[40:50, 20:30] = 0.95  # wrong, but decided
    assert grey_interior(alpha, truth) == pytest.approx(1e3 * 300 / 120_000)
    hair = truth.copy()
    hair[140:150, 150:170] = 0.5
    assert grey_interior(alpha, hair) == pytest.approx(1e3 * 100 / 120_000)


def test_mad_and_mse_by_hand() -> None:
    truth, alpha = np.zeros((2, 5), np.float32), np.zeros((2, 5), np.float32)
    alpha[0, 0], truth[1, 1] = 0.5, 1
    assert mad(alpha, truth) == pytest.approx(1e3 * 1.5 / 10)
    assert mse(alpha, truth) == pytest.approx(1e3 * 1.25 / 10)


def test_grad_of_a_lost_edge_by_hand() -> None:
    """An upright step: each row has the smoothed step's derivative, squared and summed."""
    truth = np.zeros((20, 40), np.float32)
    truth[:, 18:] = 1
    smooth, derivative = gaussian_kernels()
    row = smooth.sum() * np.convolve(np.pad(truth[0], 4, mode="edge"), derivative, mode="valid")
    expected = 20 * float(np.square(row).sum()) / 1e3
    assert grad(truth * 0, truth) == pytest.approx(expected, rel=1e-5)
    assert grad(0.2 + 0.5 * truth, truth) == pytest.approx(0, abs=1e-9)  # stretched to [0, 1]


def squares(second: float, *, touching: bool = False) -> Alpha:
    """100 pixels of alpha 1 and 16 pixels of another, apart or corner to corner."""
    alpha = np.zeros((24, 24), np.float32)
    alpha[2:12, 2:12] = 1
    start = 12 if touching else 16
    alpha[start : start + 4, start : start + 4] = second
    return alpha


def test_conn_counts_what_is_cut_off() -> None:
    assert conn(squares(1), squares(1)) == 0
    assert conn(squares(0), squares(1)) == pytest.approx(16 * 1.0 / 1e3)
    assert conn(squares(0.9), squares(1)) == pytest.approx(16 * 0.1 / 1e3)


def test_conn_takes_corners_for_apart() -> None:
    touching = conn(squares(0.9, touching=True), squares(1, touching=True))
    assert touching == pytest.approx(16 * 0.1 / 1e3)  # were they one, 0.1 would be forgiven


@pytest.mark.parametrize(("level", "error"), [(0.6, 0.4), (0.8, 0.2), (0.95, 0)])
def test_conn_ignores_differences_below_015(level: float, error: float) -> None:
    alpha = squares(0) * np.float32(level)
    assert conn(alpha, squares(0)) == pytest.approx(100 * error / 1e3, abs=1e-6)


@settings(max_examples=50)
@given(alphas, alphas)
def test_errors_are_symmetric_and_vanish_at_the_truth(alpha: Alpha, truth: Alpha) -> None:
    for metric in PER_FRAME.values():
        assert metric(truth, truth) == pytest.approx(0, abs=1e-9)
        assert metric(alpha, truth) >= 0
        assert metric(alpha, truth) == pytest.approx(metric(truth, alpha))


def test_dtssd_by_hand() -> None:
    truths = np.zeros((3, 4, 4), np.float32)
    moving = truths.copy()
    moving[1] = 0.5  # up by a half, then down again
    assert dtssd(moving, truths) == pytest.approx(1e2 * (0 + 0.5 + 0.5) / 3)
    assert dtssd(moving + 0.25, moving) == 0


def test_flicker_counts_still_pixels_alone() -> None:
    images = np.zeros((3, 4, 4, 3), np.uint8)
    images[1:, :2] = 50  # the upper half changes once
    truths = np.zeros((3, 4, 4), np.float32)
    alphas = np.zeros((3, 4, 4), np.float32)
    alphas[1, 2:] = 0.1
    alphas[1, :2] = 0.9
    alphas[2] = alphas[1]
    assert flicker(alphas, truths, images) == pytest.approx((100 + 0) / 2)
    assert flicker(alphas * 0, truths, images) == 0


def test_false_person_is_more_than_a_hundredth() -> None:
    alpha = np.zeros((10, 20), np.float32)
    alpha[0, :2] = 0.7
    assert not is_false_person(alpha)
    alpha[0, 2] = 0.7
    assert is_false_person(alpha)
    assert person_share(alpha) == pytest.approx(3 / 200)


@pytest.mark.data
def test_metrics_equal_the_golden_numbers() -> None:
    """As Robust Video Matting's evaluation (low resolution) computes them."""
    if not GOLDEN.is_dir():
        pytest.skip("the golden metrics of ../shared are absent")
    stored = np.load(GOLDEN / "golden_alpha.npz")
    pred, true = (stored[name].astype(np.float32) / 255 for name in ("pred", "true"))
    golden = json.loads((GOLDEN / "golden_metrics.json").read_text(encoding="utf-8"))
    for name, metric in PER_FRAME.items():
        values = [metric(a, g) for a, g in zip(pred, true, strict=True)]
        np.testing.assert_allclose(values, golden["per_frame"][name], rtol=1e-4, err_msg=name)
        assert np.mean(values) == pytest.approx(golden["mean"][name], rel=1e-4)
    pairs = [slice(i, i + 2) for i in range(len(pred) - 1)]
    changes = [2 * dtssd(pred[pair], true[pair]) for pair in pairs]  # its first frame counts as 0
    np.testing.assert_allclose(changes, golden["per_frame"]["dtssd"][1:], rtol=1e-4)
    assert dtssd(pred, true) == pytest.approx(golden["mean"]["dtssd"], rel=1e-4)


@pytest.mark.data
def test_gaussian_kernels_equal_the_golden_filter() -> None:
    if not GOLDEN.is_dir():
        pytest.skip("the golden metrics of ../shared are absent")
    golden = json.loads((GOLDEN / "golden_metrics.json").read_text(encoding="utf-8"))
    smooth, derivative = gaussian_kernels()
    np.testing.assert_allclose(
        np.abs(smooth[4] * derivative), np.abs(golden["grad_filter_x_row4"]), atol=1e-9
    )
