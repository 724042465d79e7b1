"""Frames that a device mats and composites in one: against the two steps, in files and live.

TensorRT runs on a simulated CUDA, its graph by ONNX Runtime; PyTorch runs the module on the CPU.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest
from fake_cuda import Arrays, FakeCuda, FakeEngine, fake_package
from live_rig import BEHIND, HEIGHT, WIDTH, FrameDevice, Rig
from references import CPU
from skimage import data

from vidbg.compositing import CompositingConfig, Compositor, parse_background
from vidbg.compositing.backgrounds import BlurSpec, ColourSpec, FileSpec
from vidbg.config import MattingConfig
from vidbg.errors import BackendError
from vidbg.frame import Frame, Image, StreamInfo
from vidbg.matting import backends
from vidbg.matting.backends import Backend, load_backend, tensorrt
from vidbg.matting.backends.constant import ConstantBackend
from vidbg.matting.backends.graphs import GraphPlan
from vidbg.matting.backends.pytorch import PyTorchBackend
from vidbg.matting.backends.tensorrt import TensorRtBackend
from vidbg.matting.engines import CARDS, engine_file
from vidbg.matting.video_matting import VideoMatting
from vidbg.pipeline.files.stream import MAX_UNDER_WAY, Stream
from vidbg.pipeline.frame_processor import CpuCompositing, FrameProcessor, FrameProcessors, GpuFrame
from vidbg.pipeline.gpu.frame_inputs import OUTPUTS, frame_plan
from vidbg.pipeline.gpu.full_frame import FullFrame
from vidbg.pipeline.live import Appearance, DeviceNetworks
from vidbg.pipeline.live.previews.views import view_image
from vidbg.pipeline.live.stages import live_full_frame, stage
from vidbg.sinks.memory_sink import MemorySink
from vidbg.sources import open_frames
from vidbg.sources.synthetic import SyntheticSource

CONFIG = MattingConfig(network_pixels=128 * 128, reuse=False)
SIZE = 144, 256
RATE = 30
GREEN = CompositingConfig(parse_background("green"))


def clip() -> list[Image]:
    """Make a grainy portrait that moves, is cut to its mirror image, and goes dark."""
    portrait = cv2.resize(data.astronaut()[..., ::-1], (288, 288), interpolation=cv2.INTER_AREA)
    rng = np.random.default_rng(0)
    pictures = []
    for step, light in ((0, 1.0), (0, 1.0), (3, 1.0), (6, 1.0), (-1, 1.0), (-1, 0.2), (-1, 0.2)):
        view = portrait[:, ::-1] if step < 0 else portrait
        view = view[max(step, 0) :, max(step, 0) :][: SIZE[0], : SIZE[1]] * light
        noisy = view + rng.normal(0, 1.5, view.shape)
        pictures.append(np.ascontiguousarray(np.clip(noisy, 0, 255), np.uint8))
    return pictures


def frames() -> Iterator[Frame]:
    for index, picture in enumerate(clip()):
        yield Frame(picture, index / RATE, index)


class Spoilt:
    """Changes what the simulated engine gives while `how` is set."""

    how: Callable[[Arrays], Arrays] | None = None

    def __call__(self, outputs: Arrays) -> Arrays:
        return outputs if self.how is None else self.how(outputs)


@pytest.fixture
def spoilt() -> Spoilt:
    return Spoilt()


@pytest.fixture
def simulated(
    runtime: FakeCuda, spoilt: Spoilt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> TensorRtBackend:
    """TensorRT with the full-frame engine for the clip's size."""
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    graph = engine_file(CARDS["resnet50"].typed, "frame-fp16.onnx")
    run = onnxruntime.InferenceSession(str(graph), options, ["CPUExecutionProvider"]).run

    def compute(arrays: Arrays) -> Arrays:
        if not arrays["rows"].any():  # the runs before a capture: nothing has been given yet
            return {}
        return spoilt(dict(zip(OUTPUTS, run(list(OUTPUTS), arrays), strict=True)))

    inputs = frame_plan(*SIZE, CONFIG.network_pixels).inputs
    state = inputs["past_alpha"]
    outputs = {
        "composited": inputs["frame"],
        "alpha": np.zeros((1, 1, *SIZE), np.float32),
        "smoothed": state,
        "luma": state,
    }
    (tmp_path / "engine").write_bytes(b"frame")
    monkeypatch.setattr(tensorrt, "cached_engine", lambda *_: tmp_path / "engine")
    monkeypatch.setattr(tensorrt, "is_cached", lambda *_: True)
    package = fake_package({b"frame": FakeEngine(runtime, inputs, outputs, compute)})
    return TensorRtBackend(package, "H100 9.0")


