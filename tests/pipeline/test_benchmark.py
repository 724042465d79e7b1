"""The benchmark: what it counts, what it prints."""

from __future__ import annotations

import json
import math
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

from vidbg.benchmark import benchmark
from vidbg.benchmark import compare as bench_compare
from vidbg.benchmark import report as bench_report
from vidbg.benchmark.benchmark import (
    BenchmarkConfig,
    Result,
    percentiles_ms,
    run_apart,
    run_benchmark,
)
from vidbg.cli.app import app
from vidbg.compositing import CompositingConfig, parse_background
from vidbg.config import MattingConfig
from vidbg.errors import BackendError, ConfigError, SinkError, VidbgError
from vidbg.matting import backends, video_matting
from vidbg.matting.backends.constant import ConstantBackend

STAGES = {"read", "resize", "normalise", "network", "smooth", "upsample", "composite", "write"}
GREEN = CompositingConfig(parse_background("green"))


def answer(batch: Any) -> Any:
    time.sleep(0.005)
    alpha = np.zeros(batch.shape[2:], np.float32)
    alpha[:, : alpha.shape[1] // 2] = 1
    return alpha


@pytest.fixture(autouse=True)
def asked_for(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Record the devices and precisions asked for; each answers after 5 ms."""
    asked: list[tuple[Any, ...]] = []

    def load(*arguments: Any) -> ConstantBackend:
        asked.append(arguments)
        return ConstantBackend(answer)

    monkeypatch.setattr(video_matting, "load_backend", load)
    monkeypatch.setattr(benchmark, "run_apart", run_benchmark)  # another process has no such device
    return asked


def measure(path: Path | None = None, frames: int = 12, live_fps: float | None = None) -> Result:
    config = BenchmarkConfig(path, 96, 64, frames, 2, live_fps)
    return run_benchmark(config, MattingConfig(), GREEN)


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["bench", *map(str, arguments)])


def bench(*arguments: object) -> str:
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def test_it_measures_every_stage_without_the_warm_up() -> None:
    result = measure()
    assert (result.frames, result.drops) == (12, 0)
    assert set(result.stages_ms) == STAGES
    assert 5 <= result.stages_ms["network"]["p50"] <= result.latency_ms["p50"]
    assert 0 < result.fps < 200
    assert 0 < result.first_frame_s < 5
    assert result.engine == "constant fp32"


def test_live_it_counts_drops(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(batch: Any) -> Any:
        time.sleep(0.01)
        return answer(batch)

    monkeypatch.setattr(video_matting, "load_backend", lambda *_: ConstantBackend(slow))
    result = measure(frames=40, live_fps=200)
    assert result.drops > 5
    assert result.frames + result.drops == 40


def test_a_file_is_measured_to_its_end_at_most(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "in.mp4", audio="aac")
    assert measure(clip, frames=8).frames == 8
    assert measure(clip, frames=99).frames == 12
    with pytest.raises(ConfigError, match="own pace"):
        measure(clip, live_fps=30)


@pytest.mark.parametrize("live_fps", [math.nan, math.inf, 0.0, -5.0, 1e-9])
def test_rates_that_cannot_be_are_refused(live_fps: float) -> None:
    with pytest.raises(ConfigError, match=r"live_fps is .*; allowed are 0\.1 to 240"):
        measure(live_fps=live_fps)


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
        "frames", "fps", "latency_ms", "drops", "repeated", "reused", "cpu_percent", "cpu_ms",
        "rss_mb",
    }  # fmt: skip
    assert facts["first_frame_s"] > 0
    network = facts["engines"][0]["network"]
    assert network["latency_ms"]["p50"] >= network["least_ms"] >= 5
    assert network["cpu_ms"] >= 0  # the stand-in only sleeps
    assert facts["machine"]["cores"] >= 1
    assert {"features", "load"} <= set(facts["machine"])


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
    record["engines"][0]["end_to_end"]["fps"] *= 20
    old.write_text("a line before\n" + json.dumps(record))
    shown = bench("--frames", 4, "--size", "96x64", "--against", old)
    (fps,) = [row for row in shown.splitlines() if "│ FPS" in row]
    assert float(fps.split("│")[-2]) < 0.5
    other = bench("--frames", 4, "--size", "96x64", "--against", old, "--network-size", "320x192")
    assert "none of these engines" in other


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """Return the printed record of 4 frames."""
    path = tmp_path / "record.json"
    path.write_text(bench("--frames", 4, "--size", "96x64", "--json"))
    return path


def test_the_record_has_a_version_and_compares_in_json(record: Path) -> None:
    old = json.loads(record.read_text())
    assert old["format"] == 1
    assert "against" not in old
    old["engines"][0]["first_frame_s"] = 0
    old["machine"] = {"cpu": "Another 9000", "cores": 96, "system": "Plan 9"}
    record.write_text(json.dumps(old, indent=2))  # printed nicely by another tool
    new = invoke("--frames", 4, "--size", "96x64", "--still", "--json", "--against", record)
    comparison = json.loads(new.stdout)["against"]
    assert set(comparison["differences"]) == {
        "machine.cpu",
        "machine.cores",
        "machine.system",
        "source",
    }
    assert comparison["differences"]["machine.cores"]["then"] == 96
    assert "machine.cpu was 'Another 9000' and is " in new.stderr
    by_name = {change["figure"]: change for change in comparison["changes"]}
    assert by_name["first frame s"]["ratio"] is None
    fps = by_name["FPS"]
    assert fps["ratio"] == pytest.approx(fps["now"] / fps["then"], abs=1e-3)
    assert {f"{stage} p50 ms" for stage in STAGES} <= set(by_name)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_records_kept_by_powershell_are_read(encoding: str, record: Path) -> None:
    record.write_bytes(record.read_text().replace("\n", "\r\n").encode(encoding))
    assert bench_compare.read_record(record)["format"] == 1


def without(record: Any, *keys: Any) -> Any:
    inner = record
    for key in keys[:-1]:
        inner = inner[key]
    del inner[keys[-1]]
    return record


def test_what_is_no_record_is_refused_before_anything_is_measured(
    record: Path, asked_for: list[tuple[Any, ...]]
) -> None:
    text = record.read_text()
    asked_for.clear()
    damaged = [
        *("", "{}", "no json", "[1]", '{"engines": []}', '{"engines": [{}]}', '{"engines": 3}'),
        *('{"engines": ["x"]}', "[" * 5000, text[:-40], "\0\1\2"),
        json.dumps(without(json.loads(text), "engines", 0, "stages")),
        json.dumps(without(json.loads(text), "engines", 0, "stages", "network", "p50")),
        json.dumps(without(json.loads(text), "engines", 0, "end_to_end", "latency_ms", "p99")),
        json.dumps(without(json.loads(text), "engines", 0, "network_size")),
        text.replace('"cpu_percent": ', '"cpu_percent": "fast", "was": '),
        text.replace('"cpu_percent": ', '"cpu_percent": NaN, "was": '),
    ]
    for content in damaged:
        record.write_text(content)
        refused = invoke("--frames", 4, "--against", record)
        assert isinstance(refused.exception, ConfigError), content[:60]
        assert "is no record of `vidbg bench --json`" in str(refused.exception)
    record.write_text(text.replace('"format": 1', '"format": 2'))
    with pytest.raises(ConfigError, match="of format 2; this vidbg reads format 1"):
        bench_compare.read_record(record)
    with pytest.raises(ConfigError, match="No such file"):
        bench_compare.read_record(record.with_name("missing.json"))
    assert asked_for == []


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (
            ["--engine", "cpu", "--engine", "cpuu:int8"],
            "unknown device 'cpuu'; did you mean",
        ),
        (["--engine", "cpu:int9"], "unknown precision 'int9'; did you mean 'int8'?"),
        (["--plot", "plot.nothing"], "unknown suffix of the plot '.nothing'"),
        (["--plot", "missing/plot.png"], "there is no folder"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_measured(
    options: list[str], hint: str, asked_for: list[tuple[Any, ...]]
) -> None:
    refused = invoke("--frames", 4, "--size", "96x64", *options)
    assert isinstance(refused.exception, VidbgError)
    assert hint in str(refused.exception)
    assert asked_for == []


def test_plots_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot = tmp_path / "plot.png"
    bench("--frames", 4, "--size", "96x64", "--plot", plot, "--json")
    picture = cv2.imread(str(plot))
    assert picture is not None
    assert picture.shape[1] > 800
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(SinkError, match="cannot be written"):
        bench_report.draw([measure()], tmp_path / "folder.png")


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
    monkeypatch.setattr(backends, "open_device", load)
    assert backends.engines_here() == [
        f"cpu:{precision}{network}"
        for precision in ("int8", "bf16", "fp32")
        for network in ("", ":light")
    ]
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
    config = BenchmarkConfig(None, 64, 48, 2, 1, None)
    with pytest.raises(KeyboardInterrupt):
        run_apart(config, MattingConfig(), GREEN)
    assert time.monotonic() - start < 50
    assert not multiprocessing.active_children()
