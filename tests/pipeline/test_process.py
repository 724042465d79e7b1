"""Processing files: times, sound, alpha, errors, and what remains after a failure."""

from __future__ import annotations

import io
import itertools
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from clips import SIZE, audio_packets, number_of, numbered, write_clip

from vidbg.compositing import CompositingConfig, parse_background
from vidbg.config import MattingConfig
from vidbg.errors import ConfigError, SinkError, SourceError, SourceIncomplete
from vidbg.frame import Frame, StreamInfo
from vidbg.matting import video_matting
from vidbg.matting.backends.constant import ConstantBackend
from vidbg.matting.engines import engine_folder
from vidbg.matting.video_matting import VideoMatting
from vidbg.pipeline.files import process as process_module
from vidbg.pipeline.files import stream as stream_module
from vidbg.pipeline.files.estimate import fast_share
from vidbg.pipeline.files.file_outputs import OutputConfig, check_jobs, existing_outputs
from vidbg.pipeline.files.jobs import Job, plan_jobs
from vidbg.pipeline.files.process import Processor
from vidbg.pipeline.files.stream import Stream, StreamReport
from vidbg.pipeline.frame_processor import CpuCompositing
from vidbg.sinks.encoding.formats import Encoding
from vidbg.sinks.files.partial_file import PartialFile
from vidbg.sinks.memory_sink import MemorySink
from vidbg.sources import open_frames
from vidbg.sources.files.video_file_source import VideoFileSource
from vidbg.sources.synthetic import SyntheticSource

