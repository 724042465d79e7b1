"""A live run with faults: viewers see the background in time, and never the room."""

from __future__ import annotations

import gc
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_rig import (
    HEIGHT,
    INFO,
    WIDTH,
    Rig,
    Seen,
    is_card,
    leaks,
    marked,
    notice_hangs_soon,
    raising,
    shows_person,
    unplugged,
)

from vidbg.compositing import BackgroundSpec, CompositingConfig, Compositor
from vidbg.compositing.backgrounds import BlurSpec, ColourSpec, FileSpec, PassthroughSpec
from vidbg.config import MattingConfig
from vidbg.errors import BackendError, ConfigError, EngineMismatch, SinkError, SourceError
from vidbg.frame import Frame
from vidbg.matting import backends
from vidbg.matting.backends.constant import ConstantBackend
from vidbg.pipeline.live import Appearance, DeviceNetworks, State, status_reporter, supervisor
from vidbg.pipeline.live.capture import reader
from vidbg.pipeline.live.faults import Faults
from vidbg.pipeline.live.outputs import frame_buffer
from vidbg.pipeline.live.outputs.fallback import fallback_image
from vidbg.pipeline.live.outputs.pacing import Pacer
from vidbg.pipeline.live.stages import stage
from vidbg.pipeline.live.status import LOADING
from vidbg.pipeline.live.threads.backoff import Backoff

