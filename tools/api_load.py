"""Put load on the API of a live run: pages that watch, and requests at the same time.

`python -m tools.api_load --pages 20 --rate 200 --seconds 60` starts `vidbg run` with a synthetic
camera, measures it alone, then under load, and prints both as one JSON line: frames a second,
processor time, memory, and how long requests took. Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from vidbg.sinks.web.api_route import PREFIX

PATHS = ("/state", "/settings", "/options", "/backgrounds", "/profiles", "/log")
"""What is asked for in turn; every tenth request changes a setting."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running `vidbg run` with a page."""

    process: subprocess.Popen[str]
    address: str
    token: str

    def cpu_s(self) -> float:
        """Processor time so far, in seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mb(self) -> float:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE") / 1e6


def start(options: list[str]) -> Server:
    """Start the program and wait for its page's address."""
    command = [
        sys.executable,
        "-m",
        "vidbg",
        "run",
        "-c",
        "synthetic",
        "-o",
        "none",
        "--no-ondemand",
    ]
    process = subprocess.Popen(
        [*command, "--panel", "0", *options], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("panel: "):
            address, _, token = line.removeprefix("panel: ").strip().partition("/?token=")
            return Server(process, address, token)
    raise SystemExit("the program ended before it told the address of its page")


async def measure(server: Server, pages: int, rate: float, seconds: float) -> dict[str, Any]:
    """Watch with so many pages and ask so often for a while."""
    headers = {"Authorization": f"Bearer {server.token}"}
    base = server.address + PREFIX
    frames, times_ms, fps, rss_mb = [0] * pages, list[float](), list[float](), list[float]()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:

        async def page(number: int) -> None:
            async with (
                session.ws_connect(f"{base}/preview", max_msg_size=0) as preview,
                session.ws_connect(f"{base}/events") as events,
            ):
                listening = asyncio.create_task(_drain(events))
                async for _ in preview:
                    frames[number] += 1
                    await preview.send_str("")
                listening.cancel()

        async def ask(number: int) -> None:
            start_s = time.perf_counter()
            if number % 10 == 9:
                change = {"feather": number % 5}
                async with session.patch(f"{base}/settings", json=change) as answer:
                    await answer.read()
            else:
                async with session.get(base + PATHS[number % len(PATHS)]) as answer:
                    await answer.read()
            assert answer.status == 200, answer.status
            times_ms.append(1e3 * (time.perf_counter() - start_s))

        async def sample() -> None:
            while True:
                await asyncio.sleep(1)
                async with session.get(f"{base}/state") as answer:
                    status = (await answer.json())["status"]
                fps.append(status["fps"] if status else 0.0)
                rss_mb.append(server.rss_mb())

        # Requests at an even rate, whether or not earlier ones have been answered
        working = [asyncio.create_task(page(number)) for number in range(pages)]
        working.append(asyncio.create_task(sample()))
        asked = set[asyncio.Task[None]]()
        begin_s, begin_cpu_s, number = time.perf_counter(), server.cpu_s(), 0
        while (now_s := time.perf_counter() - begin_s) < seconds:
            while rate and number < now_s * rate:
                task = asyncio.create_task(ask(number))
                asked.add(task)
                task.add_done_callback(asked.discard)
                number += 1
            await asyncio.sleep(0.005)
        cpu_percent = 100 * (server.cpu_s() - begin_cpu_s) / (time.perf_counter() - begin_s)
        await asyncio.gather(*asked)
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
    return {
        "fps": round(statistics.mean(fps), 2),
        "cpu_percent": round(cpu_percent, 1),
        "rss_mb": [round(value) for value in rss_mb[:: max(1, len(rss_mb) // 6)]],
        "requests_a_second": round(len(times_ms) / seconds, 1),
        "request_p50_ms": round(statistics.median(times_ms), 1) if times_ms else None,
        "request_p99_ms": round(statistics.quantiles(times_ms, n=100)[98], 1) if times_ms else None,
        "page_fps": round(statistics.mean(frames) / seconds, 1) if frames else None,
    }


async def _drain(events: aiohttp.ClientWebSocketResponse) -> None:
    async for _ in events:
        pass


async def compare(server: Server, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure without clients, then under load. `--no-ondemand` keeps the camera on meanwhile."""
    await asyncio.sleep(arguments.warm_up)
    alone = await measure(server, 0, 0.0, arguments.seconds / 2)
    load = await measure(server, arguments.pages, arguments.rate, arguments.seconds)
    return {"pages": arguments.pages, "rate": arguments.rate, "alone": alone, "load": load}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=20)
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--warm-up", type=float, default=15.0, help="seconds")
    parser.add_argument("options", nargs="*", help="more options of vidbg run, after --")
    arguments = parser.parse_args()
    server = start(arguments.options)
    try:
        result = asyncio.run(compare(server, arguments))
    finally:
        server.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.process.wait(10)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