def reference(frame_list: list[Frame], config: MattingConfig = CONFIG) -> list[Image]:
    """Run both steps over the frames."""
    with VideoMatting(CPU, "fp32", config=config) as matter:
        processor = CpuCompositing(matter, Compositor(GREEN, open_frames))
        return [processor.finish(*processor.start(frame)).image for frame in frame_list]


def assert_same(given: Image, expected: Image) -> None:
    """After a cut the network is least sure, and a rounding of its input shows most: 97.8 %."""
    levels = np.abs(given.astype(int) - expected)
    assert (levels <= 2).mean() >= 0.97
    assert levels.max() < 64


def opened(device: str, request: pytest.FixtureRequest) -> Backend:
    if device == "simulated":
        return cast(Backend, request.getfixturevalue("simulated"))
    if device == "torch-cpu":
        pytest.importorskip("torchvision")
        request.getfixturevalue("quick_fp16")
        backend = PyTorchBackend("cpu", "fp32")
        backend.supports_full_frame = True  # as on CUDA
        return backend
    try:
        return load_backend(device)
    except BackendError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("prior", [False, True])
@pytest.mark.parametrize(
    "device",
    [
        "simulated",
        "torch-cpu",
        pytest.param("tensorrt", marks=pytest.mark.gpu),
        pytest.param("cuda", marks=pytest.mark.gpu),
    ],
)
def test_it_makes_what_the_two_steps_make(
    device: str, prior: bool, request: pytest.FixtureRequest
) -> None:
    backend = opened(device, request)
    config = replace(CONFIG, prior=prior)
    shown = list(frames())
    if device == "torch-cpu":  # slow: one frame each that stands still, moves, is cut, goes dark
        shown = [shown[0], *shown[2:6]]
    late = [replace(frame, pts=frame.pts + 9) for frame in shown[:2]]  # after a gap
    with FullFrame(backend, *SIZE, config, slots=2) as full_frame:
        background = np.full((*SIZE, 3), (64, 177, 0), np.uint8)
        tickets = []
        composites = []
        for frame in shown + late:  # the next is on its way before the last is fetched
            tickets.append(full_frame.start(frame, background))
            if len(tickets) == 2:
                composites.append(full_frame.finish(tickets.pop(0)))
        composites.append(full_frame.finish(tickets.pop()))
    for composite, expected in zip(composites, reference(shown + late, config), strict=True):
        assert_same(composite.image, expected)
    assert 0.1 < composites[0].person_share < 0.9
    backend.close()


OPAQUE = StreamInfo(SIZE[1], SIZE[0], frame_rate=Fraction(RATE))


def chosen(
    backend: Backend,
    compositing: CompositingConfig,
    config: MattingConfig,
    info: StreamInfo = OPAQUE,
) -> FrameProcessor:
    with VideoMatting(config=config, backend=backend) as matter, FrameProcessors(2) as processors:
        return processors.choose(matter, Compositor(compositing, open_frames), info)


def test_where_the_device_can_it_takes_the_full_frame(
    simulated: TensorRtBackend, runtime: FakeCuda
) -> None:
    assert isinstance(chosen(simulated, GREEN, CONFIG), GpuFrame)
    assert runtime.memory == {}  # given back with the processors
    unusual = [
        replace(GREEN, background=BlurSpec()),
        replace(GREEN, background=parse_background("transparent")),
        replace(GREEN, background=parse_background("none")),
        replace(GREEN, feather_px=1.0),
        replace(GREEN, offset_px=-1.0),
        replace(GREEN, light_wrap=0.1),
        replace(GREEN, keep_alpha=True),
    ]
    for compositing in unusual:
        assert isinstance(chosen(simulated, compositing, CONFIG), CpuCompositing)
    assert isinstance(
        chosen(simulated, GREEN, CONFIG, replace(OPAQUE, has_alpha=True)), CpuCompositing
    )
    for other in ({"refine": False}, {"people": "main"}, {"full_frame": False}):
        assert isinstance(chosen(simulated, GREEN, replace(CONFIG, **other)), CpuCompositing)
    assert isinstance(chosen(ConstantBackend(), GREEN, CONFIG), CpuCompositing)
    with pytest.raises(BackendError, match="runs the network alone"):
        FullFrame(ConstantBackend(), *SIZE, CONFIG, slots=1)


def test_a_device_that_cannot_open_it_runs_the_network_alone(
    simulated: TensorRtBackend, runtime: FakeCuda, caplog: pytest.LogCaptureFixture
) -> None:
    runtime.fails = "cudaMalloc"
    assert isinstance(chosen(simulated, GREEN, CONFIG), CpuCompositing)
    assert "the device runs the network alone: cudaMalloc failed" in caplog.text


