"""The control panel: what it tells and changes of a run, over real connections on loopback."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from live_rig import BEHIND, HEIGHT, MARKER, WIDTH, Rig
from web_client import part

from vidbg.compositing import CompositingConfig, parse_background
from vidbg.compositing.backgrounds import BlurSpec, ColourSpec, FileSpec, PassthroughSpec
from vidbg.errors import ConfigError, SinkError
from vidbg.frame import Frame
from vidbg.pipeline.live import Appearance, LiveStatus, State, supervisor
from vidbg.pipeline.live.live_panel import LivePanel

aiohttp = pytest.importorskip("aiohttp")
RED = (10, 20, 230)
STATUS = LiveStatus(State.LIVE, None, 29.5, 80.0, 31.0, None)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    cv2.imwrite(str(tmp_path / "red.png"), np.full((90, 160, 3), RED, np.uint8))
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    return [tmp_path / "red.png", tmp_path / "broken.jpg"]


class FakeRun:
    """Keeps the look; a background that cannot be read is refused as a Supervisor does."""

    def __init__(self) -> None:
        self.look = Appearance(CompositingConfig(BlurSpec(40)))

    def change(self, look: Appearance) -> None:
        if look.compositing.background == FileSpec(Path("/gone.jpg")):
            raise ConfigError("it does not exist")
        self.look = look

    def stop(self) -> None:
        raise AssertionError("the panel stops nothing")


@pytest.fixture
def panel(files: list[Path]) -> Iterator[LivePanel]:
    panel = LivePanel(0, files)
    panel.run = FakeRun()
    yield panel
    panel.close()
    panel.close()


Talk = Callable[[Any], Awaitable[Any]]


def talk(what: Talk) -> Any:
    async def run() -> Any:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as session:
            return await what(session)

    return asyncio.run(run())


def post(panel: LivePanel, change: Any, **options: Any) -> tuple[int, str]:
    async def send(session: Any) -> tuple[int, str]:
        async with session.post(part(panel.url, "look"), json=change, **options) as answer:
            return answer.status, await answer.text()

    return talk(send)  # type: ignore[no-any-return]


def get(panel: LivePanel, path: str, **options: Any) -> tuple[int, bytes]:
    async def fetch(session: Any) -> tuple[int, bytes]:
        async with session.get(part(panel.url, path), **options) as answer:
            return answer.status, await answer.read()

    return talk(fetch)  # type: ignore[no-any-return]


def test_page_state_and_thumbnails(panel: LivePanel) -> None:
    status, text = get(panel, "")
    assert (status, b"<canvas" in text) == (200, True)
    panel.show(Frame(np.zeros((8, 8, 3), np.uint8), 0.0, 0), STATUS)
    state = panel.state()
    assert state["status"]["state"] == "live"
    assert state["status"]["fps"] == 29.5
    assert state["look"] == {
        "background": {"kind": "blur", "strength": 40},
        "mirror": False,
        "fit": "cover",
        "offset_px": 0,
        "feather_px": 0,
        "light_wrap": 0,
        **{"brightness": 0, "contrast": 0, "saturation": 0, "warmth": 0, "low_light": False},
    }
    assert state["backgrounds"] == ["red.png", "broken.jpg"]
    assert get(panel, "state")[0] == 200
    _, jpeg = get(panel, "thumbnail/0")
    small = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert small is not None
    assert small.shape == (108, 192, 3)
    assert np.abs(small.astype(int) - RED).max() <= 4
    assert [get(panel, f"thumbnail/{number}")[0] for number in (1, 2, 99999)] == [404] * 3


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"background": {"kind": "blur", "strength": 70}}, {"background": BlurSpec(70)}),
        ({"background": {"kind": "colour", "colour": "#102030"}}, ColourSpec((48, 32, 16))),
        ({"fit": "contain"}, {"fit": "contain"}),
        ({"fit": "fit"}, {"fit": "contain"}),
        ({"offset_px": -2, "feather_px": 1.5}, {"offset_px": -2.0, "feather_px": 1.5}),
        ({"light_wrap": 0.25}, {"light_wrap": 0.25}),
        ({"strength": 20}, BlurSpec(20)),
    ],
)
def test_changes(panel: LivePanel, change: dict[str, Any], expected: Any) -> None:
    assert panel.run is not None
    before = panel.run.look.compositing
    status, _ = post(panel, change)
    wanted = expected if isinstance(expected, dict) else {"background": expected}
    assert status == 200
    assert panel.run.look == Appearance(replace(before, **wanted))


def test_a_file_is_chosen_by_its_number(panel: LivePanel, files: list[Path]) -> None:
    assert panel.run is not None
    assert post(panel, {"background": {"kind": "file", "number": 0}, "mirror": True})[0] == 200
    assert panel.run.look == Appearance(CompositingConfig(FileSpec(files[0])), mirror=True)
    assert panel.state()["look"]["background"] == {"kind": "file", "number": 0, "name": "red.png"}


@pytest.mark.parametrize(
    "change",
    [
        {"background": {"kind": "none"}},
        {"background": {"kind": "file", "number": 2}},
        {"background": {"kind": "file", "number": -1}},
        {"background": {"kind": "file", "path": "/etc/passwd"}},
        {"background": {"kind": "blur", "strength": 101}},
        {"background": {"kind": "blur", "strength": 0}},
        {"background": {"kind": "blur", "strength": 19.9}},
        {"background": {"kind": "blur"}},
        {"strength": 0},
        {"strength": "50"},
        {"colour": "#102030"},
        {"background": {"kind": "blur", "strength": True}},
        {"background": {"kind": "colour", "colour": "mauve-ish"}},
        {"background": "none"},
        {"offset_px": 1000},
        {"offset_px": float("nan")},
        {"offset_px": "2"},
        {"fit": "stretch"},
        {"mirror": 1},
        {"keep_alpha": True},
        ["mirror"],
        5,
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(panel: LivePanel, change: Any) -> None:
    assert panel.run is not None
    before = panel.run.look
    status, text = post(panel, change)
    assert (status, bool(text)) == (400, True)
    assert panel.run.look is before


def test_only_a_little_json_is_taken(panel: LivePanel) -> None:
    async def plain(session: Any) -> int:  # what a page's form can send without being asked
        async with session.post(part(panel.url, "look"), data='{"mirror": true}') as answer:
            return int(answer.status)

    assert talk(plain) == 415
    assert post(panel, {"background": "x" * 9000})[0] == 413
    assert panel.run is not None
    assert not panel.run.look.mirror


def test_before_the_run_there_is_nothing_to_change(files: list[Path]) -> None:
    panel = LivePanel(0, files)
    state = panel.state()
    assert (state["status"], state["look"]) == (None, None)
    with pytest.raises(ConfigError, match="not begun"):
        panel.change({"mirror": True})
    with pytest.raises(SinkError, match="Choose another, as in --panel"):
        LivePanel(int(panel.url.split("/")[2].rpartition(":")[2]), [])
    panel.close()


def test_a_live_run_is_watched_and_changed(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page's picture wakes a camera that sleeps; the new background is in it; no room."""
    monkeypatch.setattr(supervisor, "UNWATCHED_S", 0.3)
    panel = LivePanel(0, files)
    with Rig(previews=[panel]) as rig:
        panel.run = rig.supervisor
        rig.watched = False
        rig.wait(lambda: rig.state == "paused")

        async def watch(session: Any) -> list[Any]:
            corners = []
            async with session.ws_connect(part(panel.url, "ws")) as socket:
                async with session.post(
                    part(panel.url, "look"), json={"background": {"kind": "file", "number": 0}}
                ) as answer:
                    assert answer.status == 200
                end = time.monotonic() + 8
                while time.monotonic() < end:
                    jpeg = np.frombuffer((await socket.receive()).data, np.uint8)
                    picture = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
                    assert picture is not None
                    assert picture.shape == (HEIGHT, WIDTH, 3)
                    corners.append(picture[-1, -1])
                    near = np.abs(picture[4, 4].astype(int) - MARKER).max() < 60
                    if near and np.abs(picture[-1, -1].astype(int) - RED).max() < 12:
                        return corners
            raise AssertionError("the person was never seen before the new background")

        corners = talk(watch)
        for corner in corners:  # the old background, then the new
            assert min(np.abs(corner.astype(int) - c).max() for c in (BEHIND, RED)) < 12

        async def refused(session: Any) -> int:
            change = {"background": {"kind": "file", "number": 1}}
            async with session.post(part(panel.url, "look"), json=change) as answer:
                return int(answer.status)

        assert talk(refused) == 400
        rig.wait(lambda: rig.state == "paused")
    assert rig.leaked == 0


