"""Changes during a run: viewers keep a picture, and never see a room."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from live_desk import GREEN, NAVY, ROOMS, Desk, Shown, shown
from live_rig import HEIGHT, WIDTH, notice_hangs_soon, raising, unplugged

from vidbg.config import MattingConfig
from vidbg.errors import BackendError, CameraBlocked, ConfigError, SinkError, SourceError
from vidbg.frame import Image
from vidbg.pipeline.live.capture import camera_request, reader
from vidbg.pipeline.live.outputs import frame_buffer, output_gate, output_writer
from vidbg.pipeline.live.outputs.fallback import fallback_image
from vidbg.sources import open_frames


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    notice_hangs_soon(monkeypatch)


def more_than(frames: list[Shown], count: int) -> bool:
    return len(frames) > count


def longest_gap(frames: list[Shown]) -> float:
    """Seconds between two frames, at most."""
    return max((after.at_s - before.at_s for before, after in pairwise(frames)), default=0.0)


# --- the look -------------------------------------------------------------------------------------


def test_a_background_changes_within_two_frames_and_the_person_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        observed = desk.seen["web:1"]
        for colour, value in (("#000080", NAVY), ("green", GREEN)) * 3:
            desk.change(background=colour)
            count, frames = len(observed), desk.frames
            desk.wait(partial(more_than, observed, count + 8))
            later = [each.background for each in observed[count:]]
            first = later.index(value)
            assert observed[count + first].number - frames <= 2
            assert set(later[first:]) == {value}
        first = next(index for index, each in enumerate(observed) if each.person)
        assert all(each.person for each in observed[first:])
    assert desk.leaks == 0


def test_the_config_follows_what_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        changed = replace(desk.run.config, background="#000080", mirror=True, on_demand=False)
        desk.run.change(changed)
        assert desk.run.config.look == changed.look
        assert desk.run.config.on_demand is False
        desk.run.change(replace(desk.run.config, mirror=False))
        assert desk.run.look.compositing == changed.look.compositing
        assert not desk.run.look.mirror


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"frames": 5}, "frames: cannot change during a run"),
        ({"panel": 0, "show": True}, "show, panel: cannot change during a run"),
        ({"background": "missing.png"}, "does not exist"),
        ({"output": "pipwire"}, "unknown output 'pipwire'"),
    ],
)
def test_a_change_with_an_impossible_part_is_refused_entirely(
    values: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        before = desk.run.config
        with pytest.raises(ConfigError, match=message):
            desk.change(**{"mirror": True, "camera": "two", **values})
        time.sleep(0.2)
        assert desk.run.config == before
        assert desk.seen["web:1"][-1].person == "one"


# --- the camera -----------------------------------------------------------------------------------


def slow_to_open(usual: Any) -> Any:
    """As a camera that takes a while before its first picture."""
    if usual is None:
        time.sleep(0.6)
    return usual


def test_another_camera_takes_over_without_a_freeze(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The last one goes on until the next has opened."""
    monkeypatch.setattr(camera_request, "OPEN_PATIENCE_S", 5.0)
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        desk.wait(lambda: desk.status.state.value == "live")
        count, statuses_before = len(desk.seen["web:1"]), len(desk.statuses)
        for camera in ("two", "three", "one"):
            desk.cameras[camera].fault = slow_to_open
            desk.change(camera=camera)
            assert 0.6 < desk.wait_person(camera) < 2
            desk.wait(partial(is_open, desk, camera))
            assert desk.run.camera.name == camera
        desk.wait(lambda: len(desk.statuses) > statuses_before)
        assert {status.state.value for status in desk.statuses[statuses_before:]} == {"live"}
        assert "no more pictures" not in caplog.text
        frames = desk.seen["web:1"][count:]
        assert all(each.person for each in frames)
        fresh = {each.number: each for each in frames}  # repeated frames have the next one's number
        assert longest_gap(list(fresh.values())) < 0.5
    assert desk.leaks == 0


def is_open(desk: Desk, *cameras: str) -> bool:
    return desk.open_cameras == list(cameras)


