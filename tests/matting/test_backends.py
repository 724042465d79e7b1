"""The shipped network gives the same alpha in every backend, and a sensible one."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from contracts import precisions_here
from numpy.typing import NDArray
from skimage import data

from vidbg.errors import BackendError, EngineMismatch
from vidbg.matting import engines
from vidbg.matting.backends import CANDIDATES, CPU_DEVICES, compiled, load_backend
from vidbg.matting.backends.openvino import OpenVinoBackend
from vidbg.matting.preprocess import network_input, plan_geometry, shrink
from vidbg.matting.video_matting import VideoMatting
from vidbg.util.choices import Device

PIXELS = 256 * 256

# From the fp32 reference on one portrait: what 99 of 100 pixels keep, and the largest error.
# fp32 differs by the order of sums; bf16 has 8 bits of mantissa; INT8 is a quantised network,
# whose errors lie at the edges and where the network is unsure.
TOLERANCES = {"fp32": (1e-4, 1e-2), "bf16": (0.03, 0.5), "int8": (0.18, 0.8)}


@pytest.fixture(scope="module")
def portrait() -> NDArray[np.uint8]:
    return np.ascontiguousarray(data.astronaut()[..., ::-1])


@pytest.fixture(scope="module")
def batch(portrait: NDArray[np.uint8]) -> NDArray[np.float32]:
    plan = plan_geometry(portrait.shape[0], portrait.shape[1], PIXELS)
    return network_input(shrink(portrait, plan), None, plan)


@pytest.fixture(scope="module")
def reference(batch: NDArray[np.float32]) -> NDArray[np.float32]:
    pytest.importorskip("torchvision")
    return load_backend("torch-cpu", "fp32")(batch)


def test_every_device_has_a_candidate_and_its_module_is_complete() -> None:
    devices = set(get_args(Device)) - {"auto"}
    assert set(CANDIDATES) == devices, (
        "`Device` in vidbg/util/choices.py and CANDIDATES in vidbg/matting/backends/__init__.py "
        f"differ: {', '.join(sorted(devices ^ set(CANDIDATES)))}"
    )
    for name, candidate in CANDIDATES.items():
        module = f"vidbg.matting.backends.{candidate.module}"
        lacks = {"offered", "probe", "load"} - set(vars(import_module(module)))
        assert not lacks, f"{name}: {module} lacks {', '.join(sorted(lacks))}"


@pytest.mark.parametrize("device", CPU_DEVICES)
def test_a_device_equals_the_reference(
    device: str, batch: NDArray[np.float32], reference: NDArray[np.float32]
) -> None:
    for precision in precisions_here(device):
        with closing(load_backend(device, precision)) as backend:
            errors = np.abs(backend(batch) - reference)
        tolerance, largest = TOLERANCES[precision]
        assert np.quantile(errors, 0.99) < tolerance, precision
        assert errors.max() < largest, precision
        assert (errors > 0.5).mean() < 1e-3, precision


def test_the_result_belongs_to_the_caller(batch: NDArray[np.float32]) -> None:
    backend = load_backend("cpu", "fp32")
    first = backend(batch)
    kept = first.copy()
    backend(np.zeros_like(batch))
    np.testing.assert_array_equal(first, kept)
    assert first.shape == batch.shape[2:]


def test_the_portrait_is_cut_out(portrait: NDArray[np.uint8]) -> None:
    with VideoMatting("cpu") as matter:
        alpha = matter(portrait)
    assert alpha[90:170, 190:250].mean() > 0.99  # the face
    assert alpha[320:480, 90:230].mean() > 0.99  # the suit
    assert alpha[:100, 20:100].mean() < 0.02  # the flag's pole and the wall
    assert 0.3 < alpha.mean() < 0.7


def test_shipped_files_are_what_their_cards_say() -> None:
    reports = engines.verify()
    assert [r.name for r in reports] == [n for c in engines.CARDS.values() for n in c.all()]
    assert all(report.ok for report in reports), reports


@pytest.mark.parametrize("cards", engines.CARDS.values(), ids=list(engines.CARDS))
def test_the_quantised_network_was_made_from_the_shipped_weights(cards: engines.Cards) -> None:
    folder = engines.engine_folder()
    card = json.loads((folder / f"{cards.quantised}.json").read_text())
    assert card["made_from"] == engines.file_hash(folder / f"{cards.weights}.safetensors")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an engine folder with one correct file."""
    (tmp_path / "net.bin").write_bytes(b"right")
    entry = {"sha256": engines.file_hash(tmp_path / "net.bin"), "bytes": 5}
    card = json.dumps({"name": "net", "files": {"net.bin": entry}})
    (tmp_path / "net.json").write_text(card)
    monkeypatch.setattr(engines, "engine_folder", lambda: tmp_path)
    return tmp_path


def test_a_right_file_is_found(folder: Path) -> None:
    assert engines.engine_file("net", ".bin") == folder / "net.bin"


