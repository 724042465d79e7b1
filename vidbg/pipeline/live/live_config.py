"""Configuration of a live run."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidbg.compositing import BackgroundSpec, CompositingConfig
from vidbg.compositing.compositor import as_compositing
from vidbg.config import MattingConfig
from vidbg.errors import ConfigError
from vidbg.frame import StreamInfo
from vidbg.option_table import (
    ADAPT,
    AWAY_IMAGE,
    AWAY_TEXT,
    BACKGROUND,
    BACKGROUNDS,
    CAMERA,
    CAMERA_FPS,
    CAMERA_SIZE,
    CPU_LIMIT,
    FRAMES,
    HOST,
    MIRROR,
    ON_DEMAND,
    OUTPUT_FPS,
    PANEL,
    PIPE_FORMAT,
    PIXEL_FORMAT,
    SHOW,
    TLS_CERT,
    TLS_KEY,
    check_config,
)
from vidbg.picture.picture_config import PictureConfig
from vidbg.pipeline.live.appearance import Appearance
from vidbg.pipeline.live.outputs.live_outputs import check_live
from vidbg.pipeline.media_files import media_in, visible_in
from vidbg.sinks import NO_OUTPUT, PIPE
from vidbg.sinks.web.outside_address import OutsideAddress
from vidbg.util.choices import PixelFormat, RawFormat
from vidbg.util.limits import check_size, parse_size
from vidbg.util.paths import StrPath, is_file

USUAL_CPU_SHARE = 0.5
"""A call's other programs, the video encoder above all, need the other half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveConfig:
    """A camera, an output, and how the output looks.

    Attributes:
        background: a value of `vidbg run -b`, the path of a file, or a complete
            CompositingConfig; must not be transparent.
        mirror: mirror the camera's frames (not the background).
        picture: how the camera's own picture is adjusted.
        matting: device, precision, network and smoothing.
        camera: number, path, name or a part of the name; the path of a video or image, played in a
            loop; the URL of a stream; "sample" or "synthetic".
        size: (width, height) to ask the camera for, in pixels, each from 16 to 8192.
        fps: frame rate to ask the camera for, 0.1 to 240.
        pixel_format: to ask the camera for.
        on_demand: close the camera while there are no viewers, if the output reports them.
        output: a value of `vidbg run -o`, or several; None for the first free virtual camera,
            "none" for a preview only.
        output_size: (width, height) of the outputs, in pixels, made even; None for the camera's.
            The camera's frames are fitted, between bars where the shape differs. May change, as may
            the rate, unless an output is "-".
        output_fps: frame rate of the outputs, 0.1 to 240; None for the camera's.
        away_text: on the card that viewers see while the user is away; "" for none.
        away_image: image or video behind that text; None for a plain ground.
        pipe_format: for the output "-" only; None for y4m.
        show: open a preview window.
        panel: port of the panel's page on this machine, 0 for any that is free; None for no panel.
        host: an address of this machine at which other devices reach the page too; None for none.
        tls_cert, tls_key: PEM files of the certificate for it; no key if both are in one file.
        backgrounds: folder of images and videos to choose from in window and panel (text is
            converted).
        adapt: lower the network's input size or rate when the machine is too slow.
        config_file: the configuration file whose profiles page and API show and keep; None for no
            profiles.
        cpu_limit_percent: of the computer's CPU time, 5 to 100, what the run may use; needs
            `adapt`. None: 50, and with the quality "best" 100.
        frames: end after this many composited frames; None for no limit.

    Raises:
        ConfigError: a value is out of range, or two values conflict.
    """

    background: StrPath | BackgroundSpec | CompositingConfig = BACKGROUND.default
    mirror: bool = MIRROR.default
    picture: PictureConfig = field(default_factory=PictureConfig)
    matting: MattingConfig = field(default_factory=MattingConfig)
    camera: str = CAMERA.default
    size: tuple[int, int] = parse_size("size", CAMERA_SIZE.default)
    fps: float = CAMERA_FPS.default
    pixel_format: PixelFormat = PIXEL_FORMAT.default
    on_demand: bool = ON_DEMAND.default
    output: str | tuple[str, ...] | None = None
    output_size: tuple[int, int] | None = None
    output_fps: float | None = OUTPUT_FPS.default
    away_text: str = AWAY_TEXT.default
    away_image: Path | None = AWAY_IMAGE.default
    pipe_format: RawFormat | None = PIPE_FORMAT.default
    show: bool = SHOW.default
    panel: int | None = PANEL.default
    host: str | None = HOST.default
    tls_cert: Path | None = TLS_CERT.default
    tls_key: Path | None = TLS_KEY.default
    backgrounds: Path | None = BACKGROUNDS.default
    adapt: bool = ADAPT.default
    cpu_limit_percent: float | None = CPU_LIMIT.default
    frames: int | None = FRAMES.default
    config_file: Path | None = None

    def __post_init__(self) -> None:
        # Forms that a field is taken in, besides its own
        camera: object = self.camera
        if isinstance(camera, int | os.PathLike) and not isinstance(camera, bool):
            object.__setattr__(self, "camera", str(camera))
        check_config(self, "live")
        if not isinstance(self.output, str | None):
            outputs = tuple(dict.fromkeys(self.output))  # one of each, in the order given
            if not outputs:
                raise ConfigError(
                    f'there is no output; give one, or "{NO_OUTPUT}" for a preview only'
                )
            object.__setattr__(self, "output", outputs if len(outputs) > 1 else outputs[0])
        for name in ("away_image", "backgrounds"):
            path = getattr(self, name)
            object.__setattr__(self, name, None if path is None else Path(path))
        self._check_values()

    def _check_values(self) -> None:
        """Refuse values that are out of range, that are not there, or that do not go together."""
        _ = self.outside  # which checks it
        check_size("size", *self.size)
        if self.output_size is not None:
            check_size("output_size", *self.output_size)
        check_live(as_compositing(self.background))
        if self.pipe_format is not None and PIPE not in self.outputs:
            raise ConfigError(
                f"pipe format {self.pipe_format!r} is only for raw video on standard output: add "
                f"--output {PIPE}"
            )
        if self.cpu_limit_percent is not None and not self.adapt:
            raise ConfigError(
                f"a CPU limit of {self.cpu_limit_percent:g} % is kept by adapting the network, "
                "which is switched off: switch that on, or limit the threads instead"
            )
        if self.away_image is not None and not is_file(self.away_image):
            raise ConfigError(
                f"away-image {str(self.away_image)!r} is not a file; give an image or a video"
            )
        if self.backgrounds is not None and not self.backgrounds.is_dir():
            raise ConfigError(
                f"backgrounds {str(self.backgrounds)!r} is not a folder; give a folder of "
                "images and videos"
            )

    @property
    def look(self) -> Appearance:
        """The part that may change during the run."""
        return Appearance(as_compositing(self.background), self.mirror, self.picture)

    @property
    def asked(self) -> StreamInfo:
        """The mode to request from the camera. Its sides are even because outputs are 4:2:0."""
        width, height = self.size
        rate = Fraction(self.fps).limit_denominator(1001)
        return StreamInfo(width - width % 2, height - height % 2, frame_rate=rate, live=True)

    def output_info(self, camera: StreamInfo) -> StreamInfo:
        """Return size and rate of the outputs.

        Args:
            camera: what the camera granted.
        """
        info = camera
        if self.output_size is not None:
            width, height = self.output_size
            info = replace(info, width=width - width % 2, height=height - height % 2)
        if self.output_fps is not None:
            rate = Fraction(self.output_fps).limit_denominator(1001)
            info = replace(info, frame_rate=rate)
        return info

    @property
    def outputs(self) -> tuple[str | None, ...]:
        """Every output; at least one."""
        return (self.output,) if isinstance(self.output, str | None) else self.output

    @property
    def cpu_share(self) -> float:
        """The share of the computer's CPU time that the run may use, 0 to 1."""
        if self.cpu_limit_percent is not None:
            return self.cpu_limit_percent / 100
        return 1.0 if self.matting.quality == "best" else USUAL_CPU_SHARE

    @property
    def camera_settings(self) -> dict[str, Any]:
        """The values of CAMERA_FIELDS."""
        return {name: getattr(self, name) for name in CAMERA_FIELDS}

    @property
    def outside(self) -> OutsideAddress | None:
        """Where other devices reach the page."""
        if self.host is None:
            if self.tls_cert is not None or self.tls_key is not None:
                raise ConfigError(
                    "--tls-cert and --tls-key are for --host: add the address that other devices "
                    "use, such as --host 192.168.1.20, or leave them out"
                )
            return None
        return OutsideAddress(self.host, self.tls_cert, self.tls_key)

    @property
    def has_preview(self) -> bool:
        return self.show or self.panel is not None

    @property
    def is_preview_only(self) -> bool:
        return all(output == NO_OUTPUT for output in self.outputs)

    def background_files(self) -> list[Path]:
        """List the images and videos in the folder of backgrounds, by name.

        Raises:
            SourceError: the folder cannot be listed, or contains none.
        """
        folder = self.backgrounds
        return [] if folder is None else media_in(visible_in(folder), str(folder))


CAMERA_FIELDS = frozenset({"camera", "size", "fps", "pixel_format"})
"""Fields whose change reopens the camera."""

NETWORK_FIELDS = frozenset({"matting", "adapt", "cpu_limit_percent", "output_size", "output_fps"})
"""Fields that the network depends on."""

CHANGEABLE_FIELDS = (
    CAMERA_FIELDS
    | NETWORK_FIELDS
    | {
        "background",
        "mirror",
        "picture",
        "on_demand",
        "output",
        "away_text",
        "away_image",
    }
)
"""Fields that LiveRun.change applies during a run."""


def changed_fields(before: LiveConfig, after: LiveConfig) -> set[str]:
    """Return the names of the fields in which two configs differ."""
    names = {each.name for each in fields(LiveConfig)}
    changed = {name for name in names if getattr(before, name) != getattr(after, name)}
    if as_compositing(before.background) == as_compositing(after.background):
        changed.discard("background")
    return changed


def with_look(config: LiveConfig, look: Appearance) -> LiveConfig:
    """Return a config with another look."""
    if config.look == look:
        return config
    return replace(config, background=look.compositing, mirror=look.mirror, picture=look.picture)
