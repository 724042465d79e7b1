"""Run the steps of one command on the GPU machine, each within its time limit.

`tools.gpu prepare` writes the command: `python3 -m tools.gpu.there NAME --part FOLDER... --step
STEP=SECONDS... --out FOLDER`. Only packages of the machine are imported. Everything that must last
until the next command is kept outside the checkout, in VIDBG_GPU_STATE (/tmp/vidbg-gpu), including
a copy of the code, because training continues while the next command replaces the checkout. Each
step continues from what is there, and a failed step does not stop the next one.

`tools.gpu rehearse` sets VIDBG_GPU_REHEARSAL, which replaces the GPU by the CPU and reduces the
work. Its value is the factor by which steps may be slower.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from tools.gpu.learn import Lesson, lessons
from tools.gpu.limits import RETURNED_BYTES
from tools.gpu.pack import GRAPHS, LIGHT, WEIGHTS
from tools.gpu.plan import ENGINES, TENSORRT
from training.tools import shards
from training.tools.file_parts import join, split

SENT = "sent"
"""File in the state: which weights have come back, and which version of them."""

OVER, SHOWN = "training is over", "shown"

PIECE_BYTES = 15_000_000
SHARED_MEMORY = Path("/dev/shm")
SHARED_MEMORY_BYTES = 8 * 2**30
"""Sixteen processes hand over some batches of 27 MB each."""

MARKED_TESTS = (
    "tests/matting/test_backends.py",
    "tests/matting/test_tensorrt.py",
    "tests/pipeline/test_full_frame.py",
)


class StepFailed(RuntimeError):
    """A step did not do what it is for; the message says why."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine between two commands.

    Attributes:
        state: outlasts commands.
        out: comes back after this one.
        rehearsal: there is no GPU, and little is done.
        slack: times the seconds of each step.
    """

    state: Path
    out: Path
    rehearsal: bool
    slack: float

    @property
    def code(self) -> Path:
        return self.state / "code"

    @property
    def engines(self) -> Path:
        return self.state / ENGINES

    @property
    def log(self) -> Path:
        return self.state / "training.log"

    @property
    def device(self) -> str:
        return "cpu" if self.rehearsal else "cuda"

    def environment(self) -> dict[str, str]:
        """For the processes of this machine: this code, and packages that were carried."""
        paths = [str(self.state / "site"), str(self.code), str(self.code / "tests")]
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONUNBUFFERED": "1",
            "VIDBG_CACHE": str(self.state / "cache"),
        }

    def run(self, words: Sequence[object], seconds: float) -> None:
        """Run Python in the copy of the code.

        Raises:
            StepFailed: it failed, or took longer.
        """
        command = [sys.executable, *map(str, words)]
        say(" ".join(command[1:]))
        try:
            done = subprocess.run(
                command, cwd=self.code, env=self.environment(), timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired:
            raise StepFailed(f"stopped after {seconds:.0f} s") from None
        if done.returncode:
            raise StepFailed(f"exit code {done.returncode}")


def say(words: str) -> None:
    typer.echo(f"[{time.strftime('%H:%M:%S')}] {words}")


def take_in(machine: Machine, parts: Sequence[Path]) -> None:
    """Copy the checkout's code and the contents of the parts to where they last."""
    shutil.copytree(
        Path.cwd(), machine.code, dirs_exist_ok=True, symlinks=True,
        ignore=shutil.ignore_patterns(".git", ".gpu", ".venv", "runs", "__pycache__"),
    )  # fmt: skip
    for part in parts:
        if part.name == ENGINES:
            shutil.copytree(part, machine.engines, dirs_exist_ok=True)
            for archive in (WEIGHTS, GRAPHS):
                shutil.unpack_archive(machine.engines / archive, machine.engines, filter="data")
        elif part.name.startswith(TENSORRT):
            shutil.copytree(part, machine.state / "wheels", dirs_exist_ok=True)
        else:
            for shard in sorted(part.glob("*/*.tar")):
                shards.unpack(shard, machine.state / "data" / shard.parent.name)
        say(f"{part.name} is in")
    for file in machine.engines.glob("vidbg-*"):
        place = machine.code / "engines" / file.name
        if not place.is_file():  # no link: ONNX's readers refuse external data behind one
            shutil.copyfile(file, place)