def test_a_camera_that_cannot_be_read_leaves_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it fails at once, hangs, or gives no picture; the settings tell the truth."""
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        count = len(desk.seen["web:1"])
        two = desk.cameras["two"]
        for fault, why in (
            (unplugged, "the cable is out"),
            (lambda usual: usual and replace(usual, image=usual.image[0]), "not a uint8 picture"),
            (two.hang, "it does not answer"),
        ):
            two.fault = fault
            desk.change(camera="two", size=(64, 48))
            assert desk.run.config.camera == "two"
            desk.wait(partial(has_fault, desk, why))
            assert has_fault(desk, "camera two cannot be used: ")
            assert has_fault(desk, "; camera one stays in use")
            assert (desk.run.config.camera, desk.run.config.size) == ("one", (WIDTH, HEIGHT))
            assert desk.run.camera.name == "one"
        for _ in range(2):  # each keeps a thread as long as it hangs
            desk.change(camera="two")
            desk.wait(partial(has_fault, desk, "it does not answer"))
        with pytest.raises(ConfigError, match="the last ones that were asked for do not answer"):
            desk.change(camera="three")
        assert desk.status.state.value == "live"
        frames = desk.seen["web:1"][count:]
        assert {each.person for each in frames} == {"one"}
        assert longest_gap(frames) < 0.5
        two.fault = None
        two.released.set()
        desk.wait(lambda: not desk.run._supervisor.pipeline.camera._next.full)
        desk.change(camera="two")
        desk.wait_person("two")
        desk.wait(lambda: desk.status.reason is None)
        desk.wait(partial(is_open, desk, "two"))
    assert desk.leaks == 0


def has_fault(desk: Desk, words: str) -> bool:
    return words in (desk.run.camera.fault or "")


def test_a_camera_that_delivers_nothing_beside_another_replaces_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As two on one USB bus, which may carry only one of them."""
    with Desk(monkeypatch) as desk:
        desk.wait_person()

        def blocked(usual: Any) -> Any:
            if "one" in desk.open_cameras:
                raise CameraBlocked("it gave no picture")
            return usual

        desk.cameras["two"].fault = blocked
        desk.change(camera="two")
        desk.wait_person("two")
        desk.wait(lambda: desk.status.reason is None)
        desk.cameras["three"].fault = raising(CameraBlocked("it is broken"))
        desk.change(camera="three")
        desk.wait(partial(has_fault, desk, "it is broken; camera two stays in use"))
        desk.wait_person("two")
        assert desk.run.config.camera == "two"
    assert desk.leaks == 0


def test_a_mode_that_a_camera_refuses_leaves_its_last_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        most_open, refusals = [], iter([SourceError("it has no such mode")])

        def only_usual(usual: Any) -> Any:
            most_open.append(len(desk.open_cameras))
            if usual is None:
                for refusal in refusals:
                    raise refusal
            return usual

        desk.cameras["one"].fault = only_usual
        desk.change(fps=120.0)
        desk.wait(partial(has_fault, desk, "it has no such mode; its last mode stays"))
        desk.wait_person()
        assert desk.run.config.fps == 30
        assert max(most_open) == 1  # never twice at once
    assert desk.leaks == 0


