"""The benchmark: what it counts, what it prints."""

from __future__ import annotations

import json
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from clips import write_clip
from typer.testing import CliRunner

from vidbg.cli.app import app
from vidbg.compositing import CompositingConfig, parse_background
from vidbg.config import MattingConfig
from vidbg.errors import BackendError, ConfigError
from vidbg.matting import backends
from vidbg.matting import matter as matter_module
from vidbg.matting.backends.constant import ConstantBackend
from vidbg.pipeline import bench_report, benchmark
from vidbg.pipeline.benchmark import (
    BenchmarkConfig,
    Result,
    percentiles_ms,
    run_apart,
    run_benchmark,
)

STAGES = {"read", "resize", "normalise", "network", "smooth", "upsample", "composite", "write"}
GREEN = CompositingConfig(parse_background("green"))


def answer(batch: Any) -> Any:
    time.sleep(0.005)
    alpha = np.zeros(batch.shape[2:], np.float32)
    alpha[:, : alpha.shape[1] // 2] = 1
    return alpha


@pytest.fixture(autouse=True)
def asked_for(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The devices and precisions that were asked for; each answers after 5 ms."""
    asked: list[tuple[Any, ...]] = []

    def load(*arguments: Any) -> ConstantBackend:
        asked.append(arguments)
        return ConstantBackend(answer)

    monkeypatch.setattr(matter_module, "load_backend", load)
    monkeypatch.setattr(benchmark, "run_apart", run_benchmark)  # another process has no such device
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


def test_a_still_person_is_matted_once_and_results_are_converted() -> None:
    config = BenchmarkConfig(None, 96, 64, 12, 2, None, still=True, y4m=True)
    result = run_benchmark(config, MattingConfig(), GREEN)
    assert (result.frames, result.reused) == (12, 11)
    assert result.stages_ms["write"]["p50"] > 0
    assert measure().reused == 0
    shown = bench("--frames", 4, "--size", "96x64", "--still", "--y4m")
    assert "3 still" in " ".join(shown.split())  # however wide the terminal
    assert json.loads(shown.splitlines()[-1])["source"] == "synthetic 96x64 still"
    with pytest.raises(ConfigError, match="--still goes with"):
        BenchmarkConfig(Path("in.mp4"), 96, 64, 12, 2, None, still=True)


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
    assert [set(result["stages"]) for result in facts["engines"]] == [STAGES] * 3
    assert facts["stages"] == facts["engines"][0]["stages"]
    assert set(facts["end_to_end"]) == {
        "frames", "fps", "latency_ms", "drops", "repeated", "reused", "cpu_percent", "rss_mb"
    }  # fmt: skip
    assert facts["first_frame_s"] > 0
    assert facts["engines"][0]["network"]["latency_ms"]["p50"] >= 5


def test_json_alone(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "in.mp4")
    out = bench(clip, "--frames", 4, "--json")
    assert out.count("\n") == 1
    (result,) = json.loads(out)["engines"]
    assert result["end_to_end"]["frames"] == 4
    assert json.loads(out)["source"] == str(clip)


def test_an_older_record_is_compared(tmp_path: Path) -> None:
    old = tmp_path / "old.json"
    record = json.loads(bench("--frames", 4, "--size", "96x64", "--json"))
    record["engines"][0]["end_to_end"]["fps"] *= 2
    old.write_text("a line before\n" + json.dumps(record))
    shown = bench("--frames", 4, "--size", "96x64", "--against", old)
    (fps,) = [row for row in shown.splitlines() if "│ FPS" in row]
    assert float(fps.split("│")[-2]) < 0.8
    other = bench("--frames", 4, "--size", "96x64", "--against", old, "--network-size", "320x192")
    assert "none of these engines" in other


def test_what_is_no_record_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    for text in ("", "{}", "no json", '{"engines": []}'):
        bad.write_text(text)
        with pytest.raises(ConfigError, match="is no record"):
            bench_report.read_record(bad)
    with pytest.raises(ConfigError, match="is no record"):
        bench_report.read_record(tmp_path / "missing.json")


def test_plots_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot = tmp_path / "plot.png"
    bench("--frames", 4, "--size", "96x64", "--plot", plot, "--json")
    picture = cv2.imread(str(plot))
    assert picture is not None
    assert picture.shape[1] > 800
    with pytest.raises(ConfigError, match="cannot be written"):
        bench_report.draw([measure()], tmp_path / "plot.nothing")


def test_compare_takes_every_engine(
    monkeypatch: pytest.MonkeyPatch, asked_for: list[tuple[Any, ...]]
) -> None:
    monkeypatch.setattr(backends, "engines_here", lambda: ["cpu:int8", "cpu:bf16"])
    line = bench("--frames", 4, "--size", "96x64", "--compare").splitlines()[-1]
    assert [asked[:2] for asked in asked_for] == [("cpu", "int8"), ("cpu", "bf16")]
    assert len(json.loads(line)["engines"]) == 2
    result = CliRunner().invoke(app, ["bench", "--compare", "--engine", "cpu"])
    assert result.exit_code == 2


def test_engines_here_are_those_that_load(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: str, precision: str, *__: object) -> ConstantBackend:
        if precision == "fp16":
            raise ConfigError("no fp16")
        return ConstantBackend(1.0)

    usable = [backends.BackendReport("cpu", True, "", True)]
    monkeypatch.setattr(backends, "survey", lambda: usable)
    monkeypatch.setattr(backends, "_load", load)
    assert backends.engines_here() == ["cpu:int8", "cpu:bf16", "cpu:fp32"]
    monkeypatch.setattr(backends, "survey", list)
    with pytest.raises(BackendError, match="no backend"):
        backends.engines_here()


def test_an_engine_measured_apart_ends_with_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    submit = ProcessPoolExecutor.submit

    class Interrupted:
        def result(self) -> None:
            raise KeyboardInterrupt

    def begun(pool: ProcessPoolExecutor, *_: object) -> Interrupted:
        submit(pool, time.sleep, 60)
        return Interrupted()

    monkeypatch.setattr(ProcessPoolExecutor, "submit", begun)
    start = time.monotonic()
    config = BenchmarkConfig(None, 64, 48, 1, 0, None)
    with pytest.raises(KeyboardInterrupt):
        run_apart(config, MattingConfig(), GREEN)
    assert time.monotonic() - start < 50
    assert not multiprocessing.active_children()
