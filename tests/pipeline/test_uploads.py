"""Uploads of backgrounds: what is accepted, how it is stored, and what is refused."""

from __future__ import annotations

import io
import json
import os
import socket
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from api_client import PREFIX, Served
from clips import write_clip
from PIL import Image as PIL

from vidbg.errors import VidbgError
from vidbg.pipeline.files import upload_conversion
from vidbg.pipeline.live.controls.uploads import Uploads
from vidbg.sinks.web import api_request
from vidbg.sinks.web.api_route import ApiError, Upload
from vidbg.sources import open_frames
from vidbg.util.free_name import safe_stem

RED = (10, 20, 230)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(uploads=tmp_path / "data" / "uploads") as served:
        yield served


def form(name: str, content: bytes, field: str = "file", extra: str = "") -> tuple[bytes, str]:
    """Return a form with one file, and its content type."""
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    head = f'--edge\r\nContent-Disposition: form-data; name="{field}"; filename="{quoted}"\r\n'
    return (
        f"{head}{extra}\r\n".encode() + content + b"\r\n--edge--\r\n",
        "multipart/form-data; boundary=edge",
    )


def send(served: Served, name: str, content: bytes, **options: str) -> tuple[int, Any]:
    body, kind = form(name, content, **options)
    status, answer = served.client.ask("POST", "/backgrounds", content=body, kind=kind)
    return status, json.loads(answer)


def encoded(suffix: str = ".png", size: tuple[int, int] = (90, 160)) -> bytes:
    return cv2.imencode(suffix, np.full((*size, 3), RED, np.uint8))[1].tobytes()


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_picture_is_kept_shown_and_deleted(served: Served, tmp_path: Path) -> None:
    client = served.client
    before = client.get("/state")["lists"]["backgrounds"]
    status, file = send(served, "Am Strand.PNG", encoded())
    assert (status, file["name"], file["deletable"]) == (200, "Am Strand.jpg", True)
    path = tmp_path / "data" / "uploads" / "Am Strand.jpg"
    assert files_below(tmp_path / "data") == [path]
    assert client.get("/state")["lists"]["backgrounds"] > before
    assert client.get("/backgrounds")["files"] == [file]
    state = client.send("PATCH", "/settings", {"background": file["value"]})[1]
    assert state["background"]["id"] == file["id"]
    assert client.send("DELETE", f"/backgrounds/{file['id']}")[0] == 409
    client.send("PATCH", "/settings", {"background": "blur"})
    assert client.send("DELETE", f"/backgrounds/{file['id']}")[1]["files"] == []
    assert client.send("DELETE", f"/backgrounds/{file['id']}")[0] == 404
    assert not path.exists()


def test_only_pixels_are_kept(served: Served) -> None:
    """A polyglot: a picture with its place, and a page with a script behind it."""
    buffer, exif = io.BytesIO(), PIL.Exif()
    exif[0x010E] = "my home"
    PIL.new("RGB", (64, 48), (230, 20, 10)).save(buffer, "JPEG", exif=exif)
    content = buffer.getvalue() + b"<script>alert(1)</script>PK\x03\x04"
    _, file = send(served, "x.jpg", content)
    kept = Path(file["value"]).read_bytes()
    assert b"my home" not in kept
    assert b"script" not in kept
    assert b"PK" not in kept
    image = cv2.imread(file["value"])
    assert image is not None
    assert np.abs(image.astype(int) - RED).max() <= 4


def test_a_transparent_picture_keeps_its_alpha_and_a_large_one_is_scaled(served: Served) -> None:
    buffer = io.BytesIO()
    PIL.new("RGBA", (5000, 40), (1, 2, 3, 128)).save(buffer, "PNG")
    _, file = send(served, "logo.webp", buffer.getvalue())
    assert file["name"] == "logo.png"
    image = cv2.imread(file["value"], cv2.IMREAD_UNCHANGED)
    assert image is not None
    assert image.shape == (31, upload_conversion.IMAGE_SIDE, 4)
    assert set(np.unique(image[..., 3])) == {128}


