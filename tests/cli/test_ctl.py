"""`vidbg ctl` against a run in another process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from running import Cli, Run

from vidbg.cli.app import app
from vidbg.cli.ctl.run_client import of_page
from vidbg.pipeline.setup_steps import setup_steps
from vidbg.sources import open_source

pytest.importorskip("aiohttp")


def state(ctl: Cli) -> Any:
    code, output, _ = ctl("status", "--json")
    assert code == 0
    return json.loads(output)


# --- finding the run ------------------------------------------------------------------------------


def test_another_terminal_controls_the_run(run: Run) -> None:
    def ctl(*arguments: str) -> str:
        command = [sys.executable, "-m", "vidbg", "ctl", *arguments]
        return subprocess.run(
            command, env=run.environment, capture_output=True, text=True, check=True
        ).stdout

    ctl("set", "mirror=on", "background=blur:40")
    assert "background  Blur 40" in ctl("status")
    ctl("reset")


def test_its_start_is_fast(run: Run) -> None:
    code = "import sys, vidbg.cli.ctl.ctl_commands; print(sorted({*sys.argv[1:]} & {*sys.modules}))"
    heavy = ["numpy", "cv2", "aiohttp", "av", "PIL", "msgspec", "dbus_fast", "asyncio"]
    heavy += ["vidbg.cli.settings", "vidbg.option_table", "vidbg.compositing"]
    command = [sys.executable, "-c", code, *heavy]
    done = subprocess.run(command, env=run.environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_if_no_device_works_the_next_step_is_named(vidbg: Cli) -> None:
    code, output, error = vidbg("ctl", "pause")
    assert (code, output) == (1, "")
    assert error == (
        "vidbg: no vidbg with a page is running; start `vidbg app`, or `vidbg run` with --panel\n"
    )


@pytest.mark.parametrize(
    ("url", "code", "words"),
    [
        ("http://127.0.0.1:1/", 1, "http://127.0.0.1:1 does not answer"),
        ("ftp://127.0.0.1/", 2, "--url is not the address of a page"),
        ("http://127.0.0.1:99999/", 2, "--url is not the address of a page"),
        ("nonsense with spaces", 2, "--url is not the address of a page"),
    ],
)
def test_an_unreachable_address_is_explained(url: str, code: int, words: str, vidbg: Cli) -> None:
    answer, _, error = vidbg("ctl", "--url", url, "status")
    assert answer == code
    assert words in error
    assert error.count("\n") == 1


def test_a_run_is_chosen_by_its_address_or_by_the_environment(
    run: Run, vidbg: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert vidbg("ctl", "--url", run.url, "get", "mirror") == (0, "off\n", "")
    monkeypatch.setenv("VIDBG_URL", run.address)
    monkeypatch.setenv("VIDBG_TOKEN", run.url.partition("=")[2])
    assert vidbg("ctl", "get", "mirror") == (0, "off\n", "")


# --- settings -------------------------------------------------------------------------------------


def test_settings_are_typed_as_on_the_command_line(ctl: Cli) -> None:
    assert ctl("set", "mirror=yes", "feather=2.5", "offset=-3", "fit=contain") == (0, "", "")
    settings = state(ctl)["settings"]
    assert (settings["mirror"], settings["feather"], settings["offset"]) == (True, 2.5, -3)
    assert ctl("get", "fit") == (0, "contain\n", "")
    assert "feather=2.5\n" in ctl("get")[1]
    assert json.loads(ctl("get", "feather", "--json")[1]) == 2.5
    assert ctl("reset", "fit") == (0, "", "")
    assert ctl("get", "fit")[1] == "cover\n"
    assert ctl("get", "feather")[1] == "2.5\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["set", "mirro=on"], "unknown setting 'mirro'; did you mean 'mirror'?"),
        (["set", "mirror"], "'mirror' is not a setting; write KEY=VALUE"),
        (["set", "mirror=maybe"], "mirror cannot be 'maybe'; give on or off"),
        (["set", "feather=soft"], "feather cannot be 'soft'; give a number"),
        (["set", "feather=nan"], "feather"),
        (["set", "feather=101"], "feather is 101"),
        (["set", "fit=stretch"], "choose from cover, contain"),
        (["set", "background=nowhere.jpg"], "nowhere.jpg"),
        (["set", "mirror=on", "feather=-1"], "feather"),
        (["get", "mirro"], "unknown setting 'mirro'; did you mean 'mirror'?"),
        (["toggle", "feather"], "feather has more than two values"),
        (["toggle", "awa"], "unknown switch 'awa'; did you mean 'away'?"),
        (["snapshot", "me.jpg"], "a snapshot is a PNG: give me.png"),
    ],
)
def test_an_impossible_change_is_refused_in_one_line(
    arguments: list[str], words: str, ctl: Cli
) -> None:
    before = state(ctl)["settings"]
    code, output, error = ctl(*arguments)
    assert (code, output) == (2, "")
    assert words in error
    assert error.count("\n") == 1
    assert state(ctl)["settings"] == before


def test_a_switch_goes_to_its_other_value(ctl: Cli) -> None:
    assert ctl("toggle", "mirror") == (0, "on\n", "")
    assert ctl("toggle", "mirror") == (0, "off\n", "")
    assert ctl("toggle", "fit") == (0, "contain\n", "")


def test_a_background_is_named_as_listed_or_as_a_path(
    ctl: Cli, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = ctl("backgrounds")[1].splitlines()
    assert listed[-2:] == ["blue.png", "red wall.png"]
    assert any(line.startswith("blur ") for line in listed)
    assert ctl("background", "red wall.png") == (0, "", "")
    assert state(ctl)["background"]["name"] == "red wall.png"
    monkeypatch.chdir(run.backgrounds)  # where the run is not
    assert ctl("set", "background=blue.png") == (0, "", "")
    assert state(ctl)["background"]["value"] == str(run.backgrounds / "blue.png")
    assert "scene:dusk               Dusk" in listed
    assert ctl("background", "scene:dusk") == (0, "", "")
    assert state(ctl)["background"]["name"] == "Dusk"
    assert ctl("background", "blur:35") == (0, "", "")
    assert state(ctl)["background"]["value"] == "blur:35"


def test_a_file_is_added_to_the_backgrounds(ctl: Cli, tmp_path: Path) -> None:
    file = tmp_path / "green wall.png"
    cv2.imwrite(str(file), np.full((90, 160, 3), (20, 200, 20), np.uint8))
    code, name, error = ctl("upload", file)
    assert (code, error) == (0, "")
    assert name.startswith("green wall")
    assert name in ctl("backgrounds")[1]
    assert ctl("background", name.strip()) == (0, "", "")
    assert "choose another one first" in ctl("background", name.strip(), "--delete")[2]
    assert ctl("background", "blur")[0] == 0
    assert ctl("background", name.strip(), "--delete") == (0, "", "")
    assert name not in ctl("backgrounds")[1]
    assert "unknown file among the backgrounds 'blur'" in ctl("background", "blur", "--delete")[2]
    assert Path(ctl("upload", "--picture", file)[1].strip()).is_file()
    file.write_text("nonsense")
    code, _, error = ctl("upload", file)
    assert code == 1
    assert error.count("\n") == 1
    code, _, error = ctl("upload", tmp_path / "nowhere.png")
    assert code == 2
    assert "nowhere.png cannot be read: No such file" in error


def test_cameras_and_outputs_are_listed_and_changed(ctl: Cli) -> None:
    cameras = [line.split()[0] for line in ctl("camera")[1].splitlines()]
    assert {"sample", "synthetic"} <= set(cameras)
    assert json.loads(ctl("camera", "--json")[1])[-1]["label"]
    outputs = [line.split()[0] for line in ctl("output")[1].splitlines()]
    assert "web:8090" in outputs
    assert ctl("camera", "sample") == (0, "", "")
    assert ctl("output", "none", "web:0") == (0, "", "")
    while (after := state(ctl))["camera"]["name"] != "sample":
        time.sleep(0.1)  # it is being opened
    assert [output["value"] for output in after["outputs"]] == ["none", "web:0"]
    assert "output      web:0 (" in ctl("status")[1]
    assert ctl("set", "output=none", "camera=synthetic") == (0, "", "")
    assert ctl("camera", "nowhere.mp4")[0] == 2


def test_profiles_are_saved_renamed_used_and_deleted(ctl: Cli) -> None:
    ctl("set", "feather=4", "mirror=on")
    assert ctl("profile", "at work", "--save") == (0, "", "")
    assert ctl("profile", "at work", "--rename", "office") == (0, "", "")
    assert ctl("profiles") == (0, "office\n", "")
    ctl("reset")
    assert ctl("profile", "office") == (0, "", "")
    assert "profile     office\n" in ctl("status")[1]
    assert ctl("get", "feather")[1] == "4\n"
    assert ctl("profile", "offce")[0] == 2
    assert ctl("profile", "office", "--save", "--delete")[0] == 2
    assert ctl("profile", "office", "--delete") == (0, "", "")
    assert ctl("profiles") == (0, "", "")


def test_log_diagnostics_and_what_is_missing_can_be_read(ctl: Cli, run: Run) -> None:
    while " INFO backend " not in ctl("log")[1]:
        time.sleep(0.1)  # it is being loaded
    diagnostics = ctl("diagnostics")[1]
    assert "vidbg" in diagnostics
    assert str(run.backgrounds) not in diagnostics
    missing = [f"{step.about}: {step.words}" for step in setup_steps()]
    assert ctl("setup")[1].splitlines() == missing


def test_figures_are_a_table_or_json(ctl: Cli) -> None:
    while (samples := json.loads(ctl("statistics", "--json")[1])["samples"]) == []:
        time.sleep(0.1)
    assert {"fps", "latency_p95_ms", "dropped", "cpu_percent", "rss_mb"} < samples[0].keys()
    seconds, head, *rows = ctl("statistics")[1].splitlines()
    assert re.fullmatch(r"(\w+ \d+ s)(, \w+ \d+ s)*", seconds)
    assert head.split() == ["now", "median", "min", "max"]
    assert [row[:16].strip() for row in rows] == [
        "frame rate", "latency p50", "latency p95", "dropped frames", "CPU", "memory",
    ]  # fmt: skip
    memory = rows[-1][16:].split()
    assert memory[-1] == "MB"
    assert float(memory[2]) <= float(memory[1]) <= float(memory[3])


def test_options_describe_their_values(ctl: Cli) -> None:
    listed = ctl("options")[1].splitlines()
    assert "feather              Soften: 0 to 100 px" in listed
    assert "fit                  Shape: cover, contain" in listed
    assert "mirror               Mirror for everybody: on, off" in listed
    assert {line.split()[0] for line in listed} == {
        option["key"] for option in json.loads(ctl("options", "--json")[1]) if option["live"]
    }


def test_the_token_is_printed_for_other_programs(ctl: Cli, run: Run) -> None:
    assert ctl("token") == (0, f"{of_page(run.url).token}\n", "")
    assert ctl("open", "--print") == (0, f"{run.url}\n", "")


def test_there_is_no_tray_icon_elsewhere_than_on_linux(
    vidbg: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidbg.cli.ctl.act.sys", SimpleNamespace(platform="darwin"))
    code, _, error = vidbg("ctl", "tray")
    assert code == 1
    assert error.startswith("vidbg: the tray icon is for Linux desktops")


def test_the_room_goes_on_air_only_after_the_question_at_a_terminal(
    ctl: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, error = ctl("background", "none")  # from a script or a hotkey
    assert code == 1
    assert "real room" in error
    assert not state(ctl)["room_on_air"]
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    asked: list[str] = []

    def answer(text: str, yes: bool) -> bool:
        asked.append(text)
        return yes

    monkeypatch.setattr("typer.confirm", lambda text: answer(text, False))
    assert ctl("set", "background=none", "mirror=on")[0] == 1
    assert not state(ctl)["room_on_air"]
    monkeypatch.setattr("typer.confirm", lambda text: answer(text, True))
    assert ctl("set", "background=none", "mirror=on")[0] == 0
    assert state(ctl)["room_on_air"]
    assert state(ctl)["settings"]["mirror"] is True
    assert "YOUR REAL ROOM IS ON AIR" in ctl("status")[1]
    ctl("profile", "bare", "--save")
    ctl("reset")
    assert ctl("profile", "bare")[0] == 0  # asks as well
    assert state(ctl)["room_on_air"]
    ctl("profile", "bare", "--delete")
    assert asked[0] == asked[1] == asked[2]
    assert "room" in asked[0]


# --- what hotkeys do ------------------------------------------------------------------------------


def test_a_pause_ends_when_the_run_is_resumed(ctl: Cli) -> None:
    assert ctl("pause") == (0, "", "")
    assert ctl("pause") == (0, "", "")  # is not a switch
    assert state(ctl)["away"] is True
    assert ctl("resume") == (0, "", "")
    assert state(ctl)["away"] is False
    assert ctl("toggle", "away") == (0, "on\n", "")
    assert ctl("toggle", "away") == (0, "off\n", "")


def test_a_snapshot_is_a_png_of_what_viewers_see(
    ctl: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctl("background", "red wall.png")
    file = tmp_path / "me.png"
    assert ctl("snapshot", file) == (0, f"{file}\n", "")
    picture = cv2.imread(str(file))
    assert picture is not None
    assert picture.shape == (240, 320, 3)
    code, _, error = ctl("snapshot", file)
    assert code == 1
    assert "exists and was left as it is" in error
    monkeypatch.chdir(tmp_path)
    code, named, _ = ctl("snapshot")
    assert code == 0
    second = cv2.imread(str(tmp_path / named.strip()))
    assert second is not None
    assert second.shape == picture.shape


def test_a_recording_is_started_and_ended(
    ctl: Cli, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "talk.mp4"
    assert ctl("record", "start", "talk.mp4") == (0, f"{file}\n", "")
    assert ctl("record", "start", "again.mp4")[0] == 1
    while state(ctl)["recording"]["seconds"] < 1:
        time.sleep(0.1)
    assert f"recording   {file}, " in ctl("status")[1]
    assert ctl("record", "stop") == (0, "", "")
    with open_source(file) as video:
        images = [frame.image for frame in video]
    assert {image.shape for image in images} == {(240, 320, 3)}
    code, _, error = ctl("record", "stop")
    assert (code, error) == (1, "vidbg: nothing is being recorded\n")
    assert ctl("toggle", "recording")[:2] == (0, "on\n")
    assert state(ctl)["recording"]["path"].startswith(run.environment["HOME"])
    assert ctl("toggle", "recording")[:2] == (0, "off\n")


# --- events and completion ------------------------------------------------------------------------


def test_watch_prints_what_changes(ctl: Cli, run: Run) -> None:
    command = [sys.executable, "-m", "vidbg", "ctl", "watch"]
    with subprocess.Popen(
        command, env=run.environment, stdout=subprocess.PIPE, text=True
    ) as watching:
        assert watching.stdout is not None
        lines = iter(watching.stdout.readline, "")
        assert next(line for line in lines if " mirror = " in line).endswith(" mirror = off\n")
        ctl("set", "mirror=on")
        assert next(line for line in lines if " mirror = " in line).endswith(" mirror = on\n")
        watching.send_signal(2)
        assert watching.wait(10) == 130


@pytest.fixture
def complete(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[str]]:
    """Complete the last of some words, as a shell asks for it."""
    monkeypatch.setenv("XDG_STATE_HOME", run.environment["XDG_STATE_HOME"])

    def ask(shell: str, **variables: str) -> list[str]:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("_VIDBG_COMPLETE", f"complete_{shell}")
        with pytest.raises(SystemExit):
            app(prog_name="vidbg")
        output, error = capsys.readouterr()
        assert error == ""
        return [line.partition("\t")[0] for line in output.split("\n") if line]

    return ask


def test_completion_offers_what_the_run_has(
    complete: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")

    def fish(words: str) -> list[str]:
        return complete("fish", _TYPER_COMPLETE_ARGS=words)

    assert fish("vidbg ctl get mir") == ["mirror"]
    assert fish("vidbg ctl set light") == ["light-wrap="]
    assert fish("vidbg ctl set fit=c") == ["fit=cover", "fit=contain"]
    assert fish("vidbg ctl set mirror=on fit=co") == ["fit=cover", "fit=contain"]
    assert fish("vidbg ctl background r") == ["red wall.png"]
    assert fish("vidbg ctl background scene:du") == ["scene:dusk"]
    assert "away" in fish("vidbg ctl toggle ")
    monkeypatch.setenv("XDG_STATE_HOME", "/nowhere")
    assert fish("vidbg ctl get mir") == []


def test_bash_completes_after_the_equals_sign(complete: Callable[..., list[str]]) -> None:
    # bash gives "fit=co" as the three words "fit", "=" and "co"
    answer = complete("bash", COMP_WORDS="vidbg\nctl\nset\nfit\n=\nco", COMP_CWORD="5")
    assert answer == ["cover", "contain"]