def test_a_stream_goes_through_the_device(simulated: TensorRtBackend, runtime: FakeCuda) -> None:
    """Every frame in its order, each with its own pts, several on their way at a time."""

    class Clip(SyntheticSource):
        def __iter__(self) -> Iterator[Frame]:
            yield from frames()

    source = Clip(SIZE[1], SIZE[0], Fraction(RATE))
    sink = MemorySink()
    with (
        VideoMatting(config=CONFIG, backend=simulated) as matter,
        FrameProcessors(MAX_UNDER_WAY) as processors,
    ):
        compositor = Compositor(GREEN, open_frames)
        for _ in range(2):  # the second stream finds the graph and no past
            processor = processors.choose(matter, compositor, source.info)
            assert Stream(source, processor, sink).run().frames == len(clip())
        assert list(matter.clock.seconds()) == ["read", "send", "fetch", "write"]
    expected = reference(list(frames()))
    assert [frame.index for frame in sink.frames] == [*range(len(expected))] * 2
    for frame, image in zip(sink.frames, expected * 2, strict=True):
        assert frame.pts == frame.index / RATE
        assert_same(frame.image, image)
    assert runtime.memory == {}


def test_what_is_no_alpha_is_refused_and_forgotten(
    simulated: TensorRtBackend, spoilt: Spoilt
) -> None:
    first, second = list(frames())[:2]
    background = np.zeros((*SIZE, 3), np.uint8)
    with FullFrame(simulated, *SIZE, CONFIG, slots=1) as full_frame:
        fresh = full_frame.finish(full_frame.start(second, background))
        full_frame.reset()
        spoilt.how = lambda outputs: {**outputs, "smoothed": outputs["smoothed"] * np.nan}
        with pytest.raises(BackendError, match="values from nan to nan"):
            full_frame.finish(full_frame.start(first, background))
        spoilt.how = None
        again = full_frame.finish(full_frame.start(second, background))
        np.testing.assert_array_equal(again.image, fresh.image)


def test_the_background_goes_up_when_it_changes(
    simulated: TensorRtBackend, runtime: FakeCuda
) -> None:
    shown = next(frames())
    pictures = [np.full((*SIZE, 3), level, np.uint8) for level in (10, 200)]
    with FullFrame(simulated, *SIZE, CONFIG, slots=1) as full_frame:
        costs = []
        for background in (pictures[0], pictures[0], pictures[1]):
            runtime.copied = dict.fromkeys(runtime.copied, 0)
            corner = full_frame.finish(full_frame.start(shown, background)).image[0, 0]
            assert (corner == background[0, 0]).all()
            costs.append(runtime.copied[1])
    assert costs[1] == shown.image.nbytes + 8
    assert costs[2] == costs[1] + shown.image.nbytes


# Live.


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PATIENCE_S", "FIRST_PATIENCE_S"):
        monkeypatch.setattr(stage, name, 0.4)


def test_a_live_run_composites_on_the_device() -> None:
    with Rig(on_device=True) as rig:
        rig.wait_live()
        rig.wait(lambda: rig.composited > 5)
        assert rig.runners_open == 1
        assert "device" in rig.supervisor.clock.seconds()
        assert "composite" not in rig.supervisor.clock.seconds()
    assert (rig.leaked, rig.runners_open) == (0, 0)


def raises(_: Any) -> Any:
    raise BackendError("the driver is gone")


def no_numbers(outputs: Any) -> Any:
    return outputs and {**outputs, "smoothed": outputs["smoothed"] * np.nan}


@pytest.mark.parametrize("fault", [raises, no_numbers])
def test_a_device_that_fails_runs_the_network_alone(
    fault: Callable[[Any], Any], caplog: pytest.LogCaptureFixture
) -> None:
    with Rig(on_device=True) as rig:
        rig.wait_live()
        rig.device.fault = fault
        rig.wait(lambda: "composite" in rig.supervisor.clock.seconds())
        rig.wait_live()
        assert (rig.runners_open, rig.loaded, rig.blamed) == (0, 1, 0)
    assert rig.leaked == 0
    assert "runs the network alone from now on" in caplog.text


@pytest.mark.usefixtures("impatient")
def test_a_device_that_hangs_is_replaced() -> None:
    with Rig(on_device=True) as rig:
        rig.wait_live()
        rig.device.fault = rig.device.hang
        rig.wait(lambda: rig.blamed > 0)
        rig.device.fault = None
        rig.wait_live()
    assert rig.leaked == 0


def test_a_device_that_calls_all_a_person_is_not_believed() -> None:
    with Rig(on_device=True) as rig:
        rig.wait_live()
        rig.device.fault = lambda outputs: (
            outputs
            and {
                "composited": np.full((1, HEIGHT, WIDTH, 3), (7, 250, 119), np.uint8),
                "smoothed": np.ones_like(outputs["smoothed"]),
            }
        )
        rig.wait(lambda: rig.state == "degraded")
        rig.device.fault = None
        rig.wait_live()
    assert rig.leaked == 0