@pytest.mark.parametrize(
    ("shown", "change"),
    [
        ({"kind": "file", "number": 0}, {"strength": 80}),
        ({"kind": "file", "number": 0}, {"colour": "#00b140"}),
        ({"kind": "colour", "colour": "#00b140"}, {"strength": 80}),
        ({"kind": "blur", "strength": 30}, {"colour": "#00b140"}),
    ],
)
def test_strength_and_colour_act_only_for_what_is_shown(
    panel: LivePanel, shown: dict[str, Any], change: dict[str, Any]
) -> None:
    assert post(panel, {"background": shown})[0] == 200
    assert panel.run is not None
    before = panel.run.look
    status, text = post(panel, change)
    assert (status, "choose that first" in text) == (400, True)
    assert panel.run.look is before
    assert post(panel, {"background": {"kind": "colour", "colour": "#000000"}})[0] == 200
    assert post(panel, {"colour": "#102030"})[0] == 200
    assert panel.run.look.compositing.background == ColourSpec((48, 32, 16))


def test_the_page_knows_the_limits_and_the_first_look(panel: LivePanel) -> None:
    first = panel.state()["look"]
    assert post(panel, {"offset_px": 3, "mirror": True})[0] == 200
    state = panel.state()
    assert state["at_start"] == first != state["look"]
    (blur,) = (kind for kind in state["kinds"] if kind["kind"] == "blur")
    assert blur["setting"]["limits"] == (20, 100)
    numbers = {c["name"]: c["range"] for c in state["controls"] if c["kind"] == "number"}
    colours = {"brightness", "contrast", "saturation", "warmth"}
    assert set(numbers) == {"offset_px", "feather_px", "light_wrap"} | colours
    for name, (minimum, maximum) in numbers.items():
        assert post(panel, {name: minimum})[0] == post(panel, {name: maximum})[0] == 200
        assert post(panel, {name: maximum + 1})[0] == 400
    for control in state["controls"]:
        if control["kind"] == "check":
            for key in ("on", "off"):
                assert post(panel, {control["name"]: control[key]})[0] == 200
                assert panel.state()["look"][control["name"]] == control[key]


