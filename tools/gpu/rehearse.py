"""A plan gone through without a GPU: the machine's packages, no network, the lean checkout.

Every command runs as it would there, in an empty folder, up to where the card is asked for; what a
CPU can do runs on it, training in three steps. What goes along, what comes back and the limits on
both are counted on the way.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tools.gpu.calls import as_call, minutes_of, planned
from tools.gpu.lean import is_large, travelling
from tools.gpu.limits import (
    RETURNED_BYTES,
    RETURNED_DEPTH,
    RETURNED_FILE_BYTES,
    RETURNED_FILES,
)
from tools.gpu.pack import pack, room
from tools.gpu.plan import CARRY, Call
from training.tools.file_parts import join
from vidbg.errors import ConfigError, VidbgError

PACKAGES = Path(__file__).with_name("packages.txt")
"""Distributions that the machine's python3 holds and that matter here, one a line."""

SAME = {"opencv-python": "opencv-python-headless", "lightning-fabric": "pytorch-lightning"}
"""Distributions whose modules the machine has from another one."""

NEWER = {"pydantic", "pydantic-core", "annotated-types", "typing-inspection"}
"""What packages need here that the machine's older versions of them do not."""

OWN = {"vidbg", "training", "tools", "tests"}
SLACK = 20
"""Times the seconds of a step: two busy cores, not sixteen."""

WANTED = (
    "report/report.json",
    "report/report.md",
    "training.log",
    *(
        f"runs/{network}/{name}"
        for network in ("resnet50", "light")
        for name in ("best.safetensors", "last.safetensors", "log.csv", "recipe.json")
    ),
)
"""What must have come back at the end of a plan."""

HOOK = '''"""Refuses the modules that the GPU machine lacks."""
import sys
from importlib.machinery import PathFinder

REFUSED = {refused!r}


class Only:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in REFUSED:
            return None
        return PathFinder.find_spec(name, path, target)

    find_distributions = staticmethod(PathFinder.find_distributions)
    invalidate_caches = staticmethod(PathFinder.invalidate_caches)


sys.meta_path[sys.meta_path.index(PathFinder)] = Only
'''

LIST_MODULES = """
import json, sysconfig
from importlib.metadata import packages_distributions
print(json.dumps([sysconfig.get_path("purelib"), packages_distributions()]))
"""


class RehearsalFailed(VidbgError):
    """A command failed, or went beyond a limit; the message holds the end of its output."""


def rehearse(
    root: Path, plan: str, *, python: Path | None = None, carry: Path | None = None
) -> Iterator[str]:
    """Go through a plan; a line for each command.

    Args:
        root: the checkout, whole.
        python: an interpreter whose packages stand for the machine's; None: this one.
        carry: parts that were packed; None: some are made of drawn pictures.
    Raises:
        RehearsalFailed: at the first command that fails.
    """
    with tempfile.TemporaryDirectory(prefix="vidbg-gpu-") as place:
        here = Path(place)
        interpreter = make_environment(here / "venv", python or Path(sys.executable))
        if carry is None:
            carry = here / "carry"
            draw_data(here / "data")
            pack(carry, room(root), here / "data")
        copy_lean(root, here / "checkout")
        calls = planned(plan, carry)
        minutes = minutes_of(calls)
        alone = without_network()
        yield f"{interpreter}, {'no network' if alone else 'the network cannot be taken away here'}"
        came: set[str] = set()
        for call in calls:
            yield _run(call, minutes, root, carry, here, interpreter, alone)
            came |= brought(here / "out")
            if errors := unexpected(here / "state" / "report" / "report.json"):
                raise RehearsalFailed(f"{call.name} did not measure all: {errors}")
        if absent := {*WANTED} - came:
            raise RehearsalFailed(f"{sorted(absent)} never came back, only {sorted(came)}")
        yield f"{minutes:g} minutes of training there"


def _run(
    call: Call,
    minutes: float,
    root: Path,
    carry: Path,
    here: Path,
    interpreter: Path,
    alone: list[str],
) -> str:
    prepared = as_call(call, minutes, root, carry)
    out, checkout = here / "out", here / "checkout"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    shutil.rmtree(checkout / CARRY, ignore_errors=True)
    for part in call.parts:
        shutil.copytree(carry / part, checkout / CARRY / part)
    environment = {
        "PATH": f"{interpreter.parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(here),
        "OUT": str(out),
        "VIDBG_GPU_STATE": str(here / "state"),
        "VIDBG_GPU_REHEARSAL": str(SLACK),
    }
    start = time.monotonic()
    done = subprocess.run(
        [*alone, "bash", "-c", prepared["command"]],
        cwd=checkout, env=environment, capture_output=True, text=True, check=False,
        timeout=call.timeout_s * SLACK,
    )  # fmt: skip
    if done.returncode:
        output = (done.stdout + done.stderr)[-6000:]
        raise RehearsalFailed(f"{call.name} failed with {done.returncode}:\n{output}")
    returned = check_returned(out)
    uses = ", ".join(f"{value} {what}" for what, value in prepared["uses"].items())
    seconds = time.monotonic() - start
    return f"{call.name}: {seconds:.0f} s here; {uses}; {returned} bytes back"


