"""The file format of an output name, and its encoder settings."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from vidbg.errors import ConfigError
from vidbg.option_table import check_config
from vidbg.util.choices import Preset
from vidbg.util.paths import is_folder

PICTURE_SUFFIXES = (".jpeg", ".jpg", ".png", ".webp")
"""Suffixes of the pictures that ImagesSink writes, in lower case."""

CONTAINERS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
}
"""FFmpeg's name of the container for each suffix that VideoFileSink writes."""


class OutputKind(Enum):
    """The kind of file that is written; the value names it in messages."""

    H264 = "H.264 video"
    VP9 = "VP9 video"
    PRORES_4444 = "ProRes 4444 video"
    PICTURES = "pictures"


def output_kind(path: str | Path, *, alpha: bool = False) -> OutputKind:
    """Return the kind of an output name: a video by its suffix; images for a folder or image name.

    Args:
        path: `name.mp4`, `.mov`, `.mkv`, `.m4v` or `.webm`; `name.png`, `.jpg` or `.webp`, with
            a number such as %05d for a sequence; a folder.
        alpha: transparency is wanted: ProRes 4444 in .mov, VP9 in .webm, .png or .webp pictures.
    Raises:
        ConfigError: the suffix is unknown, or cannot hold transparency.
    """
    suffix = Path(path).suffix.lower()
    folder = not suffix or str(path).endswith((os.sep, "/")) or is_folder(path)
    if suffix in PICTURE_SUFFIXES or folder:
        if alpha and suffix in (".jpg", ".jpeg"):
            raise ConfigError(f"{path}: JPEG cannot store transparency; allowed are .png and .webp")
        return OutputKind.PICTURES
    if suffix not in CONTAINERS:
        raise ConfigError(
            f"{path}: unknown suffix {suffix!r}; allowed are "
            f"{', '.join((*CONTAINERS, *PICTURE_SUFFIXES))}, or a folder for pictures"
        )
    if suffix == ".webm":
        return OutputKind.VP9
    if not alpha:
        return OutputKind.H264
    if suffix == ".mov":
        return OutputKind.PRORES_4444
    raise ConfigError(
        f"{path}: {suffix} with H.264 cannot store transparency; allowed are .mov (ProRes 4444), "
        ".webm (VP9) and .png pictures, or write the mask to a separate video"
    )


@dataclass(frozen=True, slots=True)
class Encoding:
    """The quality and speed of the video encoder.

    Attributes:
        crf: constant quality, lower is better: 0-51 for H.264 (None: 18, hard to tell from the
            input), 0-63 for VP9 (None: 24). ProRes 4444 has none.
        preset: x264's speed, "ultrafast" to "veryslow"; None is "veryfast". H.264 only.
        threads: of the encoder; 0 lets it choose by the number of cores.
    """

    crf: int | None = None
    preset: Preset | None = None
    threads: int = 0

    def __post_init__(self) -> None:
        check_config(self, "encoding")


@dataclass(frozen=True, slots=True)
class Codec:
    """FFmpeg's names for an encoder and its options; its threads, 0 for its own choice."""

    name: str
    options: dict[str, str]
    threads: int


def codec_for(kind: OutputKind, encoding: Encoding) -> Codec:
    """Return the encoder for a kind of video.

    Raises:
        ConfigError: a setting is out of range, or one that this encoder does not have.
    """
    if encoding.threads < 0:
        raise ConfigError(f"threads = {encoding.threads}; allowed are 0 (automatic), 1, 2 ...")
    if encoding.preset is not None and kind is not OutputKind.H264:
        raise ConfigError(f"preset {encoding.preset!r} for {kind.value}; only H.264 has presets")
    if kind is OutputKind.H264:
        crf = _crf(encoding, kind, default=18, highest=51)
        return Codec(
            "libx264", {"crf": crf, "preset": encoding.preset or "veryfast"}, encoding.threads
        )
    if kind is OutputKind.VP9:
        crf = _crf(encoding, kind, default=24, highest=63)
        speed = {"deadline": "good", "cpu-used": "5", "row-mt": "1", "auto-alt-ref": "0"}
        return Codec("libvpx-vp9", {"crf": crf, **speed}, encoding.threads)
    _crf(encoding, kind, default=0, highest=-1)
    return Codec("prores_ks", {"profile": "4444", "vendor": "apl0"}, encoding.threads)


def _crf(encoding: Encoding, kind: OutputKind, *, default: int, highest: int) -> str:
    if encoding.crf is not None and not 0 <= encoding.crf <= highest:
        allowed = f"allowed are 0 (best) to {highest}" if highest >= 0 else "it has no crf"
        raise ConfigError(f"crf = {encoding.crf} for {kind.value}; {allowed}")
    return str(default if encoding.crf is None else encoding.crf)
