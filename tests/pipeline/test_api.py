"""The Python API: what `import vidbg` promises."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path, PurePath
from typing import Any

import cv2
import numpy as np
import pytest
from clips import numbered, write_clip

import vidbg
from vidbg.compositing import CompositingConfig, parse_background
from vidbg.compositing.backgrounds import FileSpec
from vidbg.errors import ConfigError, SinkError, SourceError, VidbgError
from vidbg.matting import video_matting
from vidbg.matting.backends.constant import ConstantBackend
from vidbg.pipeline.files.file_outputs import OutputConfig


@pytest.fixture(autouse=True)
def backends(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Record the calls of load_backend; every backend sees a person everywhere."""
    asked: list[tuple[Any, ...]] = []

    def load(*arguments: Any) -> ConstantBackend:
        asked.append(arguments)
        return ConstantBackend(1.0)

    monkeypatch.setattr(video_matting, "load_backend", load)
    return asked


def test_import_loads_no_heavy_library() -> None:
    code = "import sys, vidbg; print({'numpy', 'cv2', 'av', 'typer'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_public_names_are_there() -> None:
    assert {name for name in vidbg.__all__ if not hasattr(vidbg, name)} == set()
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        vidbg.nonsense  # type: ignore[attr-defined]  # noqa: B018


def test_a_matter_and_composite_replace_a_background() -> None:
    image, beach = numbered(3, 64, 48), np.full((48, 64, 3), 200, np.uint8)
    with vidbg.VideoMatting() as matter:
        alpha = matter(image)
        matter.reset()
    assert alpha.dtype == np.float32
    assert alpha.shape == (48, 64)
    assert np.array_equal(vidbg.composite(image, alpha, beach), image)
    assert np.array_equal(vidbg.composite(image, np.zeros_like(alpha), beach), beach)


def test_process_returns_what_it_wrote(tmp_path: Path, backends: list[tuple[Any, ...]]) -> None:
    clip = write_clip(tmp_path / "a.mp4")
    cv2.imwrite(str(tmp_path / "b.png"), numbered(1, 64, 48))
    assert vidbg.process(clip, background="blur") == [tmp_path / "a_vidbg.mp4"]
    assert vidbg.process(clip, tmp_path / "c.mov", background="transparent")[0].is_file()
    (tmp_path / "c.mov").unlink()
    (tmp_path / "a_vidbg.mp4").unlink()
    backends.clear()
    written = vidbg.process(tmp_path, tmp_path / "out", background="green")
    assert written == [tmp_path / "out" / "a.mp4", tmp_path / "out" / "b.png"]
    assert all(path.is_file() for path in written)
    assert len(backends) == 1  # one network for all