SAFE_S = 0.2
"""Within this time a fault is no longer seen, with a hold of 0.06 s instead of 2.5."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    notice_hangs_soon(monkeypatch)
    monkeypatch.setattr(frame_buffer, "HOLD_S", 0.06)
    monkeypatch.setattr(supervisor, "UNWATCHED_S", 0.3)


def no_numbers(alpha: Any) -> Any:
    return np.full_like(alpha, np.nan)


def garbage(frame: Frame) -> Frame:
    return replace(frame, image=np.full((HEIGHT, WIDTH), 119, np.float32))


HANG = object()
FAULTS: dict[str, tuple[str, Any]] = {
    "the source raises": ("source", unplugged),
    "the source stalls": ("source", HANG),
    "the source gives garbage": ("source", garbage),
    "the backend raises": ("backend", raising(BackendError("driver"))),
    "the backend hangs": ("backend", HANG),
    "the backend gives NaN": ("backend", no_numbers),
    "the backend gives infinity": ("backend", lambda alpha: alpha + np.float32(np.inf)),
    "the backend gives another size": ("backend", lambda alpha: alpha[:5]),
    "the backend gives nothing": ("backend", lambda _: None),
    "the backend calls all a person": ("backend", np.ones_like),
    "memory runs out": ("backend", raising(MemoryError())),
    "the GPU is lost": ("backend", raising(RuntimeError("CUDA error: device lost"))),
    "the compositor raises": ("compositor", None),
    "the sink raises": ("sink", raising(SinkError("it is gone"))),
    "the sink hangs": ("sink", HANG),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults(
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    record_property: Callable[[str, object], None],
) -> None:
    """The fault table: safe in time, told, recovered, nothing of the room seen."""
    part, fault = FAULTS[name]
    compose = Compositor.__call__
    caplog.set_level(logging.INFO, "vidbg")
    with Rig() as rig:
        rig.wait_live()
        time.sleep(0.3)
        if part == "compositor":
            monkeypatch.setattr(Compositor, "__call__", raising(ValueError("sizes")))
        else:
            place = getattr(rig, part)
            place.fault = place.hang if fault is HANG else fault
        begun = time.monotonic()
        time.sleep(0.8)
        safe_s = rig.last_person_s(begun)
        assert safe_s < SAFE_S
        rig.wait(lambda: rig.state == State.DEGRADED.value)  # a busy machine may take longer
        assert any(r.levelname == "WARNING" for r in caplog.records)
        if part == "compositor":
            monkeypatch.setattr(Compositor, "__call__", compose)
        for healed in (rig.source, rig.backend, rig.sink):
            healed.fault = None
        recovery_s = rig.wait_live()
        rig.wait(lambda: rig.state == State.LIVE.value)
    record_property("safe_s", round(safe_s, 3))
    record_property("recovery_s", round(recovery_s, 3))
    assert rig.leaked == 0
    assert rig.failure is None
    assert rig.report is not None
    assert rig.report.faults >= 1


@pytest.mark.parametrize(
    "name",
    ["the source raises", "the backend raises", "the backend gives NaN", "the compositor raises"],
)
def test_the_person_stays_visible_during_a_fault_of_two_seconds(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_buffer, "HOLD_S", 2.5)
    part, fault = FAULTS[name]
    compose = Compositor.__call__
    with Rig() as rig:
        rig.wait_live()
        time.sleep(0.3)
        count = len(rig.seen)
        if part == "compositor":
            monkeypatch.setattr(Compositor, "__call__", raising(ValueError("sizes")))
        else:
            place = getattr(rig, part)
            place.fault = fault
        time.sleep(1.9)
        monkeypatch.setattr(Compositor, "__call__", compose)
        rig.source.fault = rig.backend.fault = None
        rig.wait(lambda: rig.state == State.LIVE.value)
        time.sleep(0.5)
        assert all(observed.person for observed in rig.seen[count:])
        assert rig.state == State.LIVE.value
    assert rig.leaked == 0


def test_one_bad_frame_is_not_worth_a_new_network() -> None:
    with Rig() as rig:
        rig.wait_live()
        once = iter([raising(BackendError("hiccup"))])
        rig.backend.fault = lambda usual: next(once, lambda u: u)(usual)
        time.sleep(0.5)
        assert rig.blamed == 0
        assert rig.state == State.LIVE.value


def test_a_network_that_keeps_failing_is_loaded_anew() -> None:
    with Rig() as rig:
        rig.wait_live()
        rig.backend.fault = raising(RuntimeError("CUDA error"))
        rig.wait(lambda: rig.blamed >= 1)
        rig.backend.fault = None
        rig.wait_live()


def test_a_damaged_model_ends_the_run_at_the_start_only() -> None:
    rig = Rig()
    rig.loading.fault = raising(EngineMismatch("the file is not what its card says"))
    with rig:
        rig.wait_end()
    assert isinstance(rig.failure, EngineMismatch)
    assert rig.leaked == 0
    with Rig() as rig:
        rig.wait_live()
        rig.loading.fault = raising(EngineMismatch("the file is not what its card says"))
        rig.backend.fault = raising(BackendError("driver"))
        rig.wait(lambda: rig.blamed >= 1)
        rig.backend.fault = None
        time.sleep(0.5)
        assert (rig.failure, rig.state) == (None, "degraded")
        rig.loading.fault = None
        rig.wait_live()
    assert rig.leaked == 0


def test_before_the_network_is_loaded_viewers_see_the_background() -> None:
    rig = Rig()
    rig.loading.fault = rig.loading.hang
    with rig:
        rig.wait(lambda: len(rig.seen) > 10)
        assert not any(observed.person for observed in rig.seen)
        assert rig.state == State.STARTING.value
        rig.loading.released.set()
        rig.wait_live()


def test_a_backend_that_hangs_for_ever_ends_the_run() -> None:
    with Rig() as rig:
        rig.wait_live()
        rig.backend.fault = rig.backend.hang
        rig.wait_end(20)
    assert "the network hung 3 times" in str(rig.failure)
    assert rig.leaked == 0


def test_a_camera_that_hangs_for_ever_is_waited_for() -> None:
    with Rig() as rig:
        rig.wait_live()
        rig.source.fault = rig.source.hang
        time.sleep(3)
        assert 3 <= rig.opened <= 5
        rig.source.fault = None
        rig.source.released.set()
        rig.wait_live()
    assert (rig.failure, rig.leaked) == (None, 0)


def test_an_output_that_cannot_be_opened_ends_the_run_at_the_start() -> None:
    rig = Rig()
    rig.sink.fault = raising(SinkError("no module"))
    with rig:
        rig.wait_end()
    assert isinstance(rig.failure, SinkError)


def test_a_pipe_whose_reader_has_gone_ends_the_run() -> None:
    with Rig(reopens=False) as rig:
        rig.wait_live()
        rig.sink.fault = raising(SinkError("the reader has gone"))
        rig.wait_end()
    assert isinstance(rig.failure, SinkError)


def test_a_missing_camera_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "vidbg")
    rig = Rig()
    rig.source.fault = unplugged
    with rig:
        rig.wait(lambda: rig.opened >= 3)
        assert rig.state == State.DEGRADED.value
        assert rig.statuses[-1].reason == "camera: the cable is out"
        rig.source.fault = None
        rig.wait_live()
    assert [r.message for r in caplog.records].count("camera: the cable is out") == 1


def test_a_camera_that_failed_is_closed_before_it_is_reopened() -> None:
    """The kernel lets a camera be opened once: one that froze was busy with us for ever."""
    with Rig() as rig:
        rig.wait_live()
        rig.source.fault = unplugged
        rig.wait(lambda: rig.state == "degraded")
        assert not rig.still_open
        rig.source.fault = None
        rig.wait_live()
        assert len(rig.still_open) == 1


def test_a_camera_that_cannot_be_ends_the_run() -> None:
    rig = Rig()
    rig.source.fault = raising(ConfigError("no such format"))
    with rig:
        rig.wait_end()
    assert isinstance(rig.failure, ConfigError)


@pytest.mark.parametrize("size", [(64, 48), (256, 192), (300, 100), (96, 128)])
def test_the_output_keeps_its_size_when_the_cameras_changes(size: tuple[int, int]) -> None:
    with Rig() as rig:
        rig.wait_live()
        rig.source.fault = lambda frame: frame and replace(frame, image=marked(*size))
        time.sleep(0.3)
        rig.seen.clear()
        rig.wait(lambda: len(rig.seen) > 5)
        assert rig.state == State.LIVE.value
    assert rig.leaked == 0
    assert rig.failure is None


# --- nobody watches -------------------------------------------------------------------------------


def test_the_camera_is_closed_while_there_are_no_viewers() -> None:
    with Rig() as rig:
        rig.wait_live()
        rig.watched = False
        rig.wait(lambda: rig.state == State.PAUSED.value)
        opened, written = rig.opened, len(rig.seen)
        time.sleep(1.2)
        assert rig.opened == opened
        assert 1 <= len(rig.seen) - written <= 4  # a new viewer finds a picture at once
        assert not rig.seen[-1].person
        rig.watched = True
        assert rig.wait_live() < 1.0
        assert rig.opened == opened + 1


def test_a_frame_that_comes_after_the_last_viewer_is_not_kept_for_the_next(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It would be shown as live, until it is too old, when somebody watches again."""
    monkeypatch.setattr(frame_buffer, "HOLD_S", 2.5)
    with Rig() as rig:
        rig.wait_live()
        rig.backend.fault = slowly  # one frame is on its way when the camera is closed
        for _ in range(3):
            rig.watched = False
            rig.wait(lambda: rig.state == State.PAUSED.value)
            time.sleep(0.8)
            assert not rig.seen[-1].person
            rig.watched = True
            rig.wait_live()
            rig.wait(lambda: rig.state == State.LIVE.value)
    assert not [r.message for r in caplog.records if r.levelno >= logging.WARNING]


