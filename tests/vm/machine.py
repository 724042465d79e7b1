"""Boot the virtual machine and collect the results of its checks."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vm.cache import Cache
from vm.initramfs import write_initramfs

CHECKOUT = Path(__file__).parents[2]
LIMIT_S = 1200
MEMORY_MB = 2560
PROCESSORS = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw.

    Attributes:
        ok: it held.
        detail: figures, or what was wrong.
        seconds: that it took in the guest.
    """

    ok: bool
    detail: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run of the machine left.

    Attributes:
        folder: a folder for each check, with the logs of its programs and a picture.
        findings: by the checks' names; a check that the guest did not come to is not in it.
        ending: how the guest ended, for people.
        seconds: from power-on to power-off.
    """

    folder: Path
    findings: dict[str, Finding]
    ending: str
    seconds: float


def run_machine(version: str, folder: Path, cache: Cache, checks: Sequence[str] = ()) -> Outcome:
    """Boot with a version of v4l2loopback, run the checks, power off.

    Args:
        folder: for the results; emptied.
        checks: names; none for all.
    """
    shutil.rmtree(folder, ignore_errors=True)
    out = folder / "out"
    out.mkdir(parents=True)
    command = [sys.executable, "-m", "vm.guest.main", version, *checks]
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'tests'}",
        # Its threads wait by PAUSE in a loop, at which the emulated processor is very slow: with
        # them a resize took seconds, now and then.
        "OPENCV_FOR_THREADS_NUM": "1",
        "HOME": "/run/scratch",
        "LANG": "C.UTF-8",
    }
    settings = [f"{name}={value}" for name, value in environment.items()]
    (out / "command").write_text(shlex.join(["exec", "env", "-i", *settings, *command]) + "\n")
    archive = write_initramfs(cache, version, folder)
    started = time.monotonic()
    with (folder / "console").open("wb") as console:
        try:
            subprocess.run(
                _qemu(cache, archive, out),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=LIMIT_S,
            )
            status = out / "status"
            ending = f"exit status {status.read_text()}" if status.exists() else "a panic or halt"
        except subprocess.TimeoutExpired:
            ending = f"stopped after {LIMIT_S} s"
    return Outcome(out, _findings(out / "findings"), ending.strip(), time.monotonic() - started)


def _qemu(cache: Cache, archive: Path, out: Path) -> list[str]:
    boot = (
        "console=ttyS0 quiet loglevel=4 panic=-1 nokaslr mitigations=off no_timer_check "
        "tsc=reliable random.trust_cpu=on"
    )
    share = "local,security_model=none"
    return [
        *("nice", "-n", os.environ.get("VIDBG_VM_NICE", "10")),
        "qemu-system-x86_64",
        *("-machine", "q35", "-accel", "tcg,thread=multi,tb-size=512"),
        *("-cpu", "max"),  # with qemu's plain one Python dies without a word
        *("-smp", str(PROCESSORS), "-m", str(MEMORY_MB)),
        *("-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none"),
        *("-no-reboot", "-serial", "stdio"),
        *("-kernel", str(cache.kernel_image), "-initrd", str(archive), "-append", boot),
        *("-fsdev", f"{share},id=root,path=/,readonly=on,multidevs=remap"),
        *("-device", "virtio-9p-pci,fsdev=root,mount_tag=hostroot"),
        *("-fsdev", f"{share},id=out,path={out}"),
        *("-device", "virtio-9p-pci,fsdev=out,mount_tag=out"),
    ]


def _findings(file: Path) -> dict[str, Finding]:
    lines = file.read_text().splitlines() if file.exists() else []
    findings = [json.loads(line) for line in lines]
    return {one.pop("name"): Finding(**one) for one in findings}
