"""Access control of the web output and the panel: only the owner, and no other site's pages."""

from __future__ import annotations

import hmac
import re
import socket
from collections.abc import Sequence

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from vidbg.sinks.web.web_peer import is_own_account
from vidbg.util.urls import ip_of

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def content_policy(styles: Sequence[str] = (), scripts: Sequence[str] = ()) -> str:
    """Return the Content-Security-Policy: nothing from other hosts, nothing inline.

    Args:
        styles, scripts: hashes, such as "'sha256-...'", of inline ones that are allowed.
    """
    own_scripts, own_styles = ("'self'", *scripts), ("'self'", *styles)
    return (
        f"default-src 'none'; script-src {' '.join(own_scripts)}; "
        f"style-src {' '.join(own_styles)}; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": content_policy(),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Forbid browsers to embed, cache or share any response; for `on_response_prepare`.

    Headers that a response already has stay as they are.
    """
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)


def guard(hosts: Sequence[str], token: str, public: str = "") -> Middleware:
    """Create a middleware that answers only requests with the token.

    They must come from this server's own pages, the address bar or a program.

    The token is taken from `?token=` or from `Authorization: Bearer`. There is no cookie because
    browsers send cookies of 127.0.0.1 to every port, where other accounts may serve pages. On
    Linux, programs of the same account need no token for this machine's own address.

    Args:
        hosts: names or addresses that are served.
        public: a folder whose files hold no data, such as "/page/"; they and / need no token, but
            come from this server's own pages or the address bar as all requests do.
    """
    # Another site could point any other name at this address
    names = set(_LOOPBACK)
    for host in hosts:
        if host not in _LOOPBACK:
            own = socket.gethostname().lower()
            names |= {host.lower(), own, f"{own}.local"}
    local_only = names == _LOOPBACK

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        name = _host_of(request)
        if name not in names:
            # No site can use an address as its name. 0.0.0.0 leads to this machine, too, but
            # browsers treat it as another site.
            address = None if local_only else ip_of(name)
            if address is None or address.is_unspecified:
                raise web.HTTPForbidden(text=f"this server is not called {name}")
        _refuse_other_sites(request)
        free = public and (request.path == "/" or request.path.startswith(public))
        if not (free or _knows(request, token) or (name in _LOOPBACK and _is_trusted(request))):
            raise web.HTTPUnauthorized(
                text="open the whole address that vidbg printed: it ends in ?token=...",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return await handler(request)

    return check


def _host_of(request: web.Request) -> str:
    """Return the name by which the client calls this server.

    Raises:
        HTTPBadRequest: there is none, or more than one.
    """
    named = request.headers.getall("Host", [])
    host = _HOST.fullmatch(named[0]) if len(named) == 1 else None
    if host is None or not request.raw_path.startswith("/"):
        raise web.HTTPBadRequest(text="the request has no valid Host, or a URL instead of a path")
    return host["name"].strip("[]").lower()


def _refuse_other_sites(request: web.Request) -> None:
    """Refuse requests from other sites' pages: images, frames, forms, links and scripts.

    Raises:
        HTTPForbidden: this is one.
    """
    own = {f"{scheme}://{request.host}".lower() for scheme in ("http", "https")}
    foreign = any(origin.lower() not in own for origin in request.headers.getall("Origin", []))
    sites = request.headers.getall("Sec-Fetch-Site", [])
    if foreign or any(site not in ("same-origin", "none") for site in sites):
        raise web.HTTPForbidden(
            text="vidbg does not answer other pages: paste the address that it printed into a new "
            "tab"
        )


def _knows(request: web.Request, token: str) -> bool:
    """Return whether the request carries the token."""
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    given = [request.query.get("token", ""), bearer if scheme.lower() == "bearer" else ""]
    return any(hmac.compare_digest(text.encode(errors="replace"), token.encode()) for text in given)


def _is_trusted(request: web.Request) -> bool:
    """Return whether the request comes from a program of this account.

    A browser is trusted only if its Fetch metadata, or Origin for a WebSocket, shows that no other
    page made the request.
    """
    silent = not {"Sec-Fetch-Site", "Origin"} & request.headers.keys()
    if silent and request.headers.get("User-Agent", "").startswith("Mozilla/"):
        return False
    return request.transport is not None and is_own_account(request.transport)