def test_a_short_absence_does_not_close_the_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "UNWATCHED_S", 5.0)
    with Rig() as rig:
        rig.wait_live()
        rig.watched = False
        time.sleep(0.5)
        rig.watched = True
        assert rig.state == State.LIVE.value
        assert rig.opened == 1


def test_on_demand_can_be_switched_off() -> None:
    with Rig(on_demand=False) as rig:
        rig.watched = False
        rig.wait_live()
        time.sleep(0.6)
        assert rig.state == State.LIVE.value


# --- another look ---------------------------------------------------------------------------------


def test_the_room_is_not_seen_when_passthrough_ends() -> None:
    with Rig(PassthroughSpec()) as rig:
        rig.wait(lambda: any(observed.leaks for observed in rig.seen))  # asked for
        for _ in range(20):
            rig.supervisor.change(Appearance(CompositingConfig(ColourSpec((9, 9, 9)))))
            changed = time.monotonic()
            time.sleep(0.1)
            late = [
                observed
                for observed in rig.seen
                if observed.at_s > changed + 0.02 and observed.leaks
            ]
            assert not late
            rig.supervisor.change(Appearance(CompositingConfig(PassthroughSpec())))
            time.sleep(0.05)


def test_a_slider_does_not_make_the_person_blink(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_buffer, "HOLD_S", 2.5)
    with Rig() as rig:
        rig.wait_live()
        count, frames = len(rig.seen), rig.pipeline.outputs.frames
        for step in range(200):  # faster than a frame is made
            compositing = replace(rig.supervisor.look.compositing, feather_px=step / 100)
            rig.supervisor.change(replace(rig.supervisor.look, compositing=compositing))
            time.sleep(0.005)
        assert all(observed.person for observed in rig.seen[count:])
        assert rig.pipeline.outputs.frames > frames + 5


