"""The commands and programs in the pages on control work against a real run."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from running import Cli, Run

import tools
from vidbg.cli.ctl.run_client import of_page

pytest.importorskip("aiohttp")
from vidbg.pipeline.live.controls.live_api import LiveApi
from vidbg.sinks.web.api_route import routes_of

DOCS = Path(tools.__file__).resolve().parents[1] / "docs"
TEXT = "\n".join((DOCS / name).read_text(encoding="utf-8") for name in ("app.md", "api.md"))
LINES = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
]
PROGRAMS = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)

ELSEWHERE = ("vidbg ctl tray", "vidbg ctl quit")
"""Tested in test_tray.py and at the end of this file."""

CTL_LINES = sorted({line for line in LINES if line.startswith("vidbg ctl ")} - {*ELSEWHERE})


def test_there_is_something_to_run() -> None:
    assert len([line for line in LINES if line.startswith("vidbg ctl ")]) > 12
    assert len([line for line in LINES if line.startswith("curl ")]) >= 3
    assert len(PROGRAMS) == 2


@pytest.fixture(autouse=True)
def profile(ctl: Cli) -> None:
    """Save the profile that the pages name."""
    assert ctl("profile", "meeting", "--save") == (0, "", "")


@pytest.mark.parametrize("line", CTL_LINES)
def test_a_command_of_the_pages_works(line: str, ctl: Cli) -> None:
    code, _, error = ctl(*shlex.split(line)[2:])
    assert (code, error) == (0, "")


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("curl ")])
def test_a_request_of_the_pages_works(line: str, run: Run) -> None:
    words = shlex.split(line.replace("http://127.0.0.1:8091", run.address))
    token = of_page(run.url).token
    words = [word.replace("$VIDBG_TOKEN", token) for word in words]
    done = subprocess.run([*words, "--silent", "--fail"], capture_output=True, text=True)
    assert done.returncode == 0
    assert json.loads(done.stdout)["running"] is True


def test_the_program_that_follows_events_prints_them(run: Run) -> None:
    page = of_page(run.url)
    program = next(program for program in PROGRAMS if "aiohttp" in program)
    program = program.replace("127.0.0.1:8091", page.address.partition("://")[2])
    program = program.replace("token=TOKEN", f"token={page.token}")
    command = [sys.executable, "-u", "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout is not None
        assert " " in follower.stdout.readline()
        follower.kill()


def test_the_script_for_obs_changes_the_background(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = of_page(run.url)
    obs: Any = ModuleType("obspython")
    obs.OBS_FRONTEND_EVENT_SCENE_CHANGED = 8
    obs.obs_frontend_get_current_scene = lambda: "scene"
    obs.obs_source_get_name = lambda _: "Talk"
    obs.obs_source_release = lambda _: None
    obs.obs_frontend_add_event_callback = lambda callback: callbacks.append(callback)
    callbacks: list[Any] = []
    monkeypatch.setitem(sys.modules, "obspython", obs)
    program = next(program for program in PROGRAMS if "obspython" in program)
    program = program.replace("http://127.0.0.1:8091", page.address)
    script: dict[str, Any] = {}
    exec(program.replace('TOKEN = ""', f'TOKEN = "{page.token}"'), script)
    script["script_load"](None)
    callbacks[0](7)
    assert page.ask("GET", "/settings")["background"] == "colour:#00b140"
    callbacks[0](8)
    assert page.ask("GET", "/settings")["background"] == "blur:60"


def test_the_reference_has_every_route_and_every_type() -> None:
    pytest.importorskip("mkdocs")
    from tools.docs_api import api_reference

    page = api_reference()
    for route in routes_of(LiveApi):
        assert f"`{route.method} {route.path}" in page
    links = set(re.findall(r"\(#(type-\w+)\)", page))
    assert "type-runstate" in links
    assert links <= set(re.findall(r"^\{ #(type-\w+) \}", page, re.MULTILINE))


def test_the_run_ends_when_it_is_stopped(run: Run, ctl: Cli) -> None:
    assert "vidbg ctl quit" in LINES
    assert ctl("quit") == (0, "", "")
    assert run.process.wait(20) == 0
    code, _, error = ctl("status")
    assert code == 1
    assert "no vidbg with a page is running" in error
