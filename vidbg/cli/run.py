"""`vidbg run`: camera in, virtual camera out."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from typer.core import TyperOption

from vidbg.cli import options, settings
from vidbg.cli.logs import log_to
from vidbg.cli.reload import LIVE, reloading
from vidbg.cli.status_line import StatusLine
from vidbg.sinks import OUTPUTS, VIRTUAL_CAMERA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vidbg.config import MattingConfig
    from vidbg.frame import StreamInfo
    from vidbg.pipeline.live import Look
    from vidbg.pipeline.live.panel import LivePanel
    from vidbg.pipeline.live.preview import LivePreview
    from vidbg.sinks.raw_pipe import RawFormat
    from vidbg.sources import Source
    from vidbg.sources.camera_mode import PixelFormat

logger = logging.getLogger(__name__)


def run(
    ctx: typer.Context,
    background: options.LiveBackground = "blur",
    camera: Annotated[
        str,
        typer.Option(
            "--camera",
            "-c",
            help="Index, path, name or a part of it; a video or picture, looped; a stream's URL "
            "(rtsp://HOST/PATH, http://HOST/video); or synthetic for a test picture.",
        ),
    ] = "0",
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="; ".join(
                f"{kind.usage}: {kind.purpose}" for kind in (VIRTUAL_CAMERA, *OUTPUTS.values())
            )
            + ".",
        ),
    ] = None,
    pipe_format: Annotated[
        str | None, typer.Option(help="Of --output -: y4m (default), bgr24 or i420.")
    ] = None,
    size: Annotated[
        str, typer.Option(metavar="WxH", help="Size to ask the camera for.")
    ] = "1280x720",
    fps: options.FrameRate = 30.0,
    pixel_format: Annotated[str, typer.Option("--format", help="auto, MJPG or YUYV.")] = "auto",
    show: Annotated[
        bool, typer.Option("--show", help="Preview window; ? in it shows its keys.")
    ] = False,
    panel: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            min=0,
            max=65535,
            help="Serve a page that shows and changes how it looks, to this machine's browsers.",
        ),
    ] = None,
    backgrounds: Annotated[
        Path | None,
        typer.Option(help="Folder of pictures and videos to choose from in window and panel."),
    ] = None,
    mirror: Annotated[bool, typer.Option(help="Mirror the camera for everybody.")] = False,
    ondemand: Annotated[
        bool, typer.Option(help="Close the camera while nobody watches, where that is known.")
    ] = True,
    adapt: Annotated[
        bool, typer.Option(help="Ask less of the network where it is too slow for the frame rate.")
    ] = True,
    frames: Annotated[
        int | None, typer.Option(min=1, help="End after so many composited frames.")
    ] = None,
    fit: options.Fit = "cover",
    offset: options.Offset = 0.0,
    feather: options.Feather = 0.0,
    light_wrap: options.LightWrap = 0.0,
    device: options.Device = "auto",
    gpu: options.Gpu = None,  # noqa: ARG001  (it acts as it is read)
    precision: options.Precision = "auto",
    threads: options.Threads = None,
    network: options.Network = "auto",
    quality: options.Quality = "balanced",
    network_size: options.NetworkSize = None,
    smoothing: options.Smoothing = None,
    refine: options.Refine = True,
    people: options.People = "all",
    full_frame: options.FullFrame = True,
    log_file: Annotated[
        Path | None, typer.Option(help="Keep a log: 1 MB, and the four before it.")
    ] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
    config: settings.ConfigFile = None,  # noqa: ARG001  (both are heeded by LiveCommand)
    profile: settings.Profile = None,  # noqa: ARG001
) -> None:
    """Run a virtual webcam with another background, until Ctrl-C (exits 130) or SIGTERM (143).

    The output stays alive whatever happens to the camera, and never shows the room: while there
    is no picture of the person it shows the background, or a card. SIGHUP reads the settings
    anew (not from a terminal, which sends it when it is closed).
    """
    asked = _asked(size, fps)
    given = _Given(
        camera=_camera(camera, asked, pixel_format),
        asked=asked,
        matting=options.matting_config(
            device,
            precision,
            network,
            threads,
            network_size,
            smoothing,
            refine,
            people,
            full_frame,
            quality,
        ),
        look=_look(background, fit, offset, feather, light_wrap, mirror),
        output=output,
        raw_format=_raw_format(pipe_format, output),
        show=show,
        panel=panel,
        backgrounds=[] if backgrounds is None else _backgrounds(backgrounds),
        ondemand=ondemand,
        adapt=adapt,
        frames=frames,
    )
    with log_to(log_file, log_level):
        logger.info("camera %s on %s, output %s", _shown(camera), background, _shown(output))
        _run(ctx, given)


@dataclass(frozen=True, slots=True)
class _Given:
    """What the options come to."""

    camera: Callable[[], Source]
    asked: StreamInfo
    matting: MattingConfig
    look: Look
    output: str | None
    raw_format: RawFormat
    show: bool
    panel: int | None
    backgrounds: list[Path]
    ondemand: bool
    adapt: bool
    frames: int | None


def _run(ctx: typer.Context, given: _Given) -> None:
    from contextlib import closing

    from vidbg.matting.ladder import live_steps
    from vidbg.pipeline.live import DeviceNetworks, Supervisor, check_output, reopens
    from vidbg.pipeline.live.opening import CameraOpener
    from vidbg.pipeline.live.outputs import NO_OUTPUT
    from vidbg.sinks import open_output

    check_output(given.output, preview=given.show or given.panel is not None)
    with closing(CameraOpener(given.camera, given.asked)) as camera, StatusLine() as status:
        if camera.problem is not None:
            typer.echo(f"{camera.problem}. Waiting for it; the background is shown", err=True)
        networks = DeviceNetworks(
            given.matting,
            camera.info.height,
            camera.info.width,
            lambda name: typer.echo(f"network: {name}", err=True),
            rate=float(camera.info.frame_rate or 30) if given.adapt else None,
        )
        previews = list(_previews(given, camera.info))
        tell_address = _once(lambda url: typer.echo(f"output: {url}", err=True))
        supervisor = Supervisor(
            camera,
            networks,
            given.look,
            lambda: open_output(given.output, camera.info, given.raw_format, tell_address),
            camera.info,
            reopens=reopens(given.output),
            on_demand=given.ondemand,
            steps=live_steps(given.matting) if given.adapt else (),
            previews=previews,
            needs_preview=given.output == NO_OUTPUT,
            on_status=status.tell,
            frame_limit=given.frames,
        )
        for preview in previews:
            preview.run = supervisor

        def reload(new: typer.Context) -> None:
            look = _look(*(new.params[name] for name in LIVE))
            supervisor.change(look)
            _warn_of_room(look, new)

        _warn_of_room(given.look, ctx)
        with reloading(ctx, reload):
            report = supervisor.run()
    logger.info("ended: %s", report)
    typer.echo(f"{report.frames} frames, {report.dropped} dropped", err=True)


def _look(
    background: str, fit: str, offset: float, feather: float, light_wrap: float, mirror: bool
) -> Look:
    """What may change while a run goes on.

    Raises:
        ConfigError: the background cannot be, or not live.
    """
    from vidbg.pipeline.live import Look, check_live

    compositing = options.compositing_config(background, fit, offset, feather, light_wrap)
    check_live(compositing)
    return Look(compositing, mirror)


def _warn_of_room(look: Look, ctx: typer.Context) -> None:
    """Say that the room is shown, and which setting asks for it."""
    if look.shows_room:
        known = (p for p in ctx.command.params if isinstance(p, TyperOption))
        asked = next(option for option in known if option.name == "background")
        logger.warning(
            "YOUR REAL ROOM IS ON AIR: the background is none (%s), so everyone who watches the "
            "output sees the camera's own picture. Hide the room by another background, such as "
            "-b blur",
            settings.origin_of(ctx, asked),
        )


def _asked(size: str, fps: float) -> StreamInfo:
    from vidbg.frame import StreamInfo

    width, height = options.parse_size(size, "--size")
    rate = Fraction(fps).limit_denominator(1001)
    return StreamInfo(width - width % 2, height - height % 2, frame_rate=rate, live=True)


def _backgrounds(folder: Path) -> list[Path]:
    """The media in a folder, by name."""
    from vidbg.pipeline.jobs import media_in, visible_in

    if not folder.is_dir():
        raise typer.BadParameter(f"--backgrounds {str(folder)!r} is no folder")
    return media_in(visible_in(folder), str(folder))


def _previews(given: _Given, info: StreamInfo) -> Iterator[LivePreview | LivePanel]:
    if given.panel is not None:
        from vidbg.pipeline.live.panel import LivePanel

        panel = LivePanel(given.panel, given.backgrounds)
        typer.echo(f"panel: {panel.url}", err=True)
        yield panel
    if given.show:
        yield _window(given, info)


def _window(given: _Given, info: StreamInfo) -> LivePreview:
    from vidbg.compositing.backgrounds import BlurSpec, FileSpec
    from vidbg.pipeline.live.preview import LivePreview
    from vidbg.sinks.window import WindowSink

    files = [FileSpec(path) for path in given.backgrounds]
    choice = [given.look.compositing.background, *files, BlurSpec()]
    kept = [spec for spec in dict.fromkeys(choice) if not spec.shows_room]
    return LivePreview(WindowSink(info, mirror=not given.look.mirror), kept)


def _once(tell: Callable[[str], None]) -> Callable[[str], None]:
    """Tells a thing the first time, not when an output is opened again."""
    told: set[str] = set()

    def tell_news(text: str) -> None:
        if text not in told:
            told.add(text)
            tell(text)

    return tell_news


def _shown(output: str | None) -> str:
    """The name of a camera or an output for the log: of a URL what is not secret."""
    from vidbg.urls import public_name

    if output is None:
        return "virtual camera"
    return public_name(output) if "://" in output else output


def _raw_format(pipe_format: str | None, output: str | None) -> RawFormat:
    from vidbg.choices import check_choice
    from vidbg.pipeline.jobs import PIPE
    from vidbg.sinks.raw_pipe import RAW_FORMATS

    if pipe_format is None:
        return "y4m"
    if output != PIPE:
        raise typer.BadParameter("--pipe-format is for raw video on stdout: add --output -")
    check_choice("--pipe-format", pipe_format, RAW_FORMATS)
    return cast("RawFormat", pipe_format)


def _camera(name: str, asked: StreamInfo, pixel_format: str) -> Callable[[], Source]:
    """Opens the camera that is meant, the same one each time."""
    from vidbg.choices import check_choice
    from vidbg.sources.cameras import camera_name, camera_source

    check_choice("--format", pixel_format, ("auto", "MJPG", "YUYV"))
    open_source, told = camera_source(name, asked, cast("PixelFormat", pixel_format)), set[str]()

    def open_camera() -> Source:
        source = open_source()
        mode = str(getattr(source, "mode", ""))
        if mode and mode not in told:
            typer.echo(f"camera {camera_name(name)}: {mode}", err=True)
            told.add(mode)
        return source

    return open_camera