def environment(machine: Machine, seconds: float) -> None:
    """Report the machine, its ceilings and floors; give the batches shared memory."""
    say(f"python {platform.python_version()}, {os.cpu_count()} cores")
    size = shutil.disk_usage(SHARED_MEMORY).total
    say(f"{SHARED_MEMORY} has {size / 2**30:.1f} GiB")
    if size < SHARED_MEMORY_BYTES and not machine.rehearsal:
        words = ["mount", "-o", f"remount,size={SHARED_MEMORY_BYTES}", str(SHARED_MEMORY)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        say(f"{' '.join(words)}: {done.stderr.strip() or 'done'}")
    if shutil.which("nvidia-smi"):
        subprocess.run(["nvidia-smi"], check=False, timeout=20)
    measure(machine, "environment", seconds)


def measure(machine: Machine, part: str, seconds: float) -> None:
    """One part of the report."""
    words: list[object] = ["-m", "tools.gpu.report", "--part", part, "--device", machine.device]
    words += ["--seconds", max(1.0, seconds - 10), "--out", machine.state / "report"]
    if (machine.engines / LIGHT).is_file():
        words += ["--light", machine.engines / LIGHT]
    if any(machine.engines.glob("frame-*.webp")):
        words += ["--clip", machine.engines]
    machine.run(words, seconds)


def pytorch(machine: Machine, seconds: float) -> None:
    measure(machine, "pytorch", seconds)


def profiles(machine: Machine, seconds: float) -> None:
    measure(machine, "profiles", seconds)


def peers(machine: Machine, seconds: float) -> None:
    measure(machine, "peers", seconds)


def tensorrt(machine: Machine, seconds: float) -> None:
    """Put the carried wheels together, install them, and ask TensorRT."""
    start = time.monotonic()
    install_wheels(machine)
    measure(machine, "tensorrt", seconds - (time.monotonic() - start))


def install_wheels(machine: Machine) -> None:
    """TensorRT from its pieces into a folder of its own; without pip's index."""
    wheels, site = machine.state / "wheels", machine.state / "site"
    if (site / "tensorrt_rtx").is_dir():
        return
    if not (wheels / "parts.json").is_file():
        raise StepFailed("TensorRT was not carried")
    join(wheels, wheels / "wheels.tar")
    shutil.unpack_archive(wheels / "wheels.tar", wheels / "whole", filter="data")
    files = sorted(str(path) for path in (wheels / "whole").glob("*.whl"))
    words = ["-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile"]
    machine.run([*words, "--target", site, *files], 60)
    (site / "tensorrt_rtx").mkdir()  # the package of this name holds these two lines alone
    (site / "tensorrt_rtx" / "__init__.py").write_text(
        "from tensorrt_rtx_bindings import *\nfrom tensorrt_rtx_bindings import __version__\n"
    )


def tests(machine: Machine, seconds: float) -> None:
    """The tests that want a GPU; a rehearsal collects them alone."""
    words: list[object] = ["-m", "pytest", "-p", "no:cacheprovider", "-m", "gpu", *MARKED_TESTS]
    words += [f"--junitxml={machine.state / 'tests.xml'}", "--timeout", max(1, int(seconds))]
    machine.run(words, seconds)


def train(machine: Machine, minutes: float) -> None:
    """Start training beside this command, unless it runs or is done; each network in its turn."""
    if running(machine):
        say("training runs already")
        return
    plan = lessons(machine.state, machine.engines, minutes, rehearsal=machine.rehearsal)
    for lesson in plan:
        say(f"{lesson.name}: {' '.join(lesson.words)}")
    script = machine.state / "training.sh"
    script.write_text(_script(plan), encoding="utf-8")
    with machine.log.open("ab") as log:
        process = subprocess.Popen(
            ["bash", str(script)], cwd=machine.code, env=machine.environment(),
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    _pid_file(machine).write_text(str(process.pid))


def _script(plan: Sequence[Lesson]) -> str:
    """Each network's training, even if the one before failed; the last line tells which did."""
    python = f"'{sys.executable}' -m training.train"
    words = [
        f'{python} {" ".join(lesson.words)} || failed="$failed {lesson.name}"' for lesson in plan
    ]
    return "\n".join([*words, f'echo "{OVER}${{failed:+, failed:$failed}}"', ""])


def _pid_file(machine: Machine) -> Path:
    return machine.state / "training.pid"


def running(machine: Machine) -> bool:
    """Whether training is under way."""
    try:
        stat = Path(f"/proc/{_pid_file(machine).read_text()}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def follow(machine: Machine, seconds: float) -> None:
    """Show what training says, until the time is over or training is.

    Raises:
        StepFailed: nothing trains, or a network's training failed.
    """
    if not machine.log.is_file():
        raise StepFailed("nothing trains")
    ends = time.monotonic() + seconds
    with machine.log.open(encoding="utf-8", errors="replace") as log:
        log.seek(_shown(machine))
        while True:
            over = not running(machine)
            sys.stdout.write(log.read())
            sys.stdout.flush()
            if over or time.monotonic() >= ends:
                (machine.state / SHOWN).write_text(str(log.tell()))
                break
            time.sleep(0.5)
    if not over:
        say("training goes on")
        return
    last = machine.log.read_text(encoding="utf-8", errors="replace").rstrip().rpartition("\n")[2]
    if last != OVER:
        raise StepFailed(last if last.startswith(OVER) else "training was cut off")
    say(OVER)


def _shown(machine: Machine) -> int:
    """How much of the log was shown by commands before."""
    file = machine.state / SHOWN
    return int(file.read_text()) if file.is_file() else 0


def resend(machine: Machine, seconds: float) -> None:  # noqa: ARG001  (every step's)
    """Bring all weights back again, as after a transfer that failed."""
    (machine.state / SENT).unlink(missing_ok=True)


STEPS: dict[str, Callable[[Machine, float], None]] = {
    "environment": environment,
    "pytorch": pytorch,
    "profiles": profiles,
    "peers": peers,
    "tests": tests,
    "tensorrt": tensorrt,
    "follow": follow,
    "finish": follow,
    "resend": resend,
}


def collect(machine: Machine) -> None:
    """Pack what to bring back into one archive in pieces, the most wanted first."""
    runs = sorted((machine.state / "runs").glob("*"), reverse=True)  # resnet50 before light
    notes = [machine.state / "report", machine.log, machine.state / "tests.xml"]
    notes += [run / name for run in runs for name in ("log.csv", "recipe.json", "curves.png")]
    best = [run / "best.safetensors" for run in runs]
    last = [run / "last.safetensors" for run in reversed(runs)]
    tree = machine.state / "results"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir()
    left = RETURNED_BYTES - 2**20
    sent = _sent(machine)
    for path in [*notes, *(path for path in [*best, *last] if _stamp(path) not in sent)]:
        if not path.exists():
            continue
        size = sum(file.stat().st_size for file in _files(path))
        if size > left:
            say(f"{path.relative_to(machine.state)}: no room, it comes with the next command")
            continue
        left -= size
        place = tree / path.relative_to(machine.state)
        place.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if path.is_dir() else shutil.copy)(path, place)
        if path.suffix == ".safetensors":
            sent.add(_stamp(path))
    archive = Path(shutil.make_archive(str(machine.state / "results"), "tar", tree))
    split(archive, machine.out, PIECE_BYTES)
    (machine.state / SENT).write_text("\n".join(sorted(sent)))
    say(f"{archive.stat().st_size / 1e6:.1f} MB come back: {[p.name for p in _files(tree)]}")


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]


def _sent(machine: Machine) -> set[str]:
    file = machine.state / SENT
    return set(file.read_text().split("\n")) if file.is_file() else set()


def _stamp(path: Path) -> str:
    """Which version of a file this is."""
    return f"{path} {path.stat().st_mtime_ns}" if path.exists() else str(path)


def main(
    name: Annotated[str, typer.Argument(help="Of the command, for the log.")],
    out: Annotated[Path, typer.Option(help="What is left here comes back.")],
    minutes: Annotated[float, typer.Option(help="Of training, where it begins.")],
    part: Annotated[list[Path] | None, typer.Option(help="A carried folder.")] = None,
    step: Annotated[list[str] | None, typer.Option(help="NAME=SECONDS, in this order.")] = None,
) -> None:
    """One command's steps."""
    state = Path(os.environ.get("VIDBG_GPU_STATE", "/tmp/vidbg-gpu")).resolve()
    slack = os.environ.get("VIDBG_GPU_REHEARSAL")
    machine = Machine(state, out.resolve(), slack is not None, float(slack or 1))
    state.mkdir(parents=True, exist_ok=True)
    machine.out.mkdir(parents=True, exist_ok=True)
    failed = []
    absent = [path for path in part or [] if not path.is_dir()]
    if absent:
        say(f"not carried: {[str(path) for path in absent]}")
        failed.append("take in")
    take_in(machine, [path for path in part or [] if path.is_dir()])
    for word in step or []:
        called, _, seconds = word.partition("=")
        start = time.monotonic()
        try:
            if called == "train":
                train(machine, minutes)
            else:
                STEPS[called](machine, float(seconds) * machine.slack)
        except Exception as error:  # the steps that follow are wanted all the same
            if not isinstance(error, StepFailed):
                traceback.print_exc()
            say(f"{called}: {error}")
            failed.append(called)
        say(f"{called} took {time.monotonic() - start:.1f} of {seconds} s")
    collect(machine)
    say(f"{name}: {'failed: ' + ', '.join(failed) if failed else 'all done'}")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    typer.run(main)
