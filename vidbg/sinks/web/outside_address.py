"""The address at which other devices, such as a phone, reach the page: by TLS only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vidbg.errors import ConfigError, SinkError
from vidbg.util.paths import is_file
from vidbg.util.urls import ip_of

if TYPE_CHECKING:
    from ssl import SSLContext


@dataclass(frozen=True, slots=True)
class OutsideAddress:
    """An address of this computer, and the certificate for it.

    TLS is required: anyone who listens on the network would learn the token from the first request,
    and could then see and change the output.

    Attributes:
        host: one address or name of this computer.
        certificate: a file in PEM form, with the chain if there is one.
        key: its private key, without a passphrase; None if it is in the same file.
    Raises:
        ConfigError: the address is not this computer's own, or there is no certificate.
    """

    host: str
    certificate: Path | None
    key: Path | None = None

    def __post_init__(self) -> None:
        address = ip_of(self.host)
        every = address is not None and address.is_unspecified
        if every or not re.fullmatch(r"[\w.:-]+", self.host):
            raise ConfigError(
                f"the page cannot be served at {self.host!r}; give one address or name of this "
                "computer, such as 192.168.1.20"
            )
        if is_loopback(self.host):
            raise ConfigError(
                f"--host {self.host} is reachable from this computer only, where the page is "
                "served anyway; leave it out, or give the address that other devices use"
            )
        if self.certificate is None:
            raise ConfigError(
                f"--host {self.host} needs a certificate, because without TLS the network could "
                f"read the token: `mkcert {self.host}` makes one for --tls-cert and --tls-key. "
                f"From another computer, `ssh -L 8091:127.0.0.1:8091 {self.host}` needs neither"
            )
        for file in filter(None, (self.certificate, self.key)):
            if not is_file(file):
                raise ConfigError(f"the file {str(file)!r} for TLS does not exist")

    def context(self) -> SSLContext:
        """Load the certificate.

        Raises:
            SinkError: it cannot be used, or the key belongs to another.
        """
        import ssl

        def refuse_passphrase() -> str:  # or it would be asked for at the terminal
            raise ValueError("its key has a passphrase")

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate or "", self.key, password=refuse_passphrase)
        except (OSError, ValueError) as error:
            raise SinkError(
                f"the certificate {self.certificate} cannot be used: {error}. It takes PEM files, "
                "the key without a passphrase and of this certificate"
            ) from error
        return context


def is_loopback(host: str) -> bool:
    """Return whether a host is a loopback address, which other devices cannot reach."""
    address = ip_of(host)
    return host.lower() == "localhost" if address is None else address.is_loopback
