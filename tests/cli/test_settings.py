"""Settings from the file, its profiles and the environment, and which of them wins."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from vidbg.cli.config_command import example
from vidbg.cli.options import matting_config, use_gpu
from vidbg.cli.settings import default_file
from vidbg.config import MattingConfig
from vidbg.option_table import options_of
from vidbg.util.choices import People

Vidbg = Callable[..., tuple[int, str, str]]


def write(text: str, file: Path | None = None) -> Path:
    path = file or default_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def shown(vidbg: Vidbg, *arguments: object) -> dict[str, str]:
    """Return the lines of `vidbg config show` by key."""
    code, out, err = vidbg("config", "show", *arguments)
    assert (code, err) == (0, "")
    return {line.split(" = ")[0]: line for line in out.splitlines() if " = " in line}


def test_the_printed_config_can_be_read_back(vidbg: Vidbg) -> None:
    _, out, _ = vidbg("config", "show")
    values = tomllib.loads(out)
    assert (values["background"], values["fps"], values["refine"]) == ("blur", 30.0, True)
    write(out)
    assert vidbg("config", "show")[0] == 0


def test_environment_over_profile_over_file_over_built_in(
    vidbg: Vidbg, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write("fps = 25\nfeather = 1\noffset = 1.5\n[profile.a]\nfps = 20\nfeather = 2\n")
    monkeypatch.setenv("VIDBG_FPS", "15")
    monkeypatch.setenv("VIDBG_FORMAT", "YUYV")
    monkeypatch.setenv("VIDBG_REFINE", "no")
    lines = shown(vidbg, "--profile", "a")
    assert "15.0" in lines["fps"]
    assert lines["fps"].endswith("# environment, VIDBG_FPS")
    assert lines["format"].startswith('format = "YUYV"')
    assert lines["refine"].startswith("refine = false")
    assert lines["feather"].startswith("feather = 2.0")
    assert lines["feather"].endswith(f"# {file}, [profile.a]")
    assert lines["offset"].startswith("offset = 1.5")
    assert lines["offset"].endswith(f"# {file}")
    assert lines["size"].endswith("# built in")


def test_a_renamed_option_works_by_its_old_name(
    vidbg: Vidbg, monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in ("run", "process", "bench"):
        code, out, _ = vidbg(command, "--no-whole-frame", "--help")
        assert code == 0
        assert "whole-frame" not in out
    assert vidbg("run", "--whole-frame", "--help")[0] == 0
    assert vidbg("run", "--whole-frames", "--help")[0] == 2
    file = write("whole-frame = false\n")
    assert shown(vidbg)["full-frame"].split() == ["full-frame", "=", "false", "#", str(file)]
    file.unlink()
    assert shown(vidbg)["full-frame"].startswith("full-frame = true")
    monkeypatch.setenv("VIDBG_WHOLE_FRAME", "no")
    assert shown(vidbg)["full-frame"].startswith("full-frame = false")


def test_the_command_line_wins(vidbg: Vidbg, monkeypatch: pytest.MonkeyPatch) -> None:
    write('size = "big"\n')
    monkeypatch.setenv("VIDBG_SIZE", "huge")
    arguments = ("run", "-c", "synthetic", "-o", "none")
    assert "'huge' is not a size" in vidbg(*arguments)[2]
    monkeypatch.delenv("VIDBG_SIZE")
    assert "'big' is not a size" in vidbg(*arguments)[2]
    assert "nothing would be shown" in vidbg(*arguments, "--size", "64x48")[2]


def test_file_and_profile_from_the_environment(
    vidbg: Vidbg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDBG_CONFIG", str(write("[profile.b]\nfps = 7", tmp_path / "c.toml")))
    monkeypatch.setenv("VIDBG_PROFILE", "b")
    assert shown(vidbg)["fps"].startswith("fps = 7.0")


def test_relative_paths_are_taken_from_the_files_folder(vidbg: Vidbg, tmp_path: Path) -> None:
    file = write('background = "beach.jpg"', tmp_path / "c.toml")
    assert f'"{tmp_path / "beach.jpg"}"' in shown(vidbg, "--config", file)["background"]
    write('background = "blur:20"', file)
    assert '"blur:20"' in shown(vidbg, "--config", file)["background"]


def test_process_takes_matting_and_background_alone(vidbg: Vidbg, tmp_path: Path) -> None:
    clip = tmp_path / "in.mp4"
    assert vidbg("process", clip)[0] == 2  # no background
    write('background = "missing.jpg"\noutput = "-"\nframes = 3\n')
    clip.write_text("no video")
    code, out, err = vidbg("process", clip)
    assert (code, out) == (1, "")
    assert "in.mp4 is not a video" in err or "missing.jpg" in err


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (
            "backgrund = 'blur'",
            ": unknown key 'backgrund'; did you mean 'background'? choose from background, camera",
        ),
        ("config = 'x'", ": unknown key 'config';"),
        ("fps = '30'", ": fps is '30'; it must be a number"),
        ("fps = inf", ": fps is inf; it must be a number, and finite"),
        ("smoothing = nan", ": smoothing is nan; it must be a number, and finite"),
        ("light_wrap = 1", ": unknown key 'light_wrap'; did you mean 'light-wrap'? choose from"),
        ("fps = true", ": fps is true; it must be a number"),
        ("fps = 2020-01-31", ": fps is 2020-01-31; it must be a number"),
        (f"fps = {'9' * 5000}", " has a number of too many digits"),
        (f"a = {'[' * 5000}{']' * 5000}", " is nested too deeply"),
        (f"# {'a' * 1_000_000}", " cannot be read: it is larger than 1 MB"),
        ("frames = 1.5", ": frames is 1.5; it must be a whole number"),
        ("frames = 0", ": frames is 0; allowed are 1 or more"),
        ("refine = 1", ": refine is 1; it must be true or false"),
        ("fit = ['cover']", ": fit is ['cover']; it must be a string"),
        ("size = 5", ': size is 5; it must be a string in quotes, such as "'),
        ("overlay = ''", ": overlay is empty; give a path, or leave it out"),
        ("background = 'blur:900'", ": blur strength '900'"),
        ("[profile.z]\nfit = 3", ", [profile.z]: fit is 3"),
        ("profile = 'z'", ": profile is not a table; write [profile.NAME]"),
        ("fps =", " is not TOML: "),
    ],
)
def test_mistakes_are_reported_with_file_and_key(text: str, hint: str, vidbg: Vidbg) -> None:
    file = write(text)
    code, out, err = vidbg("run", "-o", "none")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"vidbg: {file}{hint}")


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8"]
)
def test_files_of_windows_editors_are_read(encoding: str, vidbg: Vidbg) -> None:
    file = default_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    mark = "\ufeff" if encoding.startswith("utf-16-") else ""
    file.write_bytes(f'{mark}background = "#102030"\r\n# Grüße\r\nfps = 20\r\n'.encode(encoding))
    lines = shown(vidbg)
    assert lines["background"].startswith('background = "#102030"')
    assert lines["fps"].startswith("fps = 20.0")


def test_utf_16_without_a_mark_is_read_too(vidbg: Vidbg) -> None:
    write("")
    for encoding in ("utf-16-le", "utf-16-be"):
        default_file().write_bytes("fps = 20\n".encode(encoding))
        assert shown(vidbg)["fps"].startswith("fps = 20.0")


def test_another_encoding_is_named(vidbg: Vidbg) -> None:
    write("")
    default_file().write_bytes("# Grüße\nfps = 20\n".encode("latin-1"))
    code, _, err = vidbg("config", "show")
    assert (code, err.count("\n")) == (2, 1)
    assert "is not UTF-8 (invalid start byte at byte 4); save it as UTF-8" in err


def test_files_and_profiles_that_are_not_there(vidbg: Vidbg, tmp_path: Path) -> None:
    code, _, err = vidbg("run", "--config", tmp_path / "c.toml")
    assert (code, "c.toml does not exist; `vidbg config init`" in err) == (2, True)
    assert "does not exist" in vidbg("run", "--profile", "a")[2]
    write("[profile.a]\n[profile.b]\n")
    assert "no profile 'c'; there are: a, b" in vidbg("run", "--profile", "c")[2]
    write("[profile.meeting]\n[profile.b]\n")
    assert "'meting'; did you mean 'meeting'?" in vidbg("run", "--profile", "meting")[2]
    assert "cannot be read" in vidbg("run", "--config", tmp_path)[2]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert "pipe cannot be read: it is a pipe" in vidbg("run", "--config", tmp_path / "pipe")[2]


def test_a_home_that_is_no_folder_has_no_file(
    vidbg: Vidbg, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", os.devnull)
    assert shown(vidbg)["background"].endswith("# built in")


def test_help_needs_no_file_in_order(vidbg: Vidbg) -> None:
    write("nonsense")
    code, out, _ = vidbg("run", "--help")
    assert (code, "VIDBG_FIT" in out) == (0, True)


def test_the_example_is_written_once_and_is_right(
    vidbg: Vidbg, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert vidbg("config", "path")[1].strip() == str(default_file())
    assert vidbg("config", "init") == (0, f"{default_file()}\n", "")
    assert "was left as it is" in vidbg("config", "init")[2]
    assert default_file().read_text(encoding="utf-8") == example()
    for name in ("CUDA_DEVICE_ORDER", "CUDA_VISIBLE_DEVICES"):  # the example names a GPU
        monkeypatch.setenv(name, "")
    lines = [line.removeprefix("# ") for line in example().splitlines()]
    write("\n".join(line for line in lines if " = " in line or line.startswith("[")))
    assert shown(vidbg, "--profile", "meeting")["feather"].startswith("feather = 1.5")


@pytest.mark.parametrize(("refine", "people"), [(True, "all"), (False, "main")])
def test_matting_options_reach_the_setting_that_they_name(refine: bool, people: People) -> None:
    params = {option.name: option.default for option in options_of("run")}
    params |= {"device": "cpu", "precision": "int8", "threads": 2, "network_size": "320x192"}
    params |= {"smoothing": 0.3, "refine": refine, "people": people}
    config = matting_config("run", params)
    expected = MattingConfig(
        "cpu", "int8", threads=2, network_pixels=320 * 192, smoothing_s=0.3, refine=refine,
        people=people,
    )  # fmt: skip
    assert config == expected
    assert not config.prior


def test_a_gpu_is_chosen_by_nvidia_smis_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CUDA_DEVICE_ORDER", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, "")
    assert use_gpu(None) is None
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == ""
    assert use_gpu(1) == 1
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == "1"
    assert os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


@pytest.mark.parametrize("command", ["run", "process", "build", "bench"])
def test_a_gpu_has_a_number(vidbg: Vidbg, command: str) -> None:
    code, _, error = vidbg(command, "--gpu", -1)
    assert code == 2
    assert "--gpu" in error


def test_several_outputs(vidbg: Vidbg, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the file, as a string or a list, and from the environment, where names have spaces."""
    write('output = "web:8090"\n')
    assert shown(vidbg)["output"].startswith('output = ["web:8090"]')
    write('output = ["web:8090", "pipewire:My Desk"]\n')
    assert shown(vidbg)["output"].startswith('output = ["web:8090", "pipewire:My Desk"]')
    monkeypatch.setenv("VIDBG_OUTPUT", "OBS Virtual Camera, web:8091")
    assert shown(vidbg)["output"].startswith('output = ["OBS Virtual Camera", "web:8091"]')
    write("output = []\n")  # as over the API
    monkeypatch.delenv("VIDBG_OUTPUT")
    assert shown(vidbg)["output"].startswith('output = ["none"]')
    write("output = 7\n")
    assert "it must be a string, or a list of strings" in vidbg("config", "show")[2]


def test_a_choice_made_of_digits_may_be_a_number(vidbg: Vidbg) -> None:
    write("rotate = 90\n")
    assert shown(vidbg)["rotate"].startswith('rotate = "90"')
    write("rotate = 45\n")
    code, _, err = vidbg("config", "show")
    assert code == 2
    assert "unknown rotate '45'; " in err
    assert "choose from 0, 90, 180, 270" in err
    write("rotate = true\n")
    assert "it must be" in vidbg("config", "show")[2]
