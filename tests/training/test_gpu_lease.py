"""Everything that is prepared for a GPU machine, except the machine itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from tools.gpu import __main__ as commands  # noqa: E402
from tools.gpu import lean, limits, there  # noqa: E402
from tools.gpu.calls import as_call, minutes_of, planned  # noqa: E402
from tools.gpu.learn import Lesson, lessons  # noqa: E402
from tools.gpu.pack import LIGHT, pack, room  # noqa: E402
from tools.gpu.plan import PLANS, Call, Step, seconds_before_training  # noqa: E402
from tools.gpu.rehearse import (  # noqa: E402
    RehearsalFailed,
    check_returned,
    copy_lean,
    draw_data,
    make_environment,
)
from training.data.image_sets import find_sets  # noqa: E402
from training.tools.file_parts import join  # noqa: E402
from vidbg.errors import ConfigError  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
LARGE = b"x" * (lean.LARGE_BYTES + 1)


def git(root: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=root, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Two large files, a small one, an ignored folder, and a file that git does not know yet."""
    root = tmp_path / "checkout"
    (root / "engines" / "more").mkdir(parents=True)
    git(root, "init", "-q")
    (root / ".gitignore").write_text("/.gpu/\n/runs/\n")
    (root / "engines" / "weights.bin").write_bytes(LARGE)
    (root / "engines" / "more" / "graph.bin").write_bytes(LARGE)
    (root / "code.py").write_text("1\n")
    git(root, "add", "-A")
    (root / "new.py").write_text("2\n")
    (root / "runs").mkdir()
    (root / "runs" / "log").write_bytes(LARGE)
    return root


def files(root: Path) -> dict[str, bytes]:
    paths = (path for path in root.rglob("*") if path.is_file() and ".git" not in path.parts)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def test_large_files_wait_and_come_back(checkout: Path) -> None:
    before = files(checkout)
    whole = lean.tree_bytes(checkout, lean=False)
    small = lean.tree_bytes(checkout, lean=True)
    assert whole > 2 * len(LARGE) > small
    away = lean.set_aside(checkout)
    assert [str(name) for name in away] == ["engines/more/graph.bin", "engines/weights.bin"]
    names = {str(name) for name in lean.travelling(checkout)}
    assert names == {".gitignore", "code.py", "new.py"}
    assert lean.tree_bytes(checkout, lean=False) == small
    assert lean.set_aside(checkout) == away  # a second command does not forget the first
    assert len(lean.restore(checkout)) == 2
    assert files(checkout) == before
    assert lean.restore(checkout) == []


