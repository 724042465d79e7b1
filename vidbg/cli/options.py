"""Options that several commands share, and what they mean."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from vidbg.compositing.backgrounds import background_usage
from vidbg.limits import (
    FEATHER_PX,
    FRAMES_PER_SECOND,
    LIGHT_WRAP,
    OFFSET_PX,
    SIDE_PX,
    SMOOTHING_S,
    THREADS,
    Limits,
)

if TYPE_CHECKING:
    from vidbg import config
    from vidbg.compositing import CompositingConfig
    from vidbg.config import MattingConfig

Background = Annotated[
    str,
    typer.Option("--background", "-b", help=f"{background_usage()}."),
]
LiveBackground = Annotated[
    str, typer.Option("--background", "-b", help=f"{background_usage(live=True)}.")
]
Fit = Annotated[
    str, typer.Option(help="cover: fill the frame; contain: show all of the background.")
]


def within(limits: Limits) -> Callable[[Any], Any]:
    """A callback that refuses numbers out of range, infinity and NaN among them."""

    def check(value: Any) -> Any:
        if value is not None and not limits.least <= value <= limits.most:
            raise typer.BadParameter(f"{value:g} is out of range; allowed are {limits}")
        return value

    return check


Offset = Annotated[
    float,
    typer.Option(
        callback=within(OFFSET_PX),
        help=f"Move the person's edge, in pixels, {OFFSET_PX}; above 0 outward.",
    ),
]
Feather = Annotated[
    float,
    typer.Option(
        callback=within(FEATHER_PX), help=f"Soften the person's edge, in pixels, {FEATHER_PX}."
    ),
]
LightWrap = Annotated[
    float,
    typer.Option(
        callback=within(LIGHT_WRAP),
        help=f"How much background light falls on the edge, {LIGHT_WRAP}.",
    ),
]
Device = Annotated[
    str, typer.Option(help="auto, tensorrt, cuda, mps, xpu, cpu, intel-gpu or torch-cpu.")
]


def use_gpu(number: int | None) -> int | None:
    """Let this process see one NVIDIA GPU alone, by nvidia-smi's number: before CUDA is loaded."""
    if number is not None:
        os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        os.environ["CUDA_VISIBLE_DEVICES"] = str(number)
    return number


Gpu = Annotated[
    int | None,
    typer.Option(min=0, callback=use_gpu, help="Number of the NVIDIA GPU, as nvidia-smi counts."),
]
Precision = Annotated[str, typer.Option(help="auto, int8, bf16, fp16 or fp32.")]
Threads = Annotated[
    int | None,
    typer.Option(callback=within(THREADS), help=f"CPU threads of the network, {THREADS}."),
]
NetworkSize = Annotated[
    str | None,
    typer.Option(
        metavar="WxH",
        help="Size of the network's input: its pixels count, the frame's aspect is kept.",
    ),
]
Smoothing = Annotated[
    float | None,
    typer.Option(
        callback=within(SMOOTHING_S),
        help=f"Memory of still pixels in seconds, {SMOOTHING_S}; 0: off.",
    ),
]
People = Annotated[
    str, typer.Option(help="all: everybody is kept; main: the largest person alone.")
]
FullFrame = Annotated[
    bool,
    typer.Option(help="Run matting and compositing on an NVIDIA GPU, not only the network."),
]
Network = Annotated[
    str,
    typer.Option(
        help="The network: light, resnet50, or auto: what quality and this computer ask for."
    ),
]
Quality = Annotated[
    str, typer.Option(help="fast, balanced or best: how far speed gives way to quality.")
]
FrameRate = Annotated[
    float,
    typer.Option(
        callback=within(FRAMES_PER_SECOND),
        help=f"Frame rate to ask the camera for, {FRAMES_PER_SECOND}.",
    ),
]
Refine = Annotated[bool, typer.Option(help="Follow the frame's own edges.")]


def parse_size(text: str, what: str) -> tuple[int, int]:
    """ "1280x720" as (width, height).

    Raises:
        BadParameter: it is no size, or a side is out of range.
    """
    match = re.fullmatch(r"(\d{1,9})x(\d{1,9})", text.strip().lower())
    if match is None:
        raise typer.BadParameter(f"{what} {text!r} is no size; give WIDTHxHEIGHT, such as 1280x720")
    width, height = int(match[1]), int(match[2])
    if not SIDE_PX.least <= min(width, height) <= max(width, height) <= SIDE_PX.most:
        raise typer.BadParameter(f"{what} is {text}; allowed are sides of {SIDE_PX} pixels")
    return width, height


def parse_network_size(text: str) -> int:
    """Pixels of the network's input, of a size such as "384x224".

    Raises:
        BadParameter: it is no size, or it has too few or too many pixels.
    """
    from vidbg.matting.preprocess import MAX_PIXELS, MIN_PIXELS

    width, height = parse_size(text, "--network-size")
    if not MIN_PIXELS <= width * height <= MAX_PIXELS:
        raise typer.BadParameter(
            f"--network-size {text} has {width * height} pixels; allowed are "
            f"{MIN_PIXELS} (128x128) to {MAX_PIXELS} (2048x2048)"
        )
    return width * height


def matting_config(
    device: str,
    precision: str,
    network: str,
    threads: int | None,
    network_size: str | None,
    smoothing: float | None,
    refine: bool,
    people: str = "all",
    full_frame: bool = True,
    quality: str = "balanced",
) -> MattingConfig:
    from vidbg.choices import check_choice
    from vidbg.config import MattingConfig
    from vidbg.matting.backends import check_choices

    check_choices(device, precision)
    check_choice("--people", people, ("all", "main"))
    usual = MattingConfig()
    pixels = None if network_size is None else parse_network_size(network_size)
    return MattingConfig(
        device=device,
        precision=precision,
        threads=threads,
        network_pixels=pixels,
        smoothing_s=usual.smoothing_s if smoothing is None else smoothing,
        refine=refine,
        people="main" if people == "main" else "all",
        full_frame=full_frame,
        network=cast("config.Network", network),
        quality=cast("config.Quality", quality),
    )


def compositing_config(
    background: str, fit: str, offset: float, feather: float, light_wrap: float
) -> CompositingConfig:
    from vidbg.choices import check_choice
    from vidbg.compositing import CompositingConfig, parse_background

    fit = "contain" if fit == "fit" else fit  # its old name
    check_choice("--fit", fit, ("cover", "contain"))
    return CompositingConfig(
        parse_background(background),
        fit="cover" if fit == "cover" else "contain",
        offset_px=offset,
        feather_px=feather,
        light_wrap=light_wrap,
    )