def test_which_frames_may_be_held_when_the_look_changes() -> None:
    def may(before: BackgroundSpec, after: BackgroundSpec) -> bool:
        old, new = (Appearance(CompositingConfig(spec)) for spec in (before, after))
        return new.may_follow(old)

    green, red, room = ColourSpec((0, 255, 0)), ColourSpec((0, 0, 255)), PassthroughSpec()
    hidden = (green, red, BlurSpec(30), BlurSpec(90))
    for before in hidden:
        assert all(may(before, after) for after in (*hidden, room))
        assert not may(room, before)


def test_a_background_that_cannot_be_read_changes_nothing(tmp_path: Any) -> None:
    with Rig() as rig:
        rig.wait_live()
        before = rig.supervisor.look
        with pytest.raises(ConfigError, match="does not exist"):
            rig.supervisor.change(Appearance(CompositingConfig(FileSpec(tmp_path / "none.png"))))
        assert rig.supervisor.look is before


def test_mirrored_output() -> None:
    with Rig() as rig:
        rig.wait_live()
        rig.source.fault = lambda frame: frame and replace(frame, image=_left_bright())
        rig.supervisor.change(Appearance(rig.supervisor.look.compositing, mirror=True))
        time.sleep(0.3)
        shown = rig.pipeline.outputs.shown
    assert shown is not None
    assert shown.frame.image[4, 4].tolist() == [0, 0, 0]  # the dark right side is on the left now


