"""How much freed memory the C library keeps."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys, threading
from vidbg.platform.memory import limit_arenas

if sys.argv[1] == "limited":
    assert limit_arenas()
kept, barrier = [], threading.Barrier(9)

def take():
    kept.append([bytes(2000) for _ in range(200)])
    barrier.wait()
    barrier.wait()

threads = [threading.Thread(target=take) for _ in range(8)]
for thread in threads:
    thread.start()
barrier.wait()
pool = 64 * 2**20
count, end = 0, 0
for line in open("/proc/self/maps"):
    # A pool reserves 64 MB at a multiple of that: a part in use, and the rest without rights
    place, rights = line.split()[:2]
    first, last = (int(number, 16) for number in place.split("-"))
    count += first == end and rights == "---p" and begun % pool == 0
    begun, end = first, last if rights == "rw-p" else 0
print(count)
barrier.wait()
"""


def pools(kind: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, kind],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's pools")
def test_threads_share_pools() -> None:
    assert pools("limited") < pools("as it was")


RETURNED = """
from vidbg.platform.memory import return_freed_memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

taken = [bytes(20_000) for _ in range(2000)]
last = bytes(20_000)  # what lies behind it keeps the pool from shrinking by itself
del taken
before = resident()
return_freed_memory()
print(before - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's pools")
def test_freed_memory_is_returned() -> None:
    done = subprocess.run([sys.executable, "-c", RETURNED], capture_output=True, check=True)
    assert int(done.stdout) > 30e6


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (600_000_000, resource.RLIM_INFINITY))
sys.argv = ["vidbg", *sys.argv[1:]]
from vidbg.cli.app import main
main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ulimit -v")
@pytest.mark.parametrize("command", ["run", "process x.mp4 -b green", "bench"])
def test_a_limit_under_which_libraries_crash_is_reported(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *command.split()], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "600 MB of virtual memory (ulimit -v)" in done.stderr
