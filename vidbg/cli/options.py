"""Options that several commands share, and what they mean."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vidbg.compositing import CompositingConfig
    from vidbg.config import MattingConfig

_BACKGROUNDS = "Picture, video or GIF; blur, blur:0 to blur:100; #rrggbb, color:NAME, green"
Background = Annotated[
    str,
    typer.Option("--background", "-b", help=f"{_BACKGROUNDS}; transparent; none: the room."),
]
LiveBackground = Annotated[
    str, typer.Option("--background", "-b", help=f"{_BACKGROUNDS}; none: the room.")
]
Fit = Annotated[str, typer.Option(help="cover: fill the frame; fit: show all of the background.")]
Offset = Annotated[float, typer.Option(help="Move the person's edge, in pixels; above 0 outward.")]
Feather = Annotated[float, typer.Option(help="Soften the person's edge, in pixels.")]
LightWrap = Annotated[
    float, typer.Option(help="How much background light falls on the edge, 0 to 1.")
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
Threads = Annotated[int | None, typer.Option(help="CPU threads of the network.")]
NetworkSize = Annotated[
    str | None,
    typer.Option(
        metavar="WxH",
        help="Size of the network's input: its pixels count, the frame's aspect is kept.",
    ),
]
Smoothing = Annotated[float | None, typer.Option(help="Memory of still pixels in seconds; 0: off.")]
People = Annotated[
    str, typer.Option(help="all: everybody is kept; main: the largest person alone.")
]
WholeFrame = Annotated[
    bool,
    typer.Option(help="Let an NVIDIA GPU do all of a frame's work, not the network's alone."),
]
Refine = Annotated[bool, typer.Option(help="Follow the frame's own edges.")]


def parse_size(text: str, what: str) -> tuple[int, int]:
    """ "1280x720" as (width, height).

    Raises:
        BadParameter: it is no size.
    """
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text.strip().lower())
    if match is None:
        raise typer.BadParameter(f"{what} {text!r} is no size; give WIDTHxHEIGHT, such as 1280x720")
    return int(match[1]), int(match[2])


def matting_config(
    device: str,
    precision: str,
    threads: int | None,
    network_size: str | None,
    smoothing: float | None,
    refine: bool,
    people: str = "all",
    whole_frame: bool = True,
) -> MattingConfig:
    from vidbg.choices import check_choice
    from vidbg.config import MattingConfig
    from vidbg.matting.backends import check_choices

    check_choices(device, precision)
    check_choice("--people", people, ("all", "main"))
    usual = MattingConfig()
    pixels = usual.network_pixels
    if network_size is not None:
        width, height = parse_size(network_size, "--network-size")
        pixels = width * height
    return MattingConfig(
        device=device,
        precision=precision,
        threads=threads,
        network_pixels=pixels,
        smoothing_s=usual.smoothing_s if smoothing is None else smoothing,
        refine=refine,
        people="main" if people == "main" else "all",
        whole_frame=whole_frame,
    )


def compositing_config(
    background: str, fit: str, offset: float, feather: float, light_wrap: float
) -> CompositingConfig:
    from vidbg.choices import check_choice
    from vidbg.compositing import CompositingConfig, parse_background

    check_choice("--fit", fit, ("cover", "fit"))
    return CompositingConfig(
        parse_background(background),
        fit="cover" if fit == "cover" else "fit",
        offset_px=offset,
        feather_px=feather,
        light_wrap=light_wrap,
    )