def test_no_camera_opens_while_there_are_no_viewers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even one that was opening when the last viewer left."""
    monkeypatch.setattr(camera_request, "OPEN_PATIENCE_S", 5.0)
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        desk.cameras["two"].fault = slow_to_open
        desk.change(camera="two")
        time.sleep(0.1)
        desk.run.set_away(True)
        desk.wait(partial(is_open, desk))
        time.sleep(1.0)
        assert desk.open_cameras == []
        desk.change(camera="three")
        time.sleep(0.3)
        assert desk.open_cameras == []
        desk.run.set_away(False)
        assert desk.wait_person("three") < 1
        assert desk.run.camera.name == desk.run.config.camera == "three"
    assert desk.leaks == 0


def test_the_camera_in_use_can_be_chosen_again_while_another_opens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(camera_request, "OPEN_PATIENCE_S", 5.0)
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        count = len(desk.seen["web:1"])
        desk.cameras["two"].fault = slow_to_open
        desk.change(camera="two")
        desk.change(camera="one")
        time.sleep(1.0)
        assert desk.open_cameras == ["one"]
        assert {each.person for each in desk.seen["web:1"][count:]} == {"one"}
        assert longest_gap(desk.seen["web:1"][count:]) < 0.5


@pytest.mark.parametrize("part", ["one", "two", "network", "web:1"])
@pytest.mark.parametrize("how", ["raises", "hangs", "gives nonsense"])
def test_no_fault_during_a_switch_shows_a_room(
    part: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_buffer, "HOLD_S", 0.1)
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        broken = desk.network
        if part != "network":
            broken = (desk.outputs if part == "web:1" else desk.cameras)[part]

        def nonsense(usual: Any) -> Any:
            if isinstance(usual, np.ndarray):
                return np.ones_like(usual)  # all of it a person
            return usual and replace(usual, image=usual.image[..., 0])

        faults = {"raises": raising(SourceError("broken")), "hangs": broken.hang}
        broken.fault = faults.get(how, nonsense if part != "web:1" else None)
        desk.change(camera="two")
        time.sleep(0.3)
        broken.fault = None
        broken.released.set()
        if desk.run.config.camera == "one":  # it was refused
            desk.change(camera="two")
        desk.wait_person("two")
    assert desk.leaks == 0


def test_a_run_is_changed_before_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = threading.active_count()
    desk = Desk(monkeypatch)
    desk.change(camera="two", output=("web:2", "web:3"), background="#000080", mirror=True)
    assert threading.active_count() == before
    assert desk.open_cameras == []  # the first is closed, and the next not needed yet
    with desk:
        desk.wait(lambda: desk.seen["web:2"] and desk.seen["web:3"])
        desk.wait(lambda: desk.frames > 5)
        assert desk.seen["web:3"][-1].background == NAVY
        names = [thread.name for thread in threading.enumerate()]
        assert names.count("vidbg-camera") == 1
        assert desk.opened == ["web:2", "web:3"]
    assert not desk.seen["web:1"]
    assert desk.leaks == 0


def test_the_mask_of_the_last_camera_does_not_show_the_next_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even where both look alike and smoothing is strong: nothing of a scene outlives it."""
    monkeypatch.setitem(ROOMS, "two", ROOMS["one"])
    matting = MattingConfig("cpu", smoothing_s=10, refine=False, reuse=False)
    with Desk(monkeypatch, matting=matting) as desk:
        desk.wait_person()
        time.sleep(0.3)

        def nobody(_: Any) -> Any:
            desk.network.fault = np.zeros_like
            return None

        desk.cameras["two"].fault = lambda usual: usual or nobody(usual)
        desk.change(camera="two")
        desk.wait(lambda: desk.network.fault is not None)
        frames = desk.frames
        desk.wait(lambda: desk.frames > frames + 6)
        # Without a reset, the person's square would fade over seconds, and show the new room
        assert not desk.seen["web:1"][-1].person
        assert desk.seen["web:1"][-1].background == GREEN


def test_another_camera_size_keeps_the_outputs_size(monkeypatch: pytest.MonkeyPatch) -> None:
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        desk.change(size=(2 * WIDTH, 2 * HEIGHT), fps=15.0)
        desk.wait_person()
        assert {each.size for each in desk.seen["web:1"]} == {(WIDTH, HEIGHT)}
    assert desk.leaks == 0


def test_where_no_camera_works_the_next_one_is_opened_until_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frame_buffer, "HOLD_S", 0.1)
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        desk.cameras["one"].fault = desk.cameras["two"].fault = unplugged
        desk.wait(lambda: desk.status.reason == "camera: the cable is out")
        desk.change(camera="two")
        desk.wait(lambda: not desk.seen["web:1"][-1].person)
        assert desk.seen["web:1"][-1].background == GREEN
        time.sleep(0.5)
        assert desk.run.config.camera == "two"
        desk.cameras["two"].fault = None
        desk.wait_person("two")
        desk.wait(lambda: desk.status.reason is None)
    assert desk.leaks == 0


