"""The camera's picture in a live run: changes show, without blinking and without the room."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from live_rig import HEIGHT, INFO, WIDTH, Rig
from numpy.typing import NDArray

from vidbg.compositing import CompositingConfig
from vidbg.compositing.backgrounds import ColourSpec
from vidbg.compositing.fade import Fade
from vidbg.compositing.foreground_layer import ForegroundLayer
from vidbg.config import MattingConfig
from vidbg.frame import Frame
from vidbg.matting.backends.constant import ConstantBackend
from vidbg.matting.video_matting import VideoMatting
from vidbg.picture.colours import PictureColours
from vidbg.picture.framing import Framing
from vidbg.picture.picture_config import PictureConfig
from vidbg.pipeline.live import Appearance
from vidbg.pipeline.live.context import RunContext
from vidbg.pipeline.live.live_frames import Arrived, Matted
from vidbg.pipeline.live.stages.compositing_stage import CompositingWorker
from vidbg.pipeline.live.stages.matting_stage import MattingWorker
from vidbg.pipeline.live.threads.replaceable_thread import Deadline


def change(rig: Rig, picture: PictureConfig) -> None:
    rig.supervisor.change(replace(rig.supervisor.look, picture=picture))


def test_colours_change_during_a_run() -> None:
    """The rig's person loses the marker's colours, so it no longer counts as seen."""
    with Rig() as rig:
        rig.wait_live()
        frames = rig.pipeline.outputs.frames
        change(rig, PictureConfig(brightness=-1, saturation=-1))
        rig.wait(lambda: not rig.seen[-1].person, 3)
        assert rig.pipeline.outputs.frames - frames < 30
        change(rig, PictureConfig())
        rig.wait_live()
        assert not rig.leaked


def test_a_slider_of_the_picture_does_not_make_the_person_blink() -> None:
    with Rig() as rig:
        rig.wait_live()
        count = len(rig.seen)
        for step in range(60):
            change(rig, PictureConfig(brightness=step / 2000))
            time.sleep(0.005)
        assert all(observed.person for observed in rig.seen[count:])
        assert not rig.leaked


def test_a_device_composites_again_once_the_colours_are_the_cameras() -> None:
    with Rig(on_device=True) as rig:
        rig.wait(lambda: rig.composited > 3)
        change(rig, PictureConfig(contrast=0.01))
        rig.wait_live()
        composited = rig.composited
        rig.wait_live()
        assert rig.composited <= composited + 1
        change(rig, PictureConfig())
        rig.wait(lambda: rig.composited > composited + 3)
        assert not rig.leaked


def test_the_light_of_one_camera_does_not_brighten_the_next() -> None:
    """Its gain would have a second to adapt, in a room that may be as bright as day."""
    look = Appearance(
        CompositingConfig(ColourSpec((0, 0, 0))), picture=PictureConfig(low_light=True)
    )
    dark, bright = (np.full((HEIGHT, WIDTH, 3), level, np.uint8) for level in (20, 120))
    alpha = np.ones((HEIGHT, WIDTH), np.float32)

    def composited(images: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Composite images of one camera each, 1/30 s apart, and return the last."""
        worker = CompositingWorker(RunContext(INFO, look), Deadline())
        for number, image in enumerate(images):
            frame = Frame(image, 10 + number / 30, number)
            result = worker(Matted(frame, alpha, look, 0.0, session=number))
        worker.close()
        assert result is not None
        return result.arrived.frame.image

    assert np.array_equal(composited([dark, bright]), composited([bright]))


def test_framing_changes_during_a_run() -> None:
    with Rig() as rig:
        rig.wait_live()
        for picture in (
            PictureConfig(zoom=2, pan_x=-1, pan_y=1),
            PictureConfig(rotate="180"),
            PictureConfig(rotate="90"),  # the sink checks the size
            PictureConfig(auto_frame=True),
            PictureConfig(auto_frame=True, rotate="270"),
            PictureConfig(),
        ):
            frames = rig.pipeline.outputs.frames
            change(rig, picture)
            rig.wait(lambda: rig.pipeline.outputs.frames > frames + 8)  # noqa: B023
        rig.wait_live()
        assert not rig.leaked


