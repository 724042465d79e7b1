"""Engines for TensorRT: built where `tensorrt_rtx` is, kept in a cache, run where a GPU is.

Without a driver no engine can be loaded, nor even examined (cudaError 35): what an engine takes and
gives is read from the parsed network there.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
from references import CPU
from typer.testing import CliRunner

from vidbg.cli.app import app
from vidbg.errors import BackendError, ConfigError
from vidbg.matting import engines
from vidbg.matting.backends import graphs, load_backend, survey
from vidbg.matting.backends.graphs import GraphSpec
from vidbg.matting.backends.tensorrt import TensorRtBackend, cache, package
from vidbg.matting.backends.tensorrt.cuda import Gpu, find_gpu
from vidbg.matting.backends.tensorrt.engine_builder import build_engine, network_spec, parse
from vidbg.matting.backends.tensorrt.package import TensorRtPackage, find_package, open_log
from vidbg.pipeline.gpu.frame_inputs import INPUTS, OUTPUTS, first_inputs, frame_plan
from vidbg.platform.folders import cache_folder
from vidbg.platform.nvidia import has_driver

RESNET50 = engines.CARDS["resnet50"]
PIXELS = 128 * 128
RTX = TensorRtPackage("tensorrt_rtx", "1.7", SimpleNamespace(ComputeCapability=None))


@pytest.fixture(scope="module")
def rtx() -> TensorRtPackage:
    pytest.importorskip("tensorrt_rtx", reason="needs tensorrt-rtx-cu13")
    return find_package("ampere+")


@pytest.fixture(scope="module")
def engine(rtx: TensorRtPackage) -> bytes:
    return build_engine(rtx, network_spec(64, 96), "ampere+")


def described(package: TensorRtPackage, spec: GraphSpec) -> tuple[dict[str, Any], dict[str, Any]]:
    """Type and shape of what a spec's engine takes and gives."""
    log = open_log(package)
    builder = package.api.Builder(log)
    network = parse(package, builder, log, spec)
    taken = [network.get_input(index) for index in range(network.num_inputs)]
    given = [network.get_output(index) for index in range(network.num_outputs)]
    assert log.errors == []
    return tuple(  # type: ignore[return-value]
        {t.name: (np.dtype(package.api.nptype(t.dtype)).name, tuple(t.shape)) for t in tensors}
        for tensors in (taken, given)
    )


def test_the_inputs_and_outputs_of_the_network_graph(rtx: TensorRtPackage) -> None:
    taken, given = described(rtx, network_spec(64, 96))
    assert taken == {"input": ("float32", (1, 4, 64, 96))}
    assert given == {"alpha": ("float32", (1, 1, 64, 96))}


def test_the_inputs_and_outputs_of_the_frame_graph(rtx: TensorRtPackage) -> None:
    taken, given = described(rtx, frame_plan(144, 256, PIXELS).spec)
    arrays = first_inputs(144, 256, PIXELS)
    assert taken == {name: (array.dtype.name, array.shape) for name, array in arrays.items()}
    assert list(taken) == list(INPUTS)
    state = ("float32", (1, 1, 90, 160))
    assert given == {
        "composited": ("uint8", (1, 144, 256, 3)),
        "alpha": ("float32", (1, 1, 144, 256)),
        "smoothed": state,
        "luma": state,
    }
    assert list(given) == list(OUTPUTS)


def test_convolutions_are_fp16(rtx: TensorRtPackage) -> None:
    log = open_log(rtx)
    builder = rtx.api.Builder(log)
    network = parse(rtx, builder, log, network_spec(64, 96))
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    convolutions = [one for one in layers if one.type == rtx.api.LayerType.CONVOLUTION]
    assert len(convolutions) == 74
    assert {one.get_input(0).dtype for one in convolutions} == {rtx.api.DataType.HALF}


def test_int8_convolutions_take_and_have_quantised_values(
    rtx: TensorRtPackage, engine: bytes
) -> None:
    spec = replace(network_spec(64, 96), precision="int8")
    log = open_log(rtx)
    builder = rtx.api.Builder(log)
    network = parse(rtx, builder, log, spec)
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    made_by = {layer.get_output(0).name: layer for layer in layers}
    convolutions = [one for one in layers if one.type == rtx.api.LayerType.CONVOLUTION]
    assert len(convolutions) == 74
    for convolution in convolutions:
        for index in range(2):
            source = made_by[convolution.get_input(index).name]
            assert source.type == rtx.api.LayerType.DEQUANTIZE
            assert source.get_input(0).dtype == rtx.api.DataType.INT8
    assert len(build_engine(rtx, spec, "ampere+")) < 0.7 * len(engine)