def _left_bright() -> Any:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[:, : WIDTH // 2] = 255
    return image


def test_safe_pictures() -> None:
    blurred = fallback_image(CompositingConfig(BlurSpec()), WIDTH, HEIGHT)
    assert is_card(blurred)
    assert is_card(fallback_image(CompositingConfig(PassthroughSpec()), WIDTH, HEIGHT))
    plain = fallback_image(CompositingConfig(ColourSpec((1, 2, 3))), WIDTH, HEIGHT)
    assert (plain == (1, 2, 3)).all()


# --- the run's end --------------------------------------------------------------------------------


def test_a_limit_counts_composited_frames() -> None:
    with Rig(frame_limit=7) as rig:
        rig.wait_end()
    assert rig.report is not None
    assert rig.report.frames == 7
    assert len(rig.report.latencies_s) == 7


def test_no_thread_stays() -> None:
    before = threading.active_count()
    with Rig() as rig:
        rig.wait_live()
    assert threading.active_count() == before


class Window:
    """A preview that is closed, or breaks, after three pictures."""

    smooth = watches = True

    def __init__(self, breaks: bool) -> None:
        self.shown: list[State] = []
        self.closed = False
        self._breaks = breaks

    def show(self, _frame: Frame, status: Any) -> None:
        self.shown.append(status.state)
        if len(self.shown) >= 3 and self._breaks:
            raise SinkError("the display is gone")

    def close(self) -> None:
        self.closed = True
        if self._breaks:
            raise SinkError("the display is gone")


def test_closing_the_preview_keeps_the_output() -> None:
    window = Window(breaks=True)
    with Rig(previews=[window]) as rig:
        rig.wait_live()
        time.sleep(0.4)
        assert rig.state == State.LIVE.value
        assert window.closed
    assert len(window.shown) == 3


def test_without_an_output_the_run_ends_with_its_last_preview() -> None:
    window = Window(breaks=True)
    with Rig(previews=[window], needs_preview=True) as rig:
        rig.wait_end()
    assert window.closed
    assert str(rig.failure) == "the display is gone"


def test_a_preview_is_a_viewer() -> None:
    window = Window(breaks=False)
    with Rig(previews=[window]) as rig:
        rig.watched = False
        rig.wait_live()
        time.sleep(0.6)
        assert rig.state == State.LIVE.value
    assert window.closed


# --- parts ----------------------------------------------------------------------------------------


def test_the_next_device_is_tried_when_one_keeps_failing(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def load(name: str, _precision: str, _network: str, _threads: int | None) -> ConstantBackend:
        tried.append(name)
        if name == "tensorrt":
            raise BackendError("no such thing")
        return ConstantBackend()

    monkeypatch.setattr(backends, "open_device", load)
    networks = DeviceNetworks(MattingConfig(), HEIGHT, WIDTH)
    networks.load()
    networks.blame()
    networks.load()
    assert tried == ["tensorrt", "cuda", "tensorrt", "mps"]
    named = DeviceNetworks(MattingConfig("cpu"), HEIGHT, WIDTH)
    named.load()
    named.blame()
    named.load()
    assert tried[4:] == ["cpu", "cpu"]


class SlowToBuild(ConstantBackend):
    """A backend whose engine is not built yet."""

    name = "slow"

    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        self.may_build, self.built, self._fails = threading.Event(), False, fails

    def ready(self, height: int, width: int) -> bool:
        assert (height % 32, width % 32) == (0, 0)
        return self.built

    def prepare(self, height: int, width: int) -> None:  # noqa: ARG002
        assert self.may_build.wait(10)
        if self._fails:
            raise BackendError("the disk is full")
        self.built = True


@pytest.mark.parametrize("fails", [False, True])
def test_another_device_serves_while_the_best_is_built(
    fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = SlowToBuild(fails)
    monkeypatch.setattr(
        backends, "open_device", lambda name, *_: slow if name == "tensorrt" else ConstantBackend()
    )
    messages: list[str] = []
    networks = DeviceNetworks(MattingConfig(), HEIGHT, WIDTH, messages.append)
    assert networks.load().backend.name == "constant"
    assert not networks.better()
    slow.may_build.set()
    deadline = time.monotonic() + 5
    while not fails and not networks.better():
        assert time.monotonic() < deadline
    time.sleep(0.1 if fails else 0)
    assert not networks.better()  # told once
    assert networks.load().backend.name == ("constant" if fails else "slow")
    assert "slow is being built, once for this size" in messages


def test_a_named_device_is_built_before_it_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "open_device", lambda *_: SlowToBuild())
    networks = DeviceNetworks(MattingConfig("tensorrt"), HEIGHT, WIDTH)
    assert networks.load().backend.name == "slow"
    assert not networks.better()


def test_a_better_network_is_used_when_available() -> None:
    with Rig() as rig:
        rig.wait_live()
        rig.improved = True
        rig.wait(lambda: rig.loaded == 2)
        rig.wait_live()
    assert (rig.leaked, rig.blamed) == (0, 0)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("source", "the camera gives no picture for"),
        ("backend", "the network has been busy with one picture for"),
    ],
)
def test_what_is_waited_for_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, part: str, words: str
) -> None:
    """Before it counts as hanging, and not as "this computer is probably too busy"."""
    monkeypatch.setattr(status_reporter, "SILENT_S", 0.3)
    monkeypatch.setattr(frame_buffer, "HOLD_S", 0.6)
    monkeypatch.setattr(stage, "PATIENCE_S", 60.0)
    monkeypatch.setattr(reader, "READ_PATIENCE_S", 60.0)
    with Rig() as rig:
        rig.wait_live()
        broken = getattr(rig, part)
        broken.fault = broken.hang
        rig.wait(lambda: rig.state == State.DEGRADED.value)
        broken.fault = None
        broken.released.set()
        rig.wait_live()
    assert any(words in r.message for r in caplog.records if r.levelno == logging.WARNING)


def slowly(alpha: Any) -> Any:
    time.sleep(0.15)
    return alpha


