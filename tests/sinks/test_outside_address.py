"""The page for other devices: only with TLS and the token."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import cv2
import numpy as np
import pytest
from tls import write_pair
from web_client import ask, token_of

from vidbg.cli.ctl.run_client import of_page
from vidbg.errors import ConfigError, SinkError, VidbgError
from vidbg.pipeline.live import LiveConfig, LiveRun
from vidbg.sinks.web import outside_address, web_access
from vidbg.sinks.web.events_client import run_events
from vidbg.sinks.web.outside_address import OutsideAddress

pytest.importorskip("aiohttp")
from vidbg.pipeline.live.controls.background_library import BackgroundLibrary
from vidbg.pipeline.live.controls.live_server import LiveServer
from vidbg.pipeline.live.controls.profiles import Profiles

HOST = "127.0.0.2"
"""Stands for the address of a network, which no test may use."""

HOST_OF_NOBODY = "192.0.2.1"
"""An address for documentation, by RFC 5737."""


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return write_pair(tmp_path)


@pytest.fixture
def server(pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveServer]:
    if sys.platform != "linux":
        pytest.skip("only Linux has every address of 127.0.0.0/8")
    monkeypatch.setattr(outside_address, "is_loopback", lambda _: False)
    with LiveServer(0, BackgroundLibrary(None), Profiles(None), OutsideAddress(HOST, *pair)) as own:
        yield own


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate)


def test_other_devices_reach_the_page_by_tls_with_the_token(
    server: LiveServer, pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_access, "is_own_account", lambda _: False)  # as over a network
    assert server.outside_url is not None
    assert server.outside_url.startswith(f"https://{HOST}:")
    address = server.outside_url.partition("/?")[0]
    with urlopen(server.outside_url, context=trusting(pair[0])) as page:
        assert page.headers.get_content_type() == "text/html"
    token = token_of(server.outside_url)
    request = Request(f"{address}/api/v1/state", headers={"Authorization": f"Bearer {token}"})
    with urlopen(request, context=trusting(pair[0])) as answer:
        assert json.load(answer)["running"] is False
    monkeypatch.setenv("SSL_CERT_FILE", str(pair[0]))  # `vidbg ctl` believes what Python does
    assert of_page(server.outside_url).ask("GET", "/state")["running"] is False
    with pytest.raises(VidbgError, match="asks for its token"):
        of_page(address).ask("GET", "/state")

    async def first_event() -> str:
        client = of_page(server.outside_url or "")
        events = run_events(f"{client.address}/api/v1", client.headers)
        return str((await anext(events))["type"])

    assert asyncio.run(first_event()) == "state"


def test_the_address_can_be_scanned(
    server: LiveServer, vidbg: Callable[..., tuple[int, str, str]]
) -> None:
    pytest.importorskip("segno")
    code, output, error = vidbg("ctl", "phone")
    assert (code, error) == (0, "")
    address, *drawn = output.splitlines()
    assert address == server.outside_url
    # What is printed, drawn large, is what a phone's camera reads.
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in drawn if line.strip()]
    cells = np.array([list(line.ljust(max(map(len, plain)))) for line in plain])
    rows = [np.isin(cells, list(kinds)) for kinds in ("\u2580\u2588", "\u2584\u2588")]
    image = np.dstack(rows).transpose(0, 2, 1).reshape(-1, cells.shape[1])
    large = np.kron(image.astype(np.uint8) * 255, np.ones((8, 8), np.uint8))
    picture = cv2.copyMakeBorder(large, 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=255)
    assert cv2.QRCodeDetector().detectAndDecode(picture)[0] == server.outside_url


def test_without_an_outside_address_there_is_no_code_to_scan(
    vidbg: Callable[..., tuple[int, str, str]],
) -> None:
    with LiveServer(0, BackgroundLibrary(None), Profiles(None)):
        code, _, error = vidbg("ctl", "phone")
    assert code == 1
    assert "start it with --host" in error


def test_an_unknown_certificate_is_refused(server: LiveServer) -> None:
    with pytest.raises(VidbgError, match=r"does not answer.*certificate verify failed"):
        of_page(server.outside_url or "").ask("GET", "/state")


def test_no_request_is_answered_without_tls(server: LiveServer) -> None:
    port = of_page(server.url).address.rpartition(":")[2]
    with pytest.raises((VidbgError, OSError)):
        of_page(f"http://{HOST}:{port}").ask("GET", "/state")
    token = token_of(server.url)
    assert ask(int(port), f"/api/v1/state?token={token}")[0] == 200  # on this computer as ever
    for name in ("evil.example", "0.0.0.0"):
        status, _ = ask(int(port), f"/api/v1/state?token={token}", host=f"{name}:{port}")
        assert status == 403


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("0.0.0.0", "give one address or name"),
        ("::", "give one address or name"),
        ("http://x/", "give one address or name"),
        ("127.0.0.1", "where the page is served anyway"),
        ("localhost", "where the page is served anyway"),
        ("192.168.1.20", "needs a certificate.*mkcert 192.168.1.20.*ssh -L"),
    ],
)
def test_what_would_not_be_safe_or_clear_is_refused(host: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        LiveConfig(host=host, panel=0, output="none")


def test_options_without_effect_are_reported(
    pair: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ConfigError, match=r"are for --host: add .*or leave them out"):
        LiveConfig(tls_cert=pair[0], panel=0, output="none")
    certificate, key = pair
    config = LiveConfig(
        camera="synthetic", output="-", host=HOST_OF_NOBODY, tls_cert=certificate, tls_key=key
    )
    with LiveRun(config):
        assert "--host 192.0.2.1 is not used" in caplog.text


def test_a_certificate_that_cannot_be_used_is_explained(pair: tuple[Path, Path]) -> None:
    certificate, key = pair
    with pytest.raises(ConfigError, match=r"no.pem' for TLS does not exist"):
        LiveConfig(host="192.168.1.20", tls_cert=certificate.with_name("no.pem"))
    with pytest.raises(SinkError, match=r"cert.pem cannot be used"):
        OutsideAddress("192.168.1.20", certificate).context()  # without its key
    key.write_text("nonsense")
    with pytest.raises(SinkError, match=r"cert.pem cannot be used"):
        OutsideAddress("192.168.1.20", certificate, key).context()


def test_an_address_of_another_computer_is_explained(pair: tuple[Path, Path]) -> None:
    elsewhere = OutsideAddress(HOST_OF_NOBODY, *pair)
    with pytest.raises(SinkError, match=r"cannot be served.*192.0.2.1"):
        LiveServer(0, BackgroundLibrary(None), Profiles(None), elsewhere)
