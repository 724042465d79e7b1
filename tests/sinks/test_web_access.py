"""Who may use the web output and the panel: over real connections, on loopback."""

from __future__ import annotations

import base64
import logging
import os
import re
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from web_client import ask, say, token_of

from vidbg.frame import Frame, StreamInfo
from vidbg.sinks.web.web_sink import WebSink
from vidbg.sinks.web.web_token import access_token, secret_file

pytest.importorskip("aiohttp")
from api_client import PREFIX, Served

from vidbg.pipeline.live.controls.live_api import LiveApi
from vidbg.sinks.web import api_request, api_server, app_thread, web_access, web_peer
from vidbg.sinks.web.api_route import Upload, routes_of
from vidbg.sinks.web.page_files import PageFiles

INFO = StreamInfo(64, 48, live=True)
JSON = "Content-Type: application/json"
TABLE = [(route, PREFIX + re.sub(r"[{}]", "", route.path)) for route in routes_of(LiveApi)]
"""Every route of the API, and its path with a text for each parameter."""

API_ROUTES = [
    *((route.method, path) for route, path in TABLE),
    *(("GET", PREFIX + path) for path in ("/openapi.json", "/events", "/preview", "/no")),
]
JSON_ROUTES = [(each.method, path) for each, path in TABLE if each.body not in (None, Upload)]
BODY_OPTIONAL = ("POST", f"{PREFIX}/snapshot")
PAGE_ROUTES = [("GET", "/"), ("GET", "/page/main.js"), ("GET", "/page/no.js"), ("GET", "/page/")]
WEB_ROUTES = ["/", "/page.js", "/page.css", "/picture.js", "/stream.mjpg", "/ws", "/no"]
PROTECTION = (
    "X-Frame-Options: DENY",
    "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy: same-origin",
    "Referrer-Policy: no-referrer",
)


@pytest.fixture
def served() -> Iterator[Served]:
    with Served() as served:
        yield served