def test_a_device_shows_the_mask_to_who_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps alpha to itself, so the two steps are done while somebody looks."""
    monkeypatch.setattr("vidbg.pipeline.live.context.ALPHA_SHOWN_S", 0.3)
    with Rig(on_device=True) as rig:
        rig.wait_live()
        assert "composite" not in rig.supervisor.clock.seconds()
        rig.wait(lambda: view_image(rig.pipeline, "mask")[4, 4, 0] == 255)
        assert view_image(rig.pipeline, "mask")[-4, -4, 0] == 0
        count = rig.composited
        time.sleep(0.4)
        rig.wait(lambda: rig.composited > count + 2)  # on the device again
    assert rig.leaked == 0


def test_the_look_may_change_to_one_that_the_device_does_not_do() -> None:
    with Rig(on_device=True) as rig:
        rig.wait_live()
        plain = rig.supervisor.look
        edge = replace(plain.compositing, feather_px=0.5)
        rig.supervisor.change(Appearance(edge))
        rig.wait_live()
        count = rig.composited
        rig.wait_live()
        assert rig.composited == count
        rig.supervisor.change(plain)
        rig.wait(lambda: rig.composited > count + 2)
        rig.wait_live()
    assert rig.leaked == 0


def test_a_background_that_breaks_is_no_fault_of_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The two steps tell of it and try again; the device goes on when it is back."""
    monkeypatch.setattr(live_full_frame, "BACKGROUND_RETRY_S", 0.2)
    picture = tmp_path / "picture.png"
    cv2.imwrite(str(picture), np.full((HEIGHT, WIDTH, 3), BEHIND, np.uint8))
    with Rig(on_device=True) as rig:
        rig.wait_live()
        look = Appearance(CompositingConfig(FileSpec(picture)))
        rig.supervisor.change(look)
        rig.wait_live()
        original = Compositor.background_image
        monkeypatch.setattr(Compositor, "background_image", lambda *_: raises(None))
        rig.wait(lambda: "composite" in rig.supervisor.clock.seconds())
        rig.wait_live()
        monkeypatch.setattr(Compositor, "background_image", original)
        count = rig.composited
        rig.wait(lambda: rig.composited > count + 2)
        assert rig.runners_open == 1
    assert rig.leaked == 0
    assert "network alone" not in caplog.text


class SlowGraph(FrameDevice):
    """A device whose full-frame engine is not built yet."""

    def __init__(self, rig: Rig, fails: bool) -> None:
        super().__init__(rig)
        self.may_build, self.built, self._fails = threading.Event(), False, fails

    def graph_ready(self, plan: GraphPlan) -> bool:
        assert plan.spec.shapes["frame"] == (1, HEIGHT, WIDTH, 3)
        return self.built

    def prepare_graph(self, _plan: GraphPlan) -> None:
        assert self.may_build.wait(10)
        if self._fails:
            raise BackendError("the disk is full")
        self.built = True


@pytest.mark.parametrize("fails", [False, True])
def test_the_network_alone_serves_while_the_engine_is_built(
    fails: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "vidbg")
    slow = SlowGraph(Rig(), fails)
    monkeypatch.setattr(backends, "open_device", lambda *_: slow)
    networks = DeviceNetworks(MattingConfig("tensorrt"), HEIGHT, WIDTH)
    full_frame = live_full_frame.LiveFullFrame(HEIGHT, WIDTH)
    look = Appearance(CompositingConfig(ColourSpec(BEHIND)))
    full_frame.attach(networks.load())
    assert not full_frame.takes(look)
    assert not networks.better()
    slow.may_build.set()
    deadline = time.monotonic() + 5
    while not (networks.better() or "the disk is full" in caplog.text):
        assert time.monotonic() < deadline
    full_frame.attach(networks.load())
    assert full_frame.takes(look) is not fails
    full_frame.close()
    assert not networks.better()


def test_an_engine_that_would_not_be_used_is_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = SlowGraph(Rig(), fails=False)
    slow.may_build.set()
    monkeypatch.setattr(backends, "open_device", lambda *_: slow)
    networks = DeviceNetworks(MattingConfig("tensorrt", people="main"), HEIGHT, WIDTH)
    networks.load()
    time.sleep(0.2)
    assert not slow.built
    assert not networks.better()


def test_full_frames_come_back_with_everybody() -> None:
    """A network that was changed to keep one person does full frames again afterwards."""
    networks = DeviceNetworks(MattingConfig(), HEIGHT, WIDTH)
    assert networks._opener.wants_graph
    networks.adjust(MattingConfig(people="main"))
    assert not networks._opener.wants_graph
    networks.adjust(MattingConfig())
    assert networks._opener.wants_graph
