"""`vidbg run` as a service: its log, its end by a signal, and the files that start it."""

from __future__ import annotations

import configparser
import logging
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest
import typer

from vidbg.cli import logs
from vidbg.cli.logs import log_to
from vidbg.cli.service_files import (
    MARKER,
    Folders,
    entry_argument,
    entry_text,
    unit_argument,
    unit_text,
)
from vidbg.cli.settings import default_file
from vidbg.errors import ConfigError, SinkError

Vidbg = Callable[..., tuple[int, str, str]]

RUN = [sys.executable, "-m", "vidbg", "run", "-c", "synthetic", "--size", "64x48", "-b", "none"]


# --- the log --------------------------------------------------------------------------------------


def test_the_log_is_turned_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_BYTES", 500)
    file = tmp_path / "state" / "v.log"
    with log_to(file, "info"):
        for index in range(100):
            logging.getLogger("vidbg.test").info("line %d", index)
            logging.getLogger("vidbg.test").debug("too fine")
    kept = sorted(path.name for path in file.parent.iterdir())
    assert kept == ["v.log", "v.log.1", "v.log.2", "v.log.3", "v.log.4"]
    assert file.read_text().endswith("INFO vidbg.test: line 99\n")
    assert all(path.stat().st_size <= 500 for path in file.parent.iterdir())


@pytest.mark.parametrize(
    ("error", "line", "trace"),
    [
        (SinkError("disk full"), "ERROR vidbg.cli.logs: failed: disk full", False),
        (KeyboardInterrupt(), "INFO vidbg.cli.logs: ended by Ctrl-C (SIGINT)", False),
        (SystemExit(143), "INFO vidbg.cli.logs: ended from outside, exit code 143", False),
        (ZeroDivisionError("odd"), "ERROR vidbg.cli.logs: failed: odd", True),
    ],
)
def test_the_log_says_how_the_run_ended(
    error: BaseException, line: str, trace: bool, tmp_path: Path
) -> None:
    before = logging.getLogger("vidbg").handlers[:]
    with pytest.raises(type(error)), log_to(tmp_path / "v.log", "info"):
        raise error
    text = (tmp_path / "v.log").read_text()
    assert line in text
    assert ("Traceback" in text) is trace
    assert logging.getLogger("vidbg").handlers == before


def test_logs_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="cannot be written"), log_to(tmp_path, "info"):
        pass
    with pytest.raises(typer.BadParameter, match="allowed are"), log_to(None, "loud"):
        pass


# --- ends by a signal -----------------------------------------------------------------------------


def heed_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def waiting_bytes(pipe: IO[bytes]) -> int:
    """Return the number of bytes in a pipe that were not read yet."""
    import fcntl
    import termios

    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