def test_process_accepts_a_complete_config(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4")
    compositing = CompositingConfig(parse_background("blur"), feather_px=1.0)
    output = OutputConfig(alpha_video=tmp_path / "alpha.mp4")
    vidbg.process(clip, tmp_path / "out.mp4", background=compositing, written=output)
    assert (tmp_path / "alpha.mp4").is_file()


def test_paths_are_taken_wherever_a_path_is_meant(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4")
    beach = tmp_path / "green"  # named like a colour: a Path is a file all the same
    cv2.imwrite(str(tmp_path / "beach.png"), np.full((48, 64, 3), 200, np.uint8))
    (tmp_path / "beach.png").rename(beach)
    alpha: Any = str(tmp_path / "alpha.mp4")
    vidbg.process(
        clip, tmp_path / "out.mp4", background=beach, written=OutputConfig(alpha_video=alpha)
    )
    assert Path(alpha).is_file()
    path: Any = str(beach)
    assert vidbg.process(clip, background=FileSpec(path))[0].is_file()
    with pytest.raises(ConfigError, match="the background is None; allowed are"):
        vidbg.process(clip, background=None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": None}, "the source is None; it must be a string or a path"),
        ({"source": b"a.mp4"}, "the source is of the type bytes"),
        ({"source": ["a.mp4", 5]}, "the source is 5; it must be a string or a path"),
        ({"source": {"a.mp4": 1}}, "the source is of the type dict"),
        ({"output": 5}, "the output is 5; it must be a string or a path or None"),
        ({"matting": "fast"}, "matting is 'fast'; it must be MattingConfig or None"),
        ({"written": True}, "written is True; it must be OutputConfig or None"),
        ({"picture": {}}, "picture is of the type dict; it must be PictureConfig or None"),
        ({"source": "a\0.mp4"}, "has a null character"),
        ({"output": "a\0.mp4"}, "has a null character"),
        ({"observer": 5}, "the observer is 5; it needs the methods of Observer"),
    ],
)
def test_arguments_of_another_type_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        vidbg.process(**{"source": "a.mp4", "background": "green", **arguments})


@pytest.mark.parametrize(
    ("config", "values", "message"),
    [
        (vidbg.MattingConfig, {"network_pixels": "x"}, "network_pixels is 'x'; .* whole number or"),
        (vidbg.MattingConfig, {"threads": 1.5}, "MattingConfig.threads is 1.5"),
        (vidbg.MattingConfig, {"refine": "no"}, "refine is 'no'; it must be True or False"),
        (vidbg.MattingConfig, {"people": None}, "people is None; it must be 'all' or 'main'"),
        (vidbg.MattingConfig, {"smoothing_s": None}, "smoothing_s is None; it must be a number"),
        (vidbg.PictureConfig, {"zoom": "2"}, "PictureConfig.zoom is '2'; it must be a number"),
        (vidbg.PictureConfig, {"rotate": np.zeros(2)}, "rotate is of the type tuple"),
        (vidbg.PictureConfig, {"rotate": 90}, "rotate is 90; it must be '0' or '90' or"),
        (vidbg.Encoding, {"crf": 18.5}, "crf is 18.5; it must be a whole number or None"),
        (vidbg.Encoding, {"crf": True}, "crf is True"),
        (vidbg.OutputConfig, {"encoding": "x"}, "encoding is 'x'; it must be Encoding"),
        (vidbg.OutputConfig, {"alpha_video": 5}, "alpha_video is 5; it must be a path or None"),
        (vidbg.CompositingConfig, {"background": 5}, "background is 5; it must be BackgroundSpec"),
        (vidbg.CompositingConfig, {"background": "blur", "bars": (1, 2)}, "bars is of the type tu"),
        (
            vidbg.CompositingConfig,
            {"background": "blur", "bars": (0, 0, 300)},
            "bars are .* 0 to 255",
        ),
        (vidbg.OutputConfig, {"alpha_video": "a\0.mp4"}, "has a null character"),
        (
            vidbg.LiveConfig,
            {"output": 5},
            "output is 5; it must be a string or a tuple of a string",
        ),
        (
            vidbg.MattingConfig,
            {"network_pixels": 5_000_000},
            "is 5000000; allowed are 16384 to 4194",
        ),
        (vidbg.LiveConfig, {"fps": "x"}, "fps is 'x'; it must be a number"),
        (vidbg.LiveConfig, {"camera": 5.5}, "camera is 5.5; it must be a string"),
        (vidbg.LiveConfig, {"size": (640, "480")}, "size is of the type tuple; it must be a tup"),
    ],
)
def test_fields_of_another_type_are_refused(
    config: type[Any], values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        config(**values)


def test_fields_accept_values_of_equivalent_types() -> None:
    numbers: Any = {"threads": np.int64(2), "smoothing_s": np.float32(1), "refine": np.bool_(False)}
    matting = vidbg.MattingConfig(**numbers)
    assert (matting.threads, matting.smoothing_s, matting.refine) == (2, 1, False)
    assert (type(matting.threads), type(matting.refine)) == (int, bool)  # JSON takes no others
    paths: Any = ["matte.mp4", PurePath("matte.mp4")]
    for matte in paths:
        assert vidbg.OutputConfig(alpha_video=matte).alpha_video == Path("matte.mp4")
    words: Any = "blur:30"
    assert str(vidbg.CompositingConfig(words).background) == "blur:30"
    number: Any = 2
    assert vidbg.LiveConfig(camera=number).camera == "2"
    path: Any = Path("talk.mp4")
    sizes: Any = [[640, 480], np.array([640, 480])]
    rate: Any = Fraction(30000, 1001)
    for size in sizes:
        live = vidbg.LiveConfig(camera=path, size=size, fps=rate)
        assert (live.camera, live.size, live.fps) == ("talk.mp4", (640, 480), 30000 / 1001)
        assert json.dumps(live.size) == "[640, 480]"


def test_several_inputs_are_processed_in_one_call(tmp_path: Path) -> None:
    pictures = [tmp_path / "a.png", tmp_path / "b.png"]
    for picture in pictures:
        cv2.imwrite(str(picture), numbered(1, 64, 48))
    results = vidbg.process(pictures, background="green")
    assert results == [tmp_path / "a_vidbg.png", tmp_path / "b_vidbg.png"]
    assert all(result.is_file() for result in results)


def test_errors_and_settings_have_public_names() -> None:
    assert vidbg.errors.SinkError is SinkError
    assert vidbg.VidbgError is VidbgError
    assert vidbg.OutputConfig is OutputConfig
    assert set(vidbg.__all__) <= set(dir(vidbg))


def test_process_replaces_files_only_when_allowed(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4")
    target = tmp_path / "out.mp4"
    target.write_bytes(b"precious")
    with pytest.raises(SinkError, match="overwrite=True"):
        vidbg.process(clip, target, background="green")
    assert target.read_bytes() == b"precious"
    vidbg.process(clip, target, background="green", written=OutputConfig(overwrite=True))
    assert target.stat().st_size > 500
    with pytest.raises(ConfigError, match="is the input itself"):
        vidbg.process(clip, clip, background="green", written=OutputConfig(overwrite=True))


def test_failures_are_raised_as_vidbg_errors(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no file"):
        vidbg.process(tmp_path / "missing.mp4", background="green")
    clip = write_clip(tmp_path / "a.mp4")
    with pytest.raises(VidbgError, match="does not exist"):
        vidbg.process(clip, background="missing.jpg")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