def brought(out: Path) -> set[str]:
    """Names of what a command's pieces hold."""
    archive = out.parent / "results.tar"
    join(out, archive)
    with tarfile.open(archive) as tar:
        return {info.name.removeprefix("./") for info in tar if info.isfile()}


def unexpected(report: Path) -> dict[str, str]:
    """Figures that were not had, but for TensorRT's, which wants a driver first of all."""
    if not report.is_file():
        return {}

    def errors(figures: Any, path: str) -> Iterator[tuple[str, str]]:
        if isinstance(figures, dict):
            for name, part in figures.items():
                if name == "error" and "no NVIDIA driver" not in part:
                    yield path, str(part)
                yield from errors(part, f"{path}/{name}")

    return dict(errors(json.loads(report.read_text()), ""))


def check_returned(out: Path) -> int:
    """Bytes of what a command left.

    Raises:
        RehearsalFailed: it is more than comes back.
    """
    files = [path for path in out.rglob("*") if path.is_file()]
    sizes = [path.stat().st_size for path in files]
    deepest = max((len(path.relative_to(out).parts) - 1 for path in files), default=0)
    for what, value, limit in (
        ("files", len(files), RETURNED_FILES),
        ("bytes in one file", max(sizes, default=0), RETURNED_FILE_BYTES),
        ("bytes", sum(sizes), RETURNED_BYTES),
        ("folders deep", deepest, RETURNED_DEPTH),
    ):
        if value > limit:
            raise RehearsalFailed(f"{value} {what} in {out}; {limit} come back")
    return sum(sizes)


def make_environment(folder: Path, python: Path) -> Path:
    """Make a virtual environment that finds only the machine's packages in another interpreter.

    Returns:
        Its Python.
    """
    listed = subprocess.run(
        [str(python), "-c", LIST_MODULES], capture_output=True, text=True, check=True
    ).stdout
    packages, modules = json.loads(listed)
    allowed = NEWER | set(PACKAGES.read_text().split())
    refused = {
        module
        for module, owners in modules.items()
        if module not in OWN and not allowed & {_canonical(owner) for owner in owners}
    }
    subprocess.run([str(python), "-m", "venv", "--without-pip", str(folder)], check=True)
    (site,) = folder.glob("lib/python3*/site-packages")
    (site / "only_packages.py").write_text(HOOK.format(refused=refused))
    (site / "only_packages.pth").write_text(f"{packages}\nimport only_packages\n")
    return folder / "bin" / "python3"


def _canonical(distribution: str) -> str:
    name = distribution.lower().replace("_", "-").replace(".", "-")
    return SAME.get(name, name)


def without_network() -> list[str]:
    """Return the prefix that runs a command without a network; empty where that is not allowed."""
    for words in (["unshare", "-n"], ["unshare", "-r", "-n"]):
        if shutil.which("unshare") and not subprocess.run([*words, "true"], check=False).returncode:
            return words
    return []


def copy_lean(root: Path, checkout: Path) -> None:
    """Copy the checkout's files that travel, except the large ones."""
    for name in travelling(root):
        if is_large(root / name) or (root / name).is_dir():
            continue
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / name, checkout / name, follow_symlinks=False)
    if not (checkout / "tools").is_dir():
        raise ConfigError(f"{root} has no folder tools; give a checkout of vidbg")


def draw_data(folder: Path) -> None:
    """Small sets of the names that training asks for: ellipses for people, noise for rooms."""
    rng = np.random.default_rng(0)
    names = ["train/portraits", "train/street", "train/keyed", "train/voc_pets", "train/rooms"]
    for name in [*names, "val/portraits", "val/rooms", "objects/cutouts", "unlabelled/webcam"]:
        bare = name.endswith(("rooms", "webcam"))
        for kind in ("images",) if bare else ("images", "masks"):
            (folder / name / kind).mkdir(parents=True)
        for index in range(4):
            image = rng.integers(0, 255, (120, 96, 3), np.uint8)
            if not bare:
                mask = np.zeros((120, 96), np.uint8)
                cv2.ellipse(mask, (48, 70), (20 + index, 45), 0, 0, 360, 255, -1)
                image[mask > 0] = (90, 120, 180)
                cv2.imwrite(str(folder / name / "masks" / f"{index}.png"), mask)
            cv2.imwrite(str(folder / name / "images" / f"{index}.webp"), image)