def test_every_kind_with_a_button_can_be_chosen_and_adjusted(panel: LivePanel) -> None:
    kinds = panel.state()["kinds"]
    assert {"Blur", "Colour"} <= {kind["label"] for kind in kinds}
    for kind in kinds:
        setting = kind["setting"] or {}
        default = {setting["name"]: setting["default"]} if setting else {}
        assert post(panel, {"background": {"kind": kind["kind"], **default}})[0] == 200
        assert panel.state()["look"]["background"] == {"kind": kind["kind"], **default}
        assert post(panel, default)[0] == 200


def test_fit_is_the_old_name_of_contain(panel: LivePanel) -> None:
    for name in ("fit", "contain"):
        assert post(panel, {"fit": "cover"})[0] == 200
        assert post(panel, {"fit": name})[0] == 200
        assert panel.state()["look"]["fit"] == "contain"


def test_passthrough_is_told_and_can_be_ended(panel: LivePanel) -> None:
    assert panel.run is not None
    panel.run.change(Appearance(CompositingConfig(PassthroughSpec())))
    assert panel.state()["look"]["background"] == {"kind": "room"}
    assert post(panel, {"background": {"kind": "colour", "colour": "#00b140"}})[0] == 200
    assert panel.run.look.compositing.background == parse_background("green")
