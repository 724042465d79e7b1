"""`vidbg run`: camera in, virtual camera out."""

from __future__ import annotations

import logging
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidbg.cli import options, settings
from vidbg.cli.logs import log_to

if TYPE_CHECKING:
    from collections.abc import Callable

    from vidbg.compositing import CompositingConfig
    from vidbg.config import MattingConfig
    from vidbg.sinks.raw_pipe import RawFormat
    from vidbg.sources import Source

logger = logging.getLogger(__name__)

SYNTHETIC = "synthetic"
REPORT_INTERVAL_S = 2.0


def run(
    background: options.LiveBackground = "blur",
    camera: Annotated[
        str, typer.Option("--camera", "-c", help="Index, path, or synthetic for a test picture.")
    ] = "0",
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="Virtual camera (default: the first free one), pipewire or pipewire:NAME, "
            "web:PORT for browsers, a stream's URL (rtmp://HOST/APP/KEY, rtmps://..., "
            "srt://HOST:PORT, udp://HOST:PORT), - for raw video on stdout, none.",
        ),
    ] = None,
    pipe_format: Annotated[
        str | None, typer.Option(help="Of --output -: y4m (default), bgr24 or i420.")
    ] = None,
    size: Annotated[
        str, typer.Option(metavar="WxH", help="Size to ask the camera for.")
    ] = "1280x720",
    fps: Annotated[float, typer.Option(help="Frame rate to ask the camera for.")] = 30.0,
    pixel_format: Annotated[str, typer.Option("--format", help="auto, MJPG or YUYV.")] = "auto",
    show: Annotated[bool, typer.Option("--show", help="Preview window.")] = False,
    frames: Annotated[int | None, typer.Option(min=1, help="End after so many frames.")] = None,
    fit: options.Fit = "cover",
    offset: options.Offset = 0.0,
    feather: options.Feather = 0.0,
    light_wrap: options.LightWrap = 0.0,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    threads: options.Threads = None,
    network_size: options.NetworkSize = None,
    smoothing: options.Smoothing = None,
    refine: options.Refine = True,
    log_file: Annotated[
        Path | None, typer.Option(help="Keep a log: 1 MB, and the four before it.")
    ] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
    config: settings.ConfigFile = None,  # noqa: ARG001  (both are heeded by LiveCommand)
    profile: settings.Profile = None,  # noqa: ARG001
) -> None:
    """Run a virtual webcam with another background, until Ctrl-C (exits 130) or SIGTERM (143)."""
    compositing = options.compositing_config(background, fit, offset, feather, light_wrap)
    matting = options.matting_config(device, precision, threads, network_size, smoothing, refine)
    raw_format = _raw_format(pipe_format, output)
    with log_to(log_file, log_level):
        logger.info("camera %s on %s, output %s", camera, background, output or "virtual camera")
        _run(
            lambda: _open_source(camera, size, fps, pixel_format),
            matting,
            compositing,
            output=output,
            raw_format=raw_format,
            show=show,
            frames=frames,
        )


def _run(
    open_camera: Callable[[], Source],
    matting: MattingConfig,
    compositing: CompositingConfig,
    *,
    output: str | None,
    raw_format: RawFormat,
    show: bool,
    frames: int | None,
) -> None:
    from vidbg.compositing.specs import PassthroughSpec
    from vidbg.matting.matter import Matter
    from vidbg.pipeline.live import check_live, open_live_sink, run_live

    check_live(compositing)
    source = open_camera()
    with source, Status() as status:
        sink, closed = open_live_sink(output, source.info, show=show, pipe_format=raw_format)
        passthrough = isinstance(compositing.background, PassthroughSpec)
        with sink:
            matter = None if passthrough else Matter(config=matting)
            if matter is not None:
                typer.echo(f"network: {matter.backend.name}, {matter.backend.precision}", err=True)
            report = run_live(
                source,
                matter,
                compositing,
                sink,
                ended=closed,
                on_frame=status.count,
                frame_limit=frames,
            )
    logger.info("ended after %d frames, %d dropped", report.frames, report.dropped)
    typer.echo(f"{report.frames} frames, {report.dropped} dropped", err=True)


def _raw_format(pipe_format: str | None, output: str | None) -> RawFormat:
    from vidbg.pipeline.jobs import PIPE
    from vidbg.sinks.raw_pipe import RAW_FORMATS

    if pipe_format is None:
        return "y4m"
    if output != PIPE:
        raise typer.BadParameter("--pipe-format is for raw video on stdout: add --output -")
    for known in RAW_FORMATS:
        if pipe_format == known:
            return known
    raise typer.BadParameter(
        f"--pipe-format {pipe_format!r} is not known; allowed are {', '.join(RAW_FORMATS)}"
    )


def _open_source(camera: str, size: str, fps: float, pixel_format: str) -> Source:
    if pixel_format not in ("auto", "MJPG", "YUYV"):
        raise typer.BadParameter(
            f"--format {pixel_format!r} is not known; allowed are auto, MJPG, YUYV"
        )
    if fps <= 0:
        raise typer.BadParameter(f"--fps {fps} must be above 0")
    width, height = options.parse_size(size, "--size")
    rate = Fraction(fps).limit_denominator(1001)
    if camera == SYNTHETIC:
        from vidbg.sources.synthetic import SyntheticSource

        return SyntheticSource(width, height, rate, live=True)
    from vidbg.sources.camera import CameraSource

    source = CameraSource(
        int(camera) if camera.isdecimal() else camera,
        width=width,
        height=height,
        frame_rate=rate,
        pixel_format=pixel_format,  # type: ignore[arg-type]  # checked above
    )
    typer.echo(f"camera {camera}: {source.mode}", err=True)
    return source


class Status:
    """Says the frame rate at the terminal every two seconds."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._counted = 0
        self._told = False

    def count(self, frames: int) -> None:
        elapsed = time.monotonic() - self._since
        if elapsed >= REPORT_INTERVAL_S and sys.stderr.isatty():
            typer.echo(f"\r{(frames - self._counted) / elapsed:5.1f} FPS ", err=True, nl=False)
            self._since, self._counted, self._told = time.monotonic(), frames, True

    def __enter__(self) -> Status:
        return self

    def __exit__(self, *_: object) -> None:
        if self._told:
            typer.echo(err=True)
