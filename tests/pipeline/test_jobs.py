"""Inputs, outputs and their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidbg.compositing import CompositingConfig, parse_background
from vidbg.errors import ConfigError, SourceError
from vidbg.pipeline.files.file_outputs import OutputConfig, check_jobs
from vidbg.pipeline.files.jobs import Job, plan_jobs
from vidbg.sinks import PIPE


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def targets(source: Path | str, output: Path | str | None = None, **kinds: bool) -> list[str]:
    jobs = plan_jobs(
        str(source), None if output is None else str(output), **{"transparent": False, **kinds}
    )
    return [job.target for job in jobs]


@pytest.mark.parametrize(
    ("source", "opaque", "transparent"),
    [
        ("talk.mp4", "talk_vidbg.mp4", "talk_vidbg.mov"),
        ("talk.MOV", "talk_vidbg.mov", "talk_vidbg.mov"),
        ("talk.mkv", "talk_vidbg.mkv", "talk_vidbg.mov"),
        ("talk.webm", "talk_vidbg.webm", "talk_vidbg.webm"),
        ("talk.avi", "talk_vidbg.mkv", "talk_vidbg.mov"),
        ("talk.WMV", "talk_vidbg.mp4", "talk_vidbg.mov"),
        ("talk.ts", "talk_vidbg.mp4", "talk_vidbg.mov"),
        ("wave.gif", "wave_vidbg.mp4", "wave_vidbg.mov"),
        ("stream", "stream_vidbg.mp4", "stream_vidbg.mov"),
        ("me.jpg", "me_vidbg.jpg", "me_vidbg.png"),
        ("me.png", "me_vidbg.png", "me_vidbg.png"),
        ("me.webp", "me_vidbg.webp", "me_vidbg.webp"),
        ("me.tiff", "me_vidbg.png", "me_vidbg.png"),
    ],
)
def test_results_are_named_after_their_inputs(source: str, opaque: str, transparent: str) -> None:
    assert targets(source) == [opaque]
    assert targets(source, transparent=True) == [transparent]
    assert targets(f"a/{source}") == [str(Path("a", opaque))]


def test_an_animated_webp_counts_as_a_video(tmp_path: Path) -> None:
    clip = tmp_path / "wave.webp"
    clip.write_bytes(b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0\x02" + bytes(9))
    assert targets(clip) == [str(tmp_path / "wave_vidbg.mp4")]
    assert Job(str(clip), "frame%05d.png").is_sequence


def test_a_loop_of_links_is_a_name_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    inside = tmp_path / "loop/a.mp4"
    jobs = [Job(str(inside), str(tmp_path / "b.mp4")), Job(str(inside), str(inside))]
    check_jobs(jobs, CompositingConfig(parse_background("green")), OutputConfig())


def test_several_inputs_are_planned_as_one_batch(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "a.bmp", "b.mp4", "notes.txt", "shots/c.png", "a_vidbg.jpg")
    a, bmp, b = (str(tmp_path / name) for name in ("a.jpg", "a.bmp", "b.mp4"))
    planned = {job.source: job.target for job in plan_jobs([a, b, a], None, transparent=False)}
    assert planned == {a: str(tmp_path / "a_vidbg.jpg"), b: str(tmp_path / "b_vidbg.mp4")}
    into = plan_jobs([a, bmp, str(tmp_path / "shots")], str(tmp_path / "out"), transparent=True)
    assert [Path(job.target).name for job in into] == ["a_jpg.png", "a_bmp.png", "c.png"]
    apart = plan_jobs([a, str(tmp_path / "shots")], None, transparent=False)
    assert apart[-1].target == str(tmp_path / "shots_vidbg" / "c.png")
    again = plan_jobs([str(tmp_path / "*.jpg"), b], None, transparent=False)
    assert [job.source for job in again] == [a, b]  # not the result of an earlier run
    named = plan_jobs([a, str(tmp_path / "notes.txt")], None, transparent=False)
    assert len(named) == 2  # what is named is tried, and told when it fails


@pytest.mark.parametrize("output", ["out.mp4", PIPE, "frame%05d.png"])
def test_several_inputs_take_no_single_output(output: str) -> None:
    with pytest.raises(ConfigError, match="2 inputs cannot all become"):
        plan_jobs(["a.mp4", "b.mp4"], output, transparent=False)


def test_standard_input_is_no_part_of_a_list() -> None:
    with pytest.raises(ConfigError, match="give it alone"):
        plan_jobs(["a.mp4", PIPE], "out", transparent=False)


@pytest.mark.parametrize("sources", ["", "  ", [], [""], ["a.mp4", ""]])
def test_an_empty_input_is_refused(sources: str | list[str]) -> None:
    with pytest.raises(ConfigError, match="an INPUT is empty"):
        plan_jobs(sources, None, transparent=False)


def test_hidden_files_of_a_folder_are_no_inputs(tmp_path: Path) -> None:
    touch(tmp_path, "shots/a.mp4", "shots/._a.mp4", "shots/.b.png", "hidden/.c.png")
    assert targets(tmp_path / "shots") == [str(tmp_path / "shots_vidbg" / "a.mp4")]
    assert targets(tmp_path / "shots" / "*") == [str(tmp_path / "shots" / "a_vidbg.mp4")]
    assert len(targets(tmp_path / "shots" / ".*")) == 2  # asked for
    with pytest.raises(SourceError, match="no pictures or videos"):
        plan_jobs(str(tmp_path / "hidden"), None, transparent=False)


@pytest.mark.parametrize("folder", ["out", "out/", "deep/out"])
def test_a_name_without_suffix_is_a_folder_for_results(folder: str, tmp_path: Path) -> None:
    for name in ("a.mp4", "a.jpg"):
        (job,) = plan_jobs(name, folder, transparent=False)
        assert (Path(job.target), job.makes_folder) == (Path(folder, name), True)
    (tmp_path / "v1.0").mkdir()
    assert targets("a.mp4", tmp_path / "v1.0") == [str(tmp_path / "v1.0" / "a.mp4")]


def test_the_meaning_of_a_folder_does_not_change_when_it_exists(tmp_path: Path) -> None:
    before = targets("a.mp4", tmp_path / "out", transparent=True)
    (tmp_path / "out").mkdir()
    assert targets("a.mp4", tmp_path / "out", transparent=True) == before


@pytest.mark.parametrize(
    ("source", "target", "sequence"),
    [
        ("a.mp4", "frame%05d.png", True),
        ("-", "frame%05d.png", True),
        ("a.mp4", "100%.mp4", False),
        ("a%20dog.jpg", "a%20dog_vidbg.jpg", False),
    ],
)
def test_numbers_are_for_videos_that_become_pictures(
    source: str, target: str, sequence: bool
) -> None:
    assert Job(source, target).is_sequence is sequence


def test_a_folder_gives_its_media_in_order(tmp_path: Path) -> None:
    shots = tmp_path / "shots"
    touch(shots, "b.MP4", "a.jpg", "notes.txt", "sub/c.mp4", "a.png")
    jobs = plan_jobs(str(shots), None, transparent=False)
    assert [Path(job.source).name for job in jobs] == ["a.jpg", "a.png", "b.MP4"]
    folder = tmp_path / "shots_vidbg"
    assert [Path(job.target) for job in jobs] == [
        folder / name for name in ("a.jpg", "a.png", "b.mp4")
    ]
    assert all(job.makes_folder for job in jobs)


def test_the_folder_one_is_in_has_a_name_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "shots/a.jpg")
    monkeypatch.chdir(tmp_path / "shots")
    assert targets(".") == [str(tmp_path / "shots_vidbg" / "a.jpg")]


def test_results_with_the_same_name_are_distinguished(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "a.png", "a.mp4", "x/b.mp4", "y/b.mp4")
    names = [Path(t).name for t in targets(tmp_path, tmp_path / "out", transparent=True)]
    assert names == ["a_jpg.png", "a.mov", "a_png.png"]
    touch(tmp_path, "cases/A.jpg", "cases/a.JPG")
    cases = [Path(t).name for t in targets(tmp_path / "cases", tmp_path / "out")]
    assert cases == ["A_jpg.jpg", "a_JPG_2.JPG"]
    deep = targets(tmp_path / "*" / "b.mp4", tmp_path / "out")
    assert [Path(t).name for t in deep] == ["b_mp4.mp4", "b_mp4_2.mp4"]


def test_a_glob_puts_each_result_beside_its_input(tmp_path: Path) -> None:
    touch(tmp_path, "x/a.mp4", "y/a.mp4", "y/b.txt")
    result = targets(tmp_path / "**" / "*")
    assert result == [str(tmp_path / "x/a_vidbg.mp4"), str(tmp_path / "y/a_vidbg.mp4")]


def test_a_glob_leaves_out_what_an_earlier_run_wrote(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "a_vidbg.mp4", "b_vidbg.mp4")
    assert [Path(t).name for t in targets(tmp_path / "*.mp4")] == [
        "a_vidbg.mp4",
        "b_vidbg_vidbg.mp4",
    ]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    touch(tmp_path, "a[1].mp4")
    assert targets(tmp_path / "a[1].mp4") == [str(tmp_path / "a[1]_vidbg.mp4")]


def test_pipes_need_a_name_for_the_output() -> None:
    assert plan_jobs(PIPE, "out.mkv", transparent=False) == [Job(PIPE, "out.mkv")]
    assert plan_jobs(PIPE, PIPE, transparent=False) == [Job(PIPE, PIPE)]
    for output in (None, "folder/"):
        with pytest.raises(ConfigError, match="--output NAME"):
            plan_jobs(PIPE, output, transparent=False)


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("", "the output is empty"),
        (" ", "the output is empty"),
        (".mp4", "has a suffix but no name; give one, such as result.mp4"),
        ("out/.PNG", "has a suffix but no name; give one, such as out/result.PNG"),
    ],
)
def test_an_output_without_a_name_is_refused(output: str, reason: str) -> None:
    for source in ("a.mp4", ["a.mp4", "b.mp4"]):
        with pytest.raises(ConfigError, match=reason):
            plan_jobs(source, output, transparent=False)


def test_impossible_jobs_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "empty/notes.txt", "a.jpg", "b.jpg")
    for nothing in (tmp_path / "empty", tmp_path / "*.mp4"):
        with pytest.raises(SourceError, match="no pictures or videos"):
            plan_jobs(str(nothing), None, transparent=False)
    for one in ("x.jpg", PIPE):
        with pytest.raises(ConfigError, match="give a folder"):
            plan_jobs(str(tmp_path / "*.jpg"), one, transparent=False)
