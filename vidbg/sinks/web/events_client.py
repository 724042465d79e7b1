"""A client of the API's events."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from vidbg.errors import VidbgError
from vidbg.platform.installation import install_command


async def run_events(address: str, headers: Mapping[str, str]) -> AsyncGenerator[dict[str, Any]]:
    """Yield the events of a run, the state first, until it ends.

    Args:
        address: of its API, such as "http://127.0.0.1:8091/api/v1".
        headers: with the token.
    Raises:
        VidbgError: nothing answers there, it asks for another token, or aiohttp is missing.
    """
    try:
        import aiohttp
    except ImportError as error:
        raise VidbgError(
            f"events need aiohttp, which is not installed: `{install_command('web')}`"
        ) from error
    # Made now, because aiohttp's own context has the certificates that were trusted at import.
    trust = ssl.create_default_context() if address.startswith("https:") else True
    url = address.replace("http", "ws", 1) + "/events"
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, headers=headers, heartbeat=20, ssl=trust) as socket,
        ):
            async for message in socket:
                yield json.loads(message.data)
    except (aiohttp.ClientError, OSError) as error:
        raise VidbgError(f"no events from {address}: {error}") from error