def test_a_camera_that_hangs_does_not_hold_up_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "READ_PATIENCE_S", 30.0)
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        desk.cameras["one"].fault = desk.cameras["one"].hang
        time.sleep(0.1)
        desk.change(camera="two")
        assert desk.wait_person("two") < 1
        desk.cameras["one"].released.set()  # what the old one gives now goes nowhere
        time.sleep(0.2)
        assert desk.seen["web:1"][-1].person == "two"
    assert desk.leaks == 0


def test_a_stage_that_hangs_during_a_switch_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        desk.network.fault = desk.network.hang
        time.sleep(0.1)
        desk.change(camera="two", background="#000080")
        time.sleep(0.2)
        desk.network.fault = None
        desk.wait_person("two")
        assert desk.seen["web:1"][-1].background == NAVY
        assert desk.failure is None
    assert desk.leaks == 0


# --- outputs --------------------------------------------------------------------------------------


def test_outputs_are_added_and_removed_without_affecting_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        count = len(desk.seen["web:1"])
        desk.change(output=("web:1", "web:2"))
        assert desk.wait_person(output="web:2") < 0.5
        assert [each.name for each in desk.run.outputs] == ["web:1", "web:2"]
        assert {each.state.value for each in desk.run.outputs} == {"on"}
        desk.change(output="web:2")
        desk.wait(lambda: "web:1" in desk.closed)
        desk.wait_person(output="web:2")
        desk.change(output=("web:3", "web:2"))
        desk.wait_person(output="web:3")
        first, second = desk.seen["web:1"][count:], desk.seen["web:2"]
        assert desk.opened == ["web:1", "web:2", "web:3"]
        for frames in (first, second):
            assert all(each.person for each in frames)
            assert longest_gap(frames) < 0.5
    assert desk.leaks == 0


def test_an_output_that_fails_or_hangs_does_not_disturb_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Desk(monkeypatch, output=("web:1", "web:2", "web:3")) as desk:
        for name in ("web:1", "web:2", "web:3"):
            desk.wait_person(output=name)
        count = len(desk.seen["web:1"])
        desk.outputs["web:2"].fault = raising(SinkError("it is gone"))
        desk.outputs["web:3"].fault = desk.outputs["web:3"].hang
        desk.wait(lambda: sum(each.fault is not None for each in desk.run.outputs) == 2)
        time.sleep(0.5)
        first, second, third = desk.run.outputs
        assert (first.fault, second.fault, second.state.value) == (None, "it is gone", "failing")
        assert "hangs for" in (third.fault or "")
        assert desk.status.state.value == "live"
        frames = desk.seen["web:1"][count:]
        assert all(each.person for each in frames)
        assert longest_gap(frames) < 0.5
        for name in ("web:2", "web:3"):
            desk.outputs[name].fault = None
            desk.outputs[name].released.set()
            desk.wait_person(output=name)
        desk.wait(lambda: not any(each.fault for each in desk.run.outputs))
    assert desk.leaks == 0


def test_a_slow_output_does_not_slow_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_writer, "WRITE_PATIENCE_S", 5.0)

    def slow(frame: Any) -> None:
        time.sleep(0.25 if frame is not None else 0)

    with Desk(monkeypatch, output=("web:1", "web:2")) as desk:
        desk.wait_person()
        desk.outputs["web:1"].fault = slow
        time.sleep(0.3)
        slowed, count = len(desk.seen["web:1"]), len(desk.seen["web:2"])
        time.sleep(1.0)
        assert len(desk.seen["web:2"]) - count > 12
        assert len(desk.seen["web:1"]) - slowed < 6


def test_a_pipe_that_ends_leaves_the_other_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    with Desk(monkeypatch, output=("-", "web:1")) as desk:
        desk.wait_person()
        desk.outputs["-"].fault = raising(SinkError("the reader has gone"))
        desk.wait(lambda: desk.run.outputs[0].state.value == "ended")
        assert desk.run.outputs[0].fault == "the reader has gone"
        desk.wait_person()
        desk.change(output="web:1")
        desk.wait(lambda: desk.status.reason is None)
        assert desk.failure is None