def test_videos_and_animations_become_mp4(served: Served, tmp_path: Path) -> None:
    clip, gif = tmp_path / "clip.mkv", io.BytesIO()
    write_clip(clip)
    frames = [PIL.new("RGB", (64, 48), (shade, 0, 0)) for shade in (0, 120, 240)]
    frames[0].save(gif, "GIF", save_all=True, append_images=frames[1:], duration=100)
    for name, content in (("clip.mkv", clip.read_bytes()), ("dance.gif", gif.getvalue())):
        status, file = send(served, name, content)
        assert (status, Path(file["name"]).suffix) == (200, ".mp4")
        with open_frames(file["value"]) as video:
            assert len(list(video)) >= 3


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../../etc/cron.d/evil.png", "evil"),
        ("..\\..\\evil.png", "evil"),
        ("/etc/passwd", "passwd"),
        ("C:\\Windows\\evil.png", "evil"),
        (".htaccess", "htaccess"),
        ("..", "background"),
        ("", "background"),
        ("con.png", "background"),
        ("a\x00b\r\n.png", "a b"),
        ("x" * 300 + ".png", "x" * 60),
        ("\u202egnp.exe.png", "gnp.exe"),
        ('<img src="x">.png', "img src= x"),
    ],
)
def test_a_name_is_never_a_path(name: str, kept: str) -> None:
    assert safe_stem(name, "background") == kept


def test_a_path_in_the_name_leads_nowhere_and_a_free_name_is_chosen(
    served: Served, tmp_path: Path
) -> None:
    before = files_below(tmp_path)
    for name in ("../../beach.png", f"{tmp_path}/beach.png"):
        assert send(served, name, encoded())[0] == 200
    folder = tmp_path / "data" / "uploads"
    made = [path for path in files_below(tmp_path) if path not in before]
    assert made == [folder / "beach 2.jpg", folder / "beach.jpg"]


