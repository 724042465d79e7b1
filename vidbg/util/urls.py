"""Addresses: URLs and hosts, and names for URLs that leave out their secrets."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import SplitResult, unquote, urlsplit

from vidbg.errors import ConfigError


def split_url(url: str) -> tuple[SplitResult, int | None]:
    """Split a URL into its parts and its port.

    Raises:
        ConfigError: it is malformed; the message does not repeat it, because it may hold a key.
    """
    try:
        parts = urlsplit(url)
        return parts, parts.port
    except ValueError as error:
        reason = str(error)
        if reason.startswith("Port"):
            reason = "its port must be a number from 0 to 65535"
        raise ConfigError(f"the address is malformed: {reason}") from error


def ip_of(host: str) -> IPv4Address | IPv6Address | None:
    """Return a host as an IP address; None if it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def public_name(url: str) -> str:
    """Return a URL without its secrets (stream keys, passphrases): scheme, host and port.

    A path, which has none of these, is returned as it is.
    """
    parts, port = split_url(url)
    if not parts.scheme and not parts.netloc:
        return url
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return f"{parts.scheme}://{host}" + ("" if port is None else f":{port}")


def concealed(text: str, url: str) -> str:
    """Remove from a text what public_name() leaves out of a URL, as a whole or in parts."""
    parts, _ = split_url(url)
    text = text.replace(url, public_name(url))
    key = parts.path.strip("/").split("/", 1)[-1]  # after the application's name, if it has one
    values = [option.partition("=")[2] for option in parts.query.split("&")]
    for secret in (parts.query, key, *values, parts.username, parts.password):
        for form in {secret, unquote(secret)} if secret else ():
            text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", "***", text)
    return text
