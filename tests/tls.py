"""A certificate for 127.0.0.2, only for tests: its key is public."""

from pathlib import Path

KEY = """\
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIL7SFq2WPbbq8BC8fYv50RfFrk2Fg9MC9/lhmDDbLPutoAoGCCqGSM49
AwEHoUQDQgAE9sHSZ9IUSMHFzYR7PYEJ4czsCPWpvIgXsesQqtC5HJw69/wbi2z1
Nn3CjlkUYO0RyZVh4ew2DP1G4crXyChmQQ==
-----END EC PRIVATE KEY-----
"""

CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBkjCCATigAwIBAgIUXLBh+Om6KH8y/CmaaATGZJDu2RUwCgYIKoZIzj0EAwIw
FTETMBEGA1UEAwwKdmlkYmcgdGVzdDAgFw0yNjExMzAxODU2NTRaGA8yMTI2MTEw
NjE4NTY1NFowFTETMBEGA1UEAwwKdmlkYmcgdGVzdDBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABPbB0mfSFEjBxc2Eez2BCeHM7Aj1qbyIF7HrEKrQuRycOvf8G4ts
9TZ9wo5ZFGDtEcmVYeHsNgz9RuHK18goZkGjZDBiMB0GA1UdDgQWBBSCUQzC/Y86
XnaxA7EFE+QToZ8M+DAfBgNVHSMEGDAWgBSCUQzC/Y86XnaxA7EFE+QToZ8M+DAP
BgNVHRMBAf8EBTADAQH/MA8GA1UdEQQIMAaHBH8AAAIwCgYIKoZIzj0EAwIDSAAw
RQIgdmcGGrN+icoNsi8OUw49COtqp75kRj/aI48VbH9mMxcCIQDKD1HBLownTpAk
LP92icDqVipt9zJsXHAGjlLul21MZA==
-----END CERTIFICATE-----
"""


def write_pair(folder: Path) -> tuple[Path, Path]:
    """Write certificate and key as two files."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    certificate.write_text(CERTIFICATE)
    key.write_text(KEY)
    return certificate, key
