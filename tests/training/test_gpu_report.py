"""The report on a GPU, run on a CPU: everything is measured or has a reason."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")
pytest.importorskip("onnxruntime")

import typer  # noqa: E402
from torch import nn  # noqa: E402

from tools.gpu import report as gpu_report  # noqa: E402
from tools.gpu.measure import attempt, floor, shares, within  # noqa: E402
from tools.gpu.profile import training_step_ms  # noqa: E402
from tools.gpu.report import Report  # noqa: E402
from tools.gpu.tables import as_markdown  # noqa: E402
from vidbg.matting.backends.graphs import GraphBindings, GraphPlan, GraphSpec  # noqa: E402
from vidbg.matting.backends.torch_runner import TorchRunner  # noqa: E402
from vidbg.platform.nvidia import has_driver  # noqa: E402


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("quick_fp16")
def test_every_engine_is_measured_or_has_a_reason(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(gpu_report.main)
    result = CliRunner().invoke(app, ["--device", "cpu", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "report.json").read_text())
    assert figures["floor"]["ResNet-50"]["32x32"]["megabytes"] > 54  # the weights in fp16, and more
    ways = figures["network"]["32x32"]
    for name in ("ResNet-50, PyTorch eager", "light, PyTorch eager"):
        assert 0 < ways[name]["p50"] <= ways[name]["p99"]
    assert figures["frames"]["128x72"]["ResNet-50, PyTorch eager"]["fps"] > 0
    parity = figures["parity"]["ResNet-50, PyTorch"]
    assert parity["alpha within 0.02"]["worst"] > 0.99
    assert parity["composite within 2 levels"]["worst"] > 0.99
    kernels = figures["kernels"]["128x72"]["ResNet-50"]
    assert kernels["count"] > 74 and kernels["total_ms"] > kernels["top"][0][2] > 0
    assert set(figures["training"]["light"]) == {"contiguous", "channels last"}
    for layouts in figures["training"].values():
        assert all(facts["step_ms"] > 0 for facts in layouts.values()), layouts
    if not has_driver():
        assert "no NVIDIA driver" in figures["TensorRT"]["package"]["error"]
    table = (tmp_path / "report.md").read_text()
    assert table in result.output
    assert "| ResNet-50, PyTorch eager |" in table
    assert "Network 32x32" in table
    assert "| light | channels last | " in table


def test_a_part_that_is_not_there_is_refused(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(gpu_report.main)
    words = ["--device", "cpu", "--out", str(tmp_path), "--part", "weather"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "weather" in result.output


def test_figures_are_kept_and_failures_tried_again(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    report = Report(file, 60)
    assert report.add(["a", "good"], lambda: {"p50": 1.0}) == {"p50": 1.0}
    assert report.add(["a", "bad"], lambda: 1 / 0) == {
        "error": "ZeroDivisionError: division by zero"
    }
    again = Report(file, 60)
    assert again.add(["a", "good"], lambda: {"p50": 2.0}) == {"p50": 1.0}
    assert again.add(["a", "bad"], lambda: {"p50": 3.0}) == {"p50": 3.0}
    assert json.loads(file.read_text()) == {"a": {"good": {"p50": 1.0}, "bad": {"p50": 3.0}}}


def test_a_command_that_takes_too_long_is_stopped_and_reported(tmp_path: Path) -> None:
    report = Report(tmp_path / "report.json", 0.2)
    start = time.monotonic()
    slow = report.add(["slow"], lambda: time.sleep(20))
    assert time.monotonic() - start < 10
    assert slow["error"].startswith("stopped after")
    assert report.add(["late"], lambda: 1)["error"] == "left out: the step's time was spent"


def test_a_limit_does_not_outlast_its_block() -> None:
    with within(0.2):
        pass
    time.sleep(0.4)
    assert attempt(lambda: 1) == 1


def test_the_floor_counts_every_convolution() -> None:
    network = gpu_report.resnet()
    facts = floor(network, 64, 96, {"flops": 1e12, "bytes_s": 1e12})
    assert facts["gflop"] == pytest.approx(convolutions_gflop(network, 64, 96))
    assert facts["operations_ms"] == pytest.approx(facts["gflop"])
    assert facts["bytes_ms"] == pytest.approx(facts["megabytes"] / 1e3)


def convolutions_gflop(network: Any, height: int, width: int) -> float:
    """Two operations a weight and place, in all convolutions."""
    total = 0

    def count(module: Any, _: object, given: Any) -> None:
        nonlocal total
        total += 2 * module.weight.numel() * given.shape[2] * given.shape[3]

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    with torch.inference_mode():
        network.logits(torch.zeros(1, 4, height, width))
    return total / 1e9


def test_shares_are_of_each_frame() -> None:
    import numpy as np

    differences = [np.array([0.0, 0.0, 0.1, 0.3]), np.zeros(4)]
    assert shares(differences, 0.1) == {"mean": 0.875, "worst": 0.75, "frames": 2.0}


def test_tables_hold_figures_and_refusals() -> None:
    way = {"p50": 1.0, "p99": 2.0, "fps": 900.0, "device_ms": 0.5}
    table = as_markdown(
        {
            "ceilings": {"error": "no card"},
            "TensorRT": {"package": {"error": "cannot load the engine: SM90"}},
            "parity": {"light": {"error": "it failed"}},
            "network": {"384x224": {"graph": way, "compiled": {"error": "no compiler"}}},
        }
    )
    assert "Ceilings: no card" in table
    assert "TensorRT, package: cannot load the engine: SM90" in table
    assert "| light | it failed |  |  |" in table
    assert "| graph | 1.000 | 2.000 | 900.000 | 0.500 |" in table
    assert "| compiled | no compiler |  |  |  |" in table


def test_cudnn_is_on_where_its_algorithms_are_tried() -> None:
    seen = []

    class Recorder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def logits(self, x: Any) -> Any:
            seen.append((torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark))
            return x * self.scale

        def forward(self, x: Any) -> tuple[Any]:
            return (self.logits(x),)

    inputs = {"image": np.ones((1, 4), np.float32)}
    spec = GraphSpec("network", "4x1", {"image": (1, 4)})
    plan = GraphPlan(spec, lambda network: network, inputs, ("image",), GraphBindings())
    with torch.backends.cudnn.flags(enabled=True, benchmark=False):  # a training may have set it
        training_step_ms("cpu", Recorder, "contiguous", (1, 8, 8), 1)
        with TorchRunner(plan, Recorder(), torch.device("cpu"), 1):
            pass
        assert seen == [(True, True), (True, True)]
        assert not torch.backends.cudnn.benchmark