@pytest.fixture
def sink() -> Iterator[WebSink]:
    with WebSink(INFO) as sink:
        sink.write(Frame(np.zeros((48, 64, 3), np.uint8), 0.0, 0))
        yield sink


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks belongs to another account."""
    monkeypatch.setattr(web_access, "is_own_account", lambda _: False)


def statuses(port: int, routes: list[str], query: str, *headers: str) -> set[int]:
    return {ask(port, route + query, *headers)[0] for route in routes}


def answers(port: int, routes: Sequence[tuple[str, str]], query: str, *headers: str) -> set[int]:
    """Request routes with their methods, and a body where one is allowed; return the statuses."""
    statuses = set()
    for method, path in routes:
        body = b"" if method in ("GET", "DELETE") else b"{}"
        kind = [JSON] if body else []
        statuses.add(ask(port, path + query, *headers, *kind, method=method, body=body)[0])
    return statuses


FOREIGN = [
    ["Sec-Fetch-Site: cross-site"],
    ["Sec-Fetch-Site: same-site"],  # another port of this machine, maybe another account's
    ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"],
    ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Dest: iframe"],
    ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Dest: image", "Sec-Fetch-Mode: no-cors"],
    ["Sec-Fetch-Site: something-new"],
    ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"],
    ["Origin: http://evil.example"],
    ["Origin: http://127.0.0.1:1"],
    ["Origin: null"],
    ["Origin: "],
    ["Origin: http://["],
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_other_pages_are_refused_on_every_route(
    served: Served, sink: WebSink, headers: list[str]
) -> None:
    """Though they know the address, token and all."""
    port, query, before = served.client.port, f"?token={served.client.token}", served.run.config
    routes = [*API_ROUTES, *PAGE_ROUTES, ("OPTIONS", f"{PREFIX}/settings")]
    assert answers(port, routes, query, *headers) == {403}
    assert served.run.config is before
    assert not served.run.stopped
    assert statuses(sink.port, WEB_ROUTES, f"?token={token_of(sink.url)}", *headers) == {403}


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 403),
        ("evil.example:{port}", 403),
        ("127.0.0.1.evil.example", 403),
        ("0.0.0.0:{port}", 403),
        ("8.8.8.8", 403),
        ("127.1", 403),
        ("localhost.", 403),
        ("[", 400),
        ("]", 400),
        ("[::1", 400),
        ("a@127.0.0.1", 400),
        ("127.0.0.1:x", 400),
        ("127.0.0.1/evil", 400),
        ("127.0.0.1 evil", 400),
        ("127.0.0.1\r\nHost: 127.0.0.1", 400),
        ("127.0.0.1", 200),
        ("127.0.0.1:{port}", 200),
        ("LOCALHOST:{port}", 200),
        ("[::1]", 200),
    ],
)
def test_the_panel_answers_to_its_own_host_names_only(
    served: Served, host: str, status: int
) -> None:
    port = served.client.port
    path = f"{PREFIX}/state?token={served.client.token}"
    assert ask(port, path, host=host.format(port=port))[0] == status


def test_a_request_names_its_host_once_and_asks_for_a_path(served: Served) -> None:
    port, token = served.client.port, served.client.token
    for request in (
        f"GET {PREFIX}/state?token={token} HTTP/1.1\r\n\r\n",
        f"GET http://evil.example{PREFIX}/state?token={token} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        f"GET http://127.0.0.1{PREFIX}/state?token={token} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    ):
        assert say(port, request.encode(), 1.0)[0] == 400


def test_no_answer_may_be_framed(served: Served) -> None:
    port, agent = served.client.port, "User-Agent: Mozilla/5.0"
    for method, path in [*PAGE_ROUTES, *API_ROUTES]:
        for query in (f"?token={served.client.token}", "?token=wrong"):
            text = ask(port, path + query, agent, method=method)[1]
            assert [line for line in PROTECTION if line not in text] == [], path


@pytest.mark.usefixtures("stranger")
def test_a_request_without_the_token_is_refused(served: Served, sink: WebSink) -> None:
    port, other = served.client.port, token_of(sink.url)
    for query in (
        "",
        "?token=",
        "?token=x",
        "?token=%ff",
        f"?token={other}",
        f"?token={'x' * 999}",
    ):
        assert answers(port, API_ROUTES, query) == {401}
    assert not served.run.stopped
    assert statuses(sink.port, WEB_ROUTES, f"?token={served.client.token}") == {401}
    assert statuses(
        port, [f"{PREFIX}/state"], "", "Authorization: Bearer x", "Cookie: token=y"
    ) == {401}


@pytest.mark.usefixtures("stranger")
def test_the_token_opens_by_the_address_or_by_a_header(served: Served, sink: WebSink) -> None:
    port, token = served.client.port, served.client.token
    assert ask(port, f"{PREFIX}/state", f"Authorization: Bearer {token}")[0] == 200
    own = f"Origin: http://127.0.0.1:{port}"
    path, body = f"{PREFIX}/settings?token={token}", b'{"mirror": true}'
    assert ask(port, path, JSON, own, method="PATCH", body=body)[0] == 200
    assert served.run.config.mirror
    assert ask(sink.port, f"/?token={token_of(sink.url)}")[0] == 200


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="accounts are told on Linux alone")
def test_programs_of_the_same_account_need_no_token(served: Served) -> None:
    port = served.client.port
    state = f"{PREFIX}/state"
    assert ask(port, state)[0] == 200
    assert ask(port, state, "User-Agent: Mozilla/5.0", "Sec-Fetch-Site: none")[0] == 200
    own = f"Origin: http://127.0.0.1:{port}"  # all that some browsers say for a WebSocket
    assert ask(port, f"{PREFIX}/events", "User-Agent: Mozilla/5.0", own)[0] == 400
    # A browser that does not tell who made it ask may have been sent by any page.
    assert ask(port, state, "User-Agent: Mozilla/5.0")[0] == 401


def test_markup_in_place_of_a_token_is_not_put_into_the_page(
    sink: WebSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when another program opens such an address in a browser that needs no token."""
    monkeypatch.setattr(web_access, "is_own_account", lambda _: True)
    status, page = ask(sink.port, '/?token="><b>x</b>', "Sec-Fetch-Site: none")
    assert status == 200
    assert "<b>x</b>" not in page
    assert "page.js?token=%22%3E%3Cb%3Ex%3C%2Fb%3E" in page


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0, reason="needs a second account"
)
def test_another_account_needs_the_token(served: Served, sink: WebSink) -> None:
    def fetch(url: str) -> str:
        code = (
            "import encodings.idna, os, sys, urllib.request, urllib.error\n"
            "os.setgid(65534); os.setuid(65534)\n"
            "try: print(urllib.request.urlopen(sys.argv[1], timeout=9).status)\n"
            "except urllib.error.HTTPError as error: print(error.code)\n"
        )
        done = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True)
        assert not done.stderr
        return done.stdout.strip()

    bare = served.server.url.partition("/?")[0] + PREFIX
    assert fetch(f"{bare}/state") == "401"
    assert fetch(f"{sink.url.partition('?')[0]}stream.mjpg") == "401"
    assert fetch(f"{bare}/state?token={served.client.token}") == "200"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="accounts are told on Linux alone")
