"""The API of a whole LiveRun on the synthetic camera: what it changes reaches what viewers see."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from api_client import ApiClient

import vidbg
from vidbg.frame import Image
from vidbg.matting import video_matting
from vidbg.matting.backends.constant import ConstantBackend
from vidbg.pipeline.live.controls import live_api
from vidbg.pipeline.live.network import backend_opener
from vidbg.sources import open_frames

pytest.importorskip("aiohttp")
GREEN, NAVY = (64, 177, 0), (128, 0, 0)


class RunWithApi:
    """A run in a thread of its own, and a client of its API."""

    def __init__(self, config: vidbg.LiveConfig) -> None:
        messages: list[str] = []
        self.live = vidbg.LiveRun(config, on_message=messages.append)
        url = next(text for text in messages if text.startswith("panel: "))
        self.client = ApiClient(url.removeprefix("panel: "))
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with self.live:  # as the command line does
            self.live.run()

    def close(self) -> None:
        self.live.stop()
        self._thread.join(15)
        assert not self._thread.is_alive()

    def wait(self, what: Callable[[], Any], seconds: float = 15) -> Any:
        """Wait until this is true and return it."""
        start = time.monotonic()
        while not (result := what()):
            assert time.monotonic() - start < seconds, "it did not happen in time"
            time.sleep(0.02)
        return result

    def picture(self) -> Image:
        """Return what viewers see."""
        status, png = self.client.ask("POST", "/snapshot")
        image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
        assert status == 200
        assert image is not None
        return np.asarray(image, np.uint8)

    def shows(self, colour: tuple[int, int, int]) -> bool:
        return bool(np.abs(self.picture()[-1, -1].astype(int) - colour).max() < 12)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[RunWithApi]:
    """Its network sees nobody, so that the output is the background alone."""
    backend: Any = lambda *_: ConstantBackend(0.0)  # noqa: E731
    monkeypatch.setattr(video_matting, "load_backend", backend)
    monkeypatch.setattr(backend_opener, "load_first", lambda *_: ("cpu", ConstantBackend(0.0)))
    monkeypatch.setattr(live_api, "videos_folder", lambda: tmp_path / "Videos")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    config = vidbg.LiveConfig(
        camera="synthetic", size=(128, 96), background="green", output="none", panel=0, adapt=False
    )
    run = RunWithApi(config)
    run.wait(lambda: (run.client.get("/state")["status"] or {}).get("state") == "live")
    yield run
    run.close()


def test_every_setting_is_taken_by_the_run(run: RunWithApi) -> None:
    """Each live option is set to each of its ends and choices, then all go back."""
    client, first = run.client, run.client.get("/settings")
    texts = {
        "size": "160x120",
        "output-size": "192x120",
        "network-size": "256x144",
        "away-text": "Tea",
        "camera": "synthetic",
    }
    for option in client.get("/options"):
        key = option["key"]
        if not option["live"]:
            continue
        values = [choice["value"] for choice in option["choices"]]
        if key == "precision":
            values = ["auto", "fp32"]
        if key == "device":
            values = ["auto", "cpu"]
        values += [end for end in option["range"] or [] if end is not None]
        values += [False, True] if option["kind"] == "check" else []
        values += [texts[key]] if key in texts else []
        values += [None] if option["optional"] and key != "output" else []
        for value in values:
            status, answer = client.send("PATCH", "/settings", {key: value})
            assert status == 200, (key, value, answer)
            assert answer["settings"][key] == value, key
    assert client.send("PATCH", "/settings", {"output": ["none"]})[0] == 200
    status, state = client.send("POST", "/settings/reset", {})
    assert (status, state["settings"]) == (200, first)
    run.wait(lambda: run.shows(GREEN))


def test_what_is_changed_is_seen(run: RunWithApi) -> None:
    client = run.client
    assert run.shows(GREEN)
    assert client.send("PATCH", "/settings", {"background": "colour:#000080"})[0] == 200
    run.wait(lambda: run.shows(NAVY))
    assert client.send("POST", "/away", {"away": True})[1]["away"] is True
    run.wait(lambda: client.get("/state")["status"]["state"] == "away")
    assert not run.shows(NAVY)
    assert client.send("POST", "/away", {"away": False})[0] == 200
    run.wait(lambda: run.shows(NAVY))
    state = client.send("POST", "/recording", {})[1]
    path = Path(state["recording"]["path"])
    time.sleep(1)
    assert client.send("DELETE", "/recording")[0] == 200
    with open_frames(path) as video:
        frames = list(video)
    assert len(frames) > 5
    assert np.abs(frames[-1].image[-1, -1].astype(int) - NAVY).max() < 12
    state = client.get("/state")
    assert state["camera"]["problem"] is None
    assert state["outputs"][0]["value"] == "none"
    assert client.get("/statistics")["samples"]
    for route in ("/cameras", "/outputs", "/log", "/backgrounds", "/profiles"):
        assert client.get(route) is not None
    assert client.ask("GET", "/diagnostics")[0] == 200


def test_a_preview_is_as_smooth_as_the_output(run: RunWithApi) -> None:
    """And the run looks no more often than it must when the page has gone."""

    async def watch(session: Any) -> tuple[int, float]:
        frames = 0
        async with session.ws_connect(run.client.socket_url("/preview")) as socket:
            await socket.receive()
            await socket.send_str("")
            start = time.monotonic()
            while time.monotonic() - start < 2:
                await socket.receive()
                await socket.send_str("")
                frames += 1
            return frames, time.monotonic() - start

    frames, seconds = run.client.talk(watch)
    assert frames / seconds > 13  # ten a second without
    run.wait(lambda: not run.live._supervisor._previews.smooth)


def test_the_end_is_reported(run: RunWithApi) -> None:
    async def watch(session: Any) -> int | None:
        async with session.ws_connect(run.client.socket_url("/events")) as socket:
            assert json.loads((await socket.receive()).data)["type"] == "state"
            assert run.client.send("POST", "/quit")[0] == 200
            async for _ in socket:
                pass
            return socket.close_code  # type: ignore[no-any-return]

    assert run.client.talk(watch) == 1001
