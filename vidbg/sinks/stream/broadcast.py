"""Live video to services and servers by RTMP and SRT, through the ffmpeg program."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from urllib.parse import parse_qs, urlsplit

from vidbg.errors import SinkError
from vidbg.frame import Colour, StreamInfo
from vidbg.platform.packages import install_step
from vidbg.sinks.encoding.live_h264 import KEYFRAME_S, keyframe_interval, x264_options
from vidbg.sinks.newest_frame_sink import STALL_S
from vidbg.sinks.stream.addresses import broadcast_url
from vidbg.sinks.stream.child_process import ChildProcessSink
from vidbg.util.urls import concealed, public_name

_PACKAGES = {
    "debian": "ffmpeg",
    "fedora": "ffmpeg # from RPM Fusion",  # Fedora's own, ffmpeg-free, has no libx264
    "arch": "ffmpeg",
    "darwin": "ffmpeg",
    "win32": "Gyan.FFmpeg",
}
_LIST_S = 20.0
_SOURCE_OF_LINE = re.compile(r"^\[[^]]* @ 0x[0-9a-f]+\] ")


class BroadcastSink(ChildProcessSink):
    """An H.264 stream: RTMP in FLV with a silent audio track, or SRT in MPEG-TS.

    The ffmpeg program is used because PyAV's FFmpeg has no SRT and blocks Python while it connects
    by RTMP. It connects at the first frame. Messages name only host and port because the rest of
    the URL may hold a stream key.

    Args:
        info: of the frames; 30 frames per second if it has no rate.
        url: `rtmp://HOST/APP/KEY`, `rtmps://...`, or `srt://HOST:PORT` with options behind a `?`.
    Raises:
        ConfigError: the URL does not have this form.
        SinkError: ffmpeg is missing or cannot do it, with the next step; or, while writing, the
            connection failed, broke, or accepted no data for STALL_S.
    """

    def __init__(self, info: StreamInfo, url: str) -> None:
        self._url = broadcast_url(url)
        parts = urlsplit(url)
        problem = broadcast_problem(parts.scheme)
        if problem is not None:
            raise SinkError(f"{public_name(url)} cannot be streamed to: {problem}")
        waits_for_a_caller = parse_qs(parts.query).get("mode") == ["listener"]
        super().__init__(
            f"the stream to {public_name(url)}",
            info,
            _command(info, url, parts.scheme),
            advice="Check the address, the key and the network connection",
            stall_s=None if waits_for_a_caller else STALL_S,
        )

    def summary(self, lines: Sequence[str]) -> str:
        """Return the last line and the third last, which often gives the actual reason."""
        telling = [*lines[-3:][:1], *lines[-1:]]
        return "; ".join(dict.fromkeys(_SOURCE_OF_LINE.sub("", line) for line in telling))

    def conceal(self, line: str) -> str:
        return concealed(line, self._url)


def broadcast_problem(protocol: str) -> str | None:
    """Return why "rtmp", "rtmps" or "srt" cannot be used, with the next step; None if it can."""
    if shutil.which("ffmpeg") is None:
        return f"the program ffmpeg is not installed: {install_step(_PACKAGES)}"
    _, _, outputs = _listed("-protocols").partition("Output:")
    if protocol not in outputs.split():
        return f"this ffmpeg does not support {protocol}; one that does: {install_step(_PACKAGES)}"
    if " libx264 " not in _listed("-encoders"):
        return f"this ffmpeg has no libx264; one that has: {install_step(_PACKAGES)}"
    return None


def _listed(what: str) -> str:
    command = ["ffmpeg", "-hide_banner", "-loglevel", "error", what]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_LIST_S
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _command(info: StreamInfo, url: str, protocol: str) -> list[str]:
    rate = info.frame_rate or Fraction(30)
    frames = {
        "use_wallclock_as_timestamps": "1",  # time goes on when frames are dropped
        "f": "rawvideo",
        "pixel_format": "bgr24",
        "video_size": f"{info.width}x{info.height}",
        "framerate": str(rate),
        "i": "pipe:0",
    }
    # YouTube and some other services reject streams without an audio track.
    silence = {"f": "lavfi", "i": "anullsrc=sample_rate=44100:channel_layout=stereo"}
    audio = {"c:a": "aac", "b:a": "128k", "shortest": None}  # the silence never ends
    matrix = "bt709" if Colour().matrix_at(info.height) == 1 else "smpte170m"
    video = {
        # 4:2:0 has even sides only; chroma is averaged as in EncoderPictures.
        "vf": f"scale=ceil(iw/2)*2:ceil(ih/2)*2:out_color_matrix={matrix}:out_range=tv"
        ":flags=bicubic+accurate_rnd+full_chroma_inp",
        "pix_fmt": "yuv420p",
        "c:v": "libx264",
        **x264_options(info.width, info.height, rate),
        # By time where frames come slower than announced, by their number where faster.
        "force_key_frames": f"expr:gte(t,n_forced*{KEYFRAME_S:g})",
        "g": str(keyframe_interval(rate)),
        "colorspace": matrix,
        "color_range": "tv",
    }
    rtmp = protocol != "srt"
    return [
        *("ffmpeg", "-hide_banner", "-nostats", "-loglevel", "error"),
        *_arguments(frames),
        *(_arguments(silence) if rtmp else ()),
        *_arguments(video),
        *(_arguments(audio) if rtmp else ()),
        *("-flush_packets", "1", "-f", "flv" if rtmp else "mpegts", url),
    ]


def _arguments(options: dict[str, str] | dict[str, str | None]) -> list[str]:
    """Return options as ffmpeg's arguments; the value None means that an option has none."""
    pairs = ((f"-{name}", value) for name, value in options.items())
    return [word for pair in pairs for word in pair if word is not None]
