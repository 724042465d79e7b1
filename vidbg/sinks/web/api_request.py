"""The content of an API request: query parameters, JSON or a file."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from vidbg.platform.folders import cache_folder
from vidbg.sinks.web.api_errors import type_error
from vidbg.sinks.web.api_route import JSON, ApiError, Route, Upload

MAX_BYTES = 64 * 1024
"""Largest JSON in a request, in bytes."""

REQUEST_S = 10.0
"""A client that sends nothing of its request for this many seconds has gone."""

_UPLOAD_S = 600.0  # for a whole upload


def query_values(request: web.Request, route: Route) -> dict[str, Any]:
    """Return the query parameters of a route, such as "true" for a bool.

    Raises:
        ApiError: one has another type.
    """
    values = {}
    for name, (kind, _) in route.query.items():
        if name in request.query:
            try:
                values[name] = msgspec.convert(request.query[name], kind, strict=False)
            except msgspec.ValidationError as error:
                raise type_error(error, request.query[name], kind, name) from None
    return values


async def read_json(request: web.Request, decoder: msgspec.json.Decoder[Any]) -> Any:
    """Return the JSON of a request, of the type that the route takes.

    Raises:
        ApiError: the body is something else, is too large, or does not arrive in time.
    """
    if request.content_type != JSON:  # which other sites' forms cannot send
        raise ApiError(415, f"send {JSON}")
    if (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
        raise ApiError(415, "send JSON in UTF-8")
    if "Content-Encoding" in request.headers:
        raise ApiError(415, "the request is compressed; send it uncompressed")
    try:
        async with asyncio.timeout(REQUEST_S):
            content = await request.read()
    except TimeoutError:
        raise ApiError(
            408, f"the rest of the request did not arrive within {REQUEST_S:g} s"
        ) from None
    except web.HTTPRequestEntityTooLarge:
        raise ApiError(413, f"the JSON is too large; send at most {MAX_BYTES} bytes") from None
    except web.RequestPayloadError:
        raise ApiError(400, "the request broke off, or is not what its headers say") from None
    try:
        try:
            return decoder.decode(content)
        except msgspec.ValidationError as error:
            plain = msgspec.json.decode(content)  # the rest of it may not be JSON
            raise type_error(error, plain, decoder.type) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, f"the body is not JSON, or is nested too deeply: {error}") from None


@asynccontextmanager
async def received_file(request: web.Request, max_bytes: int) -> AsyncIterator[Upload]:
    """Receive the file in a form, and delete it at the end of the `with` block.

    Raises:
        ApiError: it is not a form with one file, is too large, or does not arrive in time.
    """
    if request.content_type != "multipart/form-data" or "Content-Encoding" in request.headers:
        raise ApiError(415, "send multipart/form-data with one file, named file")
    too_large = ApiError(413, f"the file is too large; send at most {max_bytes // 10**6} MB")
    if (request.content_length or 0) > max_bytes + MAX_BYTES:
        raise too_large
    folder = Path(await asyncio.to_thread(_temporary_folder))
    try:
        path, received = folder / "upload", 0
        try:
            async with asyncio.timeout(_UPLOAD_S):
                part = await _file_part(request)
                with path.open("wb") as file:
                    while chunk := await asyncio.wait_for(part.read_chunk(2**18), REQUEST_S):
                        received += len(chunk)
                        if received > max_bytes:
                            raise too_large
                        await asyncio.to_thread(file.write, chunk)
        except TimeoutError:
            raise ApiError(408, "the file did not arrive in time; send it again") from None
        except HttpProcessingError as error:  # the headers of a part
            raise ApiError(400, f"the form is malformed: {error.message.strip()}") from None
        except (ValueError, web.RequestPayloadError, ConnectionError) as error:
            raise ApiError(
                400, f"the body is not a form with a file, or it broke off: {error}"
            ) from None
        yield Upload(part.filename or "", path)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _file_part(request: web.Request) -> BodyPartReader:
    """Return the form's part with the file, which must be its first."""
    reader = await request.multipart()
    part = await asyncio.wait_for(reader.next(), REQUEST_S)
    if not isinstance(part, BodyPartReader) or part.name != "file":
        raise ApiError(400, "send a form with one file, named file", "file")
    if {"Content-Encoding", "Content-Transfer-Encoding"} & part.headers.keys():
        raise ApiError(415, "send the file as it is, uncompressed")
    return part


def _temporary_folder() -> str:
    """Make a folder on a disk; the system's temporary folder may be in memory.

    Folders that killed runs left behind are removed.
    """
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("upload-*"):
        with suppress(OSError):
            if time.time() - old.stat().st_mtime > 2 * _UPLOAD_S:
                shutil.rmtree(old)
    return tempfile.mkdtemp(prefix="upload-", dir=folder)