@pytest.mark.parametrize("host", ["::1", "localhost", "0.0.0.0", "::"])
def test_the_account_is_known_at_every_address(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if family == socket.AF_INET6 and not Path("/proc/net/if_inet6").exists():
        pytest.skip("there is no IPv6 here")
    with WebSink(INFO, host) as sink:
        name = "::1" if ":" in host else "127.0.0.1"
        with socket.socket(family) as client:
            client.settimeout(5)
            client.connect((name, sink.port))
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(100).split(b" ")[1] == b"200"


class Connection:
    """From port 40000 of this machine to port 8091."""

    def __init__(self, address: str) -> None:
        self.ends = {"peername": (address, 40000), "sockname": (address, 8091)}

    def get_extra_info(self, name: str) -> tuple[str, int]:
        return self.ends[name]


IPV4 = "0100007F:9C40 0100007F:1F9B"
MAPPED = "0000000000000000FFFF00000100007F:9C40 0000000000000000FFFF00000100007F:1F9B"
IPV6 = "00000000000000000000000001000000:9C40 00000000000000000000000001000000:1F9B"


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or sys.byteorder != "little", reason="as written here"
)
@pytest.mark.parametrize(
    ("address", "ends", "state", "other", "own"),
    [
        ("127.0.0.1", IPV4, "01", 0, True),
        ("127.0.0.1", MAPPED, "01", 0, True),
        ("::1", IPV6, "01", 0, True),
        ("127.0.0.1", IPV4, "01", 1, False),
        ("127.0.0.1", IPV4, "05", 0, False),  # closing: the kernel may name root in place of others
        ("127.0.0.1", IPV4, "06", 0, False),
        ("127.0.0.1", " ".join(IPV4.split()[::-1]), "01", 0, False),  # this server's own end
        ("127.0.0.2", IPV4, "01", 0, False),
        ("::1", IPV4, "01", 0, False),
    ],
)
def test_the_other_end_is_looked_up_by_both_addresses(
    address: str, ends: str, state: str, other: int, own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = os.geteuid() + other
    row = f"0: {ends} {state} 00000000:00000000 00:00000000 00000000 {uid} 0 1 1"
    monkeypatch.setattr(web_peer, "_rows", lambda: iter([[], row.split()]))
    assert web_peer.is_own_account(Connection(address)) is own  # type: ignore[arg-type]


def test_the_secret_is_readable_by_its_owner_only() -> None:
    token = access_token("a page")
    file = secret_file()
    assert token == access_token("a page") != access_token("another page")
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.unlink()
    assert access_token("a page") != token


@pytest.mark.skipif(sys.platform == "win32", reason="rights are other there")
def test_a_secret_that_others_could_read_is_replaced(caplog: pytest.LogCaptureFixture) -> None:
    token, file = access_token("a page"), secret_file()
    file.chmod(0o644)
    assert access_token("a page") != token
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "is replaced by a new secret" in caplog.text
    for broken in ("", "short", "x" * 500):
        file.write_text(broken)
        assert access_token("a page") == access_token("a page")
        assert len(file.read_text()) == 43


def test_without_a_folder_for_the_secret_each_start_has_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "file"))
    if sys.platform != "darwin":
        assert access_token("a page") != access_token("a page")
        assert "change with each start" in caplog.text


