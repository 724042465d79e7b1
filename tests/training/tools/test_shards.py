"""Carrying images and weights in parts."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from training.data.image_sets import find_sets, read_sample
from training.tools.file_parts import PARTS_FILE, join, read_list, split
from training.tools.shards import SHARDS, app, missing, pack, unpack, unpack_all
from vidbg.errors import ConfigError

LIMIT = 60_000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Eight people, three cut-outs, three rooms, 96 x 64, of noise; a table; a long name."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "data"
    for name in ("train/people/images", "train/people/masks", "train/cutouts/images", "val/images"):
        (folder / name).mkdir(parents=True)
    for index in range(8):
        image, mask = rng.integers(0, 255, (2, 64, 96, 3), np.uint8)
        stem = f"{index}{'é' * 60}" if index == 7 else str(index)
        cv2.imwrite(str(folder / f"train/people/images/{stem}.jpg"), image)
        cv2.imwrite(str(folder / f"train/people/masks/{stem}.png"), mask[..., 0])
        if index < 3:
            rgba = np.dstack([image, mask[..., :1]])
            cv2.imwrite(str(folder / f"train/cutouts/images/{index}.png"), rgba)
            cv2.imwrite(str(folder / f"val/images/{index}.png"), image)
    (folder / "train/scores.csv").write_text("set,name,score\npeople,1,0.5\n")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_sets_come_back_byte_for_byte(data: Path, tmp_path: Path) -> None:
    parts = pack(data, tmp_path / "shards", LIMIT)
    assert len(parts) > 3
    assert all(part.bytes <= LIMIT for part in parts)
    out = tmp_path / "restored"
    unpack_all(tmp_path / "shards", out)
    restored = contents(out)
    del restored["unpacked.json"]
    assert restored == contents(data)
    assert [(s.name, s.people, s.cutouts, len(s.samples)) for s in find_sets(out)] == [
        (s.name, s.people, s.cutouts, len(s.samples)) for s in find_sets(data)
    ]


def test_the_same_pictures_give_the_same_shards(data: Path, tmp_path: Path) -> None:
    assert pack(data, tmp_path / "a", LIMIT) == pack(data, tmp_path / "b", LIMIT)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_every_shard_holds_complete_samples(data: Path, tmp_path: Path) -> None:
    for number, part in enumerate(pack(data, tmp_path / "shards", LIMIT)):
        out = tmp_path / str(number)
        unpack(tmp_path / "shards" / part.name, out)
        assert all(read_sample(sample) for s in find_sets(out) for sample in s.samples)


def test_shards_arrive_one_by_one_and_more_than_once(data: Path, tmp_path: Path) -> None:
    names = [part.name for part in pack(data, tmp_path / "shards", LIMIT)]
    out = tmp_path / "restored"
    assert missing(tmp_path / "shards", out) == names
    for name in (names[1], names[0], names[1]):
        unpack(tmp_path / "shards" / name, out)
    assert missing(tmp_path / "shards", out) == names[2:]


def test_large_pictures_are_made_smaller_with_their_masks(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    image = np.full((200, 400, 3), 90, np.uint8)
    mask = np.zeros((100, 200), np.uint8)
    mask[:, 100:] = 255
    cv2.imwrite(str(data / "train/people/images/large.png"), image)
    cv2.imwrite(str(data / "train/people/masks/large.png"), mask)
    rgba = np.dstack([image, cv2.resize(mask, (400, 200))])
    cv2.imwrite(str(data / "train/cutouts/images/large.png"), rgba)
    pack(data, tmp_path / "shards", LIMIT, max_side=100)
    out = tmp_path / "restored"
    unpack_all(tmp_path / "shards", out)
    sets = {s.name: {p.image.name: p for p in s.samples} for s in find_sets(out)}
    for name in ("train/people", "train/cutouts"):
        sample = sets[name]["large.jpg" if name == "train/people" else "large.png"]
        small, alpha = read_sample(sample)
        assert small.shape == (50, 100, 3)
        assert alpha[:, :48].max() == 0
        assert alpha[:, 52:].min() == 255
        assert abs(small.astype(int) - 90).max() <= 1
    before, after = contents(data), contents(out)
    assert all(after[n] == before[n] for n in before if "large" not in n)
    assert capfd.readouterr().err == ""  # OpenCV would warn of settings that do not fit


def test_damaged_shards_are_refused(data: Path, tmp_path: Path) -> None:
    shards, out = tmp_path / "shards", tmp_path / "restored"
    pack(data, shards, LIMIT)
    first = shards / "data-000.tar"
    content = bytearray(first.read_bytes())
    content[2000] ^= 1
    first.write_bytes(content)
    with pytest.raises(ConfigError, match=r"data-000\.tar is damaged"):
        unpack(first, out)
    first.write_bytes(content[:-1])
    with pytest.raises(ConfigError, match=r"data-000\.tar is damaged"):
        unpack(first, out)
    assert not out.exists()
    (shards / SHARDS).write_text('[{"name": "data-000.tar"}]')
    with pytest.raises(ConfigError, match="cannot read the list"):
        unpack(first, out)


def test_missing_and_unknown_shards_are_named(data: Path, tmp_path: Path) -> None:
    shards, out = tmp_path / "shards", tmp_path / "restored"
    pack(data, shards, LIMIT)
    (shards / "data-001.tar").rename(shards / "other.tar")
    with pytest.raises(ConfigError, match=r"1 of \d files are not in .*data-001\.tar"):
        unpack_all(shards, out)
    assert not out.exists()
    with pytest.raises(ConfigError, match=r"not other\.tar"):
        unpack(shards / "other.tar", out)


@pytest.mark.parametrize("name", ["../escaped.txt", "images/../../escaped.txt"])
def test_nothing_is_written_outside(tmp_path: Path, name: str) -> None:
    shard = tmp_path / "shards" / "evil.tar"
    shard.parent.mkdir()
    with tarfile.open(shard, "w") as tar:
        header = tarfile.TarInfo(name)
        header.size = 2
        tar.addfile(header, io.BytesIO(b"no"))
    digest = split(shard, tmp_path / "hash", 10**6)[0]
    entry = {"name": shard.name, "bytes": digest.bytes, "sha256": digest.sha256}
    (shard.parent / SHARDS).write_text(json.dumps([entry]))
    with pytest.raises(ConfigError, match="outside"):
        unpack(shard, tmp_path / "out")
    assert not list(tmp_path.rglob("escaped.txt"))


def test_what_cannot_be_packed_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a shard has at most 30000"):
        pack(data, tmp_path / "small", 30_000)
    pack(data, tmp_path / "shards", LIMIT)
    with pytest.raises(ConfigError, match="already holds shards"):
        pack(data, tmp_path / "shards", LIMIT)
    (data / "train/people/images/1.png").write_bytes(
        (data / "val/images/1.png").read_bytes()  # a second image to mask 1
    )
    with pytest.raises(ConfigError, match=r"masks/1\.png; rename one"):
        pack(data, tmp_path / "twice", LIMIT)


def test_parts_join_to_the_file(tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes(2_500)
    (tmp_path / "weights").write_bytes(content)
    parts = split(tmp_path / "weights", tmp_path / "parts", 1_000)
    assert [part.bytes for part in parts] == [1_000, 1_000, 500]
    assert read_list(tmp_path / "parts" / PARTS_FILE) == parts
    join(tmp_path / "parts", tmp_path / "new" / "weights")
    assert (tmp_path / "new" / "weights").read_bytes() == content


def test_bad_parts_leave_the_file_alone(tmp_path: Path) -> None:
    file, parts = tmp_path / "weights", tmp_path / "parts"
    file.write_bytes(b"0123456789")
    split(file, parts, 4)
    (parts / "weights.001").write_bytes(b"4x67")
    with pytest.raises(ConfigError, match=r"weights\.001 is damaged"):
        join(parts, file)
    (parts / "weights.001").unlink()
    (parts / "weights.002").unlink()
    with pytest.raises(ConfigError, match=r"2 of 3 .*weights\.001.*weights\.002"):
        join(parts, file)
    assert file.read_bytes() == b"0123456789"


def test_the_command_line_takes_the_same_way(data: Path, tmp_path: Path) -> None:
    shards, out = str(tmp_path / "shards"), str(tmp_path / "out")

    def run(*words: str) -> str:
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
        return result.output

    assert "data-000.tar: 0.1 MB" in run(
        "pack", "--data", str(data), "--out", shards, "--limit-mb", "0.1"
    )
    run("unpack", f"{shards}/data-000.tar", "--out", out)
    assert "data-000.tar" not in run("missing", "--shards", shards, "--out", out)
    run("unpack", "--shards", shards, "--out", out)
    assert run("missing", "--shards", shards, "--out", out) == ""
    assert CliRunner().invoke(app, ["unpack", "--out", out]).exit_code == 2
