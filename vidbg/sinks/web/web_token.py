"""The tokens in the addresses of the web output and the panel, the same after each start."""

from __future__ import annotations

import hmac
import logging
import secrets
from pathlib import Path

from vidbg.platform.folders import state_folder
from vidbg.util.atomic_file import replace_file
from vidbg.util.private_file import read_private

_log = logging.getLogger(__name__)

_FILE = "web-secret"
_LENGTH = 43  # of a secret of 32 bytes in URL-safe base 64


def access_token(purpose: str) -> str:
    """Return the token for one kind of page, which reveals nothing about other tokens.

    It is derived from a secret in this account's state folder, so addresses stay the same when
    vidbg restarts. If no file can be kept there, each start has a new token.
    """
    secret = secrets.token_urlsafe()
    try:
        kept = _stored_secret(secret_file())
        if kept is None:
            replace_file(secret_file(), secret.encode(), private=True)
        secret = kept or secret
    except (OSError, RuntimeError) as error:
        _log.warning(
            "the web addresses change with each start; their secret is not kept: %s", error
        )
    return hmac.new(secret.encode(), purpose.encode(), "sha256").hexdigest()[:32]


def secret_file() -> Path:
    """Return the path of the secret; delete the file to get new addresses.

    Raises:
        RuntimeError: this account has no home.
    """
    return state_folder() / _FILE


def _stored_secret(file: Path) -> str | None:
    """Return the secret in a file; None if there is none that only this account can read."""
    try:
        data = read_private(file, _LENGTH + 1)
    except FileNotFoundError:
        return None
    if data is None:
        _log.warning("%s could be read by other accounts and is replaced by a new secret", file)
        return None
    text = data.decode("ascii", "replace").strip()
    return text if len(text) == _LENGTH else None
