"""Addresses of the network outputs on the command line."""

from __future__ import annotations

from vidbg.errors import ConfigError
from vidbg.util.urls import public_name, split_url


def web_address(output: str) -> tuple[str, int]:
    """Return host and port of `web:8090` or `http://127.0.0.1:8090/`.

    Raises:
        ConfigError: it has no host, no port or a path.
    """
    if output.startswith("web:"):
        output = f"http://127.0.0.1:{output.removeprefix('web:')}/"
    parts, port = split_url(output)
    if parts.scheme != "http" or not parts.hostname or port is None or parts.path.strip("/"):
        raise ConfigError(
            f"{output} is not an address to serve at; allowed are web:PORT and http://HOST:PORT/"
        )
    return parts.hostname, port


def pipewire_name(output: str) -> str:
    """Return the camera name of `pipewire` or `pipewire:NAME`.

    Raises:
        ConfigError: it has a colon but no name.
    """
    if output == "pipewire":
        return "vidbg"
    name = output.removeprefix("pipewire:").strip()
    if not name:
        raise ConfigError(f"{output} names no camera; allowed are pipewire and pipewire:NAME")
    return name


def broadcast_url(output: str) -> str:
    """Return a URL for BroadcastSink as it is.

    Raises:
        ConfigError: another scheme, `rtmp://` or `rtmps://` without host or path, `srt://` without
            host or port.
    """
    parts, port = split_url(output)
    known = parts.scheme in ("rtmp", "rtmps", "srt")
    lacking = port is None if parts.scheme == "srt" else not parts.path.strip("/")
    if not known or not parts.hostname or lacking:
        problem = "is not complete" if known else "cannot be streamed to"
        raise ConfigError(
            f"{public_name(output)} {problem}; allowed are rtmp://HOST/APP/KEY, "
            "rtmps://HOST/APP/KEY and srt://HOST:PORT, with options after a ?"
        )
    return output


def stream_url(output: str) -> str:
    """Return a URL for NetworkStreamSink, `udp://HOST:PORT`, as it is.

    Raises:
        ConfigError: another scheme, or no host or port.
    """
    parts, port = split_url(output)
    if parts.scheme != "udp" or not parts.hostname or port is None:
        raise ConfigError(
            f"{public_name(output)} cannot be streamed to; allowed are udp://HOST:PORT, "
            "rtmp://HOST/APP/KEY, rtmps://HOST/APP/KEY and srt://HOST:PORT"
        )
    return output
