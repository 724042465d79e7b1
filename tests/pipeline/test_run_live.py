"""A live run from Python: `vidbg.run_live` and `vidbg.LiveRun`."""

from __future__ import annotations

import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from web_client import part

import vidbg
from vidbg.errors import ConfigError, SourceError
from vidbg.frame import Frame, StreamInfo
from vidbg.matting import video_matting as matter_module
from vidbg.matting.backends.constant import ConstantBackend
from vidbg.pipeline.live.network import backend_opener
from vidbg.sinks.memory_sink import MemorySink
from vidbg.sources.synthetic import SyntheticSource

SIZE = 128, 96
GREEN = (64, 177, 0)


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the network see nobody, so that the output is only the background."""
    backend: Any = lambda *_: ConstantBackend(0.0)  # noqa: E731
    monkeypatch.setattr(matter_module, "load_backend", backend)
    monkeypatch.setattr(backend_opener, "load_first", lambda *_: ("cpu", ConstantBackend(0.0)))


class Memory:
    """A memory sink that a run opens."""

    def __init__(self) -> None:
        self.infos: list[StreamInfo] = []
        self.sink = MemorySink(max_frames=3)

    def __call__(self, info: StreamInfo) -> MemorySink:
        self.infos.append(info)
        return self.sink

    @property
    def colour(self) -> tuple[int, ...]:
        return tuple(self.sink.frames[-1].image[0, 0])


class OwnPreview:
    """A preview as a program would write it."""

    smooth, watches = False, True

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.closed = False

    def show(self, frame: Frame, status: vidbg.LiveStatus) -> None:
        assert status.fps >= 0
        self.frames.append(frame)

    def close(self) -> None:
        self.closed = True


def config(**values: Any) -> vidbg.LiveConfig:
    return vidbg.LiveConfig(
        **{"camera": "synthetic", "size": SIZE, "background": "green", "adapt": False, **values}
    )


def test_the_synthetic_person_is_written_to_memory() -> None:
    memory, preview = Memory(), OwnPreview()
    states: list[str] = []
    messages: list[str] = []
    report = vidbg.run_live(
        config(frames=20),
        previews=[preview],
        on_status=lambda status: states.append(status.state.value),
        on_message=messages.append,
        open_sink=memory,
    )
    assert isinstance(report, vidbg.LiveReport)
    assert report.frames >= 20
    assert (memory.infos[0].width, memory.infos[0].height) == SIZE
    assert memory.sink.state == "closed"
    assert memory.colour == GREEN
    assert "live" in states
    assert preview.frames
    assert preview.closed
    assert any(text.startswith("network: ") for text in messages)


def test_a_source_of_ones_own_and_a_camera_that_does_not_open() -> None:
    memory, messages, tries = Memory(), list[str](), list[int]()

    def open_source() -> SyntheticSource:
        tries.append(1)
        if len(tries) == 1:
            raise SourceError("it is unplugged")
        return SyntheticSource(*SIZE, Fraction(30), live=True)

    vidbg.run_live(
        config(frames=3), open_source=open_source, open_sink=memory, on_message=messages.append
    )
    assert messages[0] == "it is unplugged. Waiting for it; the background is shown"
    assert len(tries) == 2


def test_a_run_is_changed_and_stopped_from_another_thread() -> None:
    memory, errors = Memory(), list[str]()
    with vidbg.LiveRun(config(), open_sink=memory) as live:
        assert (live.info.width, live.info.height) == SIZE

        def change() -> None:
            for background in ("missing.jpg", "transparent"):
                try:
                    live.change(config(background=background))
                except ConfigError as error:
                    errors.append(str(error))
            live.change(config(background="#0000ff", mirror=True))
            for _ in range(600):
                if memory.sink.frames and memory.colour == (255, 0, 0):
                    break
                threading.Event().wait(0.05)
            live.stop()

        changer = threading.Thread(target=change)
        changer.start()
        live.run()
        changer.join()
    assert memory.colour == (255, 0, 0)
    assert live.look.mirror
    assert "does not exist" in errors[0]
    assert "cannot be transparent" in errors[1]


def test_a_panel_is_served_and_its_address_reported() -> None:
    pytest.importorskip("aiohttp")
    from urllib.error import URLError
    from urllib.request import urlopen

    messages: list[str] = []
    with vidbg.LiveRun(config(panel=0, output="none"), on_message=messages.append):
        url = next(text for text in messages if text.startswith("panel: "))[len("panel: ") :]
        with urlopen(part(url, "api/v1/state"), timeout=5) as answer:
            assert answer.status == 200
    with pytest.raises(URLError):  # closed, though it never ran
        urlopen(part(url, "api/v1/state"), timeout=5)


def test_a_room_on_air_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    vidbg.run_live(config(background="none", frames=2), open_sink=Memory())
    assert "YOUR REAL ROOM IS ON AIR" in caplog.text
    assert "(LiveConfig.background)" in caplog.text


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fps": 1000}, "fps is 1000; allowed are 0.1 to 240"),
        ({"output_size": (8, 9)}, "output_size is 8x9; allowed are sides of 16 to 8192 pixels"),
        ({"output": ()}, 'there is no output; give one, or "none"'),
        ({"output_fps": 0}, "output_fps is 0; allowed are 0.1 to 240"),
        ({"away_image": "no.png"}, "away-image 'no.png' is not a file"),
        ({"size": (8, 8)}, "size is 8x8; allowed are sides of 16 to 8192 pixels"),
        ({"frames": 0}, "frames is 0; allowed are 1 or more"),
        ({"panel": 70000}, "panel is 70000; allowed are 0 to 65535"),
        ({"pixel_format": "MJPEG"}, "unknown format 'MJPEG'; did you mean 'MJPG'?"),
        ({"background": "transparent"}, "a camera cannot be transparent"),
        ({"background": "blur:3"}, "blur strength '3' cannot be used"),
        ({"pipe_format": "i420"}, "only for raw video on standard output"),
        ({"backgrounds": "/nowhere"}, "'/nowhere' is not a folder"),
    ],
)
def test_what_cannot_be_is_refused_at_once(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config(**values)
    assert message in str(refused.value)


def test_nothing_to_show_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing would be shown"):
        vidbg.run_live(config(output="none"))
    with pytest.raises(ConfigError, match="unknown output 'pipwire'"):
        vidbg.run_live(config(output="pipwire"))


PROGRAM = '''
"""What a program that uses vidbg may look like."""

from pathlib import Path

import vidbg


def show(status: vidbg.LiveStatus) -> None:
    print(status.state.value, status.fps)


def main() -> int:
    matting = vidbg.MattingConfig(device="cpu", smoothing_s=0.2, people="main")
    look = vidbg.CompositingConfig(vidbg.parse_background("beach.jpg"), fit="contain", feather_px=1)
    config = vidbg.LiveConfig(
        camera="synthetic", background=look, matting=matting, output="web:8090", frames=100
    )
    try:
        report = vidbg.run_live(config, on_status=show, on_message=print)
        files: list[Path] = [*vidbg.process("talk.mp4", background="blur", matting=matting)]
    except (vidbg.SourceError, vidbg.VidbgError) as error:
        print(error)
        return 1
    return report.frames + len(files)
'''

MISTAKES = {
    'device="cpu"': 'device="cqu"',
    'fit="contain"': 'fit="stretch"',
    "frames=100": "frames='many'",
    "status.fps": "status.speed",
    "vidbg.process": "vidbg.proces",
    "on_status=show": "on_status=3",
}


def test_a_users_program_is_type_checked(tmp_path: Path) -> None:
    """py.typed is in the package, and mypy --strict sees what is right and what is wrong."""
    root = Path(vidbg.__file__).parents[1]
    assert (root / "vidbg" / "py.typed").is_file()
    (tmp_path / "right.py").write_text(PROGRAM)
    wrong = PROGRAM
    for old, new in MISTAKES.items():
        assert old in PROGRAM
        wrong = wrong.replace(old, new)
    (tmp_path / "wrong.py").write_text(wrong)
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent"]
    command += ["--ignore-missing-imports", "--no-error-summary", "--config-file="]
    command += ["--cache-dir", str(tmp_path / "cache"), "right.py", "wrong.py"]
    done = subprocess.run(
        command, cwd=tmp_path, env={"MYPYPATH": str(root), "PATH": ""}, text=True,
        capture_output=True,
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert not [line for line in lines if not line.startswith("wrong.py")], done.stdout
    assert len({line.split(":")[1] for line in lines}) == len(MISTAKES), done.stdout + done.stderr


def test_dir_shows_the_public_names() -> None:
    assert dir(vidbg) == sorted(vidbg.__all__)
    for name in ("run_live", "LiveConfig", "MattingConfig", "SinkError", "process", "Frame"):
        assert name in dir(vidbg)


def test_frames_are_images_of_the_background() -> None:
    memory = Memory()
    vidbg.run_live(config(frames=2), open_sink=memory)
    assert np.ptp(memory.sink.frames[-1].image.reshape(-1, 3), axis=0).max() == 0


def test_a_call_leaves_half_of_the_computer_unless_quality_leads() -> None:
    for quality, share in (("fast", 0.5), ("balanced", 0.5), ("best", 1.0)):
        matting = vidbg.MattingConfig(quality=quality)  # type: ignore[arg-type]
        assert vidbg.LiveConfig(matting=matting).cpu_share == share
        assert vidbg.LiveConfig(matting=matting, cpu_limit_percent=30).cpu_share == 0.3


def test_a_cpu_limit_needs_adapting_to_be_kept() -> None:
    with pytest.raises(ConfigError, match=r"30 % is kept by adapting .* limit the threads"):
        vidbg.LiveConfig(adapt=False, cpu_limit_percent=30)
