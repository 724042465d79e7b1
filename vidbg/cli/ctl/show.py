"""Commands that show a run: status, statistics, watch, options, setup, log, diagnostics."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import typer

from vidbg.cli.ctl import setting_values as values
from vidbg.cli.ctl.group import AsJson, ctl, print_json
from vidbg.cli.ctl.run_client import API, client_of


@ctl.command()
def status(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show what viewers see, the camera, the background and the outputs."""
    state = client_of(ctx).ask("GET", "/state")
    if as_json:
        print_json(state)
        return
    for name, text in _facts(state):
        typer.echo(f"{name:11} {text}".rstrip())


def _facts(state: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Describe a state, a line for each part."""
    now = state["status"]
    if now is None:
        yield "state", "starting"
    else:
        yield "state", now["words"] + (f": {now['reason']}" if now["reason"] else "")
        if now["fps"]:
            latency = "" if now["latency_ms"] is None else f"{now['latency_ms']:.0f} ms, "
            yield "speed", f"{now['fps']:.1f} FPS, {latency}{now['cpu_percent']:.0f} % of a core"
    if state["profile"] is not None:
        yield "profile", state["profile"]
    if state["room_on_air"]:
        yield "room", "YOUR REAL ROOM IS ON AIR"
    if state["background"] is not None:
        shown = state["background"]
        adjusted = "" if shown["adjust"] is None else f" {values.shown(shown['adjust'])}"
        yield "background", shown["name"] + adjusted
    camera = state["camera"]
    if camera is not None:
        yield "camera", ", ".join(filter(None, (camera["name"], camera["mode"], camera["problem"])))
    for output in state["outputs"]:
        fault = f": {output['problem']}" if output["problem"] else ""
        watched = {True: ", watched", False: ", nobody watches"}.get(output["watched"], "")
        yield "output", f"{output['name']} ({output['state']}{watched}){fault}"
    if state["network"] is not None:
        yield "network", state["network"]["words"]
    recording = state["recording"]
    if recording is not None:
        problem = f": {recording['problem']}" if recording["problem"] else ""
        yield "recording", f"{recording['path']}, {recording['seconds']} s{problem}"


@ctl.command()
def statistics(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show figures of the last ten minutes; frame rate and latency only while live."""
    answer = client_of(ctx).ask("GET", "/statistics")
    if as_json:
        print_json(answer)
        return
    from statistics import median

    samples = answer["samples"]
    if not samples:
        typer.echo("no figures yet; the first come after a second")
        return
    seconds = Counter(sample["state"] for sample in samples)
    typer.echo(", ".join(f"{state} {count} s" for state, count in seconds.most_common()))
    typer.echo(f"{'':16}" + "".join(f"{word:>9}" for word in ("now", "median", "min", "max")))
    for key, (name, unit, digits) in _MEASURED.items():
        always = key in ("cpu_percent", "rss_mb")
        counted = [each[key] for each in samples if always or each["state"] == "live"]
        figures = [figure for figure in counted if figure is not None]
        shown = ["-"] * 4
        if figures:
            summed_up = median(figures), min(figures), max(figures)
            shown[1:] = [f"{figure:.{digits}f}" for figure in summed_up]
        if samples[-1][key] is not None and (always or samples[-1]["state"] == "live"):
            shown[0] = f"{samples[-1][key]:.{digits}f}"
        typer.echo(f"{name:16}" + "".join(f"{word:>9}" for word in shown) + f"  {unit}")


_MEASURED = {
    "fps": ("frame rate", "FPS", 1),
    "latency_p50_ms": ("latency p50", "ms", 1),
    "latency_p95_ms": ("latency p95", "ms", 1),
    "dropped": ("dropped frames", "a second", 0),
    "cpu_percent": ("CPU", "% of a core", 0),
    "rss_mb": ("memory", "MB", 0),
}
"""Of each figure of a sample: what it is called, its unit, and its digits after the point."""


@ctl.command()
def options(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List what `set` can change, with the values that it takes."""
    answer = client_of(ctx).ask("GET", "/options")
    if as_json:
        print_json(answer)
        return
    for key, option in values.live_options(answer).items():
        taken = ", ".join(choice["value"] for choice in option["choices"])
        if option["range"] is not None:
            low, high = option["range"]
            above = "" if high is None else f" to {high:g}"
            taken = " ".join(filter(None, (f"{low:g}{above or ' or more'}", option["unit"])))
        elif option["kind"] == "check":
            taken = "on, off"
        typer.echo(f"{key:20} {option['label']}" + (f": {taken}" if taken else ""))


@ctl.command()
def setup(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List what the run's computer lacks, and what to do about it."""
    answer = client_of(ctx).ask("GET", "/setup")
    if as_json:
        print_json(answer)
        return
    for step in answer:
        typer.echo(f"{step['about']}: {step['words']}")


@ctl.command()
def watch(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Print what changes, until Ctrl-C or the end of the run."""
    import asyncio
    from contextlib import aclosing

    from vidbg.sinks.web.events_client import run_events

    client = client_of(ctx)

    async def follow() -> None:
        before: dict[str, str] = {}
        async with aclosing(run_events(client.address + API, client.headers)) as events:
            async for event in events:
                if as_json:
                    print_json(event)
                    continue
                now = _watched(event["state"])
                for name, text in now.items():
                    if before.get(name) != text:
                        typer.echo(f"{time.strftime('%H:%M:%S')} {name} = {text}")
                before = now

    asyncio.run(follow())


def _watched(state: dict[str, Any]) -> dict[str, str]:
    """Return what `watch` tells: the facts but the measurements, and every setting."""
    facts: dict[str, str] = {}
    for name, text in _facts(state):
        if name not in ("speed", "recording"):
            facts[name] = f"{facts[name]}; {text}" if name in facts else text
    settings = {key: values.shown(value) for key, value in state["settings"].items()}
    return settings | facts


@ctl.command()
def log(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Print the last messages of the run."""
    answer = client_of(ctx).ask("GET", "/log")
    if as_json:
        print_json(answer)
        return
    for line in answer["lines"]:
        typer.echo(f"{line['time']} {line['level']} {line['text']}")


@ctl.command()
def diagnostics(ctx: typer.Context) -> None:
    """Print what a problem report should contain, without personal paths."""
    typer.echo(client_of(ctx).ask("GET", "/diagnostics"))
