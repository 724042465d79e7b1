"""Addresses of the network outputs on the command line."""

from __future__ import annotations

import re

from vidbg.errors import ConfigError
from vidbg.util.urls import public_name, split_url


def web_address(output: str) -> tuple[str, int] | None:
    """Return host and port of `web:8090` or `http://127.0.0.1:8090/`; None for other outputs.

    Raises:
        ConfigError: it has this form, but has no host, no port or a path.
    """
    if output.startswith("web:"):
        output = f"http://127.0.0.1:{output.removeprefix('web:')}/"
    elif not output.startswith("http://"):
        return None
    parts, port = split_url(output)
    if not parts.hostname or port is None or parts.path.strip("/"):
        raise ConfigError(
            f"{output} is no address to serve at; allowed are web:PORT and http://HOST:PORT/"
        )
    return parts.hostname, port


def pipewire_name(output: str) -> str | None:
    """Return the camera name of `pipewire` or `pipewire:NAME`; None for other outputs.

    Raises:
        ConfigError: it has a colon but no name.
    """
    if output == "pipewire":
        return "vidbg"
    if not output.startswith("pipewire:"):
        return None
    name = output.removeprefix("pipewire:").strip()
    if not name:
        raise ConfigError(f"{output} names no camera; allowed are pipewire and pipewire:NAME")
    return name


def is_broadcast(output: str) -> bool:
    """Return whether an output is a URL for BroadcastSink.

    Raises:
        ConfigError: `rtmp://` or `rtmps://` without host or path, `srt://` without host or port.
    """
    if re.match(r"(rtmps?|srt)://", output) is None:
        return False
    parts, port = split_url(output)
    lacking = port is None if parts.scheme == "srt" else not parts.path.strip("/")
    if not parts.hostname or lacking:
        raise ConfigError(
            f"{public_name(output)} is not complete; allowed are rtmp://HOST/APP/KEY, "
            "rtmps://HOST/APP/KEY and srt://HOST:PORT, with options behind a ?"
        )
    return True


def is_stream(output: str) -> bool:
    """Return whether an output is a URL for NetworkStreamSink: `udp://HOST:PORT`.

    Raises:
        ConfigError: a URL with another scheme, or without host or port.
    """
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+://", output) is None:
        return False
    parts, port = split_url(output)
    if parts.scheme != "udp" or not parts.hostname or port is None:
        raise ConfigError(
            f"{public_name(output)} cannot be streamed to; allowed are udp://HOST:PORT, "
            "rtmp://HOST/APP/KEY, rtmps://HOST/APP/KEY and srt://HOST:PORT"
        )
    return True