def test_a_move_that_fails_half_way_is_undone(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(checkout)
    replace = Path.replace
    moved: list[Path] = []

    def stumble(self: Path, target: Path) -> Path:
        if self.name == "weights.bin" and not moved:
            moved.append(self)
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", stumble)
    with pytest.raises(KeyboardInterrupt):
        lean.set_aside(checkout)
    assert moved
    assert files(checkout) == before


def test_restoring_keeps_a_file_whose_name_is_in_use(checkout: Path) -> None:
    lean.set_aside(checkout)
    (checkout / "engines" / "weights.bin").write_text("another")
    with pytest.raises(ConfigError, match=r"engines/weights\.bin"):
        lean.restore(checkout)
    assert (checkout / "engines" / "more" / "graph.bin").read_bytes() == LARGE
    assert (checkout / "engines" / "weights.bin").read_text() == "another"
    (checkout / "engines" / "weights.bin").unlink()
    lean.restore(checkout)
    assert (checkout / "engines" / "weights.bin").read_bytes() == LARGE


def test_the_guard_restores_files_that_were_not_restored(checkout: Path) -> None:
    before = files(checkout)
    lean.set_aside(checkout)
    lean.start_guard(checkout, 0)
    ends = time.monotonic() + 60
    while files(checkout) != before and time.monotonic() < ends:
        time.sleep(0.1)
    assert files(checkout) == before


def test_a_guard_waits_as_long_as_commands_are_prepared(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lean.set_aside(checkout)
    journal = checkout / lean.JOURNAL
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 1:  # the next command is prepared
            lean.set_aside(checkout)
        if len(naps) == 2:
            assert journal.is_file()
            lean.restore(checkout)

    monkeypatch.setattr(time, "sleep", nap)
    long_ago = time.time() - 100
    os.utime(journal, (long_ago, long_ago))
    lean.guard(checkout, 102)
    assert 0 < naps[0] <= 2
    assert naps[1] == 5
    assert len(naps) == 2  # and it ends with what it guards


@pytest.mark.parametrize("plan", [*PLANS])
@pytest.mark.parametrize("shards", [1, 2, 3])
def test_a_plan_fits_the_lease(plan: str, shards: int, tmp_path: Path) -> None:
    parts = ["engines", *(f"data-{number}" for number in range(shards))]
    parts += ["tensorrt-0", "tensorrt-1"] if plan == "full" else []
    for part in parts:
        (tmp_path / part).mkdir()
    calls = planned(plan, tmp_path)
    minutes = minutes_of(calls)
    assert minutes * 60 >= limits.TRAINING_S
    before = seconds_before_training(calls) - seconds_before_training(calls, started=True)
    assert minutes_of(calls, limits.LEASE_S - before) == minutes
    assert minutes_of(calls, limits.LEASE_S - before - 90) == pytest.approx(minutes - 1.5)
    assert sorted(part for call in calls for part in call.parts) == sorted(parts)
    steps = [step.name for call in calls for step in call.steps]
    assert steps.count("train") == 1
    arrived = [call.parts for call in calls]
    trains = next(i for i, c in enumerate(calls) if any(s.name == "train" for s in c.steps))
    assert sum(len(names) for names in arrived[: trains + 1]) >= 1 + shards
    if plan == "full":
        wanted = ["environment", "pytorch", "peers", "tests", "train"]
        assert [name for name in steps if name in wanted][:5] == wanted
        assert "tensorrt" in steps
    for call in calls:
        prepared = as_call(call, minutes, ROOT, tmp_path)
        assert len(prepared["command"]) <= limits.COMMAND_CHARACTERS
        assert prepared["timeout_s"] <= limits.COMMAND_S
        assert prepared["carry"] == [f".gpu/carry/{part}" for part in call.parts]
    waited = sum(s.seconds for c in calls[trains:] for s in c.steps if s.name != "tensorrt")
    assert waited >= minutes * 60 * 0.9  # somebody follows until training is over


def test_a_plan_without_time_for_training_is_refused() -> None:
    calls = [Call("slow", (), (Step("pytorch", 500), Step("train", 10), Step("finish", 100)))]
    with pytest.raises(ConfigError, match="it must be 420"):
        minutes_of(calls)
    with pytest.raises(ConfigError, match="130 s leave -40 s of training; it must be 60"):
        minutes_of(
            [Call("train", (), (Step("train", 10), Step("finish", 99), Step("tests", 100)))], 130
        )


def test_what_is_beyond_a_limit_is_refused(checkout: Path, tmp_path: Path) -> None:
    part = tmp_path / "carry" / "data-0"
    part.mkdir(parents=True)
    with (part / "shard.tar").open("wb") as file:
        file.truncate(limits.CARRIED_BYTES)
    with pytest.raises(ConfigError, match=f"bytes; allowed are {limits.CARRIED_BYTES}"):
        as_call(Call("data-0", ("data-0",), ()), 7, checkout, part.parent)
    many = tuple(Step("follow", 1) for _ in range(200))
    with pytest.raises(ConfigError, match="characters; allowed are 2000"):
        as_call(Call("long", (), many), 7, checkout, part.parent)
    assert room(checkout) + lean.tree_bytes(checkout, lean=True) < 0.951 * limits.CARRIED_BYTES
    with pytest.raises(ConfigError, match="seconds; allowed are 600"):
        as_call(Call("slow", (), (Step("follow", 600),)), 7, checkout, part.parent)


def test_commands_say_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "ROOT", tmp_path)
    for words, message in (
        (["plan"], "pack` fills it"),
        (["prepare", "measure", "--plan", "half"], "no plan 'half'"),
    ):
        result = CliRunner().invoke(commands.app, words)
        assert isinstance(result.exception, ConfigError)
        assert message in str(result.exception)
    (tmp_path / ".gpu" / "carry" / "engines").mkdir(parents=True)
    (tmp_path / ".gpu" / "carry" / "data-0").mkdir()
    result = CliRunner().invoke(commands.app, ["prepare", "cook"])
    assert "no command 'cook'; there are ['engines', 'data-0', 'follow-0', 'end']" in str(
        result.exception
    )


@pytest.fixture
def machine(tmp_path: Path) -> there.Machine:
    (tmp_path / "out").mkdir()
    (tmp_path / "state").mkdir()
    return there.Machine(tmp_path / "state", tmp_path / "out", True, 1)


def test_parts_arrive_as_they_were_packed(
    machine: there.Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_data(tmp_path / "data")
    (tmp_path / "weights").write_bytes(b"light")
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "one.whl").write_bytes(b"wheel" * 20_000)
    engines = tmp_path / "engines"
    engines.mkdir()
    (engines / "vidbg-r50.safetensors").write_bytes(b"weights")
    (engines / "vidbg-r50.onnx").write_bytes(b"graph")
    (engines / "vidbg-r50-int8.bin").write_bytes(b"for OpenVINO alone")
    monkeypatch.setattr("tools.gpu.pack.engine_folder", lambda: engines)
    carry, limit = tmp_path / "carry", 420_000
    sizes = pack(
        carry, limit, tmp_path / "data",
        light=tmp_path / "weights", wheels=tmp_path / "wheels",
    )  # fmt: skip
    assert {"engines", "data-0", "data-1", "tensorrt-0"} <= set(sizes)
    assert max(sizes.values()) <= limit
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    (machine.code / "engines").mkdir(parents=True)
    for _ in range(2):  # again does no harm
        there.take_in(machine, sorted(carry.iterdir()))
    for name in ("train", "val", "objects", "unlabelled"):
        wanted = {s.name: len(s.samples) for s in find_sets(tmp_path / "data" / name)}
        assert {s.name: len(s.samples) for s in find_sets(machine.state / "data" / name)} == wanted
    assert (machine.code / "engines" / "vidbg-r50.safetensors").read_bytes() == b"weights"
    assert (machine.engines / LIGHT).read_bytes() == b"light"
    assert (machine.engines / "vidbg-r50.onnx").read_bytes() == b"graph"
    assert not (machine.engines / "vidbg-r50-int8.bin").exists()
    join(machine.state / "wheels", tmp_path / "wheels.tar")
    with tarfile.open(tmp_path / "wheels.tar") as tar:
        assert "./one.whl" in tar.getnames()


def test_data_without_both_folders_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    with pytest.raises(ConfigError, match="needs the folders train and val"):
        pack(tmp_path / "carry", 10**6, tmp_path)


def test_results_come_back_within_the_limits(
    machine: there.Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(there, "RETURNED_BYTES", 2**20 + 1000)
    monkeypatch.setattr(there, "PIECE_BYTES", 4000)
    for name in ("resnet50", "light"):
        run = machine.state / "runs" / name
        run.mkdir(parents=True)
        (run / "best.safetensors").write_bytes(name.encode() * 50)
        (run / "last.safetensors").write_bytes(name.encode() * 50)
        (run / "log.csv").write_text("step\n")
    machine.log.write_text("trained\n")

    def brought() -> set[str]:
        for piece in machine.out.iterdir():
            piece.unlink()
        there.collect(machine)
        check_returned(machine.out)
        join(machine.out, machine.state / "archive.tar")
        with tarfile.open(machine.state / "archive.tar") as tar:
            return {info.name.removeprefix("./") for info in tar if info.isfile()}

    first = brought()
    assert {"training.log", "runs/light/log.csv", "runs/resnet50/best.safetensors"} <= first
    assert "runs/resnet50/last.safetensors" not in first  # there was no room
    second = brought()
    assert "runs/resnet50/last.safetensors" in second
    assert "runs/resnet50/best.safetensors" not in second  # it has come back
    there.resend(machine, 1)
    assert "runs/resnet50/best.safetensors" in brought()


def test_a_step_that_fails_does_not_keep_the_next_from_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VIDBG_GPU_STATE", str(tmp_path / "state"))
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    monkeypatch.setitem(there.STEPS, "peers", lambda _, seconds: there.say(f"given {seconds:g}"))
    with pytest.raises(SystemExit) as ended:
        there.main("end", tmp_path / "out", 7.0, [tmp_path / "absent"], ["tensorrt=5", "peers=6"])
    assert ended.value.code == 1
    output = capfd.readouterr().out
    assert "tensorrt: TensorRT was not carried" in output
    assert "given 6" in output
    assert "end: failed: take in, tensorrt" in output
    assert (tmp_path / "out" / "parts.json").is_file()


def test_training_is_followed_until_it_is_over(
    machine: there.Machine, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(there.StepFailed, match="nothing trains"):
        there.follow(machine, 1)
    machine.code.mkdir()
    script = "echo begun; sleep 2; echo training is over\n"
    monkeypatch.setattr(there, "_script", lambda _: script)
    there.train(machine, 7)
    assert there.running(machine)
    there.train(machine, 7)
    there.follow(machine, 0)
    there.follow(machine, 60)
    output = capfd.readouterr().out
    assert "training runs already" in output
    assert "training goes on" in output
    assert output.count("begun\n") == 1  # nothing is shown twice
    assert not there.running(machine)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'training is over, failed: light'", "training is over, failed: light"),
        ("echo step 1", "cut off"),
    ],
)
def test_a_failed_training_is_reported(
    machine: there.Machine, script: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.code.mkdir()
    monkeypatch.setattr(there, "_script", lambda _: f"{script}\n")
    there.train(machine, 7)
    with pytest.raises(there.StepFailed, match=message):
        there.follow(machine, 60)


def test_a_network_trains_even_if_the_one_before_failed(tmp_path: Path) -> None:
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "__init__.py").touch()
    command = "import sys; print('Usage') if '--help' in sys.argv else sys.exit(2)"
    (tmp_path / "training" / "train.py").write_text(command)
    plan = [Lesson("resnet50", ("--no-such-option",)), Lesson("light", ("--help",))]
    done = subprocess.run(
        ["bash", "-c", there._script(plan)], cwd=tmp_path, capture_output=True, text=True
    )
    assert "Usage" in done.stdout
    assert done.stdout.rstrip().endswith("training is over, failed: resnet50")


def test_both_networks_train_with_options_that_exist(tmp_path: Path) -> None:
    from training import train

    engines = tmp_path / "engines"
    engines.mkdir()
    (alone,) = lessons(tmp_path, engines, 7.5, rehearsal=False)
    assert alone.words[alone.words.index("--minutes") + 1] == "7.50"
    (engines / LIGHT).touch()
    resnet, light = lessons(tmp_path, engines, 7.5, rehearsal=False)
    assert [resnet.name, light.name] == ["resnet50", "light"]
    minutes = [float(v.words[v.words.index("--minutes") + 1]) for v in (resnet, light)]
    assert sum(minutes) == pytest.approx(7.5)
    names = {f"--{name.replace('_', '-')}" for name in train.main.__annotations__}
    for lesson in (resnet, light, *lessons(tmp_path, engines, 7.5, rehearsal=True)):
        assert {word for word in lesson.words if word.startswith("--")} <= names
        assert not any(" " in word or "'" in word for word in lesson.words)
    optional = {"--coarse", "--plain", "--objects", "--unlabelled", "--trust"}
    assert not optional & {*resnet.words, *light.words}
    assert "--teacher" not in resnet.words
    teacher = light.words[light.words.index("--teacher") + 1]
    assert teacher == str(engines / "vidbg-r50.safetensors")


def test_sets_that_need_options_get_them_where_they_were_carried(tmp_path: Path) -> None:
    for name in ("train/voc_pets", "train/keyed", "train/pseudo", "objects", "unlabelled"):
        (tmp_path / "data" / name).mkdir(parents=True)
    (tmp_path / LIGHT).touch()
    resnet, light = lessons(tmp_path, tmp_path, 7.5, rehearsal=False)
    for lesson in (resnet, light):
        given = dict(zip(lesson.words, lesson.words[1:], strict=False))
        assert (given["--coarse"], given["--plain"]) == ("voc_pets", "keyed")
        assert given["--objects"] == str(tmp_path / "data" / "objects")
    assert given["--unlabelled"] == str(tmp_path / "data" / "unlabelled")
    assert given["--trust"] == "pseudo=0.6"


def test_returned_files_are_counted_and_limited(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "one").write_bytes(b"123")
    assert check_returned(tmp_path) == 3
    (tmp_path / "a" / "b" / "c").mkdir()
    (tmp_path / "a" / "b" / "c" / "two").write_bytes(b"4")
    with pytest.raises(RehearsalFailed, match="3 folders deep"):
        check_returned(tmp_path)
    for number in range(9):
        (tmp_path / str(number)).touch()
    with pytest.raises(RehearsalFailed, match="11 files"):
        check_returned(tmp_path)


IMPORTS = """
import importlib, json, sys
from importlib.util import find_spec
from pathlib import Path

from tools.gpu import report, there
from training import train, trainer

sys.path.append("tests")
for name in there.MARKED_TESTS:
    sys.path.append(str(Path(name).parent))
    importlib.import_module(Path(name).stem)
names = ["numpy", "cv2", "lightning_fabric", "av", "openvino", "pyvirtualcam", "nncf"]
names += ["tensorrt_rtx_bindings", "mypy", "importlinter"]
print(json.dumps([name for name in names if find_spec(name)]))
"""
"""What the commands run on the machine, and the packages that are found there."""


def test_the_machines_packages_and_the_lean_checkout_are_enough(tmp_path: Path) -> None:
    """Import what every command needs; `make gpu-rehearsal` runs the commands themselves."""
    python = make_environment(tmp_path / "venv", Path(sys.executable))
    copy_lean(ROOT, tmp_path / "checkout")
    done = subprocess.run(
        [str(python), "-c", IMPORTS],
        cwd=tmp_path / "checkout",
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["numpy", "cv2", "lightning_fabric"]
