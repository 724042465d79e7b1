"""The full-frame graph does what the steps on the CPU do.

The shipped graph is run by ONNX Runtime, which computes its fp16 parts in fp32 or fp16 as it likes:
this checks the graph, not a GPU's arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")
onnxruntime = pytest.importorskip("onnxruntime")

from training.export.quantised_graphs import open_as_it_stands  # noqa: E402
from vidbg.compositing import composite_foreground  # noqa: E402
from vidbg.compositing.foreground import GRID_LINES  # noqa: E402
from vidbg.compositing.scaling import shrink as shrink_to_grid  # noqa: E402
from vidbg.compositing.scaling import shrinking as grid_shrinking  # noqa: E402
from vidbg.config import MattingConfig  # noqa: E402
from vidbg.frame import Image  # noqa: E402
from vidbg.matting import temporal  # noqa: E402
from vidbg.matting.backends import graphs  # noqa: E402
from vidbg.matting.full_frame.smoothing_graph import stillness  # noqa: E402
from vidbg.matting.ladder import USUAL_PIXELS  # noqa: E402
from vidbg.matting.preprocess import plan_geometry, shrink, shrinking  # noqa: E402
from vidbg.matting.video_matting import VideoMatting  # noqa: E402
from vidbg.pipeline.gpu.frame_inputs import INPUTS, OUTPUTS, first_inputs  # noqa: E402

HEIGHT, WIDTH, PIXELS = 144, 256, 128 * 128
RATE = 30

ALPHA_ERROR, ALPHA_SHARE = 0.02, 0.99
"""The graph rounds less on the way down: an input pixel may differ by one grey level."""

LEVELS, COMPOSITE_SHARE = 2, 0.99
"""Composites follow alpha: where alpha differs more, so do they."""


def clip() -> Iterator[Image]:
    """Make a grainy portrait that stands still, moves, and is cut to its mirror image."""
    portrait = cv2.resize(data.astronaut()[..., ::-1], (288, 288), interpolation=cv2.INTER_AREA)
    rng = np.random.default_rng(0)
    for step in (0, 0, 3, 6, -1):
        view = portrait[:, ::-1] if step < 0 else portrait
        view = view[max(step, 0) :, max(step, 0) :][:HEIGHT, :WIDTH]
        yield np.clip(view + rng.normal(0, 1.5, view.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def session() -> Any:
    path = graphs.GraphSpec("frame", "", {}).graph_file()
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def test_names(session: Any) -> None:
    assert [tensor.name for tensor in session.get_inputs()] == list(INPUTS)
    assert [tensor.name for tensor in session.get_outputs()] == list(OUTPUTS)


@pytest.mark.parametrize("prior", [False, True])
def test_it_computes_what_the_cpu_steps_compute(session: Any, prior: bool) -> None:
    config = MattingConfig("cpu", "fp32", network_pixels=PIXELS, prior=prior)
    background = np.linspace(0, 255, HEIGHT * WIDTH * 3).reshape(HEIGHT, WIDTH, 3).astype(np.uint8)
    inputs = first_inputs(HEIGHT, WIDTH, PIXELS)
    inputs["background"] = background[None]
    with VideoMatting(config=config) as matter:
        for index, image in enumerate(clip()):
            inputs["frame"] = image[None]
            given = dict(zip(OUTPUTS, session.run(None, inputs), strict=True))
            alpha = matter(image, index / RATE)
            expected = composite_foreground(image, alpha, background)
            compare(given, alpha, expected)
            inputs["past_alpha"], inputs["past_luma"] = given["smoothed"], given["luma"]
            inputs["keep"] = number(np.exp(-1 / RATE / config.smoothing_s))
            inputs["prior"] = number(prior)


def number(value: float) -> NDArray[np.float32]:
    return np.array([value], np.float32)


def test_in_int8_it_gives_nearly_the_same(session: Any) -> None:
    quantised = open_as_it_stands(graphs.GraphSpec("frame", "", {}, "int8").graph_file())
    portrait = cv2.resize(data.astronaut()[..., ::-1], (320, 320), interpolation=cv2.INTER_AREA)
    inputs = first_inputs(180, 320, USUAL_PIXELS)
    inputs["frame"] = portrait[None, :180]
    expected, alpha = (s.run(["alpha"], inputs)[0] for s in (session, quantised))
    assert (np.abs(alpha - expected) <= ALPHA_ERROR).mean() >= ALPHA_SHARE


def compare(given: dict[str, Any], alpha: NDArray[np.float32], composited: Image) -> None:
    error = np.abs(given["alpha"][0, 0] - alpha)
    assert (error <= ALPHA_ERROR).mean() >= ALPHA_SHARE
    levels = np.abs(given["composited"][0].astype(int) - composited)
    assert (levels <= LEVELS).mean() >= COMPOSITE_SHARE


def test_a_stream_begins_and_cuts_without_a_past(session: Any) -> None:
    """What lies in the state counts for nothing where `keep` and `prior` are 0, nor after a cut."""
    image = next(clip())
    inputs = first_inputs(HEIGHT, WIDTH, PIXELS)
    inputs["frame"] = image[None]
    fresh = session.run(["smoothed"], inputs)[0]
    inputs["past_alpha"] = np.ones_like(inputs["past_alpha"])
    np.testing.assert_array_equal(session.run(["smoothed"], inputs)[0], fresh)
    inputs["past_luma"] = np.full_like(inputs["past_luma"], 255)
    inputs["keep"], inputs["prior"] = number(0.8), number(1)
    np.testing.assert_array_equal(session.run(["smoothed"], inputs)[0], fresh)


@pytest.mark.parametrize("shape", [(31, 47), (32, 40)])
@pytest.mark.parametrize("largest", [0, 1, 2, 4, 9, 60])
def test_stillness_without_sorting(shape: tuple[int, int], largest: int) -> None:
    rng = np.random.default_rng(largest)
    change = rng.integers(0, largest + 1, shape, dtype=np.uint8)
    result = stillness(torch.from_numpy(change)[None, None].float())[0, 0].numpy()
    np.testing.assert_allclose(result, temporal.stillness(change), atol=1e-5)


@pytest.mark.parametrize("size", [(720, 1280), (1080, 1920), (100, 333), (48, 64)])
def test_the_matrices_shrink_as_opencv_does(size: tuple[int, int]) -> None:
    image = cv2.resize(data.astronaut(), size[::-1])
    plan = plan_geometry(*size, 224 * 384)
    rows, columns = shrinking(plan)
    shrunk = rows.astype(np.float32) @ image[..., 1] @ columns
    assert shrunk.shape == (plan.height, plan.width)
    inside = shrunk[: plan.content_height, : plan.content_width]
    assert np.abs(inside - shrink(image, plan)[..., 1]).max() < 2  # OpenCV rounds at each stage
    rows, columns = grid_shrinking(*size, GRID_LINES)
    grid = shrink_to_grid(image[..., 1], GRID_LINES)
    assert np.abs(rows.astype(np.float32) @ image[..., 1] @ columns - grid).max() < 2.5