def test_faults_are_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "vidbg")
    faults = Faults()
    for _ in range(3):
        faults.raised("camera", SourceError("gone"))
    assert faults.present() == "camera: gone"
    faults.cleared("camera")
    faults.cleared("camera")
    messages = [(r.levelname, r.message) for r in caplog.records if r.levelno >= logging.INFO]
    assert messages == [("WARNING", "camera: gone"), ("INFO", "camera works again")]
    assert (faults.present(), faults.count) == (None, 1)


def test_a_part_that_works_and_fails_in_turn_warns_once_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an output that opens and is refused at its first frame, again and again."""
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    faults = Faults()
    for _ in range(130):
        faults.raised("output", SinkError("refused"))
        faults.cleared("output")
        now += 1
    faults.raised("output", SinkError("the disk is full"))
    warnings = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert warnings == ["output: refused"] * 3 + ["output: the disk is full"]


def test_a_fault_keeps_no_picture() -> None:
    """Though the frame that raised holds the exception, as some library's may: a cycle."""
    faults, pictures = Faults(), []

    def fails() -> None:
        picture = np.zeros((720, 1280, 3), np.uint8)
        pictures.append(weakref.ref(picture))
        error = SinkError("gone")
        try:
            raise KeyError("deep down")
        except KeyError as within:
            deep = within  # a cycle as well
            raise error from (deep if len(pictures) == 1 else error)

    gc.disable()
    try:
        for _ in range(3):  # with a cause, then as its own
            try:
                fails()
            except SinkError as error:
                faults.raised("output", error)
        assert all(picture() is None for picture in pictures)
    finally:
        gc.enable()


@given(
    phase=st.floats(0, 0.999),
    rate=st.sampled_from([0.999, 1.0, 1.001]),
)
def test_the_pacer_leans_towards_the_source(phase: float, rate: float) -> None:
    """Whatever the phase, frames soon wait a small part of the period, and ticks stay steady."""
    period = 1 / 30
    pacer, now, ticks, waits = Pacer(period, 0.0), 0.0, [], []
    arrivals = iter((n + phase) * period * rate for n in range(10_000))
    arrival, newest = next(arrivals), None
    for _ in range(600):
        now += pacer.wait_s(now)
        fresh = False
        while arrival <= now:
            newest, fresh, arrival = arrival, True, next(arrivals)
        waited = now - newest if fresh and newest is not None else None
        ticks.append(now)
        waits.append(waited)
        pacer.tick(now, waited)
    settled = [wait for wait in waits[400:] if wait is not None]
    assert len(settled) >= 190
    assert max(settled) < 0.5 * period
    steps = np.diff(ticks)
    assert (np.abs(steps - period) <= 0.031 * period).all()


def test_a_late_tick_is_not_made_up_for() -> None:
    pacer = Pacer(0.1, 0.0)
    pacer.tick(1.234, None)
    assert pacer.wait_s(1.234) == pytest.approx(0.066)


def test_backoff_grows_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    backoff = Backoff(1, 5)
    assert [backoff.next_s() for _ in range(6)] == [1, 1.5, 2.25, 3.375, 5, 5]
    backoff.worked()
    assert backoff.next_s() == 5  # it had only just failed
    monkeypatch.setattr("vidbg.pipeline.live.threads.backoff.SETTLED_S", 0.0)
    backoff.worked()
    assert backoff.next_s() == 1


def test_the_rig_sees_what_it_should() -> None:
    """A leak would be noticed, and the person is told from the background."""
    assert leaks(marked()) > 0
    assert shows_person(marked())
    assert not shows_person(np.zeros_like(marked()))
    assert isinstance(Seen(0, True, 0), Seen)
    assert INFO.live
    assert isinstance(iter([]), Iterator)


def test_a_run_that_starts_says_that_the_network_is_being_loaded() -> None:
    rig = Rig()
    rig.loading.fault = rig.loading.hang
    with rig:
        rig.wait(lambda: bool(rig.statuses) and rig.statuses[-1].reason == LOADING)
        assert rig.statuses[-1].state is State.STARTING
        rig.wait(lambda: len(rig.seen) > 3)  # viewers see the background meanwhile
        assert not any(seen.person for seen in rig.seen)
        rig.loading.released.set()
        rig.wait_live()
        rig.wait(lambda: rig.statuses[-1].reason is None)
    assert rig.leaked == 0