def test_a_damaged_file_is_refused(folder: Path) -> None:
    (folder / "net.bin").write_bytes(b"wrong")
    with pytest.raises(EngineMismatch, match=r"net\.bin is damaged.*install vidbg again"):
        engines.engine_file("net", ".bin")


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "net.bin").unlink()
    with pytest.raises(EngineMismatch, match=r"net\.bin is missing"):
        engines.engine_file("net", ".bin")


@pytest.mark.parametrize("content", ["", "{", None])
def test_a_card_that_cannot_be_read_is_named(folder: Path, content: str | None) -> None:
    if content is None:
        (folder / "net.json").unlink()
    else:
        (folder / "net.json").write_text(content)
    with pytest.raises(EngineMismatch, match=r"net\.json"):
        engines.engine_file("net", ".bin")


def test_an_absent_device_is_refused() -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("torchvision")
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    with pytest.raises(BackendError, match=r"no cuda device|no NVIDIA driver"):
        load_backend("cuda")


@pytest.mark.gpu
def test_cuda_equals_the_reference(
    batch: NDArray[np.float32], reference: NDArray[np.float32]
) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    error = np.abs(load_backend("cuda", "fp16")(batch) - reference)
    assert np.quantile(error, 0.99) < 0.02  # fp16 has 11 bits of mantissa


def test_openvino_sends_no_telemetry(tmp_path: Path) -> None:
    """Its telemetry would keep an ID in ~/intel and tell Google Analytics of each import."""
    code = "from vidbg.matting.backends import load_backend; load_backend('cpu')"
    environ = {**os.environ, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=environ, check=True)
    assert not list(tmp_path.iterdir())


def compiled_files(folder: Path) -> list[Path]:
    return sorted((folder / "compiled").iterdir())


def test_a_compiled_network_is_kept_for_the_next_start(
    batch: NDArray[np.float32], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDBG_CACHE", str(tmp_path))
    with closing(load_backend("cpu", "int8", "light")) as backend:
        alpha = backend(batch)
    (kept,) = compiled_files(tmp_path)
    written_ns = kept.stat().st_ctime_ns
    with monkeypatch.context() as patch, closing(load_backend("cpu", "int8", "light")) as backend:
        patch.setattr(compiled.CompiledNetworks, "keep", None)  # nothing is compiled
        np.testing.assert_array_equal(backend(batch), alpha)
    assert kept.stat().st_ctime_ns > written_ns  # its last use is noted
    with closing(load_backend("cpu", "int8", "light", threads=1)) as backend:
        backend(batch)
    assert len(compiled_files(tmp_path)) == 2  # other options, another file
    assert kept in compiled_files(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "changed", "foreign"])
def test_a_damaged_compiled_network_is_compiled_again(
    damage: str, batch: NDArray[np.float32], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDBG_CACHE", str(tmp_path))
    with closing(load_backend("cpu", "int8", "light")) as backend:
        alpha = backend(batch)
    (kept,) = compiled_files(tmp_path)
    good = kept.read_bytes()
    foreign = b"not a network"
    kept.write_bytes(
        {
            "cut": good[: len(good) // 2],
            "changed": good[:-1] + bytes([good[-1] ^ 1]),
            "foreign": hashlib.sha256(foreign).digest() + foreign,
        }[damage]
    )
    with closing(load_backend("cpu", "int8", "light")) as backend:
        np.testing.assert_array_equal(backend(batch), alpha)
    assert kept.read_bytes()[:32] == hashlib.sha256(kept.read_bytes()[32:]).digest()
    assert len(kept.read_bytes()) > 1_000_000


def test_a_compiled_network_that_cannot_be_kept_is_used(
    batch: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDBG_CACHE", "/dev/null/folder")
    with closing(load_backend("cpu", "int8", "light")) as backend:
        assert backend(batch).max() > 0.9


def test_a_compiled_network_that_cannot_be_exported_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unexportable:
        def export_model(self) -> None:
            raise RuntimeError("not supported")

    monkeypatch.setenv("VIDBG_CACHE", str(tmp_path))
    with closing(load_backend("cpu", "int8", "light")) as backend:
        assert isinstance(backend, OpenVinoBackend)
        backend._keep((1, 4, 32, 32), Unexportable())
    assert not (tmp_path / "compiled").exists()


def test_compiled_networks_unused_for_long_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "MAX_BYTES", 2500)
    networks = compiled.CompiledNetworks({"weights": "some"}, tmp_path)
    for number in range(3):
        networks.keep((1, 4, 32, 32 * number), bytes(1000))
        path = networks._path((1, 4, 32, 32 * number))
        os.utime(path, (number, number))
    networks.keep((1, 4, 64, 64), bytes(1000))
    assert networks.read((1, 4, 32, 64)) == bytes(1000)
    assert networks.read((1, 4, 32, 0)) is None
    assert compiled.CompiledNetworks({"weights": "other"}, tmp_path).read((1, 4, 64, 64)) is None
