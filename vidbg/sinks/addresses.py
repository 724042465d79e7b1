"""What the network outputs are called on the command line."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from vidbg.errors import ConfigError


def web_address(output: str) -> tuple[str, int] | None:
    """Host and port that `web:8090` or `http://127.0.0.1:8090/` mean; None for other outputs.

    Raises:
        ConfigError: it begins so, but has no host, no port or a path.
    """
    if output.startswith("web:"):
        output = f"http://127.0.0.1:{output.removeprefix('web:')}/"
    elif not output.startswith("http://"):
        return None
    parts, port = _split(output)
    if not parts.hostname or port is None or parts.path.strip("/"):
        raise ConfigError(
            f"{output} is no address to serve at; allowed are web:PORT and http://HOST:PORT/"
        )
    return parts.hostname, port


def is_stream(output: str) -> bool:
    """Whether an output is a URL that NetworkStreamSink takes: `udp://HOST:PORT`.

    Raises:
        ConfigError: a URL with another scheme, or without host or port.
    """
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+://", output) is None:
        return False
    parts, port = _split(output)
    if parts.scheme != "udp" or not parts.hostname or port is None:
        raise ConfigError(
            f"{public_name(output)} cannot be streamed to; allowed is udp://HOST:PORT. For RTMP or "
            "SRT pipe into ffmpeg, as in `vidbg run -o - | ffmpeg -i - -c:v libx264 -tune "
            "zerolatency -pix_fmt yuv420p -f flv rtmp://...` (SRT: -f mpegts srt://...)"
        )
    return True


def public_name(url: str) -> str:
    """A URL without what is secret in it (stream keys, passphrases): scheme, host and port."""
    parts, port = _split(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return f"{parts.scheme}://{host}" + ("" if port is None else f":{port}")


def _split(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        return parts, parts.port
    except ValueError as error:  # says what is wrong with the port; the URL may hold a key
        raise ConfigError(f"the address of --output is malformed: {error}") from error
