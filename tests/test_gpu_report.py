"""The report on a GPU, tried out on a CPU: every way runs or says why not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

import gpu_report  # noqa: E402
import typer  # noqa: E402

from vidbg.matting.backends.nvidia import has_driver  # noqa: E402


def test_every_way_is_measured_or_says_why_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_report, "NETWORK_SIZES", ((64, 96),))
    monkeypatch.setattr(gpu_report, "FRAME_SIZES", ("320x180",))
    monkeypatch.setattr(gpu_report, "timed_compiled", refused)  # it would call a compiler
    app = typer.Typer()
    app.command()(gpu_report.main)
    words = ["--device", "cpu", "--out", str(tmp_path), "--calls", "2", "--frames", "2"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "report.json").read_text())
    network = figures["network"]["96x64"]
    assert network["floor"]["gflop"] == pytest.approx(convolutions_gflop(64, 96))
    assert network["floor"]["megabytes"] > 54  # the weights in fp16, and activations
    for way in ("PyTorch eager", "PyTorch CUDA graph"):
        assert 0 < network[way]["p50"] <= network[way]["p99"]
    assert network["PyTorch compiled"] == {"error": "no compiler"}
    if not has_driver():
        for way in (network["TensorRT int8"], figures["opening"]):
            assert "no NVIDIA driver" in way["error"]
    for road in figures["frames"]["320x180"].values():
        assert road["fps"] > 0
    table = (tmp_path / "report.md").read_text()
    assert table in result.output
    assert "| PyTorch compiled | no compiler |  |  |" in table
    assert "Opening an engine: " in table
    assert "Network 96x64; floor: 1.5 GFLOP in" in table


def convolutions_gflop(height: int, width: int) -> float:
    """Two operations a weight and place, in all convolutions."""
    network, total = gpu_report.shipped_network(), 0

    def count(module: Any, _: object, given: Any) -> None:
        nonlocal total
        total += 2 * module.weight.numel() * given.shape[2] * given.shape[3]

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    with torch.inference_mode():
        network.logits(torch.zeros(1, 4, height, width))
    return total / 1e9


def refused(*_: object) -> dict[str, float]:
    raise RuntimeError("no compiler\nand more")
