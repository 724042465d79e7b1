"""The command line as users meet it: exit codes, messages, questions, Ctrl-C, pipes."""

from __future__ import annotations

import io
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import av
import cv2
import numpy as np
import pytest
import typer
from clips import numbered, write_clip

from vidbg.cli import progress_bar
from vidbg.cli.app import app, main
from vidbg.cli.progress_bar import ProgressBar, in_words
from vidbg.frame import StreamInfo
from vidbg.matting import video_matting
from vidbg.matting.backends.constant import ConstantBackend
from vidbg.pipeline.files.jobs import Job
from vidbg.sinks.camera.virtual_camera import virtual_camera_report

VIDBG = [sys.executable, "-m", "vidbg"]
HEAVY = {"av", "cv2", "numpy", "openvino", "pyvirtualcam", "rich.progress", "torch"}


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the program in this process, with a network that sees a person everywhere."""
    monkeypatch.setattr(video_matting, "load_backend", lambda *_: ConstantBackend(1.0))
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    def call(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["vidbg", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return Outcome(int(ended.value.code or 0), *capsys.readouterr())

    return call


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "in.mp4", audio="aac")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def frame_count(file: Path | IO[bytes]) -> int:
    with av.open(str(file) if isinstance(file, Path) else file, "r") as container:
        return len(list(container.decode(video=0)))


def one_line(outcome: Outcome, code: int = 1) -> str:
    """Return the message of a failure: one line on standard error, nothing on standard output."""
    assert outcome.code == code
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1, outcome.err
    assert outcome.err.startswith("vidbg: ")
    return outcome.err


# --- start and usage ------------------------------------------------------------------------------


def test_nothing_heavy_is_imported_before_it_is_used() -> None:
    code = "import sys; from vidbg.cli.app import app; from typer.main import get_command as get; "
    code += "len([*get(app).commands.values()]) > 9 and print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert "vidbg.cli.run" in imported
    assert HEAVY & imported == set()


@pytest.mark.parametrize("word", ["--help", "--version", "--nonsense"])
def test_no_command_is_imported_before_it_is_called(word: str) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "vidbg", word]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    needed = {"app", "commands", "early_signals", "leaving", "option_names", "start", "streams"}
    assert {name for name in imported if name.startswith("vidbg.")} == {
        "vidbg.cli",
        "vidbg.errors",
        "vidbg.version",
        *(f"vidbg.cli.{name}" for name in needed),
    }
    if word == "--version":
        assert not {name for name in imported if name.startswith(("rich.", "pydantic."))}


def test_a_run_imports_what_it_needs_alone() -> None:
    code = "import sys, atexit; from vidbg.cli.app import main; "
    code += "import vidbg.pipeline.live.controls.live_api; "  # of the page
    code += "atexit.register(lambda: print(*sys.modules)); main()"
    command = [sys.executable, "-c", code, "run", "-c", "synthetic", "-o", "none"]  # is refused
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "nothing would be shown" in done.stderr
    assert "vidbg.pipeline.live.live_run" in done.stdout
    unwanted = {"av", "aiohttp", "openvino", "pyvirtualcam", "torch", "rich.console"}
    assert unwanted & set(done.stdout.split()) == set()


def test_the_list_of_commands_matches_their_help() -> None:
    group: Any = typer.main.get_command(app)
    context = typer.Context(group)
    assert list(group.commands) == group.list_commands(context)
    for name, command in group.commands.items():
        listed = group.get_command(context, name)
        assert listed.help == command.help.partition("\n\n")[0], name
        assert all("\n" not in each for each in command.help.split("\n\n")), name
        assert (listed.name, listed.hidden, listed.deprecated) == (
            command.name,
            command.hidden,
            command.deprecated,
        )


def test_help_and_version(run: Run) -> None:
    assert run("--version").out.startswith("vidbg 0.")
    for command in ("process", "run", "bench", "devices", "doctor", "demo"):
        assert command in run("--help").out
        assert run(command, "-h").code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["process", "in.mp4"],
        ["process", "in.mp4", "-b", "blur", "-y", "-n"],
        ["process", "in.mp4", "-b", "blur", "--fit", "stretch"],
        ["process", "in.mp4", "-b", "blur", "--network-size", "big"],
        ["process", "in.mp4", "-b", "blur", "--crf", "fine"],
        ["run", "--size", "720p"],
        ["run", "--fps", "0"],
        ["run", "--format", "H264"],
        ["run", "--frames", "0"],
        ["bench", "--size", "0x0"],
        ["bench", "--size", "99999x99999"],
        ["run", "--size", "99999x99999"],
        ["run", "--size", "20000x100"],
        ["run", "--size", "1280x8"],
        ["run", "--size", "123456789012x720"],
    ],
)
def test_wrong_usage_exits_2(arguments: list[str], run: Run) -> None:
    assert run(*arguments).code == 2


@pytest.mark.parametrize(
    ("command", "option", "value", "allowed"),
    [
        *[("run", "--fps", value, "0.1 to 240") for value in ("nan", "inf", "-inf", "0", "1e-09")],
        *[("run", "--offset", value, "-100 to 100") for value in ("nan", "101", "-inf")],
        *[("run", "--feather", value, "0 to 100") for value in ("nan", "-1", "100.5")],
        *[("run", "--light-wrap", value, "0 to 1") for value in ("nan", "1.01")],
        *[("process", "--smoothing", value, "0 to 10") for value in ("nan", "inf", "-1")],
        *[("process", "--threads", value, "1 to 1024") for value in ("0", "99999")],
        *[("run", "--size", value, "16 to 8192") for value in ("1x1", "20000x100", "99999x99999")],
        *[("run", "--network-size", value, "16384") for value in ("16x16", "8000x8000")],
        *[("bench", "--live-fps", value, "0.1 to 240") for value in ("nan", "0", "inf")],
    ],
)
def test_numbers_out_of_range_exit_2_and_name_the_range(
    command: str, option: str, value: str, allowed: str, run: Run
) -> None:
    needed = {"process": ["in.mp4", "-b", "blur"], "run": ["-c", "synthetic", "-o", "-"]}
    outcome = run(command, *needed.get(command, []), option, value)
    assert outcome.code == 2
    said = " ".join(outcome.err.replace("│", " ").split())
    assert value in said
    assert allowed in said


# --- process --------------------------------------------------------------------------------------


def test_process_writes_beside_the_input_and_prints_the_path(clip: Path, run: Run) -> None:
    outcome = run("process", clip, "-b", "blur")
    target = clip.with_name("in_vidbg.mp4")
    assert (outcome.code, outcome.out) == (0, "")
    assert re.fullmatch(rf"{re.escape(str(target))}: 12 frames, [\d.]+ FPS\n", outcome.err)
    assert frame_count(target) == 12


@pytest.mark.parametrize(
    "background", ["room.png", "in.mp4", "blur:20", "#102030", "green", "none"]
)
def test_every_kind_of_background(background: str, clip: Path, tmp_path: Path, run: Run) -> None:
    cv2.imwrite(str(tmp_path / "room.png"), numbered(1, 64, 48))
    backdrop = tmp_path / background if "." in background else background
    target = tmp_path / "out.mp4"
    assert run("process", clip, "-b", backdrop, "-o", target, "-q") == Outcome(0, "", "")
    assert frame_count(target) == 12


def test_transparent_results_get_a_suffix_that_supports_alpha(
    clip: Path, tmp_path: Path, run: Run
) -> None:
    assert run("process", clip, "-b", "transparent", "-q").code == 0
    assert names(tmp_path) == ["in.mp4", "in_vidbg.mov"]
    assert run("process", clip, "-b", "transparent", "-o", tmp_path / "a.webm", "-q").code == 0
    assert frame_count(tmp_path / "a.webm") == 12


def test_a_picture_is_cut_out(tmp_path: Path, run: Run) -> None:
    picture = tmp_path / "me.png"
    cv2.imwrite(str(picture), numbered(1, 64, 48))
    assert run("process", picture, "-b", "transparent").err == f"{tmp_path / 'me_vidbg.png'}\n"
    stored = cv2.imread(str(tmp_path / "me_vidbg.png"), cv2.IMREAD_UNCHANGED)
    assert np.asarray(stored).shape == (48, 64, 4)


def test_names_at_the_file_systems_limit_get_results(clip: Path, tmp_path: Path, run: Run) -> None:
    stem = "ä" * 125  # 250 bytes
    for letter in "ab":
        (tmp_path / f"{stem}{letter}.mp4").write_bytes(clip.read_bytes())
    outcome = run("process", str(tmp_path / "*.mp4"), "-b", "green", "-q")
    assert outcome == Outcome(0, "", "")
    assert len(names(tmp_path)) == 6
    assert all(len(os.fsencode(name)) <= 255 for name in names(tmp_path))


@pytest.mark.parametrize("place", ["input", "output", "background"])
def test_a_name_too_long_is_refused_in_one_line(
    place: str, clip: Path, tmp_path: Path, run: Run
) -> None:
    long = str(tmp_path / f"{'x' * 300}.mp4")
    arguments, code = {
        "input": (("process", long, "-b", "green"), 1),
        "output": (("process", clip, "-b", "green", "-o", long), 1),
        "background": (("process", clip, "-b", long, "-o", tmp_path / "out.mp4"), 2),
    }[place]
    assert "too long" in one_line(run(*arguments), code)


def test_a_picture_too_large_does_not_stop_a_batch(tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "b", "c"):
        cv2.imwrite(str(folder / f"{name}.bmp"), numbered(1, 64, 48))
    header = bytearray((folder / "b.bmp").read_bytes())
    header[18:26] = (40_000).to_bytes(4, "little") * 2
    (folder / "b.bmp").write_bytes(header)
    outcome = run("process", folder, "-b", "green", "-q")
    assert outcome.code == 1
    assert outcome.err.count("\n") == 2
    assert "40000x40000 pixels" in outcome.err
    assert names(tmp_path / "in_vidbg") == ["a.png", "c.png"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "out of memory"),
        (ImportError("libx.so: failed to map segment"), "libx.so: failed to map segment"),
    ],
)
def test_refusals_of_the_machine_are_reported_in_one_line(
    clip: Path, run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("vidbg.pipeline.files.jobs.plan_jobs", fails)
    outcome = run("process", clip, "-b", "green")
    assert outcome.code == 1
    assert outcome.err.count("\n") == 1
    assert words in outcome.err


def test_a_folder_with_everything_in_it(clip: Path, tmp_path: Path, run: Run) -> None:
    shots = tmp_path / "shots"
    shots.mkdir()
    clip.rename(shots / "in.mp4")
    for name in ("a.jpg", "a.png"):
        cv2.imwrite(str(shots / name), numbered(1, 64, 48))
    (shots / "bad.mp4").write_text("no video\n")
    outcome = run("process", shots, "-b", "green")
    assert outcome.code == 1
    assert "bad.mp4 is not a video" in outcome.err
    assert outcome.err.endswith("vidbg: 1 of 4 files failed; the others are done\n")
    assert names(tmp_path / "shots_vidbg") == ["a.jpg", "a.png", "in.mp4"]


def test_a_glob_into_a_folder_that_is_made(clip: Path, tmp_path: Path, run: Run) -> None:
    assert run("process", clip.parent / "*.mp4", "-b", "green", "-o", tmp_path / "out").code == 0
    assert names(tmp_path / "out") == ["in.mp4"]


@pytest.mark.parametrize(
    ("name", "content", "hint"),
    [
        ("missing.mp4", None, "there is no file"),
        ("empty.mp4", b"", "is empty"),
        ("text.txt", b"hello\nworld\n", "is not a video|is a text file"),
        ("text.mp4", b"hello\nworld\n", "is not a video"),
        ("text.png", b"hello\nworld\n", "is not a picture"),
    ],
)
def test_an_unusable_input_is_refused_in_one_line(
    name: str, content: bytes | None, hint: str, tmp_path: Path, run: Run
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    before = names(tmp_path)
    assert re.search(hint, one_line(run("process", tmp_path / name, "-b", "blur")))
    assert names(tmp_path) == before


def test_sound_only_and_truncated_files_are_refused(clip: Path, tmp_path: Path, run: Run) -> None:
    sound = tmp_path / "sound.m4a"
    with av.open(str(clip)) as source, av.open(str(sound), "w", format="mp4") as sink:
        stream = sink.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                sink.mux(packet)
    assert "no video stream, only audio" in one_line(run("process", sound, "-b", "blur"))
    cut = write_clip(tmp_path / "cut.mkv", ticks=range(90), options={"crf": "10"})
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    assert "breaks off at" in one_line(run("process", cut, "-b", "blur"))
    assert frame_count(tmp_path / "cut_vidbg.mkv") > 10


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (["-b", "missing.jpg"], "does not exist"),
        (["-b", "{}/text.txt"], "neither image nor video"),
        (["-b", "{}"], "is a folder"),
        (["-b", "{}/pipe"], "is a pipe, which can be read only once"),
        (["-b", "/dev/zero"], "is a device or a socket, not a file"),
        (["-b", "https://example.org/a.jpg?key=1"], "'https://example.org/a.jpg' is an address"),
        (["-b", "blur:900"], "blur strength '900'"),
        (["-b", "blur", "--device", "cuda2"], "unknown device 'cuda2'; did you mean 'cuda'?"),
        (["-b", "blur", "--precision", "int4"], "unknown precision 'int4'; did you mean 'int8'?"),
        (["-b", "blur", "--fit", "covr"], "unknown fit 'covr'; did you mean 'cover'?"),
        (["-b", "blur", "--people", "nobody"], "unknown people 'nobody'; choose from all, main"),
        (["-b", "blurr"], "'blurr' does not exist; did you mean 'blur'?"),
        (["-b", "{}/inn.mp4"], "in.mp4'?"),
        (["-b", "red"], "did you mean 'color:red'?"),
        (["-b", "color:gren"], "unknown colour 'gren'; did you mean 'green'?"),
        (["-b", "color:mauve"], "unknown colour 'mauve'; choose from #rgb"),
        (["-b", "green", "-o", "{}/missing/out.mp4"], "there is no folder"),
        (["-b", "green", "-o", "/dev/null"], "/dev/null is a file, and a name without a suffix"),
        (["-b", "green", "-o", "{}/out.xyz"], "unknown suffix '.xyz'"),
        (["-b", "green", "-o", "{}/out.png"], "a number, such as out%05d.png"),
        (["-b", "green", "-o", "{}/in.mp4", "-y"], "is the input itself"),
        (["-b", "green", "-o", "{}/link.mp4", "-y"], "is the input itself"),
        (["-b", "transparent", "-o", "{}/out.mp4"], "cannot store transparency"),
        (["-b", "transparent", "-o", "-"], "carries no transparency"),
        (["-b", "green", "--crf", "99"], "allowed are 0 (best) to 51"),
    ],
)
def test_failures_are_reported_in_one_line(
    options: list[str], hint: str, clip: Path, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "text.txt").write_text("hello\nworld\n")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link.mp4").symlink_to(clip)
    before = names(tmp_path)
    outcome = run("process", clip, *(option.format(tmp_path) for option in options))
    fails_late = hint.startswith(("there is no folder", "/dev/null"))
    assert hint in one_line(outcome, 1 if fails_late else 2)
    assert names(tmp_path) == before


def test_verbose_shows_where_it_failed(run: Run) -> None:
    outcome = run("-v", "process", "missing.mp4", "-b", "blur")
    assert outcome.code == 1
    assert "Traceback (most recent call last)" in outcome.err
    assert outcome.err.endswith("check the spelling and the folder\n")


# --- files that exist -----------------------------------------------------------------------------


def test_existing_files_are_kept_or_replaced_as_configured(
    clip: Path, tmp_path: Path, run: Run
) -> None:
    target = tmp_path / "out.mp4"
    target.write_bytes(b"precious")
    command = ("process", clip, "-b", "green", "-o", target)
    assert "-y replaces it, -n leaves it" in one_line(run(*command))
    assert run(*command, "-n").err == f"{target} exists and is left as it is\n"
    assert target.read_bytes() == b"precious"
    assert run(*command, "-y").code == 0
    assert frame_count(target) == 12


def test_a_sequence_that_exists_is_not_written_over(clip: Path, tmp_path: Path, run: Run) -> None:
    command = ("process", clip, "-b", "green", "-o", tmp_path / "f" / "%03d.png")
    assert run(*command, "-q").code == 0
    assert "000.png exists" in one_line(run(*command))
    (tmp_path / "f" / "000.png").unlink()
    assert "001.png exists" in one_line(run(*command))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "replaced"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_at_a_terminal_it_asks(
    answer: str, replaced: bool, clip: Path, tmp_path: Path, run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    target = tmp_path / "out.mp4"
    target.write_bytes(b"precious")
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    outcome = run("process", clip, "-b", "green", "-o", target, "-q")
    assert outcome.code == 0
    assert "exists. Replace it? [y/N]" in outcome.err
    assert (target.read_bytes() != b"precious") is replaced


def test_ctrl_c_at_the_question_exits_130(
    clip: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> bool:
        raise typer.Abort

    (tmp_path / "out.mp4").touch()
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(typer, "confirm", interrupted)
    assert run("process", clip, "-b", "green", "-o", tmp_path / "out.mp4").code == 130


# --- real processes: signals, pipes, terminals ----------------------------------------------------


def heed_signals() -> None:
    """Undo ignored signals, which tests in the background or under nohup would pass on."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def spawn() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start the program, and end it after the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: object, **streams: Any) -> subprocess.Popen[bytes]:
        pipes = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE, **streams}
        command = [*VIDBG, *map(str, arguments)]
        started.append(subprocess.Popen(command, preexec_fn=heed_signals, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def feed_endlessly(pipe: IO[bytes]) -> None:
    """Write an endless y4m of 64 x 48 until the reader is gone."""
    with suppress(OSError):
        pipe.write(b"YUV4MPEG2 W64 H48 F30:1 Ip C420mpeg2\n")
        while True:
            pipe.write(b"FRAME\n" + bytes(64 * 48 * 3 // 2))


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it did not happen in 20 s"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_signals_leave_nothing_behind(
    number: signal.Signals, code: int, tmp_path: Path, spawn: Callable[..., Any]
) -> None:
    process = spawn(
        *("process", "-", "-b", "none", "-o", tmp_path / "out.mp4"), stdin=subprocess.PIPE
    )
    threading.Thread(target=feed_endlessly, args=[process.stdin], daemon=True).start()
    wait_for(lambda: any(path.stat().st_size for path in tmp_path.glob(".out*")))
    process.send_signal(number)
    assert process.wait(timeout=10) == code
    assert process.stderr.read() == b""
    assert names(tmp_path) == []


def test_pipe_to_pipe(tmp_path: Path, spawn: Callable[..., Any]) -> None:
    clip = write_clip(tmp_path / "in.mkv", audio="aac")
    with clip.open("rb") as stdin:
        process = spawn(
            *("process", "-", "-b", "none", "-o", "-", "-q"), stdin=stdin, stdout=subprocess.PIPE
        )
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, b"")
    assert frame_count(io.BytesIO(out)) == 12


def test_a_closed_reader_is_reported(clip: Path, spawn: Callable[..., Any]) -> None:
    process = spawn("process", clip, "-b", "none", "-o", "-", stdout=subprocess.PIPE)
    process.stdout.close()
    assert process.wait(timeout=20) == 1
    lines = process.stderr.read().decode().splitlines()
    assert len(lines) == 1
    assert "has exited" in lines[0]


def test_the_progress_bar_is_for_terminals(
    clip: Path, tmp_path: Path, spawn: Callable[..., Any]
) -> None:
    ours, theirs = pty.openpty()
    process = spawn("process", clip, "-b", "none", "-o", tmp_path / "out.mp4", stderr=theirs)
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # what a terminal without a program gives
        while part := os.read(ours, 4096):
            shown += part
    os.close(ours)
    assert process.wait(timeout=20) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert re.search(r"in\.mp4 ━+ 12/12 .*FPS.*0:00:00", text)
    assert re.search(r"out\.mp4: 12 frames, [\d.]+ FPS", text)


@pytest.mark.parametrize(("share", "text"), [(0.25, True), (None, False)])
def test_for_a_long_file_the_time_of_fast_is_suggested(
    share: float | None, text: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress_bar, "SETTLED_S", 0.2)
    with ProgressBar("", False, lambda: share) as bar:
        bar.started(Job("in.mp4", "out.mp4"), StreamInfo(64, 48, Fraction(30), frame_count=100_000))
        for frames in range(1, 9):
            time.sleep(0.05)
            bar.advanced(frames)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    assert shown.count("--quality fast") == text
    if text:
        assert re.search(
            r"about [\d.]+ \w+ left; --quality fast would take about [\d.]+ \w+,", shown
        )


def test_durations_are_written_in_words() -> None:
    said = [in_words(seconds) for seconds in (0.2, 42, 200, 9000)]
    assert said == ["about 1 s", "about 42 s", "about 3 min", "about 2.5 h"]


# --- run -----------------------------------------------------------------------------------------


def test_run_writes_raw_video_to_a_pipe(spawn: Callable[..., Any]) -> None:
    process = spawn(
        *("run", "-c", "synthetic", "--size", "64x48", "-b", "none", "-o", "-", "--frames", 10),
        stdout=subprocess.PIPE,
    )
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    warning, report = err.splitlines()
    assert b"YOUR REAL ROOM IS ON AIR: the background is none (command line)" in warning
    assert re.fullmatch(rb"\d+ frames, \d+ dropped", report)
    assert frame_count(io.BytesIO(out)) >= 10


@pytest.mark.parametrize("place", ["environment", "file", "profile"])
def test_a_room_on_air_is_reported_with_its_origin(
    place: str, tmp_path: Path, spawn: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, log = tmp_path / "config.toml", tmp_path / "vidbg.log"
    top = 'background = "none"' if place == "file" else 'background = "green"'
    file.write_text(f'{top}\n[profile.bare]\nbackground = "none"\n')
    if place == "environment":
        monkeypatch.setenv("VIDBG_BACKGROUND", "none")
    options = ["--config", file, "--log-file", log, *(["--profile", "bare"] * (place == "profile"))]
    process = spawn(
        *("run", "-c", "synthetic", "--size", "64x48", "-o", "-", "--frames", 2, *options),
        stdout=subprocess.PIPE,
    )
    _, err = process.communicate(timeout=20)
    assert process.returncode == 0
    origin = {
        "environment": "environment, VIDBG_BACKGROUND",
        "file": str(file),
        "profile": f"{file}, [profile.bare]",
    }[place]
    for text in (err.decode(), log.read_text()):
        assert f"YOUR REAL ROOM IS ON AIR: the background is none ({origin})" in text


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (["-o", "none"], "--show or --panel for a preview"),
        (["-o", "-", "-b", "transparent"], "a camera cannot be transparent"),
        (["-o", "none", "--show"], "there is no display"),
    ],
)
def test_a_preview_that_cannot_be_shown_is_reported_in_one_line(
    options: list[str], hint: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", "")
    monkeypatch.setattr(sys, "platform", "linux")
    outcome = run("run", "-c", "synthetic", "--size", "64x48", *options)
    assert hint in one_line(outcome, 1 if "--show" in options else 2)


def test_without_a_virtual_camera_run_explains_the_next_step(run: Run) -> None:
    if virtual_camera_report().usable:
        pytest.skip("there is a virtual camera here")
    message = one_line(run("run", "-c", "synthetic", "--size", "64x48"))
    assert "a virtual camera cannot be opened" in message
    assert ". Next: " in message


def test_a_log_without_a_reader_is_refused(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    command = ("run", "-c", "synthetic", "-o", "-", "-b", "green", "--log-file", tmp_path / "log")
    assert "is a pipe that nobody reads; start its reader first" in one_line(run(*command))


def test_a_log_whose_reader_closes_is_reported_once_and_the_run_continues(
    tmp_path: Path, spawn: Callable[..., Any]
) -> None:
    log = tmp_path / "log"
    os.mkfifo(log)
    process = spawn(
        *("-v", "run", "-c", "synthetic", "--size", "64x48", "-b", "green", "-o", "-"),
        *("--frames", 60, "--log-file", log, "--log-level", "debug"),
        stdout=subprocess.PIPE,
    )
    with log.open("rb") as reader:
        reader.readline()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert err.count(b"can no longer be written to (Broken pipe)") == 1
    assert b"Traceback" not in err
    assert b"60 frames" in err