def test_a_device_composites_zoomed_frames() -> None:
    with Rig(on_device=True) as rig:
        rig.wait(lambda: rig.composited > 3)
        change(rig, PictureConfig(zoom=1.5, rotate="180"))
        composited = rig.composited
        rig.wait(lambda: rig.composited > composited + 5)
        change(rig, PictureConfig(auto_frame=True))
        rig.wait_live()
        composited = rig.composited
        rig.wait_live()
        assert rig.composited <= composited + 1
        assert not rig.leaked


@pytest.mark.parametrize(
    ("picture", "others"),
    [
        ({"zoom": 4.0}, {}),
        ({"zoom": 2.0}, {}),
        ({"zoom": 3.0, "pan_x": 0.4}, {}),
        ({"zoom": 3.0, "pan_y": -1.0}, {}),
        ({"zoom": 3.0, "auto_frame": True}, {}),
        ({"zoom": 3.0, "rotate": "180"}, {}),
        ({"zoom": 3.0}, {"mirror": True}),
        ({"zoom": 3.0}, {"session": 1}),
        ({"zoom": 3.0}, {"size": (64, 48)}),
    ],
    ids=str,
)
def test_no_alpha_outlives_what_it_was_made_of(
    picture: dict[str, Any], others: dict[str, Any]
) -> None:
    """Not in a room that looks the same everywhere, such as a dark one, and for no frame."""
    people: list[float] = []

    def network(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        people.append(1.0)  # in the first frames only
        return np.full(batch.shape[2:], 0.9 if len(people) == 1 else 0, np.float32)

    matting = MattingConfig(network_pixels=128 * 160, smoothing_s=10)
    look = Appearance(CompositingConfig(ColourSpec((60, 60, 60))))
    rig = Rig()  # not started: it stands for what a run has
    rig.load = lambda: VideoMatting(  # type: ignore[method-assign]
        config=matting, backend=ConstantBackend(network)
    )
    context = RunContext(INFO, look)
    worker = MattingWorker(rig, rig.pipeline.governor, context, Deadline())

    def alpha(
        number: int, size: tuple[int, int], session: int, mirror: bool, **values: Any
    ) -> float:
        context.look = replace(look, mirror=mirror, picture=PictureConfig(**values))
        frame = Frame(np.full((size[1], size[0], 3), 9, np.uint8), number / 30, number)
        matted = worker(Arrived(frame, time.monotonic(), session))
        assert isinstance(matted, Matted)
        return float(matted.alpha.mean())

    before: dict[str, Any] = {"size": (WIDTH, HEIGHT), "session": 0, "mirror": False}
    if len(picture) > 1 or others:
        before["zoom"] = 3.0
    assert alpha(0, **before) > 0.8
    assert alpha(1, **before) > 0.8
    assert alpha(2, **{**before, **others, **picture}) == 0
    worker.close()


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (Framing, "__call__"),
        (Framing, "follow"),
        (PictureColours, "__call__"),
        (ForegroundLayer, "draw"),
        (Fade, "at"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_step_that_fails_shows_no_room(
    owner: type, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Everything is switched on, one step fails for a while, and the run recovers."""
    cv2.imwrite(str(tmp_path / "logo.png"), np.full((8, 16, 3), 90, np.uint8))
    picture = PictureConfig(warmth=0.1, zoom=1.2, pan_x=-1, pan_y=-1)
    with Rig() as rig:
        rig.wait_live()
        compositing = CompositingConfig(
            ColourSpec((60, 60, 60)),
            overlay=tmp_path / "logo.png",
            overlay_size=0.1,
            fade_s=5,
        )
        rig.supervisor.change(
            replace(rig.supervisor.look, compositing=compositing, picture=picture)
        )
        rig.wait_live()
        failed = threading.Event()

        def fail(*_: object) -> None:
            failed.set()
            raise RuntimeError("a step failed")

        with monkeypatch.context() as broken:
            broken.setattr(owner, name, fail)
            rig.wait(failed.is_set)
            time.sleep(0.3)
        rig.wait_live()
    assert rig.leaked == 0
    assert rig.failure is None
