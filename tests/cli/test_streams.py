"""Standard streams that are closed, full or not read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from clips import numbered

VIDBG = [sys.executable, "-m", "vidbg"]


def shell(command: str, tmp_path: Path) -> tuple[int, str]:
    """Exit code and standard error of a shell line in which $V is the program."""
    environment = {**os.environ, "V": " ".join(VIDBG), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, timeout=100
    )
    return done.returncode, done.stderr.decode()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), numbered(1, 64, 48))
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="needs bash and /dev/full")
@pytest.mark.parametrize("streams", ["2>&-", ">&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_the_work_is_done_whichever_stream_is_closed(
    streams: str, picture: Path, tmp_path: Path
) -> None:
    code, _ = shell(f"$V process a.png -b none {streams}", tmp_path)
    assert code == 0
    result = cv2.imread(str(tmp_path / "a_vidbg.png"))
    assert result is not None
    assert (result == cv2.imread(str(picture))).all()  # no message was printed into it


@pytest.mark.skipif(sys.platform == "win32", reason="needs bash")
@pytest.mark.usefixtures("picture")
def test_a_closed_reader_of_messages_ends_nothing(tmp_path: Path) -> None:
    line = "( $V process missing.png a.png -b none 2>&1 >/dev/null; echo $? > code ) | true"
    assert shell(line, tmp_path)[0] == 0
    assert (tmp_path / "code").read_text() == "1\n"  # missing.png failed, a.png was made
    assert (tmp_path / "a_vidbg.png").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="needs bash and /dev/full")
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("$V config show >&-", 0),
        ("$V config show 2>&-", 0),
        ("$V config show > /dev/full", 1),
        ("$V config show | head -c 1", 0),
        ("$V run -c synthetic --size 64x48 -o - >&-", 1),
    ],
)
def test_what_cannot_be_printed_gives_no_traceback(command: str, code: int, tmp_path: Path) -> None:
    exit_code, err = shell(command, tmp_path)
    assert exit_code == code
    assert err.count("\n") == code, err
    assert "Traceback" not in err
