"""Thumbnails of backgrounds: sizes and cost."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from api_client import Served
from clips import write_clip
from PIL import Image as PIL
from profiles import display_p3

from vidbg.compositing.scaling import fill
from vidbg.frame import Image
from vidbg.pipeline.live.controls import live_api, thumbnails
from vidbg.util.photo_file import read_picture

pytest.importorskip("aiohttp")

RED, BLUE = (20, 30, 220), (220, 40, 30)


def halves(height: int, width: int) -> Image:
    """Red above, blue below."""
    image = np.full((height, width, 3), BLUE, np.uint8)
    image[: height // 2] = RED
    return image


def shown(path: Path) -> Image:
    jpeg = thumbnails.thumbnail(path)
    assert jpeg is not None
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (108, 192, 3)
    return np.asarray(image, np.uint8)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tif", ".ppm"])
@pytest.mark.parametrize("size", [(54, 96), (540, 960), (1600, 900), (30, 50)])
def test_it_shows_how_the_picture_fills_a_frame(
    tmp_path: Path, suffix: str, size: tuple[int, int]
) -> None:
    file = tmp_path / f"a{suffix}"
    cv2.imwrite(str(file), halves(*size))
    image = shown(file)
    for row, colour in ((8, RED), (-8, BLUE)):
        assert np.abs(image[row].astype(int).mean(0) - colour).max() < 40


def test_it_is_upright_and_of_grey_and_cmyk_pictures(tmp_path: Path) -> None:
    sideways = PIL.fromarray(np.ascontiguousarray(np.rot90(halves(1600, 2400)[:, :, ::-1])))
    exif = PIL.Exif()
    exif[0x0112] = 6
    sideways.save(tmp_path / "turned.jpg", exif=exif)
    image = shown(tmp_path / "turned.jpg").astype(int)
    assert np.abs(image[8].mean(0) - RED).max() < 12
    for mode in ("L", "CMYK"):
        PIL.fromarray(halves(400, 800)[:, :, ::-1]).convert(mode).save(tmp_path / f"{mode}.jpg")
        assert shown(tmp_path / f"{mode}.jpg").std() > 10


def test_it_has_the_colours_that_the_background_will_have(tmp_path: Path) -> None:
    PIL.fromarray(halves(1600, 2400)[:, :, ::-1]).save(tmp_path / "a.jpg", icc_profile=display_p3())
    read = read_picture(tmp_path / "a.jpg")
    assert read is not None
    meant = read.image[[10, -10]].mean(1)
    assert np.abs(meant - [RED, BLUE]).max() > 10
    assert np.abs(shown(tmp_path / "a.jpg")[[8, -8]].mean(1) - meant).max() < 4


def test_videos_and_gifs(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", ticks=range(3))
    PIL.fromarray(halves(90, 160)[:, :, ::-1]).save(tmp_path / "a.gif")
    assert shown(tmp_path / "a.mp4").any()
    assert np.abs(shown(tmp_path / "a.gif")[8].astype(int).mean(0) - RED).max() < 40


def test_a_large_photo_is_never_decoded_at_full_size(tmp_path: Path) -> None:
    file = tmp_path / "large.jpg"
    PIL.new("RGB", (9000, 6000), (220, 30, 20)).save(file)
    decoded: list[tuple[int, int]] = []

    def spy(picture: Image, *rest: Any) -> Image:
        decoded.append(picture.shape[:2])
        return np.asarray(fill(picture, *rest))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(thumbnails, "fill", spy)
        shown(file)
    assert decoded == [(750, 1125)]


@pytest.mark.parametrize("size", [(10_001, 5_000), (40_000, 30_000), (65_000, 65_000)])
def test_photos_that_only_decode_at_full_size_have_a_limit(
    tmp_path: Path, size: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "huge.png"
    header = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + b"".join(n.to_bytes(4, "big") for n in size)
    file.write_bytes(header + b"\x08\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00IDAT")
    assert thumbnails.thumbnail(file) is None
    assert "huge.png" in caplog.text


@pytest.mark.parametrize(
    "data", [b"", b"nothing", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a"]
)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".gif", ".mp4"])
def test_an_unreadable_photo_is_reported_once(
    tmp_path: Path, suffix: str, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / f"broken{suffix}"
    file.write_bytes(data)
    assert thumbnails.thumbnail(file) is thumbnails.thumbnail(file) is None
    assert (
        len([r for r in caplog.records if r.name == "vidbg.pipeline.live.controls.thumbnails"]) == 1
    )
    assert thumbnails.thumbnail(tmp_path / "missing.png") is None


def test_it_is_kept_until_the_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    cv2.imwrite(str(file), halves(54, 96))
    first = thumbnails.thumbnail(file)
    assert thumbnails.thumbnail(file) is first
    time.sleep(0.02)
    cv2.imwrite(str(file), np.zeros((54, 100, 3), np.uint8))
    assert thumbnails.thumbnail(file) != first


def test_the_next_run_has_it_without_decoding_the_photo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDBG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(thumbnails, "_KEPT", 2)
    first = tmp_path / "0.png"
    decode, made = thumbnails._picture, list[Path]()

    def counted(path: Path) -> Image:
        made.append(path)
        return decode(path)

    monkeypatch.setattr(thumbnails, "_picture", counted)
    cv2.imwrite(str(first), halves(54, 96))
    jpeg = thumbnails.thumbnail(first)
    thumbnails._made.cache_clear()
    assert thumbnails.thumbnail(first) == jpeg
    assert made == [first]
    (kept,) = (tmp_path / "cache/thumbnails").iterdir()
    assert kept.stat().st_mode & 0o077 == 0
    kept.write_bytes(jpeg[:-9])  # type: ignore[index]
    thumbnails._made.cache_clear()
    assert thumbnails.thumbnail(first) == jpeg
    for number in range(1, 4):
        cv2.imwrite(str(tmp_path / f"{number}.png"), halves(54, 96 + number))
        thumbnails.thumbnail(tmp_path / f"{number}.png")
    assert len(list((tmp_path / "cache/thumbnails").iterdir())) == 2


@pytest.mark.parametrize("cache", ["file", "/proc/vidbg", ""])
def test_no_cache_folder_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(thumbnails, "cache_folder", lambda: (tmp_path if cache else home()) / cache)
    cv2.imwrite(str(tmp_path / "a.png"), halves(54, 96))
    assert thumbnails.thumbnail(tmp_path / "a.png")


def home() -> Path:
    raise RuntimeError("this account has no home")


def test_they_are_made_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        (tmp_path / f"{number}.png").touch()
    busy, acquired = threading.Semaphore(1), []

    def slow(_: Path) -> bytes:
        acquired.append(busy.acquire(blocking=False))
        time.sleep(0.05)
        busy.release()
        return b"jpeg"

    monkeypatch.setattr(live_api, "thumbnail", slow)
    with Served(tmp_path) as served, ThreadPoolExecutor(6) as pool:
        files = served.client.get("/backgrounds")["files"]
        asked = [
            pool.submit(served.client.ask, "GET", f"/backgrounds/{file['id']}/thumbnail")
            for file in files
        ]
        assert [one.result() for one in asked] == [(200, b"jpeg")] * 6
    assert acquired == [True] * 6


def test_clients_that_do_not_wait_cost_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.png").touch()
    made: list[Path] = []

    def slow(path: Path) -> bytes:
        made.append(path)
        time.sleep(0.3)
        return b"jpeg"

    monkeypatch.setattr(live_api, "thumbnail", slow)
    with Served(tmp_path) as served:
        client = served.client
        path = f"/backgrounds/{client.get('/backgrounds')['files'][0]['id']}/thumbnail"
        request = f"GET /api/v1{path}?token={client.token} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", client.port)) as connection:
                connection.sendall(request.encode())
        assert client.ask("GET", path)[0] == 200
    assert len(made) <= 3
    assert not caplog.records
