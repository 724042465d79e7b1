"""A sink for image files: one file, a numbered sequence, or one file for each input image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from vidbg.errors import ConfigError, SinkError
from vidbg.frame import Frame
from vidbg.sinks.encoding.formats import PICTURE_SUFFIXES, OutputKind, output_kind
from vidbg.sinks.files.partial_file import PartialFile
from vidbg.sinks.watching import Unwatched
from vidbg.util.lifecycle import Abortable

_LONGEST_SIDE_PX = {".jpeg": 65_500, ".jpg": 65_500, ".webp": 16_383}
"""The longest side that libjpeg and libwebp can write."""
_NUMBER = re.compile(r"(%%|%[0-9]*[diu])")


class ImagesSink(Unwatched, Abortable):
    """A sink that writes each frame as an image file, which gets its name once it is complete.

    abort() keeps the images that are complete; there is never a partial one. If overwriting is
    allowed, closing a numbered sequence removes higher numbers left by an older, longer run.

    Args:
        target: a picture's name, for one frame; a name with a number in it such as
            `person%05d.png`, which counts by `Frame.index`; or a folder, which is created if it is
            missing.
        names: for a folder, the pictures' names by `Frame.index`, without suffix; None numbers
            them 00000, 00001 ...
        suffix: for a folder, the pictures' suffix: .png, .jpg or .webp.
        alpha: keep transparency (.png, .webp); frames without alpha become opaque.
        quality: 1 to 100, for .jpg and .webp; .png and .webp with alpha are lossless.
        overwrite: replace existing images.
    Raises:
        ConfigError: not an image suffix, or one without transparency although alpha is requested.
        SinkError: a picture exists, cannot be written, or is larger than its format can be; a
            second frame for a single picture.
    """

    def __init__(
        self,
        target: str | Path,
        *,
        names: Sequence[str] | None = None,
        suffix: str = ".png",
        alpha: bool = False,
        quality: int = 95,
        overwrite: bool = False,
    ) -> None:
        if output_kind(target, alpha=alpha) is not OutputKind.PICTURES:
            raise ConfigError(
                f"{target} is not an image file; allowed are {', '.join(PICTURE_SUFFIXES)}"
            )
        if suffix.lower() not in PICTURE_SUFFIXES:
            raise ConfigError(f"suffix {suffix!r}; allowed are {', '.join(PICTURE_SUFFIXES)}")
        output_kind(f"picture{suffix}", alpha=alpha)
        if not 1 <= quality <= 100:
            raise ConfigError(f"quality = {quality}; allowed are 1 to 100")
        self._target = Path(target)
        _check_number(self._target.name)
        self._folder = self._target.suffix.lower() not in PICTURE_SUFFIXES
        self._names = names
        self._suffix = suffix if self._folder else self._target.suffix
        self._alpha = alpha
        self._quality = quality
        self._overwrite = overwrite
        self._written: set[Path] = set()
        self._state: Literal["open", "closed", "aborted"] = "open"
        # Fail now, not at the first picture
        if self._folder:
            try:
                self._target.mkdir(exist_ok=True)
            except OSError as error:
                raise SinkError(
                    f"the folder {self._target} cannot be created: {error.strerror}; "
                    f"does {self._target.absolute().parent} exist?"
                ) from error
        elif "%" not in self._target.name:
            PartialFile(self._target, overwrite=overwrite).discard()

    def write(self, frame: Frame) -> None:
        if self._state != "open":
            raise SinkError(f"{self._target} was written to after it was {self._state}")
        path = self._path(frame.index)
        if path in self._written:
            raise SinkError(
                f"{path} can hold one picture only, and frame {frame.index} is another; give a "
                f"folder, or a name with a number: {path.stem}%05d{path.suffix}"
            )
        maximum = _LONGEST_SIDE_PX.get(self._suffix.lower())
        if maximum is not None and max(frame.height, frame.width) > maximum:
            raise SinkError(
                f"{path} would have {frame.width}x{frame.height} pixels; {self._suffix} allows at "
                f"most {maximum} per side: give a name that ends in .png"
            )
        file = PartialFile(path, overwrite=self._overwrite)
        try:
            file.temporary.write_bytes(self._encoded(path, frame))
        except OSError as error:
            file.discard()
            raise SinkError(
                f"{path} cannot be written: {error.strerror}; is the disk full?"
            ) from error
        except BaseException:
            file.discard()
            raise
        file.commit()
        self._written.add(path)

    def close(self) -> None:
        if self._state != "open":
            return
        self._state = "closed"
        if self._folder or not self._overwrite or not self._written:
            return
        # An older, longer run may have left higher numbers
        old = numbered_pictures(self._target)
        last = max((number for number, path in old.items() if path in self._written), default=None)
        for number, path in old.items():
            if last is not None and number > last:
                path.unlink(missing_ok=True)

    def abort(self) -> None:
        if self._state == "open":
            self._state = "aborted"

    def _path(self, index: int) -> Path:
        if not self._folder:
            name = self._target.name
            return self._target.with_name(name % index) if "%" in name else self._target
        name = f"{index:05d}" if self._names is None else self._names[index]
        return self._target / f"{name}{self._suffix}"

    def _encoded(self, path: Path, frame: Frame) -> Any:
        """Return the content of a frame's file; `path` is for the message."""
        pixels: Any = frame.image
        if self._alpha:  # BGRA, not premultiplied
            alpha = np.rint(frame.alpha_or_opaque() * 255).astype(np.uint8)
            pixels = cv2.merge([*cv2.split(frame.image), alpha])
        parameters = [cv2.IMWRITE_JPEG_QUALITY, self._quality]
        if self._suffix.lower() == ".png":
            parameters = [cv2.IMWRITE_PNG_COMPRESSION, 3]
        elif self._suffix.lower() == ".webp":  # above 100, OpenCV writes it losslessly
            parameters = [cv2.IMWRITE_WEBP_QUALITY, 101 if self._alpha else self._quality]
        try:
            done, data = cv2.imencode(self._suffix, pixels, parameters)
        except cv2.error as error:
            done, reason = False, " ".join(str(error).split())
        else:
            reason = "OpenCV gives no reason"
        if not done:
            raise SinkError(
                f"{path} of {frame.width}x{frame.height} pixels cannot be encoded: {reason}; "
                "try another format, such as .png"
            )
        return data


def numbered_pictures(target: Path) -> dict[int, Path]:
    """Return the existing files of a sequence such as `person%05d.png`, by their numbers.

    Returns:
        In the order of the numbers; empty where the name has no decimal number in it.
    """
    pieces = _NUMBER.split(target.name)  # text and codes, alternating
    codes = [code for code in pieces[1::2] if code != "%%"]
    if len(codes) != 1 or "%" in "".join(pieces[::2]) or not target.parent.is_dir():
        return {}
    parts = ["%" if p == "%%" else " *([0-9]+)" if p in codes else re.escape(p) for p in pieces]
    pattern = re.compile("".join(parts))
    pictures = {}
    for path in target.parent.iterdir():
        match = pattern.fullmatch(path.name)
        if match is not None and target.name % int(match[1]) == path.name and path.is_file():
            pictures[int(match[1])] = path
    return dict(sorted(pictures.items()))


def _check_number(name: str) -> None:
    try:
        numbered = "%" not in name or name % 1 != name % 2
    except (TypeError, ValueError):
        numbered = False
    if not numbered:
        raise ConfigError(f"{name!r} has no usable number in it; give one, such as name%05d.png")