def test_the_run_ends_with_its_last_output(monkeypatch: pytest.MonkeyPatch) -> None:
    with Desk(monkeypatch, output="-") as desk:
        desk.wait_person(output="-")
        desk.outputs["-"].fault = raising(SinkError("the reader has gone"))
        time.sleep(0.5)
        assert isinstance(desk.failure, SinkError)


def test_an_output_that_does_not_open_after_a_change_is_opened_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        desk.outputs["web:2"].fault = raising(SinkError("the port is taken"))
        desk.change(output=("web:1", "web:2"))
        desk.wait(lambda: desk.status.reason == "output web:2: the port is taken")
        desk.outputs["web:2"].fault = None
        desk.wait_person(output="web:2")
        desk.wait(lambda: desk.status.reason is None)


def test_an_output_that_does_not_open_at_the_start_ends_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk(monkeypatch, output=("web:1", "web:2"))
    desk.outputs["web:2"].fault = raising(SinkError("the port is taken"))
    with desk:
        time.sleep(0.5)
        assert str(desk.failure) == "the port is taken"


def test_with_a_page_an_output_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiohttp")
    desk = Desk(monkeypatch, output=("web:1", "web:2"), panel=0)
    desk.outputs["web:2"].fault = raising(SinkError("the port is taken"))
    with desk:
        desk.wait_person()
        desk.wait(lambda: desk.status.reason == "output web:2: the port is taken")
        desk.outputs["web:2"].fault = None
        desk.wait_person(output="web:2")