def bomb(width: int, height: int) -> bytes:
    """Return a valid PNG of that size in a few kilobytes of zeros."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)

    header = width.to_bytes(4) + height.to_bytes(4) + bytes([8, 0, 0, 0, 0])
    rows = zlib.compress(b"\0" * 10_000_000, 9)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def hostile(tmp_path: Path) -> dict[str, tuple[bytes, str]]:
    """Return the contents that are refused, and words of the refusal, by name."""
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret")
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n"
    return {
        "bomb.png": (bomb(60_000, 60_000), "megapixels"),
        "list.m3u8": (playlist.encode(), "not an image or video"),
        "list.mp4": (f"ffconcat version 1.0\nfile {secret}\n".encode(), "not an image or video"),
        "page.svg": (
            f'<svg><image href="file://{secret}"/></svg>'.encode(),
            "not an image or video",
        ),
        "run.eps": (
            b"%!PS-Adobe-3.0 EPSF-3.0\n(%pipe%touch x) (w) file\n",
            "not an image or video",
        ),
        "empty.png": (b"", "not an image or video"),
        "text.txt": (b"hello", "not an image or video"),
        "cut.png": (encoded()[:60], "damaged"),
        "cut.jpg": (encoded(".jpg", (900, 900))[:300], "not an image or video|damaged"),
        "zip.png": (b"PK\x03\x04" + b"\0" * 100, "not an image or video"),
    }


def test_what_is_hostile_is_refused_in_words(
    served: Served, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = files_below(tmp_path)
    contents = hostile(tmp_path)
    for name in ("bomb.png", "list.m3u8", "cut.png"):
        content, words = contents[name]
        status, answer = send(served, name, content)
        message = answer["error"]["message"]
        assert (status, words in message) == (415, True), (name, message)
        assert "the secret" not in message
    assert [path for path in files_below(tmp_path) if path not in before] == [
        tmp_path / "secret.txt"
    ]
    assert served.client.get("/backgrounds")["files"] == []
    assert not caplog.records


def test_the_conversion_refuses_it_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    for name, (content, words) in hostile(tmp_path).items():
        source = tmp_path / name
        source.write_bytes(content)
        with pytest.raises(VidbgError, match=words):
            upload_conversion.convert(source, tmp_path / "made" / "upload")
        assert files_below(tmp_path / "made") == [], name


def test_a_picture_for_an_overlay_keeps_its_alpha(served: Served) -> None:
    logo = np.zeros((20, 40, 4), np.uint8)
    logo[:, 20:] = (200, 0, 200, 180)
    body, kind = form("../logo.png", cv2.imencode(".png", logo)[1].tobytes())
    status, answer = served.client.ask("POST", "/pictures", content=body, kind=kind)
    picture = json.loads(answer)
    assert (status, picture["name"]) == (200, "logo.png")
    assert Path(picture["value"]).is_relative_to(os.environ["XDG_DATA_HOME"])
    kept = cv2.imread(picture["value"], cv2.IMREAD_UNCHANGED)
    assert kept is not None
    assert np.array_equal(kept, logo)
    assert served.client.send("PATCH", "/settings", {"overlay": picture["value"]})[0] == 200
    assert served.client.get("/backgrounds")["files"] == []


def test_a_long_video_is_refused(served: Served, tmp_path: Path) -> None:
    clip = tmp_path / "long.mp4"
    write_clip(clip, ticks=range(0, 180 * 30, 60 * 30))
    status, answer = send(served, "long.mp4", clip.read_bytes())
    assert (status, "cut it first" in answer["error"]["message"]) == (415, True)


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"field": "other"}, 400),
        ({"extra": "Content-Encoding: gzip\r\n"}, 415),
        ({"extra": "Content-Transfer-Encoding: base64\r\n"}, 415),
        ({"extra": "Content-Type: image/\0png\r\n"}, 400),
        ({"extra": "no header\r\n"}, 400),
        ({"extra": "X-A: b\r\n" * 1000}, 400),
        ({"extra": f"X-A: {'b' * 20_000}\r\n"}, 400),
    ],
)
def test_forms_that_are_not_as_they_should_be(
    served: Served, options: dict[str, str], status: int
) -> None:
    assert send(served, "a.png", encoded(), **options)[0] == status


def test_bodies_that_are_no_form(served: Served) -> None:
    ask = served.client.ask
    assert ask("POST", "/backgrounds", content=encoded(), kind="image/png")[0] == 415
    assert ask("POST", "/backgrounds", content=b"x", kind="multipart/form-data")[0] == 400
    edge = "multipart/form-data; boundary=edge"
    for body in (
        b"",
        b"--edge",
        b"--edge--\r\n",
        b"--edge\r\n\r\n\r\n--edge--\r\n",
        b"\0" * 99_999,
    ):
        assert ask("POST", "/backgrounds", content=body, kind=edge)[0] == 400


def test_a_gigabyte_is_refused_before_it_is_read(served: Served) -> None:
    lines = [
        f"POST {PREFIX}/backgrounds?token={served.client.token} HTTP/1.1", "Host: 127.0.0.1",
        "Content-Type: multipart/form-data; boundary=edge", "Content-Length: 1000000000", "", "",
    ]  # fmt: skip
    with socket.create_connection(("127.0.0.1", served.client.port), 5) as client:
        client.sendall("\r\n".join(lines).encode())
        assert client.recv(1000).split(b" ")[1] == b"413"


def test_more_than_was_announced_is_not_kept(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunked body says nothing of its size beforehand."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("VIDBG_CACHE", str(cache))
    monkeypatch.setattr(api_request, "REQUEST_S", 0.5)
    head = (
        f"POST {PREFIX}/backgrounds?token={served.client.token} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "Content-Type: multipart/form-data; boundary=edge\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    part = form("a.png", b"")[0].partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    with socket.create_connection(("127.0.0.1", served.client.port), 5) as client:
        client.sendall(head.encode() + b"%x\r\n" % len(part) + part + b"\r\n" + b"5\r\nhello\r\n")
        assert client.recv(1000).split(b" ")[1] == b"408"  # nothing more comes
    assert files_below(cache) == []


def test_what_a_killed_run_left_behind_is_removed(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDBG_CACHE", str(tmp_path / "cache"))
    old, new = tmp_path / "cache" / "upload-old", tmp_path / "cache" / "upload-new"
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / "upload").write_bytes(b"x")
    os.utime(old, (0, 0))
    assert send(served, "a.txt", b"hello")[0] == 415
    assert list((tmp_path / "cache").iterdir()) == [new]


@pytest.mark.skipif(not hasattr(os, "nice"), reason="priorities are other there")
def test_a_conversion_that_crashes_or_takes_long_is_reported(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidbg.pipeline.live.controls import uploads

    monkeypatch.setattr(uploads, "PATIENCE_S", 0.01)
    status, answer = send(served, "a.png", encoded())
    assert (status, "longer than" in answer["error"]["message"]) == (400, True)
    monkeypatch.setattr(uploads, "PATIENCE_S", 60)
    monkeypatch.setattr(upload_conversion, "__name__", "no.such.module")
    status, answer = send(served, "a.png", encoded())
    assert (status, "cannot be decoded" in answer["error"]["message"]) == (415, True)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes in files there")
def test_the_end_of_the_run_waits_for_no_conversion(tmp_path: Path) -> None:
    """A thread that waits for one would hold up the end of the program."""
    kept = Uploads(tmp_path / "uploads")
    source = tmp_path / "pipe"
    os.mkfifo(source)  # reading it never ends
    failures: list[ApiError] = []

    def keep() -> None:
        try:
            kept.keep(Upload("a.png", source))
        except ApiError as error:
            failures.append(error)

    thread = threading.Thread(target=keep)
    thread.start()
    time.sleep(0.3)
    kept.close()
    thread.join(10)
    assert not thread.is_alive()
    assert failures[0].status in (409, 415)
    assert files_below(tmp_path / "uploads") == []
    with pytest.raises(ApiError, match="ending"):
        kept.keep(Upload("a.png", source))
