"""Every option of `vidbg process`, `run`, `bench` and `build`, in the order of their help.

The commands, the keys of the config file and its example, the reload during a run, the
panel's controls and the defaults and ranges of the configs are made from this table.

To add an option: write it here, add a field of that name to the config that it is for (`target`),
with the option's default, and use that field. tests/cli/test_options.py names what is missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from vidbg.option import Command, Control, Option, Target
from vidbg.util.choices import (
    Device,
    Fit,
    Interlaced,
    LogLevel,
    Network,
    People,
    PixelFormat,
    Position,
    Precision,
    Preset,
    Quality,
    RawFormat,
    Rotation,
)
from vidbg.util.field_types import check_field_types
from vidbg.util.limits import FRAMES_PER_SECOND, Limits

CAMERA_GROUP = "Camera"
OUTPUT_GROUP = "Output"
BACKGROUND_GROUP = "Background and edge"
OVERLAY_GROUP = "Overlay"
PICTURE_GROUP = "Camera picture"
PREVIEW_GROUP = "Preview and panel"
NETWORK_GROUP = "Network"
RUN_GROUP = "Run and log"
MEASUREMENT_GROUP = "Measurement"
REPORT_GROUP = "Report"
ENGINE_GROUP = "Engine"

ANY_NUMBER = float("inf")
SHARED: tuple[Command, ...] = ("process", "run")

# --- background and edge --------------------------------------------------------------------------

BACKGROUND = Option(
    name="background",
    short="-b",
    type=str,
    default="blur",
    command_defaults={"process": ..., "bench": "green"},
    help="{backgrounds}",
    group=BACKGROUND_GROUP,
    commands=("process", "run", "bench"),
    target="compositing",
    live=True,
    control=Control("Background", "Background", kind="background"),
    example="blur:60",
)
FIT = Option[Fit](
    name="fit",
    type=Fit,
    default="cover",
    aliases={"fit": "contain"},
    help="cover: fill the frame; contain: show all of the background, between bars.",
    group=BACKGROUND_GROUP,
    commands=SHARED,
    target="compositing",
    live=True,
    control=Control(
        "Background",
        "Shape",
        labels={"cover": "Fill the frame", "contain": "Show all of it, between bars"},
    ),
)
FADE = Option(
    name="fade",
    stored_as="fade_s",
    type=float,
    default=0.0,
    limits=Limits(0, 10),
    unit="s",
    help="How long one background takes to replace another, {range}.",
    group=BACKGROUND_GROUP,
    commands=SHARED,
    target="compositing",
    live=True,
    control=Control("Background", "Fade", step=0.1),
    example=0.5,
)
OFFSET = Option(
    name="offset",
    stored_as="offset_px",
    type=float,
    default=0.0,
    limits=Limits(-100, 100),
    unit="px",
    help="Move the person's edge outward, or inward below 0, {range}.",
    group=BACKGROUND_GROUP,
    commands=SHARED,
    target="compositing",
    live=True,
    control=Control("Edge", "Grow", step=0.5),
)
FEATHER = Option(
    name="feather",
    stored_as="feather_px",
    type=float,
    default=0.0,
    limits=Limits(0, 100),
    unit="px",
    help="Soften the person's edge, {range}.",
    group=BACKGROUND_GROUP,
    commands=SHARED,
    target="compositing",
    live=True,
    control=Control("Edge", "Soften", step=0.5),
)
LIGHT_WRAP = Option(
    name="light_wrap",
    type=float,
    default=0.0,
    limits=Limits(0, 1),
    help="How much of the background's light falls on the person's edge, {range}.",
    group=BACKGROUND_GROUP,
    commands=SHARED,
    target="compositing",
    live=True,
    control=Control("Edge", "Light wrap", step=0.05),
    example=0.3,
)

# --- the camera's picture -------------------------------------------------------------------------

BRIGHTNESS = Option(
    name="brightness",
    type=float,
    default=0.0,
    limits=Limits(-1, 1),
    help="Brighten or darken the camera's picture, {range}.",
    group=PICTURE_GROUP,
    commands=SHARED,
    target="picture",
    live=True,
    control=Control("Picture", "Brightness", step=0.05),
)
CONTRAST = Option(
    name="contrast",
    type=float,
    default=0.0,
    limits=Limits(-1, 1),
    help="Contrast of the camera's picture, {range}.",
    group=PICTURE_GROUP,
    commands=SHARED,
    target="picture",
    live=True,
    control=Control("Picture", "Contrast", step=0.05),
)
SATURATION = Option(
    name="saturation",
    type=float,
    default=0.0,
    limits=Limits(-1, 1),
    help="Saturation of the camera's picture, {range}; -1 is grey.",
    group=PICTURE_GROUP,
    commands=SHARED,
    target="picture",
    live=True,
    control=Control("Picture", "Saturation", step=0.05),
)
WARMTH = Option(
    name="warmth",
    type=float,
    default=0.0,
    limits=Limits(-1, 1),
    help="Make the camera's picture warmer, or colder below 0, {range}.",
    group=PICTURE_GROUP,
    commands=SHARED,
    target="picture",
    live=True,
    control=Control("Picture", "Warmth", step=0.05),
)
LOW_LIGHT = Option(
    name="low_light",
    type=bool,
    default=False,
    help="Brighten the camera's picture when it is dark, smoothly.",
    group=PICTURE_GROUP,
    commands=SHARED,
    target="picture",
    live=True,
    control=Control("Picture", "Brighten in low light"),
)

ROTATE = Option[Rotation](
    name="rotate",
    type=Rotation,
    default="0",
    help="Turn the camera's picture clockwise, by degrees.",
    group=PICTURE_GROUP,
    commands=SHARED,
    target="picture",
    live=True,
    control=Control(
        "Framing",
        "Rotate",
        labels={"0": "None", "90": "90° right", "180": "Upside down", "270": "90° left"},
    ),
)
ZOOM = Option(
    name="zoom",
    type=float,
    default=1.0,
    limits=Limits(1, 4),
    help="Show a part of the camera's picture, enlarged, {range} times.",
    group=PICTURE_GROUP,
    commands=SHARED,
    target="picture",
    live=True,
    control=Control("Framing", "Zoom", step=0.05),
)
PAN_X = Option(
    name="pan_x",
    type=float,
    default=0.0,
    limits=Limits(-1, 1),
    help="Which part --zoom shows, left to right, {range}.",
    group=PICTURE_GROUP,
    commands=SHARED,
    target="picture",
    live=True,
    control=Control("Framing", "Left or right", step=0.05),
)
PAN_Y = Option(
    name="pan_y",
    type=float,
    default=0.0,
    limits=Limits(-1, 1),
    help="Which part --zoom shows, top to bottom, {range}.",
    group=PICTURE_GROUP,
    commands=SHARED,
    target="picture",
    live=True,
    control=Control("Framing", "Up or down", step=0.05),
)
AUTO_FRAME = Option(
    name="auto_frame",
    type=bool,
    default=False,
    help="Follow head and shoulders smoothly, in place of --zoom and --pan.",
    group=PICTURE_GROUP,
    commands=SHARED,
    target="picture",
    live=True,
    control=Control("Framing", "Follow head and shoulders"),
)

# --- the overlay ----------------------------------------------------------------------------------

OVERLAY = Option[Path | None](
    name="overlay",
    type=Path | None,
    default=None,
    is_path=True,
    metavar="FILE",
    help="Picture to draw over everything: a logo, a name, a lower third; PNG with alpha, for "
    "example.",
    group=OVERLAY_GROUP,
    commands=SHARED,
    target="compositing",
    live=True,
    control=Control("Overlay", "Picture"),
    example="logo.png",
)
OVERLAY_POSITION = Option[Position](
    name="overlay_position",
    type=Position,
    default="bottom-right",
    help="Where the overlay lies.",
    group=OVERLAY_GROUP,
    commands=SHARED,
    target="compositing",
    live=True,
    control=Control("Overlay", "Position"),
)
OVERLAY_SIZE = Option(
    name="overlay_size",
    type=float,
    default=0.2,
    limits=Limits(0.01, 1),
    help="Width of the overlay as a share of the frame's, {range}.",
    group=OVERLAY_GROUP,
    commands=SHARED,
    target="compositing",
    live=True,
    control=Control("Overlay", "Size", step=0.01),
)
OVERLAY_MARGIN = Option(
    name="overlay_margin",
    type=float,
    default=0.03,
    limits=Limits(0, 0.4),
    help="Distance of the overlay from the frame's edges, as a share of the shorter side, {range}.",
    group=OVERLAY_GROUP,
    commands=SHARED,
    target="compositing",
    live=True,
    control=Control("Overlay", "Margin", step=0.01),
)

# --- the network ----------------------------------------------------------------------------------

DEVICE = Option[Device](
    name="device",
    type=Device,
    default="auto",
    help="What the network runs on.",
    group=NETWORK_GROUP,
    commands=SHARED,
    target="matting",
    live=True,
    control=Control("Quality", "Runs on", labels={"auto": "Whatever is fastest"}),
)
GPU = Option[int | None](
    name="gpu",
    type=int | None,
    default=None,
    limits=Limits(0, ANY_NUMBER),
    help="Use only this NVIDIA GPU, numbered as nvidia-smi does.",
    group=NETWORK_GROUP,
    commands=(*SHARED, "bench", "build"),
    target="command",
    example=0,
)
PRECISION = Option[Precision](
    name="precision",
    type=Precision,
    default="auto",
    help="Number format of the network.",
    group=NETWORK_GROUP,
    commands=SHARED,
    target="matting",
    live=True,
    control=Control("Quality", "Number format", labels={"auto": "Whatever is fastest"}),
)
THREADS = Option[int | None](
    name="threads",
    type=int | None,
    default=None,
    limits=Limits(1, 1024),
    help="CPU threads of the network, {range}. Default: one per physical core.",
    group=NETWORK_GROUP,
    commands=(*SHARED, "bench"),
    target="matting",
    live=True,
    control=Control("Quality", "CPU threads"),
    example=4,
)
NETWORK = Option[Network](
    name="network",
    type=Network,
    default="auto",
    help="Which network; auto: by --quality and what this computer can do.",
    group=NETWORK_GROUP,
    commands=SHARED,
    target="matting",
    live=True,
    control=Control(
        "Quality",
        "Network",
        labels={"auto": "Whichever suits", "resnet50": "ResNet-50", "light": "Light"},
    ),
)
QUALITY = Option[Quality](
    name="quality",
    type=Quality,
    default="balanced",
    help="Trade quality for speed.",
    group=NETWORK_GROUP,
    commands=SHARED,
    target="matting",
    live=True,
    control=Control(
        "Quality",
        "Quality",
        labels={"fast": "Fast", "balanced": "Balanced", "best": "Best"},
    ),
)
NETWORK_SIZE = Option[str | None](
    name="network_size",
    stored_as="network_pixels",
    type=str | None,
    default=None,
    command_defaults={"bench": "384x224"},  # so that every network is measured at the same size
    metavar="WxH",
    help="Size of the network's input; only its number of pixels counts, and small frames are not "
    "enlarged to more than 86016. Default: by --quality.",
    group=NETWORK_GROUP,
    commands=(*SHARED, "bench", "build"),
    target="matting",
    live=True,
    control=Control("Quality", "Size of the network's input"),
    example="384x224",
)
SMOOTHING = Option(
    name="smoothing",
    stored_as="smoothing_s",
    type=float,
    default=0.15,
    limits=Limits(0, 10),
    unit="s",
    help="Temporal smoothing time constant, {range}; 0 disables it.",
    group=NETWORK_GROUP,
    commands=SHARED,
    target="matting",
    live=True,
    control=Control("Person", "Smoothing", step=0.05),
)
REFINE = Option(
    name="refine",
    type=bool,
    default=True,
    help="Align the matte with the edges in the frame.",
    group=NETWORK_GROUP,
    commands=SHARED,
    target="matting",
    live=True,
    control=Control("Person", "Follow the edges in the picture"),
)
PEOPLE = Option[People](
    name="people",
    type=People,
    default="all",
    help="Keep everybody, or only the largest person.",
    group=NETWORK_GROUP,
    commands=SHARED,
    target="matting",
    live=True,
    control=Control(
        "Person",
        "People",
        labels={"all": "Everybody", "main": "Only the largest person"},
    ),
)
FULL_FRAME = Option(
    name="full_frame",
    type=bool,
    default=True,
    help="On an NVIDIA GPU, do all of the work there, not only the network's.",
    group=NETWORK_GROUP,
    commands=(*SHARED, "bench"),
    target="matting",
    live=True,
    control=Control("Quality", "All work on the GPU"),
)

# --- vidbg process --------------------------------------------------------------------------------

INTERLACED = Option[Interlaced](
    name="interlaced",
    type=Interlaced,
    default="deinterlace",
    help="Deinterlace interlaced video, or keep it as it is.",
    group=OUTPUT_GROUP,
    commands=("process",),
    target="output",
)
PROCESS_ONLY: tuple[Option[Any], ...] = (
    Option[str | None](
        name="output",
        short="-o",
        type=str | None,
        default=None,
        help="File, folder, frame%05d.png for one image per frame, or - for raw video on "
        "standard output. Default: beside INPUT.",
        group=OUTPUT_GROUP,
        commands=("process",),
        target="command",
    ),
    Option[Path | None](
        name="alpha_video",
        type=Path | None,
        default=None,
        help="Also write the matte, as a grey video.",
        group=OUTPUT_GROUP,
        commands=("process",),
        target="output",
    ),
    Option(
        name="yes",
        short="-y",
        type=bool,
        default=False,
        switch=True,
        help="Replace files that exist.",
        group=OUTPUT_GROUP,
        commands=("process",),
        target="command",
    ),
    Option(
        name="no",
        short="-n",
        type=bool,
        default=False,
        switch=True,
        help="Keep files that exist, without asking.",
        group=OUTPUT_GROUP,
        commands=("process",),
        target="command",
    ),
    Option[int | None](
        name="crf",
        type=int | None,
        default=None,
        help="Constant quality from 0 (best) to 51 (.webm: 63). Default: 18 (.webm: 24).",
        group=OUTPUT_GROUP,
        commands=("process",),
        target="encoding",
    ),
    Option[Preset | None](
        name="preset",
        type=Preset | None,
        default=None,
        help="Speed of the H.264 encoder. Default: veryfast.",
        group=OUTPUT_GROUP,
        commands=("process",),
        target="encoding",
    ),
    INTERLACED,
    Option(
        name="quiet",
        short="-q",
        type=bool,
        default=False,
        switch=True,
        help="Show no progress bar.",
        group=OUTPUT_GROUP,
        commands=("process",),
        target="command",
    ),
)

# --- vidbg run ------------------------------------------------------------------------------------

CAMERA = Option(
    name="camera",
    short="-c",
    type=str,
    default="0",
    help="Number, path, name or a part of the name; a video or image, played in a loop; the URL "
    "of a stream (rtsp://HOST/PATH, http://HOST/video); sample, a portrait to try it with; or "
    "synthetic, a drawn person.",
    group=CAMERA_GROUP,
    commands=("run",),
    target="live",
    live=True,
    control=Control("Camera", "Camera", kind="camera"),
)
CAMERA_SIZE = Option(
    name="size",
    type=str,
    default="1280x720",
    metavar="WxH",
    help="Size to ask the camera for.",
    group=CAMERA_GROUP,
    commands=("run",),
    target="live",
    live=True,
    control=Control("Camera", "Size"),
)
CAMERA_FPS = Option(
    name="fps",
    type=float,
    default=30.0,
    limits=FRAMES_PER_SECOND,
    help="Frame rate to ask the camera for, {range}.",
    group=CAMERA_GROUP,
    commands=("run",),
    target="live",
    live=True,
    control=Control("Camera", "Frame rate"),
)
PIXEL_FORMAT = Option[PixelFormat](
    name="pixel_format",
    flag="format",
    type=PixelFormat,
    default="auto",
    help="Pixel format to ask the camera for.",
    group=CAMERA_GROUP,
    commands=("run",),
    target="live",
    live=True,
    control=Control("Camera", "Pixel format", labels={"auto": "Whatever is best"}),
)
MIRROR = Option(
    name="mirror",
    type=bool,
    default=False,
    help="Mirror the camera for everybody.",
    group=CAMERA_GROUP,
    commands=("run",),
    target="live",
    live=True,
    control=Control("Picture", "Mirror for everybody"),
)
ON_DEMAND = Option(
    name="ondemand",
    stored_as="on_demand",
    type=bool,
    default=True,
    help="Close the camera while nobody watches, where the output can tell.",
    group=CAMERA_GROUP,
    commands=("run",),
    target="live",
    live=True,
    control=Control("Camera", "Off while nobody watches"),
)
OUTPUT = Option[list[str] | None](
    name="output",
    short="-o",
    type=list[str] | None,
    default=None,
    help="{outputs} Repeat it for several.",
    group=OUTPUT_GROUP,
    commands=("run",),
    target="live",
    live=True,
    control=Control("Output", "Outputs", kind="output"),
    example="web:8090",
)
PIPE_FORMAT = Option[RawFormat | None](
    name="pipe_format",
    type=RawFormat | None,
    default=None,
    help="Format of --output -. Default: y4m.",
    group=OUTPUT_GROUP,
    commands=("run",),
    target="live",
    example="y4m",
)
SHOW = Option(
    name="show",
    type=bool,
    default=False,
    switch=True,
    help="Open a preview window; press ? in it for its keys.",
    group=PREVIEW_GROUP,
    commands=("run",),
    target="live",
)
PANEL = Option[int | None](
    name="panel",
    type=int | None,
    default=None,
    limits=Limits(0, 65535),
    metavar="PORT",
    help="Serve a page to this machine's browsers that shows the output and controls how it looks; "
    "the port cannot change during a run.",
    group=PREVIEW_GROUP,
    commands=("run",),
    target="live",
    example=8091,
)
HOST = Option[str | None](
    name="host",
    type=str | None,
    default=None,
    metavar="ADDRESS",
    help="Serve the panel's page at this address of this computer too, for other devices; takes a "
    "certificate.",
    group=PREVIEW_GROUP,
    commands=("run",),
    target="live",
    example="192.168.1.20",
)
TLS_CERT = Option[Path | None](
    name="tls_cert",
    type=Path | None,
    default=None,
    is_path=True,
    help="Certificate for --host, a PEM file.",
    group=PREVIEW_GROUP,
    commands=("run",),
    target="live",
    example="vidbg.pem",
)
TLS_KEY = Option[Path | None](
    name="tls_key",
    type=Path | None,
    default=None,
    is_path=True,
    help="Its private key, if that is in another file.",
    group=PREVIEW_GROUP,
    commands=("run",),
    target="live",
    example="vidbg-key.pem",
)
OUTPUT_SIZE = Option[str | None](
    name="output_size",
    type=str | None,
    default=None,
    metavar="WxH",
    help="Size of the outputs. Default: the camera's.",
    group=OUTPUT_GROUP,
    commands=("run",),
    target="live",
    live=True,
    control=Control("Output", "Size"),
    example="1920x1080",
)
OUTPUT_FPS = Option[float | None](
    name="output_fps",
    type=float | None,
    default=None,
    limits=FRAMES_PER_SECOND,
    help="Frame rate of the outputs, {range}. Default: the camera's.",
    group=OUTPUT_GROUP,
    commands=("run",),
    target="live",
    live=True,
    control=Control("Output", "Frames per second"),
    example=25.0,
)
AWAY_TEXT = Option(
    name="away_text",
    type=str,
    default="Be right back",
    help="Text on the card that viewers see while you are away.",
    group=OUTPUT_GROUP,
    commands=("run",),
    target="live",
    live=True,
    control=Control("Away", "Text"),
    example="Back at 2",
)
AWAY_IMAGE = Option[Path | None](
    name="away_image",
    type=Path | None,
    default=None,
    is_path=True,
    help="Image or video behind that text. Default: a plain background with a cup.",
    group=OUTPUT_GROUP,
    commands=("run",),
    target="live",
    live=True,
    control=Control("Away", "Image"),
    example="away.jpg",
)
BACKGROUNDS = Option[Path | None](
    name="backgrounds",
    type=Path | None,
    default=None,
    is_path=True,
    help="Folder of images and videos to choose from in the window and on the page.",
    group=PREVIEW_GROUP,
    commands=("run",),
    target="live",
    example="backgrounds",
)
ADAPT = Option(
    name="adapt",
    type=bool,
    default=True,
    help="Lower the network's input size or rate when the machine is too slow.",
    group=NETWORK_GROUP,
    commands=("run",),
    target="live",
    live=True,
    control=Control("Quality", "Adapt when the computer is busy"),
)
CPU_LIMIT = Option[float | None](
    name="cpu_limit",
    stored_as="cpu_limit_percent",
    type=float | None,
    default=None,
    limits=Limits(5, 100),
    unit="%",
    help="Stay below this share of the computer's CPU time, {range}, by smaller networks, then by "
    "running the network on every second or third frame. Default: 50, with --quality best 100.",
    group=NETWORK_GROUP,
    commands=("run",),
    target="live",
    live=True,
    control=Control("Quality", "Processor limit"),
    example=30,
)
FRAMES = Option[int | None](
    name="frames",
    type=int | None,
    default=None,
    limits=Limits(1, ANY_NUMBER),
    help="End after this many composited frames.",
    group=RUN_GROUP,
    commands=("run",),
    target="live",
    example=1000,
)
LOG_FILE = Option[Path | None](
    name="log_file",
    type=Path | None,
    default=None,
    is_path=True,
    help="Write a log of up to 1 MB, and keep the four before it.",
    group=RUN_GROUP,
    commands=("run",),
    target="command",
    example="vidbg.log",
)
LOG_LEVEL = Option[LogLevel](
    name="log_level",
    type=LogLevel,
    default="info",
    help="Least important messages that the log file takes.",
    group=RUN_GROUP,
    commands=("run",),
    target="command",
)

# --- vidbg bench ----------------------------------------------------------------------------------

LIVE_FPS = Option[float | None](
    name="live_fps",
    type=float | None,
    default=None,
    limits=FRAMES_PER_SECOND,
    help="Run live at this rate, {range}, as `vidbg run` does, and count dropped frames.",
    group=MEASUREMENT_GROUP,
    commands=("bench",),
    target="benchmark",
)
BENCH_ONLY: tuple[Option[Any], ...] = (
    Option[list[str] | None](
        name="engine",
        type=list[str] | None,
        default=None,
        help="DEVICE, DEVICE:PRECISION or DEVICE:PRECISION:NETWORK; repeat for several. "
        "Default: auto.",
        group=MEASUREMENT_GROUP,
        commands=("bench",),
        target="command",
    ),
    Option(
        name="compare",
        type=bool,
        default=False,
        switch=True,
        help="Measure every device and precision that works here.",
        group=MEASUREMENT_GROUP,
        commands=("bench",),
        target="command",
    ),
    Option(
        name="size",
        type=str,
        default="1280x720",
        metavar="WxH",
        help="Size of the synthetic frames.",
        group=MEASUREMENT_GROUP,
        commands=("bench",),
        target="command",
    ),
    Option(
        name="frames",
        type=int,
        default=200,
        limits=Limits(2, ANY_NUMBER),
        help="Frames to measure.",
        group=MEASUREMENT_GROUP,
        commands=("bench",),
        target="benchmark",
    ),
    Option(
        name="warm_up",
        type=int,
        default=10,
        limits=Limits(1, ANY_NUMBER),
        help="Frames to run before the measurement.",
        group=MEASUREMENT_GROUP,
        commands=("bench",),
        target="benchmark",
    ),
    LIVE_FPS,
    Option(
        name="still",
        type=bool,
        default=False,
        switch=True,
        help="The synthetic person does not move.",
        group=MEASUREMENT_GROUP,
        commands=("bench",),
        target="benchmark",
    ),
    Option(
        name="y4m",
        type=bool,
        default=False,
        switch=True,
        help="Also convert the results as for a pipe, and discard them.",
        group=MEASUREMENT_GROUP,
        commands=("bench",),
        target="benchmark",
    ),
    Option[Path | None](
        name="plot",
        type=Path | None,
        default=None,
        metavar="PNG",
        help="Draw latencies and stages.",
        group=REPORT_GROUP,
        commands=("bench",),
        target="command",
    ),
    Option[Path | None](
        name="against",
        type=Path | None,
        default=None,
        metavar="JSON",
        help="Compare with an earlier record of --json.",
        group=REPORT_GROUP,
        commands=("bench",),
        target="command",
    ),
    Option(
        name="json_only",
        flag="json",
        type=bool,
        default=False,
        switch=True,
        help="Print only the JSON line (docs/bench-json.md).",
        group=REPORT_GROUP,
        commands=("bench",),
        target="command",
    ),
)

# --- vidbg build ----------------------------------------------------------------------------------

BUILD_ONLY: tuple[Option[Any], ...] = (
    Option(
        name="size",
        type=str,
        default="1280x720",
        metavar="WxH",
        help="Size of the frames.",
        group=ENGINE_GROUP,
        commands=("build",),
        target="command",
    ),
    Option[Literal["network", "frame"]](
        name="graph",
        type=Literal["network", "frame"],
        default="network",
        help="Only the network, or everything that is done with a frame.",
        group=ENGINE_GROUP,
        commands=("build",),
        target="command",
    ),
    Option[Literal["resnet50", "light"]](
        name="network",
        type=Literal["resnet50", "light"],
        default="resnet50",
        help="Which network.",
        group=ENGINE_GROUP,
        commands=("build",),
        target="command",
    ),
    Option[Literal["fp16", "int8"]](
        name="precision",
        type=Literal["fp16", "int8"],
        default="fp16",
        help="Number format of the convolutions.",
        group=ENGINE_GROUP,
        commands=("build",),
        target="command",
    ),
    Option[str | None](
        name="target",
        type=str | None,
        default=None,
        help="Build for another machine's GPU: ampere+ or sm75 (needs tensorrt_rtx).",
        group=ENGINE_GROUP,
        commands=("build",),
        target="command",
    ),
    Option[Path | None](
        name="out",
        type=Path | None,
        default=None,
        help="File of the engine. Default: in VIDBG_CACHE or the user's cache.",
        group=ENGINE_GROUP,
        commands=("build",),
        target="command",
    ),
)

OPTIONS: tuple[Option[Any], ...] = (
    BACKGROUND,
    CAMERA,
    OUTPUT,
    *PROCESS_ONLY,
    *BENCH_ONLY,
    *BUILD_ONLY,
    PIPE_FORMAT,
    CAMERA_SIZE,
    CAMERA_FPS,
    PIXEL_FORMAT,
    MIRROR,
    ON_DEMAND,
    OUTPUT_SIZE,
    OUTPUT_FPS,
    AWAY_TEXT,
    AWAY_IMAGE,
    SHOW,
    PANEL,
    HOST,
    TLS_CERT,
    TLS_KEY,
    BACKGROUNDS,
    FIT,
    FADE,
    OFFSET,
    FEATHER,
    LIGHT_WRAP,
    BRIGHTNESS,
    CONTRAST,
    SATURATION,
    WARMTH,
    LOW_LIGHT,
    ROTATE,
    ZOOM,
    PAN_X,
    PAN_Y,
    AUTO_FRAME,
    OVERLAY,
    OVERLAY_POSITION,
    OVERLAY_SIZE,
    OVERLAY_MARGIN,
    DEVICE,
    GPU,
    PRECISION,
    NETWORK,
    QUALITY,
    NETWORK_SIZE,
    THREADS,
    SMOOTHING,
    REFINE,
    PEOPLE,
    FULL_FRAME,
    ADAPT,
    CPU_LIMIT,
    FRAMES,
    LOG_FILE,
    LOG_LEVEL,
)


def options_of(command: Command) -> list[Option[Any]]:
    """Return the options of a command, in the order of its help."""
    return [option for option in OPTIONS if command in option.commands]


def options_for(target: Target) -> list[Option[Any]]:
    """Return the options whose values a config takes."""
    return [option for option in OPTIONS if option.target == target]


def check_config(config: object, target: Target) -> None:
    """Check a config's fields against their types and the ranges and choices of their options.

    A frozen dataclass calls this from `__post_init__`. A choice given by an alias is replaced.

    Raises:
        ConfigError: a value is of another type, out of range or no choice; the message says what
            is allowed.
    """
    check_field_types(config)
    for option in options_for(target):
        name = option.config_field
        value = getattr(config, name)
        checked = option.checked(value, name)
        if checked is not value:
            object.__setattr__(config, name, checked)


LIVE_OPTIONS = tuple(option for option in OPTIONS if option.live)
"""What may change while `vidbg run` goes on."""

SHARED_OPTIONS = tuple(o for o in OPTIONS if {"process", "run"} <= set(o.commands))
"""What `vidbg process`, too, takes from the config file and the environment."""