def test_the_int8_frame_graph_has_the_same_inputs_and_outputs(rtx: TensorRtPackage) -> None:
    spec = frame_plan(144, 256, PIXELS).spec
    assert described(rtx, replace(spec, precision="int8")) == described(rtx, spec)


def test_the_engine_holds_the_weights_once(engine: bytes) -> None:
    weights = engines.engine_file(RESNET50.weights, ".safetensors").stat().st_size
    assert 0.9 * weights < len(engine) < 1.2 * weights


def test_the_frame_is_built(rtx: TensorRtPackage, engine: bytes) -> None:
    assert len(build_engine(rtx, frame_plan(144, 256, PIXELS).spec, "ampere+")) > len(engine)


def test_turing_has_an_engine_of_its_own(rtx: TensorRtPackage, engine: bytes) -> None:
    assert build_engine(rtx, network_spec(64, 96), "sm75") != engine


def test_a_refused_graph_is_explained(
    rtx: TensorRtPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wrong.onnx").write_bytes(b"no graph")
    monkeypatch.setattr(graphs, "engine_file", lambda *_: tmp_path / "wrong.onnx")
    with pytest.raises(BackendError, match=r"cannot read .*wrong\.onnx: \S"):
        build_engine(rtx, network_spec(64, 96), "ampere+")


@pytest.mark.parametrize("name", [RESNET50.typed, RESNET50.typed_int8])
def test_the_graphs_point_into_the_shipped_weights(name: str) -> None:
    card = json.loads((engines.engine_folder() / f"{name}.json").read_text())
    weights = engines.engine_file(RESNET50.weights, ".safetensors")
    assert card["made_from"] == engines.file_hash(weights)
    assert all(entry["bytes"] < 0.02 * weights.stat().st_size for entry in card["files"].values())


# The cache: what is built does not matter here.


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIDBG_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def builds(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the sizes that are built."""
    built: list[str] = []

    def fake(_package: TensorRtPackage, spec: GraphSpec, _target: str) -> bytes:
        built.append(spec.size)
        return f"{folder}{len(built)}".encode()

    monkeypatch.setattr(cache, "build_engine", fake)
    return built


def get(using: TensorRtPackage = RTX, height: int = 64, target: str = "ampere+") -> Path:
    return cache.cached_engine(using, network_spec(height, 96), target)


def test_a_second_call_finds_the_engine(builds: list[str], folder: Path) -> None:
    assert get() == get()
    assert builds == ["96x64"]
    assert sorted(file.name for file in folder.iterdir()) == [
        "resnet50-network-fp16-96x64-tensorrt_rtx-ampere+.engine",
        "resnet50-network-fp16-96x64-tensorrt_rtx-ampere+.json",
    ]


def test_another_size_and_another_gpu_have_their_own(builds: list[str]) -> None:
    paths = {get(), get(height=96), get(target="sm75")}
    assert len(paths) == 3
    assert builds == ["96x64", "96x96", "96x64"]


def changed_weights(folder: Path) -> TensorRtPackage:
    card = next(folder.glob("*.json"))
    card.write_text(json.dumps({**json.loads(card.read_text()), "weights": "0" * 64}))
    return RTX


def changed_graph(folder: Path) -> TensorRtPackage:
    card = next(folder.glob("*.json"))
    card.write_text(json.dumps({**json.loads(card.read_text()), "graph_version": "0" * 64}))
    return RTX


def changed_version(_folder: Path) -> TensorRtPackage:
    return replace(RTX, version="1.8")


def damaged(folder: Path) -> TensorRtPackage:
    file = next(folder.glob("*.engine"))
    file.write_bytes(file.read_bytes()[:-1])
    return RTX


def without_card(folder: Path) -> TensorRtPackage:
    next(folder.glob("*.json")).unlink()
    return RTX


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (changed_weights, "weights was 000"),
        (changed_graph, "graph_version was 000"),
        (changed_version, "version was 1.7, now it is 1.8"),
        (damaged, "damaged"),
        (without_card, "cannot be read"),
    ],
)
def test_an_engine_that_does_not_fit_is_rebuilt_with_a_reason(
    change: Callable[[Path], TensorRtPackage],
    reason: str,
    builds: list[str],
    folder: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    get()
    using = change(folder)
    with caplog.at_level(logging.WARNING):
        get(using)
        get(using)
    assert len(builds) == 2
    (record,) = caplog.records
    assert reason in record.getMessage()


def test_kernels_of_the_engine_before_go(builds: list[str]) -> None:
    kernels = get().with_suffix(".kernels")
    kernels.write_bytes(b"compiled")
    get()
    assert kernels.exists()
    get(replace(RTX, version="1.8"))
    assert not kernels.exists()
    assert len(builds) == 2


def test_the_cache_lies_where_caches_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("VIDBG_CACHE", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "vidbg"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "vidbg"


def test_a_cache_that_cannot_be_written(builds: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDBG_CACHE", "/dev/null/folder")
    with pytest.raises(BackendError, match=r"cannot be kept.*VIDBG_CACHE"):
        get()
    assert builds == ["96x64"]


# The choice of package and GPU.


def test_neither_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(package, "import_module", missing)
    with pytest.raises(BackendError, match=r"not installed.*pip install .*\[tensorrt\]"):
        find_package()


def test_an_unknown_target() -> None:
    with pytest.raises(ConfigError, match=r"unknown target 'sm80'; .*choose from ampere\+, sm75"):
        find_package("sm80")


def test_targets_of_gpus(rtx: TensorRtPackage) -> None:
    assert rtx.target_of(Gpu("GeForce RTX 4090", 8, 9)) == "ampere+"
    assert rtx.target_of(Gpu("GeForce RTX 9090", 14, 0)) == "ampere+"
    assert rtx.target_of(Gpu("GeForce RTX 2080", 7, 5)) == "sm75"
    with pytest.raises(BackendError, match=r"does not run on H100, compute capability 9\.0"):
        rtx.target_of(Gpu("H100", 9, 0))
    assert replace(rtx, name="tensorrt").target_of(Gpu("H100", 9, 0)) == "H100 9.0"


def test_without_a_gpu_it_is_refused() -> None:
    if has_driver():
        pytest.skip("there is an NVIDIA driver here")
    with pytest.raises(BackendError, match="no NVIDIA driver"):
        load_backend("tensorrt")
    report = survey()[0]
    assert (report.name, report.usable) == ("tensorrt", False)
    assert "no NVIDIA driver" in report.reason


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_backend_takes_engines_of_its_precision(
    precision: Literal["fp16", "int8"], builds: list[str], folder: Path
) -> None:
    backend = TensorRtBackend(RTX, "ampere+", precision)
    plan = frame_plan(144, 256, PIXELS)
    backend.prepare(64, 96)
    backend.prepare_graph(plan)
    assert backend.precision == precision
    assert (backend.ready(64, 96), backend.graph_ready(plan)) == (True, True)
    other = TensorRtBackend(RTX, "ampere+", "int8" if precision == "fp16" else "fp16")
    assert (other.ready(64, 96), other.graph_ready(plan)) == (False, False)
    assert len(builds) == len([f for f in folder.glob("*.engine") if precision in f.name]) == 2


def test_precisions() -> None:
    with pytest.raises(ConfigError, match="no bf16 here; allowed are fp16, int8"):
        load_backend("tensorrt", "bf16")


# The command.


@pytest.mark.usefixtures("rtx")
def test_vidbg_build(tmp_path: Path) -> None:
    out = tmp_path / "mine" / "frame.engine"
    size = ("--size", "256x144", "--network-size", "128x128")
    command = ["build", "--graph", "frame", *size, "--target", "sm75", "--out", str(out)]
    times = set()
    for _ in range(2):  # the second finds the first one's engine
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
        assert result.output.startswith(f"{out}: ")
        times.add(out.stat().st_mtime_ns)
    assert len(times) == 1
    card = json.loads(out.with_suffix(".json").read_text())
    assert (card["size"], card["target"]) == ("256x144-160x96", "sm75")
    assert card["bytes"] == out.stat().st_size


def test_vidbg_build_needs_a_gpu_or_a_target() -> None:
    pytest.importorskip("tensorrt_rtx")
    if has_driver():
        pytest.skip("there is an NVIDIA driver here")
    result = CliRunner().invoke(app, ["build"])
    assert isinstance(result.exception, BackendError)
    assert "--target, one of ampere+, sm75" in str(result.exception)


# On a GPU.


@pytest.fixture
def here() -> tuple[TensorRtPackage, str]:
    try:
        using = find_package()
        return using, using.target_of(find_gpu())
    except BackendError as error:
        pytest.skip(str(error))


@pytest.mark.gpu
def test_the_network_equals_the_reference(here: tuple[TensorRtPackage, str], folder: Path) -> None:
    rng = np.random.default_rng(0)
    batch = rng.normal(size=(1, 4, 224, 384)).astype(np.float32)
    backend = TensorRtBackend(*here)
    error = np.abs(backend(batch) - load_backend(CPU, "fp32")(batch))
    assert np.quantile(error, 0.99) < 0.02  # fp16 has 11 bits of mantissa
    assert len(list(folder.glob("*.engine"))) == 1
    assert len(list(folder.glob("*.kernels"))) == here[0].portable
    backend.close()
