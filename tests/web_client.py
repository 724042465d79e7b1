"""Requests of the tests to web servers."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit


def token_of(url: str) -> str:
    """Return the token in a page's address."""
    return urlsplit(url).query.removeprefix("token=")


def part(url: str, path: str) -> str:
    """Return the address of something that a page asks for."""
    return url.replace("/?", f"/{path}?")


def say(port: int, data: bytes, wait_s: float = 5.0) -> tuple[int, str]:
    """Send bytes over a connection of their own: the answer's status (0: none) and its text."""
    with socket.create_connection(("127.0.0.1", port), wait_s) as client:
        client.settimeout(wait_s)
        client.sendall(data)
        answer = bytearray()
        try:
            while more := client.recv(65536):
                answer += more
        except (TimeoutError, ConnectionResetError):
            pass
    text = answer.decode("utf-8", "replace")
    return (int(text.split(" ")[1]) if text else 0), text


def ask(
    port: int,
    path: str,
    *headers: str,
    method: str = "GET",
    host: str | None = None,
    body: bytes = b"",
) -> tuple[int, str]:
    """One request as its bytes go over the line; the connection is closed after the answer."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host or f'127.0.0.1:{port}'}", *headers]
    lines += [f"Content-Length: {len(body)}"] if body else []
    return say(port, "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body)