@pytest.mark.parametrize("reads", [True, False], ids=["read", "not read"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_a_run(number: signal.Signals, code: int, reads: bool, tmp_path: Path) -> None:
    """Also where the reader of the pipe has stopped reading; nothing is said of it."""
    log = tmp_path / "v.log"
    command = [*RUN, "-o", "-", "--log-file", str(log)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heed_signals
    ) as process:
        out: IO[bytes] = process.stdout  # type: ignore[assignment]  # a pipe
        out.read(20_000)
        before = -1
        while not reads and (waiting := waiting_bytes(out)) != before:  # until the pipe is full
            before = waiting
            time.sleep(0.3)
        process.send_signal(number)
        if reads:
            _, err = process.communicate(timeout=20)
        else:
            process.wait(timeout=20)
            err = process.stderr.read() if process.stderr else b""
    assert process.returncode == code
    assert err.startswith(b"vidbg: YOUR REAL ROOM IS ON AIR")  # RUN asks for it
    assert err.count(b"\n") == 1
    lines = log.read_text().splitlines()
    assert "camera synthetic on none, output -" in lines[0]
    assert "ended" in lines[-1]


# --- the files that start it ----------------------------------------------------------------------


class Programs:
    """`systemctl` and `notify-send` that note what they are asked for; systemctl may refuse."""

    def __init__(self, folder: Path) -> None:
        self._notes = folder / "notes"
        self._folder = folder / "bin"
        self._folder.mkdir()
        self.install("systemctl")
        self.install("notify-send")

    def install(self, name: str, *, refuses: str = "nothing", says: str = "") -> None:
        """Take up a program that fails where its arguments hold `refuses`."""
        program = self._folder / name
        program.write_text(
            f"""#!/bin/sh
            echo "{name} $*" >> "{self._notes}"
            case "$*" in *"{refuses}"*) echo "{says}" >&2; exit 1;; esac
            """
        )
        program.chmod(0o755)

    def remove(self, name: str) -> None:
        (self._folder / name).unlink()

    @property
    def path(self) -> str:
        return str(self._folder)

    def asked(self) -> list[str]:
        """Return the requests since the last call."""
        lines = self._notes.read_text().splitlines() if self._notes.exists() else []
        self._notes.unlink(missing_ok=True)
        return [line.removeprefix("systemctl --user ") for line in lines]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    programs = Programs(tmp_path)
    monkeypatch.setenv("PATH", programs.path)
    monkeypatch.setattr(sys, "platform", "linux")
    return programs


def installed() -> list[Path]:
    folders = Folders.of_user()
    return [file for file in (folders.unit, folders.entry, folders.icon) if file.exists()]


def test_the_service_is_installed_started_and_removed(vidbg: Vidbg, programs: Programs) -> None:
    folders = Folders.of_user()
    code, out, err = vidbg("service", "install", "--now")
    assert (code, out.split(), err) == (0, [str(file) for file in installed()], "")
    assert len(installed()) == 3
    assert programs.asked() == ["daemon-reload", "enable --now vidbg.service"]
    assert folders.log.parent.is_dir()
    code, out, err = vidbg("service", "uninstall")
    assert (code, out.count("removed"), err) == (0, 3, "")
    assert programs.asked() == ["disable --now vidbg.service", "daemon-reload"]
    assert installed() == []
    assert folders.log.parent.is_dir()
    assert "nothing" in vidbg("service", "uninstall")[1]
    assert programs.asked() == []


def test_installed_without_starting(vidbg: Vidbg, programs: Programs) -> None:
    code, out, _ = vidbg("service", "install")
    assert (code, programs.asked()) == (0, ["daemon-reload"])
    assert out.endswith("systemctl --user enable --now vidbg.service\n")


def test_other_settings_reach_a_running_service(vidbg: Vidbg, programs: Programs) -> None:
    file = default_file()
    file.parent.mkdir(parents=True)
    file.write_text("[profile.a]\nfps = 20\n")
    vidbg("service", "install", "--now")
    assert "run --log-file" in Folders.of_user().unit.read_text()
    programs.asked()
    assert vidbg("service", "install", "--now", "--profile", "a", "--config", file)[0] == 0
    assert programs.asked()[1:] == ["try-restart vidbg.service", "enable --now vidbg.service"]
    options = f"--config {file} --profile a"
    assert f"run {options} --log-file" in Folders.of_user().unit.read_text()
    assert f"service preview {options}\n" in Folders.of_user().entry.read_text()
    assert f"app {options}\n" in Folders.of_user().entry.read_text()


def test_settings_that_cannot_be_are_not_installed(vidbg: Vidbg, programs: Programs) -> None:
    code, _, err = vidbg("service", "install", "--profile", "nobody")
    assert (code, "does not exist" in err, installed(), programs.asked()) == (2, True, [], [])


def test_the_printed_unit_is_the_installed_one(vidbg: Vidbg, programs: Programs) -> None:
    code, out, err = vidbg("service", "print")
    assert (code, err, installed(), programs.asked()) == (0, "", [], [])
    vidbg("service", "install")
    unit, entry = Folders.of_user().unit, Folders.of_user().entry
    assert out == f"# {unit}\n{unit.read_text()}\n# {entry}\n{entry.read_text()}"


def test_files_of_others_are_kept(vidbg: Vidbg, programs: Programs) -> None:
    folders = Folders.of_user()
    folders.entry.parent.mkdir(parents=True)
    folders.entry.write_text("mine")
    code, _, err = vidbg("service", "install")
    assert (code, installed(), programs.asked()) == (1, [folders.entry], [])
    assert f"{folders.entry} exists and was not written by vidbg; --force replaces it" in err
    assert vidbg("service", "install", "--force")[0] == 0
    folders.unit.write_text(f"# {MARKER}\nobsolete")
    assert vidbg("service", "install")[0] == 0
    assert "obsolete" not in folders.unit.read_text()
    folders.unit.write_text("mine")
    programs.asked()
    code, _, err = vidbg("service", "uninstall")
    assert (code, installed()) == (0, [folders.unit])
    assert f"{folders.unit} is not vidbg's and stays" in err
    assert programs.asked() == ["daemon-reload"]


@pytest.mark.parametrize("now", [False, True])
def test_without_systemctl_the_remaining_commands_are_printed(
    now: bool, vidbg: Vidbg, programs: Programs
) -> None:
    programs.remove("systemctl")
    code, _, err = vidbg("service", "install", *["--now"][: int(now)])
    assert (code, len(installed())) == (int(now), 3)  # 1: what was asked for is not done
    assert err.splitlines() == [
        "there is no systemctl here; still to run, in the user's desktop session:",
        "  systemctl --user daemon-reload",
        "  systemctl --user enable --now vidbg.service",
    ]


def test_a_systemd_that_does_not_answer(vidbg: Vidbg, programs: Programs) -> None:
    programs.install("systemctl", refuses="--user", says="Failed to connect to bus: no medium")
    _, _, err = vidbg("service", "install", "--now")
    assert err.startswith("systemctl failed (Failed to connect to bus: no medium); still to run")
    link = Folders.of_user().unit_link
    link.parent.mkdir()
    link.symlink_to(Folders.of_user().unit)
    code, _, err = vidbg("service", "uninstall")
    assert (code, installed(), link.is_symlink()) == (0, [], False)
    assert err.splitlines()[1:] == [
        "  systemctl --user stop vidbg.service",
        "  systemctl --user daemon-reload",
    ]


def test_folders_that_cannot_be_written(vidbg: Vidbg, programs: Programs) -> None:
    Folders.of_user().config.write_text("a file")
    code, _, err = vidbg("service", "install")
    assert (code, err.count("\n"), programs.asked()) == (1, 1, [])
    assert "cannot be made: Not a directory" in err


@pytest.mark.parametrize(("platform", "hint"), [("win32", "Task Scheduler"), ("darwin", "launchd")])
def test_other_systems(
    platform: str, hint: str, vidbg: Vidbg, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    code, _, err = vidbg("service", "install")
    assert (code, hint in err, "-m vidbg run" in err, err.count("\n")) == (1, True, True, 1)


@pytest.mark.parametrize(
    ("text", "unit", "entry"),
    [
        ("/usr/bin/python3.11", "/usr/bin/python3.11", "/usr/bin/python3.11"),
        ("two words", '"two words"', '"two words"'),
        ("90%", "90%%", "90%%"),
        ("$HOME", "$$HOME", '"\\\\$HOME"'),
        ('a"b', '"a\\"b"', '"a\\\\"b"'),
        ("it's", '"it\'s"', '"it\'s"'),
        ("a\\b", "a\\\\b", '"a\\\\\\\\b"'),
        (";", '";"', '";"'),
        ("", '""', '""'),
        ("~`#&", '"~`#&"', '"~\\\\`#&"'),
        ("Büro", "Büro", "Büro"),
    ],
)
def test_arguments_are_escaped(text: str, unit: str, entry: str) -> None:
    """As read by systemd 252 and by GLib 2.74, which were given these."""
    assert (unit_argument(text), entry_argument(text)) == (unit, entry)


ODD = "/tmp/o d d/50% $HOME ${X}"


def test_the_unit_is_one_for_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    program = tmp_path / "o d d 50% $HOME" / "python"
    program.parent.mkdir()
    program.symlink_to(sys.executable)
    unit = tmp_path / "vidbg.service"
    options = ["--profile", 'it\'s "mine" \\ ;', "--config", f"{ODD}/c.toml"]
    unit.write_text(unit_text([str(program), "-m", "vidbg"], options, Path(ODD) / "v.log"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    command = ["systemd-analyze", "verify", "--user", "--man=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_entry_is_one_for_desktops(tmp_path: Path) -> None:
    if shutil.which("desktop-file-validate") is None:
        pytest.skip("desktop-file-validate is not installed")
    entry = tmp_path / "vidbg.desktop"
    entry.write_text(entry_text([f"{ODD}/python", "-m", "vidbg"], ["--profile", 'a "b" \\']))
    done = subprocess.run(["desktop-file-validate", str(entry)], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_the_unit_promises() -> None:
    unit = configparser.RawConfigParser(strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # keys keep their capitals
    unit.read_string(unit_text(["/p/python", "-m", "vidbg"], [], Path("/s t/vidbg/vidbg.log")))
    service = dict(unit["Service"])
    assert service["ExecStart"] == '/p/python -m vidbg run --log-file "/s t/vidbg/vidbg.log"'
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert '"/s t/vidbg"' in service["ReadWritePaths"]
    assert service["SuccessExitStatus"] == "130 143"
    assert service["RestartPreventExitStatus"] == "2"
    assert (service["Restart"], service["StandardOutput"]) == ("on-failure", "null")
    assert unit["Install"]["WantedBy"] == "graphical-session.target"
    assert not {"PrivateDevices", "PrivateTmp", "MemoryDenyWriteExecute"} & set(service)


def test_a_program_that_systemd_cannot_start() -> None:
    with pytest.raises(ConfigError, match=r"o'brien.*another folder"):
        unit_text(["/home/o'brien/python"], [], Path("/v.log"))


@pytest.mark.parametrize("variable", ["", "relative"])
def test_folders_that_are_not_set(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative ones are invalid, says the XDG Base Directory Specification."""
    monkeypatch.setenv("XDG_STATE_HOME", variable)
    assert Folders.of_user().log == Path.home() / ".local/state/vidbg/vidbg.log"


@pytest.mark.parametrize("running", [True, False])
def test_the_preview_takes_the_services_place(
    running: bool, vidbg: Vidbg, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here it fails for want of a display; nobody sees a terminal, so the desktop tells it."""
    default_file().parent.mkdir(parents=True)
    default_file().write_text(
        "camera = 'synthetic'\noutput = 'none'\nsize = '64x48'\nbackground = 'none'\n"
    )
    monkeypatch.delenv("DISPLAY", raising=False)
    if not running:
        programs.install("systemctl", refuses="is-active")
    code, _, err = vidbg("service", "preview")
    assert (code, "there is no display" in err) == (1, True)
    is_active, *rest, notification = programs.asked()
    assert is_active == "is-active --quiet vidbg.service"
    assert rest == (["stop vidbg.service", "start vidbg.service"] if running else [])
    assert notification.startswith("notify-send --app-name=vidbg --icon=vidbg vidbg there is no")
