"""The benchmark: what it counts, what it prints."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import write_clip
from typer.testing import CliRunner

from vidbg.cli.app import app
from vidbg.compositing import CompositingConfig, parse_background
from vidbg.config import MattingConfig
from vidbg.errors import ConfigError
from vidbg.matting import matter as matter_module
from vidbg.matting.backends.constant import ConstantBackend
from vidbg.pipeline.benchmark import BenchmarkConfig, Result, percentiles_ms, run_benchmark

STAGES = {"read", "resize", "network", "smooth", "upsample", "composite", "write"}
GREEN = CompositingConfig(parse_background("green"))


def answer(batch: Any) -> Any:
    time.sleep(0.005)
    return np.ones(batch.shape[2:], np.float32)


@pytest.fixture(autouse=True)
def asked_for(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The devices and precisions that were asked for; each answers after 5 ms."""
    asked: list[tuple[Any, ...]] = []

    def load(*arguments: Any) -> ConstantBackend:
        asked.append(arguments)
        return ConstantBackend(answer)

    monkeypatch.setattr(matter_module, "load_backend", load)
    return asked


def measure(path: Path | None = None, frames: int = 12, live_fps: float | None = None) -> Result:
    config = BenchmarkConfig(path, 96, 64, frames, 2, live_fps)
    return run_benchmark(config, MattingConfig(), GREEN)


def bench(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["bench", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_it_measures_every_stage_without_the_warm_up() -> None:
    result = measure()
    assert (result.frames, result.drops) == (12, 0)
    assert set(result.stages_ms) == STAGES
    assert 5 <= result.stages_ms["network"]["p50"] <= result.latency_ms["p50"]
    assert 0 < result.fps < 200
    assert 0 < result.first_frame_s < 5
    assert result.engine == "constant fp32"


def test_live_it_counts_drops() -> None:
    result = measure(frames=40, live_fps=500)
    assert result.drops > 5
    assert result.frames + result.drops == 40


def test_a_file_is_measured_to_its_end_at_most(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "in.mp4", audio="aac")
    assert measure(clip, frames=8).frames == 8
    assert measure(clip, frames=99).frames == 12
    with pytest.raises(ConfigError, match="own pace"):
        measure(clip, live_fps=30)


def test_percentiles_are_in_milliseconds() -> None:
    seconds = [n / 1000 for n in range(101)]
    assert percentiles_ms(seconds) == {"p50": 50.0, "p95": 95.0, "p99": 99.0}


@pytest.mark.parametrize("columns", [80, 120])
def test_tables_fit_and_the_last_line_is_for_scripts(
    columns: int, monkeypatch: pytest.MonkeyPatch, asked_for: list[tuple[Any, ...]]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    engines = ("--engine", "auto", "--engine", "torch-cpu:fp32", "--engine", "cpu:bf16")
    *table, line = bench("--frames", 4, "--size", "96x64", *engines).splitlines()
    assert [asked[:2] for asked in asked_for] == [
        ("auto", "auto"), ("torch-cpu", "fp32"), ("cpu", "bf16")
    ]  # fmt: skip
    assert max(map(len, table)) <= columns
    assert sum("FPS end to end" in row for row in table) == 3
    assert sum("│ network " in row for row in table) == 3
    facts = json.loads(line)
    assert facts["source"] == "synthetic 96x64"
    assert {"machine", "versions"} <= set(facts)
    assert [set(result["stages"]) for result in facts["results"]] == [STAGES] * 3


def test_json_alone(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "in.mp4")
    out = bench(clip, "--frames", 4, "--json")
    assert out.count("\n") == 1
    (result,) = json.loads(out)["results"]
    assert result["end_to_end"]["frames"] == 4
    assert json.loads(out)["source"] == str(clip)
