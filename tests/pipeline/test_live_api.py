"""The API: what it reports and changes, over real connections on loopback."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from api_client import ApiClient, RigRun, Served
from live_rig import BEHIND, HEIGHT, MARKER, WIDTH, Rig

from vidbg.compositing import CompositingConfig
from vidbg.compositing.backgrounds import BlurSpec, ColourSpec, FileSpec, PassthroughSpec
from vidbg.errors import SinkError
from vidbg.frame import Frame
from vidbg.option_table import LIVE_OPTIONS
from vidbg.pipeline.live import Appearance, LiveConfig, LiveStatus, State, supervisor
from vidbg.pipeline.live.controls import live_api, room_consent
from vidbg.pipeline.live.controls.background_library import BackgroundLibrary
from vidbg.pipeline.live.controls.live_api import LiveApi
from vidbg.pipeline.live.controls.live_server import LiveServer
from vidbg.pipeline.live.controls.profiles import Profiles
from vidbg.pipeline.live.history import Sample, memory_mb
from vidbg.pipeline.live.outputs.recorder import RecordingStatus
from vidbg.sinks.web import connections
from vidbg.sinks.web.api_route import Upload, routes_of

aiohttp = pytest.importorskip("aiohttp")
RED = (10, 20, 230)
STATUS = LiveStatus(State.LIVE, None, 29.5, 80.0, 31.0, None)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    cv2.imwrite(str(tmp_path / "red.png"), np.full((90, 160, 3), RED, np.uint8))
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    return [tmp_path / "red.png", tmp_path / "broken.jpg"]


@pytest.fixture
def served(files: list[Path]) -> Iterator[Served]:
    with Served(files[0].parent) as served:
        yield served


def test_the_state_says_what_viewers_see(served: Served) -> None:
    state = served.client.get("/state")
    assert (state["running"], state["status"]) == (True, None)
    assert state["settings"] == {
        option.key: state["settings"][option.key] for option in LIVE_OPTIONS
    }
    assert state["settings"]["background"] == "blur:40"
    assert state["camera"] == {
        "name": "synthetic", "mode": "640x480 at 30 FPS, MJPG", "problem": None,
    }  # fmt: skip
    assert state["background"] == {
        "kind": "blur", "value": "blur:40", "name": "Blur", "id": None, "adjust": 40,
    }  # fmt: skip
    served.show(Frame(np.zeros((8, 8, 3), np.uint8), 0.0, 0), STATUS)
    status = served.client.get("/state")["status"]
    assert (status["state"], status["fps"], status["latency_ms"]) == ("live", 29.5, 31.0)


def test_the_revision_grows_with_changes_alone(served: Served) -> None:
    client = served.client
    first = client.get("/state")["revision"]
    served.show(Frame(np.zeros((8, 8, 3), np.uint8), 0.0, 0), STATUS)
    assert client.get("/state")["revision"] == first
    assert client.send("PATCH", "/settings", {"feather": 2})[1]["revision"] == first + 1
    served.run.config = replace(served.run.config, mirror=True)  # by a key, or by SIGHUP
    assert client.get("/state")["revision"] == first + 2


def test_no_older_state_has_a_higher_revision(served: Served) -> None:
    """Whatever many clients ask and change at the same time."""
    client, revisions = served.client, list[tuple[int, float]]()

    def ask(number: int) -> None:
        if number % 3:
            state = client.get("/state")
        else:
            state = client.send("PATCH", "/settings", {"feather": number / 10})[1]
        revisions.append((state["revision"], state["settings"]["feather"]))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(60)))
    by_revision = dict(revisions)
    assert all(by_revision[revision] == feather for revision, feather in revisions)
    last = client.get("/state")
    assert last["revision"] == max(by_revision)
    assert last["settings"]["feather"] == by_revision[last["revision"]]
    assert last["revision"] <= 1 + 20  # one for each change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"background": "blur:70"}, {"background": BlurSpec(70)}),
        ({"background": "#102030"}, {"background": ColourSpec((48, 32, 16))}),
        ({"fit": "fit"}, {"fit": "contain"}),
        ({"offset": -2, "feather": 1.5}, {"offset_px": -2.0, "feather_px": 1.5}),
        ({"light-wrap": 0.25}, {"light_wrap": 0.25}),
    ],
)
def test_settings_are_changed(served: Served, change: dict[str, Any], expected: Any) -> None:
    before = served.run.look.compositing
    status, state = served.client.send("PATCH", "/settings", change)
    assert status == 200
    assert served.run.look == Appearance(replace(before, **expected))
    assert served.client.get("/settings") == state["settings"]


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"background": "none"}, 409, "background"),
        ({"background": "transparent"}, 400, "background"),
        ({"background": "missing.jpg"}, 400, "background"),
        ({"background": "blur:101"}, 400, "background"),
        ({"background": "blur:19.9"}, 400, "background"),
        ({"background": "blur:nan"}, 400, "background"),
        ({"background": ""}, 400, "background"),
        ({"background": 5}, 400, "background"),
        ({"background": None}, 400, "background"),
        ({"background": "/\x00"}, 400, "background"),
        ({"background": "x" * 9000}, 400, "background"),
        ({"offset": 1000}, 400, "offset"),
        ({"offset": "2"}, 400, "offset"),
        ({"offset": True}, 400, "offset"),
        ({"offset": 10**400}, 400, "offset"),
        ({"offset": [1]}, 400, "offset"),
        ({"fit": "stretch"}, 400, "fit"),
        ({"mirror": 1}, 400, "mirror"),
        ({"panel": 1}, 400, "panel"),
        ({"keep_alpha": True}, 400, "keep_alpha"),
        ({"": True}, 400, ""),
        (["mirror"], 400, None),
        (5, 400, None),
        (None, 415, None),
    ],
)
def test_an_impossible_change_is_refused_and_changes_nothing(
    served: Served, change: Any, status: int, field: str | None
) -> None:
    before = served.run.config
    first = {"feather": 3, **change} if isinstance(change, dict) else change
    answer = served.client.send("PATCH", "/settings", first)
    assert answer[0] in (status, 413)
    assert answer[1]["error"]["message"]
    if len(str(change)) < 1000:
        assert answer[1]["error"]["field"] == field
    assert served.run.config is before


@pytest.mark.parametrize(
    ("method", "path", "body", "message", "field"),
    [
        ("PATCH", "/settings", [1], "the body is [1]; it must be an object", None),
        ("POST", "/recording", {"path": 5}, "path is 5; it must be a string or null", "path"),
        ("POST", "/snapshot", {"save": "yes"}, 'save is "yes"; it must be true or false', "save"),
        ("POST", "/recording", {"paht": "a"}, "unknown field 'paht'; did you mean 'path'", "paht"),
        ("POST", "/settings/reset", {"keys": [5]}, "keys[0] is 5; it must be a string", "keys"),
        ("POST", "/room/question", {}, "purpose is missing; send it", "purpose"),
        (
            "POST",
            "/room/question",
            {"purpose": "x"},
            "purpose is \"x\"; it must be 'output'",
            "purpose",
        ),
    ],
)
def test_wrong_types_are_reported_in_words(
    served: Served, method: str, path: str, body: Any, message: str, field: str | None
) -> None:
    status, answer = served.client.send(method, path, body)
    assert (status, answer["error"]["field"]) == (400, field)
    assert answer["error"]["message"].startswith(message)


def test_a_file_is_chosen_by_its_value(served: Served, files: list[Path]) -> None:
    (broken, red) = served.client.get("/backgrounds")["files"]
    assert (broken["name"], red["name"], red["deletable"]) == ("broken.jpg", "red.png", False)
    status, state = served.client.send("PATCH", "/settings", {"background": red["value"]})
    assert status == 200
    assert served.run.look == Appearance(CompositingConfig(FileSpec(files[0])))
    assert (state["background"]["id"], state["background"]["name"]) == (red["id"], "red.png")
    code, jpeg = served.client.ask("GET", f"/backgrounds/{red['id']}/thumbnail")
    small = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert small is not None
    assert (code, small.shape) == (200, (108, 192, 3))
    assert np.abs(small.astype(int) - RED).max() <= 4
    for unknown in (broken["id"], "0" * 16, "..%2F..%2Fred.png"):
        assert served.client.ask("GET", f"/backgrounds/{unknown}/thumbnail")[0] == 404


def test_the_folder_is_watched(served: Served, files: list[Path]) -> None:
    before = served.client.get("/state")["lists"]["backgrounds"]
    (files[0].parent / "new.png").write_bytes(files[0].read_bytes())
    time.sleep(1.1)
    assert served.client.get("/state")["lists"]["backgrounds"] == before + 1
    assert len(served.client.get("/backgrounds")["files"]) == 3


def test_every_option_is_described_and_accepts_its_values(served: Served) -> None:
    client, settings = served.client, served.client.get("/settings")
    described = {option["key"]: option for option in client.get("/options")}
    assert {option.key for option in LIVE_OPTIONS} == {k for k, o in described.items() if o["live"]}
    for key, option in described.items():
        assert option["help"]
        assert option["label"]
        assert (key in settings) is option["live"]
        if not option["live"]:
            continue
        values = [choice["value"] for choice in option["choices"]] + (option["range"] or [])
        values += [False, True] if option["kind"] == "check" else []
        for value in [each for each in values if each is not None]:
            status, state = client.send("PATCH", "/settings", {key: value})
            assert (status, state["settings"][key]) == (200, value)
    for picture in client.get("/backgrounds")["pictures"]:
        assert client.ask("GET", f"/backgrounds/{picture['id']}/thumbnail")[0] == 200
        shown = client.send("PATCH", "/settings", {"background": picture["value"]})[1]["background"]
        assert shown == {"kind": "scene", "adjust": None, **picture}
    for kind in client.get("/backgrounds")["kinds"]:
        adjust = kind["adjust"]
        for value in adjust["range"] or [adjust["default"]] if adjust else [""]:
            text = f"{kind['kind']}:{value}" if adjust else kind["kind"]
            status, state = client.send("PATCH", "/settings", {"background": text})
            assert (status, state["background"]["kind"]) == (200, kind["kind"])
            assert state["background"]["adjust"] == (value if adjust else None)


def test_settings_go_back_to_the_start(served: Served) -> None:
    client, first = served.client, served.client.get("/settings")
    client.send("PATCH", "/settings", {"feather": 3, "mirror": True, "background": "green"})
    state = client.send("POST", "/settings/reset", {"keys": ["feather"]})[1]
    assert state["settings"] == {**first, "mirror": True, "background": "colour:#00b140"}
    assert client.send("POST", "/settings/reset", {})[1]["settings"] == first
    assert client.send("POST", "/settings/reset", {"keys": ["x"]})[1]["error"]["field"] == "x"


# --- the room -------------------------------------------------------------------------------------


def test_the_room_is_shown_only_after_a_question(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = served.client

    def asked(purpose: str) -> str:
        question = client.send("POST", "/room/question", {"purpose": purpose})[1]
        assert "real room" in question["question"]
        return str(question["token"])

    def shown(token: str, confirm: bool = True) -> int:
        return client.send("POST", "/room", {"token": token, "confirm": confirm})[0]

    assert shown("") == shown("x" * 32) == shown(client.token) == 409
    assert shown(asked("preview")) == 409
    refused = asked("output")
    assert shown(refused, confirm=False) == shown(refused) == 409
    with monkeypatch.context() as patch:
        patch.setattr(room_consent, "VALID_S", -1.0)
        assert shown(asked("output")) == 409
    assert not served.run.look.shows_room
    token = asked("output")
    assert shown(token) == 200
    assert client.get("/state")["room_on_air"]
    assert "YOUR REAL ROOM IS ON AIR" in caplog.text
    assert client.send("PATCH", "/settings", {"mirror": True})[0] == 200  # it is on air anyway
    assert client.send("PATCH", "/settings", {"background": "blur"})[1]["room_on_air"] is False
    assert shown(token) == 409  # used up


def test_another_background_hides_the_room_whatever_becomes_of_it() -> None:
    """A file that is missing, or on a disk that hangs."""
    with Served(background="none") as served:
        assert served.client.send("PATCH", "/settings", {"background": "/gone.jpg"})[0] == 400
        assert served.run.look.compositing.background == BlurSpec()
    with Served(background="none") as served, ThreadPoolExecutor(2) as pool:
        change, reading, readable = served.run.change, threading.Event(), threading.Event()

        def hangs(config: LiveConfig, *, keep_hidden: bool = False) -> None:
            reading.set()
            assert readable.wait(20)
            change(config, keep_hidden=keep_hidden)

        served.run.change = hangs  # type: ignore[method-assign]
        served.run.hide_room = lambda: change(  # type: ignore[method-assign]
            replace(served.run.config, background="blur")
        )
        first = pool.submit(served.client.send, "PATCH", "/settings", {"mirror": True})
        assert reading.wait(10)
        second = pool.submit(served.client.send, "PATCH", "/settings", {"background": "green"})
        deadline = time.monotonic() + 10
        while served.run.look.shows_room:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        readable.set()
        assert (first.result()[0], second.result()[0]) == (200, 200)
        assert not served.run.look.shows_room


def test_a_reset_puts_no_room_on_air() -> None:
    with Served(background=PassthroughSpec()) as served:
        client = served.client
        assert client.get("/state")["room_on_air"]
        client.send("PATCH", "/settings", {"background": "blur", "feather": 3})
        state = client.send("POST", "/settings/reset", {})[1]
        assert (state["room_on_air"], state["settings"]["feather"]) == (False, 0)
        assert client.send("POST", "/settings/reset", {"keys": ["background"]})[0] == 409
        assert not served.run.look.shows_room


def test_each_view_needs_its_own_ticket(served: Served) -> None:
    client = served.client

    async def watch(session: Any) -> list[Any]:
        token = client.send("POST", "/room/question", {"purpose": "preview"})[1]["token"]
        output = client.send("POST", "/room/question", {"purpose": "output"})[1]["token"]
        for ticket in ("", "x", output, client.token):
            assert client.ask("GET", f"/preview?view=camera&ticket={ticket}")[0] == 409
        views = ("output", "mask", f"camera&ticket={token}")
        observed = []
        for view in views:
            async with session.ws_connect(client.socket_url(f"/preview?view={view}")) as socket:
                while not any(preview.smooth for preview in served.server.previews):
                    await asyncio.sleep(0.01)
                wanted = [preview.view for preview in served.server.previews]
                for preview in served.server.previews:
                    shade = {"output": 0, "mask": 100, "camera": 200}[preview.view]
                    preview.show(Frame(np.full((8, 8, 3), shade, np.uint8), 0.0, 0), STATUS)
                jpeg = np.frombuffer((await socket.receive()).data, np.uint8)
                image = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
                assert image is not None
                observed.append((wanted, round(float(image.mean()))))
            while any(preview.smooth for preview in served.server.previews):
                await asyncio.sleep(0.01)
        assert client.ask("GET", f"/preview?view=camera&ticket={token}")[0] == 409  # used up
        return observed

    assert client.talk(watch) == [
        (["output", "output", "output"], 0),
        (["output", "mask", "output"], 100),
        (["output", "output", "camera"], 200),
    ]


# --- requests, document and sockets ---------------------------------------------------------------


def test_only_json_from_a_page_or_program_is_accepted(served: Served) -> None:
    body = b'{"mirror": true}'
    ask = served.client.ask
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        assert ask("PATCH", "/settings", content=body, kind=kind)[0] == 415
    for charset in ("latin-1", "utf-16", "nonsense"):
        kind = f"application/json; charset={charset}"
        assert ask("PATCH", "/settings", content=body, kind=kind)[0] == 415
    assert ask("PATCH", "/settings", {"background": "x" * 90_000})[0] == 413
    assert not served.run.config.mirror
    assert ask("PATCH", "/settings", content=body, kind="application/json; charset=UTF-8")[0] == 200


def test_routes_and_methods_that_do_not_exist(served: Served) -> None:
    assert served.client.send("GET", "/nothing")[0] == 404
    status, answer = served.client.send("DELETE", "/state")
    assert (status, answer["error"]["field"]) == (405, None)
    assert served.client.ask("HEAD", "/state")[0] == 405


def test_before_the_run_there_is_nothing_to_change(files: list[Path]) -> None:
    server = LiveServer(0, BackgroundLibrary(files[0].parent), Profiles(None))
    client = ApiClient(server.url)
    state = client.get("/state")
    assert (state["running"], state["settings"], state["background"]) == (False, {}, None)
    assert client.send("PATCH", "/settings", {"mirror": True})[0] == 409
    assert client.send("POST", "/quit")[0] == 409
    with pytest.raises(SinkError, match="Choose another, as in --panel"):
        LiveServer(client.port, BackgroundLibrary(None), Profiles(None))
    server.close()
    server.close()


def test_away_snapshot_network_and_statistics(served: Served) -> None:
    client = served.client
    assert client.send("POST", "/away", {"away": True})[1]["away"] is True
    assert served.run.away
    assert client.send("POST", "/away", {"away": False})[1]["away"] is False
    status, png = client.ask("POST", "/snapshot")
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert (status, png[:4], tuple(image[0, 0])) == (200, b"\x89PNG", RED)
    assert client.ask("POST", "/snapshot", {"save": False}) == (status, png)
    assert client.get("/state")["network"] == {
        "words": "ResNet-50, OpenVINO CPU, int8", "others": ["cuda: none here"],
    }  # fmt: skip
    served.run.history.append(Sample(1e9, State.LIVE, 29.96, 12.34, None, 3, 80.0, 450.06))
    (sample,) = client.get("/statistics")["samples"]
    assert (sample["fps"], sample["latency_p50_ms"], sample["rss_mb"]) == (30, 12.3, 450.1)


def test_a_snapshot_is_saved_beside_the_recordings(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_api, "videos_folder", lambda: tmp_path / "Videos")
    client, paths = served.client, []
    for _ in range(3):  # within a second, too
        status, saved = client.send("POST", "/snapshot", {"save": True})
        assert (status, list(saved)) == (200, ["path"])
        paths.append(Path(saved["path"]))
    assert sorted(paths) == sorted((tmp_path / "Videos" / "vidbg").iterdir())
    assert {path.read_bytes() for path in paths} == {client.ask("POST", "/snapshot")[1]}
    assert client.send("POST", "/snapshot", {"save": "yes"})[0] == 400
    (tmp_path / "file").touch()
    monkeypatch.setattr(live_api, "videos_folder", lambda: tmp_path / "file")
    status, refused = client.send("POST", "/snapshot", {"save": True})
    assert (status, "cannot be made" in refused["error"]["message"]) == (409, True)


def test_a_recording_gets_a_new_file_and_is_reported(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_api, "videos_folder", lambda: tmp_path / "Videos")
    client, before = served.client, served.client.get("/state")["revision"]
    status, state = client.send("POST", "/recording", {})
    path = Path(state["recording"]["path"])
    assert (status, path.parent, path.suffix) == (200, tmp_path / "Videos" / "vidbg", ".mp4")
    assert state["recording"] == {
        "path": str(path), "seconds": 2, "bytes": 1_000_000, "problem": None,
    }  # fmt: skip
    served.run.recording = RecordingStatus(path, 7.0, 9_000_000)  # growing is no change
    state = client.get("/state")
    assert (state["recording"]["seconds"], state["revision"]) == (7, before + 1)
    assert client.send("POST", "/recording", {})[0] == 409
    assert client.send("DELETE", "/recording")[1]["recording"] is None
    assert client.send("DELETE", "/recording")[0] == 409
    assert client.send("POST", "/recording", {"path": "x.mp4"})[1]["error"]["field"] == "path"
    assert client.send("POST", "/recording", {"path": str(path)})[0] == 400  # it exists
    assert client.send("POST", "/recording", {"path": str(tmp_path / "x.mp4")})[0] == 200


def test_the_run_is_ended(served: Served) -> None:
    assert served.client.send("POST", "/quit")[0] == 200
    assert served.run.stopped


def test_the_document_is_openapi_and_responses_match_it(served: Served) -> None:
    validate = pytest.importorskip("openapi_spec_validator").validate
    document = served.client.get("/openapi.json")
    validate(document)
    from jsonschema import Draft202012Validator

    served.show(Frame(np.zeros((8, 8, 3), np.uint8), 0.0, 0), STATUS)
    described = {
        (method.upper(), path.removeprefix("/api/v1"))
        for path, methods in document["paths"].items()
        for method in methods
    }
    routes = routes_of(LiveApi)
    sockets = {("GET", "/events"), ("GET", "/preview")}
    assert described == {(route.method, route.path) for route in routes} | sockets
    for route in routes:
        assert route.summary.endswith("."), (
            f"LiveApi.{route.name} needs a docstring whose first line is a sentence"
        )
        if route.method == "GET" and not route.parameters and not {bytes, str} & set(route.answers):
            operation = document["paths"][f"/api/v1{route.path}"]["get"]
            schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
            whole = {**schema, "components": document["components"]}
            Draft202012Validator(whole).validate(served.client.get(route.path))
        assert route.body is Upload or route.body is None or msgspec.json.schema(route.body)


def test_without_a_package_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from vidbg.pipeline.live import LiveRun

    monkeypatch.setitem(sys.modules, "msgspec", None)
    for name in [name for name in sys.modules if name.startswith("vidbg.pipeline.live.controls")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("vidbg.sinks.web.openapi", "vidbg.sinks.web.api_server"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(SinkError, match=r"`pip install .*\[web\]'`"):
        LiveRun(LiveConfig(camera="synthetic", output="none", panel=0, size=(64, 48)))


def test_two_pages_are_in_step(served: Served) -> None:
    async def watch(session: Any) -> list[dict[str, Any]]:
        client, states = served.client, []
        async with (
            session.ws_connect(client.socket_url("/events")) as one,
            session.ws_connect(client.socket_url("/events")) as other,
        ):
            for socket in (one, other):
                event = json.loads((await socket.receive()).data)
                assert event["type"] == "state"
                states.append(event["state"])
            start = time.monotonic()
            async with session.patch(
                f"http://127.0.0.1:{client.port}/api/v1/settings?token={client.token}",
                json={"feather": 4},
            ) as answer:
                states.append(await answer.json())
            for socket in (one, other):
                states.append(json.loads((await socket.receive()).data)["state"])
            assert time.monotonic() - start < 1
        return states

    first, second, answer, *later = served.client.talk(watch)
    assert first == second
    assert [state["settings"]["feather"] for state in later] == [4, 4]
    assert later[0]["revision"] == later[1]["revision"] == answer["revision"] > first["revision"]


def test_sockets_are_closed_when_the_program_ends(served: Served) -> None:
    async def watch(session: Any) -> int | None:
        async with session.ws_connect(served.client.socket_url("/events")) as socket:
            await socket.receive()
            thread = served.server._service._thread
            thread.call(thread._stop.set)
            await socket.receive()
            return socket.close_code  # type: ignore[no-any-return]

    assert served.client.talk(watch) == 1001


def test_a_preview_without_acknowledgements_gets_two_frames(served: Served) -> None:
    async def watch(session: Any) -> int:
        frames = 0
        async with session.ws_connect(served.client.socket_url("/preview")) as socket:
            for number in range(20):
                image = np.full((8, 8, 3), number, np.uint8)
                served.show(Frame(image, number / 30, number), STATUS)
                try:
                    await socket.receive(timeout=0.05)
                    frames += 1
                except TimeoutError:
                    continue
        return frames

    assert served.client.talk(watch) == 2


def test_pages_that_read_nothing_delay_no_one_and_are_dropped(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "SILENCE_S", 1.0)
    client, noise = served.client, np.random.default_rng(0).integers(0, 255, (720, 1280, 3))
    image, before_mb = noise.astype(np.uint8), memory_mb() or 0
    with ExitStack() as opened:
        pages = [
            opened.enter_context(hung_page(client, path))
            for path in ("/preview", "/preview", "/events", "/events")
        ]
        start = time.monotonic()
        for number in range(60):
            served.show(Frame(image, number / 30, number), STATUS)
            if number % 10 == 0:
                status, _ = client.send("PATCH", "/settings", {"feather": number / 10})
                assert status == 200
        assert time.monotonic() - start < 5
        assert (memory_mb() or 0) - before_mb < 40  # 60 frames of noise are 80 MB as JPEG
        for page in pages:  # it answers no ping
            page.settimeout(15)
            with suppress(ConnectionResetError):
                while page.recv(1 << 20):
                    pass
    assert client.get("/state")["settings"]["feather"] == 5


def hung_page(client: ApiClient, path: str) -> socket.socket:
    """Open a WebSocket as a page does, and never read from it."""
    page = socket.create_connection((client.host, client.port), 5)
    page.sendall(
        f"GET /api/v1{path}?token={client.token} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n".encode()
    )
    assert page.recv(12).endswith(b"101")
    return page


def test_internal_failures_are_logged_and_reported(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(type(served.run), "outputs", property(broken))
    status, answer = served.client.send("GET", "/state")
    assert (status, "its log says what" in answer["error"]["message"]) == (500, True)
    assert "a bug" in caplog.text


def test_without_the_server_every_view_has_ended(served: Served) -> None:
    served.server.close()
    for preview in served.server.previews:
        with pytest.raises(SinkError, match="has ended"):
            preview.show(Frame(np.zeros((8, 8, 3), np.uint8), 0.0, 0), STATUS)


def test_a_view_that_does_not_exist(served: Served) -> None:
    assert served.client.ask("GET", "/preview?view=bedroom")[0] == 404


def test_a_live_run_is_watched_and_changed(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page's picture wakes a camera that sleeps; the new background is in it; no room."""
    monkeypatch.setattr(supervisor, "UNWATCHED_S", 0.3)
    with (
        LiveServer(0, BackgroundLibrary(files[0].parent), Profiles(None)) as server,
        Rig(previews=server.previews) as rig,
    ):
        server.begin(RigRun(rig))
        client = ApiClient(server.url)
        rig.watched = False
        rig.wait(lambda: rig.state == "paused")

        async def watch(session: Any) -> list[Any]:
            corners = []
            async with session.ws_connect(client.socket_url("/preview")) as socket:
                async with session.patch(
                    f"http://127.0.0.1:{client.port}/api/v1/settings?token={client.token}",
                    json={"background": str(files[0])},
                ) as answer:
                    assert answer.status == 200
                end = time.monotonic() + 8
                while time.monotonic() < end:
                    jpeg = np.frombuffer((await socket.receive()).data, np.uint8)
                    await socket.send_str("")
                    picture = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
                    assert picture is not None
                    assert picture.shape == (HEIGHT, WIDTH, 3)
                    corners.append(picture[-1, -1])
                    near = np.abs(picture[4, 4].astype(int) - MARKER).max() < 60
                    if near and np.abs(picture[-1, -1].astype(int) - RED).max() < 12:
                        return corners
            raise AssertionError("the person was never seen before the new background")

        corners = client.talk(watch)
        for corner in corners:  # the old background, then the new
            assert min(np.abs(corner.astype(int) - c).max() for c in (BEHIND, RED)) < 12
        status, answer = client.send("PATCH", "/settings", {"background": str(files[1])})
        assert (status, answer["error"]["field"]) == (400, "background")
        rig.wait(lambda: rig.state == "paused")
    assert rig.leaked == 0
