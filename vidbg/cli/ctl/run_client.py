"""The connection of `vidbg ctl` to a run. It loads little, because a hotkey waits for it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

from vidbg.errors import ConfigError, VidbgError
from vidbg.sinks.web.running_pages import running_pages

if TYPE_CHECKING:
    import typer

API = "/api/v1"
PATIENCE_S = 30.0
"""How long an answer may take; opening another camera takes seconds."""

UPLOAD_PATIENCE_S = 600.0
"""The same for an uploaded file: a long video is converted first."""

START_ONE = "start `vidbg app`, or `vidbg run` with --panel"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Refused(VidbgError):
    """The run refused a request, in its words.

    Attributes:
        status: of HTTP.
        field: what is to blame, such as the key of a setting.
    """

    def __init__(self, status: int, message: str, field: str | None) -> None:
        super().__init__(message)
        self.status, self.field = status, field


@dataclass(frozen=True, slots=True)
class Client:
    """A run's API.

    Attributes:
        address: "http://127.0.0.1:8091".
        token: "" where none is known; on Linux, programs of the run's own account need none.
    """

    address: str
    token: str = ""

    @property
    def is_local(self) -> bool:
        """Whether it is on this computer, so that paths mean the same there."""
        return urlsplit(self.address).hostname in _LOOPBACK

    @property
    def page(self) -> str:
        """The page's address, with the token: a secret."""
        return f"{self.address}/" + (f"?token={quote(self.token)}" if self.token else "")

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        file: Path | None = None,
        patience_s: float = PATIENCE_S,
    ) -> Any:
        """Send a request and return the answer: JSON as Python values, a text, or bytes.

        Args:
            path: below the API's prefix, such as "/state"; quoted where needed.
            body: sent as JSON; None for nothing.
            file: sent in a form instead.
        Raises:
            Refused: the run refused it.
            ConfigError: it refused a value.
            VidbgError: nothing answers at the address, or not as vidbg does.
        """
        from http.client import HTTPConnection, HTTPException, HTTPSConnection

        parts = urlsplit(self.address)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=patience_s)
        # The body: JSON, a form with a file, or none
        headers, content = ({}, None) if file is None else _form(file)
        if body is not None:
            headers, content = {"Content-Type": "application/json"}, json.dumps(body).encode()
        try:
            connection.request(method, API + path, content, self.headers | headers)
            answer = connection.getresponse()
            data, media_type = answer.read(), answer.headers.get_content_type()
        except (OSError, HTTPException) as error:
            raise VidbgError(f"{self.address} does not answer ({error}): {START_ONE}") from error
        finally:
            connection.close()
        # The answer, by its type
        if answer.status >= 400:
            raise _error_of(self.address, answer.status, data)
        if media_type == "application/json":
            return json.loads(data)
        return data.decode() if media_type.startswith("text/") else data


def _form(file: Path) -> tuple[dict[str, str], Any]:
    """Return the headers of a form with one file, and its content in pieces.

    Raises:
        ConfigError: the file cannot be read.
    """
    from secrets import token_hex

    boundary = token_hex(16)
    name = re.sub(r'["\r\n]', "_", file.name)
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    tail = f"\r\n--{boundary}--\r\n"
    try:
        stream, size = file.open("rb"), file.stat().st_size
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None

    def pieces() -> Iterator[bytes]:
        yield head.encode()
        with stream:
            while piece := stream.read(2**18):
                yield piece
        yield tail.encode()

    length = len(head.encode()) + size + len(tail)
    media_type = f"multipart/form-data; boundary={boundary}"
    return {"Content-Type": media_type, "Content-Length": str(length)}, pieces()


def client_of(ctx: typer.Context) -> Client:
    """Connect as the options of `vidbg ctl` say; see connect().

    Args:
        ctx: context of one of its commands.
    """
    group: Any = ctx
    while "token" not in group.params:
        group = group.parent
    return connect(group.params["url"], group.params["token"])


def connect(url: str | None, token: str | None) -> Client:
    """Find the run to control.

    Args:
        url: its address, also as printed, with the token; None for the one that is running.
        token: None for that of the address, or of this account's run there.
    Raises:
        VidbgError: none is running.
        ConfigError: several are, or the address is malformed.
    """
    pages = [of_page(page.url) for page in running_pages()]
    if url is not None:
        given = of_page(url)
        known = [page.token for page in pages if page.address == given.address]
        return Client(given.address, token or given.token or next(iter(known), ""))
    if not pages:
        raise VidbgError(f"no vidbg with a page is running; {START_ONE}")
    if len(pages) > 1:
        addresses = ", ".join(page.address for page in pages)
        raise ConfigError(f"several vidbg are running: {addresses}; choose one by --url")
    return Client(pages[0].address, token or pages[0].token)


def of_page(url: str) -> Client:
    """Return the client for a page's address.

    Raises:
        ConfigError: it is malformed.
    """
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        parts, port = urlsplit(""), 0
    if not re.fullmatch(r"[\w.:%-]+", parts.hostname or ""):
        raise ConfigError(
            "--url is not the address of a page; give what vidbg printed, such as "
            "http://127.0.0.1:8091/?token=..."
        )
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    token = parse_qs(parts.query).get("token", [""])[0]
    return Client(f"{parts.scheme}://{host}:{port}", token)


def _error_of(address: str, status: int, data: bytes) -> VidbgError:
    """Return the error for an answer from 400 on."""
    try:
        problem = json.loads(data)["error"]
        message, field = str(problem["message"]), problem["field"]
    except (ValueError, KeyError, TypeError):
        return VidbgError(f"{address} is not a run of vidbg: it answered with HTTP {status}")
    if status == 401:
        return VidbgError(
            f"{address} asks for its token: give the whole address that vidbg printed, by --url"
        )
    if status in (400, 404):
        return ConfigError(message)
    return Refused(status, message, field)