CLIPS = Path(__file__).resolve().parents[3] / "shared" / "clips"
FAST = Encoding(preset="ultrafast")
IRREGULAR = [0, 1, 2, 5, 6, 9, 13, 14, 15, 21, 22, 30]
LEFT_HALF = np.s_[:, : SIZE[0] // 2]


def left_person(batch: Any) -> Any:
    """Alpha 1 in the left half of the network's input, 0 in the right."""
    alpha = np.zeros(batch.shape[2:], np.float32)
    alpha[:, : alpha.shape[1] // 2] = 1
    return alpha


@pytest.fixture(autouse=True)
def backend(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "data" not in request.keywords:
        monkeypatch.setattr(video_matting, "load_backend", lambda *_: ConstantBackend(left_person))


def process(
    source: Path | str,
    target: Path | str,
    background: str = "#ff0000",
    *,
    alpha_video: Path | None = None,
    encoding: Encoding = FAST,
    overwrite: bool = False,
) -> StreamReport:
    compositing = CompositingConfig(parse_background(background))
    output = OutputConfig(encoding, overwrite, alpha_video)
    with Processor(compositing, output) as processor:
        return processor(Job(str(source), str(target)))


def frames_of(path: Path) -> list[Frame]:
    with open_frames(path) as source:
        return list(source)


def grey(path: Path) -> np.ndarray[Any, Any]:
    return frames_of(path)[3].image[..., 1]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- videos ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_times_frames_and_sound_are_the_inputs(suffix: str, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / f"in{suffix}", ticks=IRREGULAR, audio="aac")
    report = process(clip, tmp_path / f"out{suffix}", "blur")
    assert report.frames == len(IRREGULAR)
    before, after = frames_of(clip), frames_of(tmp_path / f"out{suffix}")
    assert [f.pts for f in after] == pytest.approx([f.pts for f in before], abs=1e-9)
    assert audio_packets(tmp_path / f"out{suffix}") == audio_packets(clip)
    assert [number_of(f.image[LEFT_HALF]) for f in after] == list(range(12))


def test_ntsc_rate_and_b_frames_are_kept(tmp_path: Path) -> None:
    clip = write_clip(
        tmp_path / "in.mp4",
        ticks=range(0, 24 * 1001, 1001),
        time_base=Fraction(1, 30000),
        options={"bf": "3", "b_strategy": "0"},
    )
    process(clip, tmp_path / "out.mp4")
    with open_frames(tmp_path / "out.mp4") as source:
        assert source.info.frame_rate == Fraction(30000, 1001)
        ticks = [round(frame.pts * 30000) for frame in source]
    assert ticks == list(range(0, 24 * 1001, 1001))


def test_the_person_is_in_front_of_the_background(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "in.mp4")
    process(clip, tmp_path / "out.mp4", "#ff0000", encoding=Encoding(crf=0))
    before, after = frames_of(clip)[5].image, frames_of(tmp_path / "out.mp4")[5].image
    assert np.abs(after[:, 44:].astype(int) - (0, 0, 255)).mean() < 3
    assert np.abs(after[:, 4:20].astype(int) - before[:, 4:20]).mean() < 4


def opened_by(monkeypatch: pytest.MonkeyPatch, name: str) -> list[Any]:
    """Will hold every source that the processor opens by that function."""
    sources: list[Any] = []
    original = getattr(process_module, name)

    def watched(*arguments: Any, **options: Any) -> Any:
        sources.append(original(*arguments, **options))
        return sources[-1]

    monkeypatch.setattr(process_module, name, watched)
    return sources


def test_a_moving_background_plays_and_its_sound_stays_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write_clip(tmp_path / "in.mp4", audio="aac")
    background = write_clip(tmp_path / "behind.mp4", ticks=range(6), audio="aac")
    opened = opened_by(monkeypatch, "open_frames")
    process(clip, tmp_path / "out.mp4", str(background))
    shown = [number_of(f.image[:, 48:]) for f in frames_of(tmp_path / "out.mp4")]
    assert shown == [0, 1, 2, 3, 4, 5] * 2
    assert {source.relay for source in opened} == {None}


@pytest.mark.parametrize(("target", "taken"), [("out.mp4", True), ("%d.png", False)])
def test_sound_is_not_collected_without_a_consumer(
    target: str, taken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write_clip(tmp_path / "in.mp4", audio="aac")
    opened = opened_by(monkeypatch, "open_source")
    process(clip, tmp_path / target)
    assert [source.relay is not None for source in opened] == [taken]


def test_a_gif_is_a_background_and_an_input(tmp_path: Path) -> None:
    gif = write_clip(
        tmp_path / "a.gif", codec="gif", pixel_format="rgb8", time_base=Fraction(1, 100),
        ticks=range(0, 60, 5),
    )  # fmt: skip
    assert process(gif, tmp_path / "out.mp4", str(gif)).frames == 12


@pytest.mark.parametrize("background", ["none", "blur:30", "#00ff00", "transparent"])
def test_the_alpha_video_holds_the_alpha(background: str, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "in.mp4")
    name = "out.mov" if background == "transparent" else "out.mp4"
    encoding = Encoding() if background == "transparent" else FAST
    process(
        clip, tmp_path / name, background, alpha_video=tmp_path / "alpha.mp4", encoding=encoding
    )
    alpha = grey(tmp_path / "alpha.mp4")
    assert alpha[:, :24].min() > 245
    assert alpha[:, 40:].max() < 10
    assert [f.pts for f in frames_of(tmp_path / "alpha.mp4")] == [f.pts for f in frames_of(clip)]


def test_opaque_results_are_the_same_with_and_without_an_alpha_video(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "in.mp4")
    process(clip, tmp_path / "one.mp4", "blur")
    process(clip, tmp_path / "two.mp4", "blur", alpha_video=tmp_path / "alpha.mp4")
    one, two = frames_of(tmp_path / "one.mp4"), frames_of(tmp_path / "two.mp4")
    assert all(np.array_equal(a.image, b.image) for a, b in zip(one, two, strict=True))
    assert all(frame.alpha is None for frame in two)


def test_transparent_results_carry_alpha(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "in.mp4")
    process(clip, tmp_path / "out.mov", "transparent", encoding=Encoding())
    process(clip, tmp_path / "frames" / "%03d.png", "transparent")
    assert names(tmp_path / "frames") == [f"{n:03d}.png" for n in range(12)]
    picture = cv2.imread(str(tmp_path / "frames" / "004.png"), cv2.IMREAD_UNCHANGED)
    alpha = frames_of(tmp_path / "out.mov")[4].alpha
    assert alpha is not None
    for result in (np.asarray(picture)[..., 3] / 255, alpha):
        assert result[:, :24].min() > 0.97
        assert result[:, 40:].max() < 0.03


def test_passthrough_loads_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_matting, "load_backend", lambda *_: pytest.fail("loaded"))
    clip = write_clip(tmp_path / "in.mp4")
    assert process(clip, tmp_path / "out.mp4", "none").frames == 12


def test_an_input_is_opened_before_the_network_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_matting, "load_backend", lambda *_: pytest.fail("loaded"))
    with pytest.raises(SourceError, match="there is no file"):
        process(tmp_path / "missing.mp4", tmp_path / "out.mp4")
    clip = write_clip(tmp_path / "in.mp4")
    with pytest.raises(SinkError, match="there is no folder"):
        process(clip, tmp_path / "missing" / "out.mp4")


def test_one_processor_serves_files_of_different_sizes(tmp_path: Path) -> None:
    small = write_clip(tmp_path / "a.mp4")
    large = write_clip(tmp_path / "b.mp4", size=(128, 96))
    with Processor(CompositingConfig(parse_background("green")), OutputConfig(FAST)) as processor:
        for job in plan_jobs(str(tmp_path), str(tmp_path / "out"), transparent=False):
            assert processor(job).frames == 12
    for clip in (small, large):
        assert frames_of(tmp_path / "out" / clip.name)[0].image.shape == (
            frames_of(clip)[0].image.shape
        )


# --- pictures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["me.png", "me.jpg", "a%20dog.webp", "100%.png"])
def test_a_photo_becomes_a_photo(name: str, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / name), numbered(3, 64, 48))
    (job,) = plan_jobs(str(tmp_path / name), None, transparent=False)
    process(job.source, job.target)
    target = tmp_path / f"{Path(name).stem}_vidbg{Path(name).suffix}"
    assert names(tmp_path) == sorted([name, target.name])
    image = frames_of(target)[0].image
    assert np.abs(image[:, 44:].astype(int) - (0, 0, 255)).mean() < 6


def test_a_cut_out_picture_stays_cut_out(tmp_path: Path) -> None:
    """Where the input is transparent there is nobody, whatever the network sees."""
    stored = np.dstack([numbered(3, 64, 48), np.full((48, 64), 255, np.uint8)])
    stored[24:, :, 3] = 0
    cv2.imwrite(str(tmp_path / "in.png"), stored)
    process(tmp_path / "in.png", tmp_path / "out.png", "#ff0000")
    image = frames_of(tmp_path / "out.png")[0].image
    assert np.array_equal(image[30:, :24], np.broadcast_to((0, 0, 255), (18, 24, 3)))
    assert np.array_equal(image[4:16, :24], numbered(3, 64, 48)[4:16, :24])


def test_impossible_results_of_a_photo_are_refused(tmp_path: Path) -> None:
    picture, clip = tmp_path / "me.png", write_clip(tmp_path / "in.mp4")
    cv2.imwrite(str(picture), numbered(3, 64, 48))
    with pytest.raises(ConfigError, match="cannot become the video"):
        process(picture, tmp_path / "out.mp4")
    with pytest.raises(ConfigError, match="no alpha video"):
        process(picture, tmp_path / "out.png", alpha_video=tmp_path / "alpha.mp4")
    with pytest.raises(SinkError, match="there is no folder"):
        process(picture, tmp_path / "missing" / "out.png")
    with pytest.raises(ConfigError, match=r"such as out%05d\.png"):
        process(clip, tmp_path / "out.png")
    assert names(tmp_path) == ["in.mp4", "me.png"]


# --- what is refused, and what is left ------------------------------------------------------------


def test_inputs_are_never_written_to(tmp_path: Path) -> None:
    clip, background = write_clip(tmp_path / "in.mp4"), write_clip(tmp_path / "behind.mp4")
    (tmp_path / "link.mp4").symlink_to(clip)
    content = clip.read_bytes(), background.read_bytes()
    link = tmp_path / "link.mp4"
    for source, target in [(clip, clip), (clip, link), (link, clip)]:
        with pytest.raises(ConfigError, match="is the input itself"):
            process(source, target, overwrite=True)
    with pytest.raises(ConfigError, match="is the input itself"):
        process(clip, tmp_path / "out.mp4", alpha_video=clip, overwrite=True)
    with pytest.raises(ConfigError, match="is the background"):
        process(clip, background, str(background), overwrite=True)
    with pytest.raises(ConfigError, match="give two names"):
        process(clip, tmp_path / "o.mp4", alpha_video=tmp_path / "." / "o.mp4")
    assert (clip.read_bytes(), background.read_bytes()) == content
    assert names(tmp_path) == ["behind.mp4", "in.mp4", "link.mp4"]


def refused(jobs: list[Job], background: str = "blur", alpha_video: Path | None = None) -> str:
    """Why a run of these jobs is not begun."""
    compositing = CompositingConfig(parse_background(background))
    with pytest.raises(ConfigError) as caught:
        check_jobs(jobs, compositing, OutputConfig(overwrite=True, alpha_video=alpha_video))
    return str(caught.value)


def test_no_input_of_a_batch_is_a_target(tmp_path: Path) -> None:
    for name in ("p.bmp", "p.png", "p_bmp.png", "q.bmp"):
        (tmp_path / name).touch()
    jobs = plan_jobs(str(tmp_path), f"{tmp_path}/", transparent=False)
    assert "p_bmp.png is an input of this run" in refused(jobs)
    (tmp_path / "link.png").symlink_to(tmp_path / "q.bmp")
    (tmp_path / "hard.png").hardlink_to(tmp_path / "q.bmp")
    for other in ("link.png", "hard.png"):
        pair = [("p.png", other), ("q.bmp", "out.png")]
        jobs = [Job(str(tmp_path / one), str(tmp_path / two)) for one, two in pair]
        assert f"{other} is an input of this run" in refused(jobs)


def test_no_input_is_one_of_a_sequences_pictures(tmp_path: Path) -> None:
    for name in ("in.mp4", "Frame00007.PNG"):
        (tmp_path / name).touch()
    jobs = [Job(str(tmp_path / "in.mp4"), str(tmp_path / "frame%05d.png"))]
    assert "is the background" in refused(jobs, str(tmp_path / "Frame00007.PNG"))
    check_jobs(jobs, CompositingConfig(parse_background(str(tmp_path / "in.png"))), OutputConfig())


def test_targets_that_differ_in_case_alone_are_refused(tmp_path: Path) -> None:
    jobs = [
        Job(f"{name}/in.mp4", str(tmp_path / f"{name}.mp4")) for name in ("Gr\u00fcn", "GRU\u0308N")
    ]
    assert "one file on many file systems" in refused(jobs)
    assert "two names" in refused(jobs[:1], alpha_video=tmp_path / "." / "Gr\u00fcn.mp4")


@pytest.mark.parametrize(
    ("target", "background", "alpha_video", "hint"),
    [
        ("out.xyz", "blur", None, "unknown suffix '.xyz'"),
        ("out.mp4", "transparent", None, "cannot store transparency"),
        ("-", "transparent", None, "carries no transparency"),
        ("out.mp4", "blur", "alpha.png", "is not a video"),
    ],
)
def test_names_that_cannot_hold_the_result_are_refused(
    target: str, background: str, alpha_video: str | None, hint: str
) -> None:
    output = OutputConfig(alpha_video=Path(alpha_video) if alpha_video else None)
    with pytest.raises(ConfigError, match=hint):
        check_jobs([Job("in.mp4", target)], CompositingConfig(parse_background(background)), output)


def test_several_inputs_cannot_share_an_alpha_video() -> None:
    jobs = [Job("a.mp4", "out/a.mp4"), Job("b.mp4", "out/b.mp4")]
    with pytest.raises(ConfigError, match="2 inputs cannot share"):
        check_jobs(
            jobs,
            CompositingConfig(parse_background("blur")),
            OutputConfig(alpha_video=Path("alpha.mp4")),
        )


def test_existing_outputs_are_found(tmp_path: Path) -> None:
    for name in ("out.mp4", "alpha.mp4", "f000.png"):
        (tmp_path / name).touch()
    result = existing_outputs(
        Job("in.mp4", str(tmp_path / "out.mp4")), OutputConfig(alpha_video=tmp_path / "alpha.mp4")
    )
    assert result == [tmp_path / "out.mp4", tmp_path / "alpha.mp4"]
    sequence = Job("in.mp4", str(tmp_path / "f%03d.png"))
    assert existing_outputs(sequence, OutputConfig()) == [tmp_path / "f000.png"]
    for absent in ("other.mp4", "g%03d.png", "100%.png"):
        assert not existing_outputs(Job("in.mp4", str(tmp_path / absent)), OutputConfig())
    assert not existing_outputs(Job("in.mp4", "-"), OutputConfig())


def test_existing_files_are_kept_by_default(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "in.mp4")
    (tmp_path / "out.mp4").write_bytes(b"precious")
    (tmp_path / "alpha.mp4").write_bytes(b"precious")
    with pytest.raises(SinkError, match="exists"):
        process(clip, tmp_path / "out.mp4")
    with pytest.raises(SinkError, match="exists"):
        process(clip, tmp_path / "new.mp4", alpha_video=tmp_path / "alpha.mp4")
    assert names(tmp_path) == ["alpha.mp4", "in.mp4", "out.mp4"]
    assert (tmp_path / "out.mp4").read_bytes() == b"precious"
    process(clip, tmp_path / "out.mp4", overwrite=True)
    assert len(frames_of(tmp_path / "out.mp4")) == 12


@pytest.mark.parametrize("error", [RuntimeError("driver"), KeyboardInterrupt(), SystemExit(143)])
def test_nothing_is_left_after_a_failure(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = itertools.count()

    def failing(batch: Any) -> Any:
        if next(calls) == 5:
            raise error
        return left_person(batch)

    monkeypatch.setattr(video_matting, "load_backend", lambda *_: ConstantBackend(failing))
    clip = write_clip(tmp_path / "in.mp4", audio="aac")
    (tmp_path / "out.mp4").write_bytes(b"precious")
    with pytest.raises(type(error)):
        process(clip, tmp_path / "out.mp4", alpha_video=tmp_path / "alpha.mp4", overwrite=True)
    assert names(tmp_path) == ["in.mp4", "out.mp4"]
    assert (tmp_path / "out.mp4").read_bytes() == b"precious"


def test_what_killed_runs_left_is_removed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clip = write_clip(tmp_path / "in.mp4")
    left = [tmp_path / ".out.0123abcd.partial.mp4", tmp_path / ".shot.89abcdef.partial.png"]
    others = [tmp_path / ".out.partial.mp4", tmp_path / ".notes.0123abcd.partial.mp4.bak"]
    for path in [*left, *others]:
        path.write_bytes(b"half a file")
    (tmp_path / ".link.0123abcd.partial.mp4").symlink_to(clip)
    other_run = PartialFile(tmp_path / "other.mp4", overwrite=False)
    process(clip, tmp_path / "out.mp4", "none")
    assert not [path for path in left if path.exists()]
    assert caplog.text.count("which a run that was killed had left behind") == 2
    assert all(path.exists() for path in [*others, other_run.temporary, clip])
    other_run.discard()
    assert not other_run.temporary.exists()


def test_interlaced_input_is_deinterlaced_unless_it_is_to_be_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    marks = {"flags": "+ildct+ilme", "x264-params": "tff=1"}
    clip = write_clip(tmp_path / "in.mp4", options=marks, size=(128, 96))
    process(clip, tmp_path / "whole.mp4", "none")
    assert "in.mp4 is interlaced" in caplog.text
    with Processor(
        CompositingConfig(parse_background("none")), OutputConfig(FAST, interlaced="keep")
    ) as processor:
        processor(Job(str(clip), str(tmp_path / "kept.mp4")))
    orders = []
    for name in ("whole.mp4", "kept.mp4"):
        with VideoFileSource(tmp_path / name, interlaced="keep") as source:
            orders.append(source.info.field_order)
            assert len(list(source)) == 12
    assert orders == ["progressive", "top"]


def test_a_broken_background_does_not_cut_the_result(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = write_clip(tmp_path / "in.mp4", ticks=range(60))
    background = write_clip(
        tmp_path / "behind.mp4", ticks=range(90), options={"crf": "10"}, size=(256, 192)
    )
    background.write_bytes(background.read_bytes()[: background.stat().st_size // 3])
    (tmp_path / "out.mp4").write_bytes(b"of last week")
    assert process(clip, tmp_path / "out.mp4", str(background), overwrite=True).frames == 60
    frames = frames_of(tmp_path / "out.mp4")
    assert len(frames) == 60
    assert len({number_of(frame.image[:, SIZE[0] // 2 + 8 :]) for frame in frames}) > 5
    (message,) = caplog.messages
    assert message.startswith(
        f"the background {background}: the part that could be read is repeated"
    )


def test_what_could_be_read_of_a_broken_file_is_kept(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "in.mkv", ticks=range(90), options={"crf": "10"})
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    with pytest.raises(SourceIncomplete, match=r"breaks off .* is in .*out\.mp4"):
        process(clip, tmp_path / "out.mp4")
    assert 10 < len(frames_of(tmp_path / "out.mp4")) < 90
    assert names(tmp_path) == ["in.mkv", "out.mp4"]


def test_a_small_loss_is_reported_too(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "in.mkv", ticks=range(90), options={"crf": "10", "g": "1"})
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size * 7 // 10])
    with pytest.raises(SourceIncomplete, match=r"breaks off at 2\.\d s of 3\.0 s"):
        process(clip, tmp_path / "out.mp4")


# --- a source that hangs --------------------------------------------------------------------------


class HangingSource(SyntheticSource):
    """Gives three frames, then blocks whatever is done."""

    def __init__(self) -> None:
        super().__init__(64, 48, Fraction(30), None)
        self.released = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        yield from itertools.islice(super().__iter__(), 3)
        self.released.wait()


class BrokenSink(MemorySink):
    def write(self, frame: Frame) -> None:
        raise SinkError(f"disk full at frame {frame.index}")


def test_a_source_that_hangs_does_not_hold_up_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "PATIENCE_S", 0.2)
    source = HangingSource()
    start = time.perf_counter()
    with pytest.raises(SinkError, match="disk full"):
        Stream(source, CpuCompositing(None, lambda frame, _: frame), BrokenSink()).run()
    assert time.perf_counter() - start < 3
    source.released.set()


def test_a_slow_sink_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class SlowSink(MemorySink):
        def write(self, frame: Frame) -> None:
            time.sleep(0.1)
            super().write(frame)

    monkeypatch.setattr(stream_module, "PATIENCE_S", 0.05)
    sink = SlowSink()
    source = SyntheticSource(64, 48, Fraction(30), 8)
    assert Stream(source, CpuCompositing(None, lambda frame, _: frame), sink).run().frames == 8
    assert sink.written == 8


# --- progress and pipes ---------------------------------------------------------------------------


def test_an_observer_hears_of_the_start_and_every_frame(tmp_path: Path) -> None:
    class Listener:
        def __init__(self) -> None:
            self.heard: list[Any] = []

        def started(self, job: Job, info: StreamInfo) -> None:
            self.heard.append((job.source, info.frame_count))

        def advanced(self, frames: int) -> None:
            self.heard.append(frames)

    clip, listener = write_clip(tmp_path / "in.mp4"), Listener()
    with Processor(CompositingConfig(parse_background("green")), OutputConfig(FAST)) as processor:
        processor(Job(str(clip), str(tmp_path / "out.mp4")), listener)
    assert listener.heard == [(str(clip), 12), *range(1, 13)]


def test_opaque_frames_go_into_a_pipe_beside_an_alpha_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(pipe))
    clip = write_clip(tmp_path / "in.mp4")
    process(clip, "-", "green", alpha_video=tmp_path / "alpha.mp4")
    with av.open(io.BytesIO(pipe.getvalue()), "r") as container:
        assert len(list(container.decode(video=0))) == 12
    assert grey(tmp_path / "alpha.mp4")[:, 40:].max() < 10


# --- real clips through the real network ----------------------------------------------------------


@pytest.fixture(scope="module")
def real_processor() -> Iterator[Processor]:
    if not list(engine_folder().glob("*.json")):
        pytest.skip(f"there is no engine in {engine_folder()}")
    with Processor(CompositingConfig(parse_background("green")), OutputConfig(FAST)) as processor:
        yield processor


def beginning(clip: Path, target: Path, seconds: float) -> Path:
    """Copy the packets of the first seconds."""
    with av.open(str(clip)) as source, av.open(str(target), "w") as sink:
        streams = {s.index: sink.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.dts is not None and packet.dts * packet.time_base < seconds:
                packet.stream = streams[packet.stream_index]
                sink.mux(packet)
    return target


@pytest.mark.data
@pytest.mark.parametrize("clip", sorted(CLIPS.glob("*")) or [None], ids=lambda c: c and c.stem)
def test_real_clips_keep_frames_times_and_sound(
    clip: Path | None, tmp_path: Path, real_processor: Processor
) -> None:
    if clip is None:
        pytest.skip(f"there are no clips in {CLIPS}")
    short = beginning(clip, tmp_path / "in.mp4", 0.7)
    real_processor(Job(str(short), str(tmp_path / "out.mp4")))
    before, after = frames_of(short), frames_of(tmp_path / "out.mp4")
    assert len(before) > 10
    assert [frame.pts for frame in after] == pytest.approx([frame.pts for frame in before])
    assert audio_packets(tmp_path / "out.mp4") == audio_packets(short)
    green = [np.abs(f.image.astype(int) - (64, 177, 0)).max(axis=2) < 12 for f in after]
    share = [float(mask.mean()) for mask in green]
    # A person, and a room that has gone; of a torso without a head (coffee) the arms at least.
    assert 0.05 < min(share) <= max(share) < 0.99


def slow_matter(network_s: float, writing_s: float, **config: Any) -> VideoMatting:
    """Return a matting whose network took this long on ten frames, plus 4 ms for the rest."""
    matter = VideoMatting(config=MattingConfig(**config), backend=ConstantBackend())
    for _ in range(10):
        for stage, seconds in (("resize", 2e-3), ("network", network_s), ("upsample", 2e-3)):
            matter.clock.add(stage, seconds)
        matter.clock.add("composite", writing_s)
    return matter


@pytest.mark.parametrize(
    ("network_s", "writing_s", "share"),
    [
        (0.096, 0.010, (4 + 96 * 147456 / 86016 / 6) / 100),  # light at 147456 pixels
        (0.096, 0.060, 0.6),  # then writing sets the pace
        (0.096, 0.090, None),  # not worth it
    ],
)
def test_what_fast_would_take_follows_from_the_stages(
    network_s: float, writing_s: float, share: float | None
) -> None:
    result = fast_share(slow_matter(network_s, writing_s))
    assert result == (share if share is None else pytest.approx(share))


@pytest.mark.parametrize("config", [{"quality": "fast"}, {"network_pixels": 86016}])
def test_no_faster_quality_is_offered_where_there_is_none(config: dict[str, Any]) -> None:
    assert fast_share(slow_matter(0.1, 0.01, **config)) is None