BODIES = [
    b"", b"{", b"null", b"7", b"[" * 2000, b"[" * 2000 + b"]" * 2000, b'{"a":' * 7000,
    b"\xff\xfe\x00", b'{"a":' * 2000 + b"1" + b"}" * 2000, b'"\xed\xa0\x80"', b'{"\\ud800": 1}',
    b'{"feather": 1' + b"0" * 400 + b"}", b'{"feather": 1' + b"0" * 70000 + b"}",
    b'{"feather": -1' + b"0" * 400 + b"}", b'{"light-wrap": 1e999}', b'{"offset": NaN}',
    b'{"background": {"kind": "none"}}', b'{"background": ["blur"]}', b'{"keys": 5}',
    b'{"keys": [5]}',
    b'{"token": 5, "confirm": "yes"}', b'{"purpose": "fun"}', b'{"purpose": null}',
    b'{"__proto__": {"mirror": true}}', b'{"mirror": true, "mirror": 5}',
]  # fmt: skip


@pytest.mark.parametrize("body", BODIES)
def test_malformed_bodies_are_refused(
    served: Served, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    before = served.run.config
    for method, path in JSON_ROUTES:
        if not body and (method, path) == BODY_OPTIONAL:
            continue  # see the next test
        status, text = ask(served.client.port, path, JSON, method=method, body=body)
        assert status in (400, 404, 409, 413, 415), (method, path, text)
        assert '"error":{"message":' in text
    assert served.run.config is before
    assert not caplog.records


@pytest.mark.parametrize(
    "headers", [[], [JSON], [JSON, "Content-Length: 0"], ["Content-Type: text/plain"]]
)
def test_one_route_alone_needs_no_body(served: Served, headers: list[str]) -> None:
    optional = [(each.method, path) for each, path in TABLE if each.body and not each.needs_body]
    assert optional == [BODY_OPTIONAL]
    method, path = BODY_OPTIONAL
    status, text = ask(served.client.port, path, *headers, method=method)
    assert status == 200
    assert "PNG" in text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (["Content-Type: application/json; charset=nonsense"], 415),
        (["Content-Type: application/json; charset=utf-16"], 415),
        (["Content-Type: application/json; charset=\x00"], 400),
        (["Content-Type: application/json; charset=hex"], 415),
        (["Content-Type: application/json; charset=utf-8"], 200),
        ([JSON, "Content-Encoding: gzip"], 415),
        ([JSON, "Content-Encoding: deflate"], 415),
        ([JSON, "Transfer-Encoding: chunked"], 400),
        ([JSON, "Expect: nothing"], 417),
        (["Content-Type: text/plain"], 415),
        (["Content-Type: ;;;=,"], 415),
        ([], 415),
    ],
)
def test_bodies_that_cannot_be_read(
    served: Served, headers: list[str], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    body = b'{"mirror": false}'
    path = f"{PREFIX}/settings"
    assert ask(served.client.port, path, *headers, method="PATCH", body=body)[0] == status
    assert served.run.config.mirror is False
    assert not caplog.records


@pytest.mark.parametrize(
    "request_",
    [
        b"\r\n\r\n", b"nonsense\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /api/v1/state HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 20000 + b"\r\n\r\n",
        b"GET /api/v1/state HTTP/1.1\r\nHost: 127.0.0.1\r\nno colon\r\n\r\n",
        b"PATCH /api/v1/settings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: x\r\n\r\n",
        b"PATCH /api/v1/settings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /api/v1/backgrounds/\xd9\xa3/thumbnail HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Connection: close\r\n\r\n",
        b"GET /% HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
    ],
)  # fmt: skip
def test_what_is_no_request_leaves_no_trace(
    served: Served, request_: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert say(served.client.port, request_, 1.0)[0] in (0, 400, 404, 414, 431)
    assert not caplog.records


@pytest.mark.parametrize("path", ["/", "/stream.mjpg", "/ws"])
def test_clients_of_the_web_output_that_leave_early_leave_no_trace(
    sink: WebSink, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    leave_early(sink.port, f"GET {path}", UPGRADE if path == "/ws" else b"\r\n")
    sink.write(Frame(np.zeros((48, 64, 3), np.uint8), 1.0, 1))
    time.sleep(0.3)
    assert ask(sink.port, "/")[0] == 200
    assert not caplog.records


@pytest.mark.parametrize(
    "path",
    [
        "../web_token.py",
        "..%2fweb_token.py",
        "%2e%2e/web_token.py",
        "..\\web_token.py",
        "%2e%2e%5cweb_token.py",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "....//web_token.py",
        "index.html%00.py",
    ],
)
def test_the_page_gives_no_other_files(served: Served, path: str) -> None:
    for begin in ("/page/", f"{PREFIX}/backgrounds/", f"{PREFIX}/"):
        query = f"?token={served.client.token}"
        status, text = ask(served.client.port, f"{begin}{path}{query}")
        assert status in (400, 403, 404, 405), text
        assert "access_token" not in text
        assert "root:" not in text


def test_the_page_brings_what_its_first_paint_needs(served: Served) -> None:
    _, answer = ask(served.client.port, "/")
    head, _, html = answer.partition("\r\n\r\n")
    inside = re.findall(r"<(style|script)>(.*?)</\1>", html, re.DOTALL)
    assert [tag for tag, _ in inside] == ["style", "script"]
    for tag, content in inside:
        digest = base64.b64encode(sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'self' 'sha256-{digest}';" in head
    assert "stylesheet" not in html
    modules = {path.name for path in api_server.PAGE.glob("*.js")} - {"theme.js"}
    assert set(re.findall(r'"modulepreload" href="page/(.*?)"', html)) == modules
    assert {ask(served.client.port, f"/page/{name}")[0] for name in modules} == {200}


def test_the_page_of_a_checkout_on_windows_keeps_its_style(tmp_path: Path) -> None:
    """Browsers hash what they have read, with LF in place of CRLF."""
    for path in api_server.PAGE.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert vars(PageFiles(tmp_path)) == vars(PageFiles(api_server.PAGE))


def test_clients_that_leave_early_leave_no_trace(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for method, path in [*API_ROUTES, *PAGE_ROUTES]:
        rest = UPGRADE if path.endswith(("/events", "/preview")) else b"\r\n"
        if method != "GET":
            rest = f"{JSON}\r\nContent-Length: 90\r\n\r\n{{".encode()
        leave_early(served.client.port, f"{method} {path}", rest)
    time.sleep(0.3)
    assert ask(served.client.port, f"{PREFIX}/state")[0] == 200
    assert not caplog.records


UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)
HEAD = " HTTP/1.1\r\nHost: 127.0.0.1\r\n"


def leave_early(port: int, line: str, rest: bytes) -> None:
    """Ask, and leave at once, with a reset and without."""
    for reset in (True, False):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall((line + HEAD).encode() + rest)
            if reset:
                linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def test_half_a_request_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_thread, "_IDLE_S", 0.5)
    monkeypatch.setattr(app_thread, "_LINGER_S", 0.3)
    monkeypatch.setattr(api_request, "REQUEST_S", 0.5)
    beginnings = [
        "",
        "G",
        f"GET {PREFIX}/state{HEAD}",
        f"GET {PREFIX}/state{HEAD}\r\nGET {PREFIX}/st",
        f"POST {PREFIX}/state{HEAD}Content-Length: 10\r\n\r\n{{",
        *(f"{m} {path}{HEAD}{JSON}\r\nContent-Length: 10\r\n\r\n{{" for m, path in JSON_ROUTES),
    ]
    with Served() as served, ExitStack() as opened:
        address = "127.0.0.1", served.client.port
        clients = [opened.enter_context(socket.create_connection(address)) for _ in beginnings]
        for client, beginning in zip(clients, beginnings, strict=True):
            client.sendall(beginning.encode())
        start = time.monotonic()
        for client in clients:
            client.settimeout(8)
            while client.recv(65536):
                pass
        assert time.monotonic() - start < 5