def test_the_default_output_has_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Naming the virtual camera that is in use does not open it again."""
    with Desk(monkeypatch, output=None) as desk:
        desk.wait_person(output="virtual-camera")
        desk.change(output="virtual-camera")
        desk.change(output=("virtual-camera", "web:1"))
        desk.wait_person()
        assert desk.opened == ["virtual-camera", "web:1"]
        assert [each.name for each in desk.run.outputs] == ["virtual camera", "web:1"]


@pytest.mark.parametrize("load_s", [0.0, 0.8])
def test_outputs_get_another_size_without_a_freeze(
    load_s: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also where the network takes a while to load; a recording keeps its own size."""
    with Desk(monkeypatch, output=("web:1", "web:2")) as desk:
        desk.wait_person()
        desk.wait_person(output="web:2")
        desk.run.start_recording(tmp_path / "call.mp4")
        count = len(desk.seen["web:1"])

        def slowly(usual: Any) -> Any:
            time.sleep(load_s)
            return usual

        desk.loading.fault = slowly
        for size in ((2 * WIDTH, 2 * HEIGHT), (WIDTH // 2, HEIGHT // 2)):
            desk.change(output_size=size)
            for output in ("web:1", "web:2"):
                desk.wait(partial(has_size, desk, output, size))
                desk.wait_person(output=output)
            assert desk.run.config.output_size == size
            assert (desk.run.info.width, desk.run.info.height) == size
        fresh = {each.number: each for each in desk.seen["web:1"][count:]}
        assert longest_gap(list(fresh.values())) < 0.5
        desk.run.set_away(True)
        desk.wait(lambda: desk.seen["web:1"][-1].person is None)
        desk.change(output_size=(2 * WIDTH, HEIGHT))
        desk.wait(partial(has_size, desk, "web:1", (2 * WIDTH, HEIGHT)))
        time.sleep(0.3)
        desk.change(output_size=None)
        desk.wait(partial(has_size, desk, "web:1", (WIDTH, HEIGHT)))
        desk.run.set_away(False)
        desk.wait_person()
        frames = desk.seen["web:1"][count:]
        assert longest_gap(frames) < 0.5
        assert desk.status.reason is None
        desk.run.stop_recording()
    assert desk.leaks == 0
    with open_frames(tmp_path / "call.mp4") as recording:
        assert (recording.info.width, recording.info.height) == (WIDTH, HEIGHT)
        pictures = [frame.image for frame in recording]
    # The card of the wide size, drawn anew, with a bar above it
    barred = [image for image in pictures if image[: HEIGHT // 8].max() < 20]
    assert any(image[HEIGHT // 2].mean() > 30 for image in barred)


def has_size(desk: Desk, output: str, size: tuple[int, int]) -> bool:
    return desk.seen[output][-1].size == size


def test_a_size_without_a_network_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        desk.loading.fault = raising(BackendError("out of memory"))
        desk.change(output_size=(64, 48))
        desk.wait(lambda: "out of memory" in (desk.status.reason or ""))
        desk.wait(lambda: desk.run.config.output_size is None)
        assert desk.seen["web:1"][-1].size == (WIDTH, HEIGHT)
        desk.loading.fault = None
        desk.change(output_size=(64, 48))
        desk.wait(partial(has_size, desk, "web:1", (64, 48)))
        desk.wait(lambda: desk.status.reason is None)
    assert desk.leaks == 0


def test_outputs_get_another_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        seen = desk.seen["web:1"]
        for rate, expected in ((10.0, 10), (None, 30)):
            desk.change(output_fps=rate)
            time.sleep(0.3)
            count = len(seen)
            time.sleep(1.0)
            assert 0.5 * expected <= len(seen) - count <= 1.2 * expected
            assert desk.run.info.frame_rate == expected
        assert longest_gap(seen) < 0.5
        assert desk.opened == ["web:1"] * 3
    assert desk.leaks == 0


def test_a_change_made_while_the_room_was_shown_does_not_show_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Desk(monkeypatch) as desk:
        hidden = desk.run.config
        asked_before = replace(hidden, background="none", mirror=True)
        desk.run.change(asked_before, keep_hidden=True)
        assert not desk.run.look.shows_room
        assert desk.run.config.mirror
        desk.run.change(asked_before)
        assert desk.run.look.shows_room
        desk.run.change(replace(asked_before, mirror=False), keep_hidden=True)
        assert desk.run.look.shows_room


def test_a_key_that_hides_the_room_during_another_change_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Desk(monkeypatch) as desk:
        hidden = desk.run.look
        desk.change(background="none")

        def pressed_meanwhile(*args: Any) -> Image:
            monkeypatch.setattr(output_gate, "fallback_image", fallback_image)
            desk.run._supervisor.change(hidden)
            return fallback_image(*args)

        monkeypatch.setattr(output_gate, "fallback_image", pressed_meanwhile)
        desk.run.change(replace(desk.run.config, mirror=True), keep_hidden=True)
        assert desk.run.look == replace(hidden, mirror=True)


def test_the_rate_changes_even_if_the_background_failed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "plain.png"
    cv2.imwrite(str(file), np.full((90, 160, 3), 77, np.uint8))
    with Desk(monkeypatch) as desk:
        desk.change(background=str(file))
        file.write_bytes(b"damaged")
        desk.change(output_fps=10.0)
        assert desk.run.config.output_fps == 10.0
        assert desk.run.info.frame_rate == 10


def test_what_a_reader_learned_at_the_start_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    with Desk(monkeypatch, output="-") as desk:
        desk.wait_person(output="-")
        with pytest.raises(ConfigError, match=r'cannot change while one is "-"'):
            desk.change(output_size=(64, 48))
        assert desk.run.config.output_size is None
        desk.wait_person(output="-")


def test_the_processor_limit_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    with Desk(monkeypatch, adapt=True) as desk:
        desk.wait_person()
        for limit, share in ((20.0, 0.2), (None, 0.5)):
            desk.change(cpu_limit_percent=limit)
            assert desk.run._networks.cpu_limit == share
            assert desk.run._supervisor.pipeline.governor._cpu_limit == share
        # It also holds for a network that is being loaded meanwhile
        desk.wait(lambda: not desk.run._networks._loading)
        started = threading.Event()

        def hang(usual: Any) -> Any:
            started.set()
            return desk.loading.hang(usual)

        desk.loading.fault = hang
        desk.change(output_size=(64, 48))
        assert started.wait(10)
        desk.change(cpu_limit_percent=70.0)
        desk.loading.released.set()
        desk.wait(partial(has_size, desk, "web:1", (64, 48)))
        desk.wait_person()
        assert desk.run._networks.cpu_limit == 0.7
        assert desk.run._supervisor.pipeline.governor._cpu_limit == 0.7


@pytest.mark.parametrize("camera", ["one", "two"])
def test_outputs_have_a_size_and_a_rate_of_their_own(
    camera: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"size": (160, 120), "output_size": (WIDTH + 1, HEIGHT), "output_fps": 10.0}
    with Desk(monkeypatch, camera=camera, **values) as desk:
        desk.wait_person(camera)
        observed = desk.seen["web:1"]
        count = len(observed)
        time.sleep(1.0)
        assert 5 <= len(observed) - count <= 12
        assert {each.size for each in observed} == {(WIDTH, HEIGHT)}
        assert desk.run.info.frame_rate == 10
        stages = desk.run._supervisor.clock.seconds()
        assert len(stages["composite"]) < 25  # not thirty a second, of which most would be dropped
    assert desk.leaks == 0


# --- the network ----------------------------------------------------------------------------------


def test_another_network_is_loaded_beside_the_running_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        count = len(desk.seen["web:1"])
        loaded: list[str] = []

        def slowly(device: Any) -> Any:
            time.sleep(0.6)
            loaded.append(device)
            return device

        desk.loading.fault = slowly
        matting = replace(desk.run.config.matting, quality="best", device="torch-cpu")
        desk.change(matting=matting)
        desk.wait(lambda: loaded == ["torch-cpu"])
        desk.wait(lambda: desk.messages[-1].startswith("network: constant"))
        time.sleep(0.3)
        frames = desk.seen["web:1"][count:]
        assert all(each.person for each in frames)
        assert longest_gap(frames) < 0.5
        assert desk.run.config.matting == matting
    assert desk.leaks == 0


def test_a_network_that_cannot_be_loaded_leaves_the_one_that_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        count = len(desk.seen["web:1"])
        desk.loading.fault = raising(BackendError("cuda: there is no NVIDIA GPU"))
        matting = desk.run.config.matting
        desk.change(matting=replace(matting, device="cuda"))
        desk.wait(lambda: "there is no NVIDIA GPU" in (desk.status.reason or ""))
        assert desk.status.state.value == "live"
        desk.loading.fault = None
        desk.change(matting=replace(matting, device="torch-cpu"))
        desk.wait(lambda: desk.status.reason is None)
        assert all(each.person for each in desk.seen["web:1"][count:])
    assert desk.leaks == 0


def test_settings_that_change_while_a_network_loads_are_loaded_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One at a time, and only the last: each takes hundreds of megabytes."""
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        loaded: list[str] = []
        at_once = []

        def slowly(device: Any) -> Any:
            at_once.append(device)
            assert len(at_once) == 1
            time.sleep(0.3)
            loaded.append(at_once.pop())
            return device

        desk.loading.fault = slowly
        for device in ("torch-cpu", "cuda", "mps", "cpu"):
            desk.change(matting=replace(desk.run.config.matting, device=device))
            time.sleep(0.03)
        desk.change(matting=replace(desk.run.config.matting, quality="best"))
        desk.wait(lambda: desk.run.backend.network == "resnet50 at 262144 pixels")
        assert loaded == ["torch-cpu", "cpu"]
        assert desk.status.reason is None
    assert desk.leaks == 0


def test_smoothing_and_people_need_no_other_network(monkeypatch: pytest.MonkeyPatch) -> None:
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        desk.loading.fault = raising(BackendError("nothing is loaded here"))
        matting = replace(desk.run.config.matting, smoothing_s=0.5, people="main", refine=True)
        desk.change(matting=matting)
        time.sleep(0.4)
        assert desk.status.reason is None
        assert desk.seen["web:1"][-1].person == "one"
        assert desk.run.config.matting == matting
    assert desk.leaks == 0


def test_the_desk_sees_what_it_should() -> None:
    """A room would be noticed, and whose person it is."""
    image = np.full((HEIGHT, WIDTH, 3), (250, 90, 10), np.uint8)
    assert shown(image).leaks > 1000
    assert shown(image).person == "two"
