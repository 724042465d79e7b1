"""The files of a page, made ready for a quick first paint."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from aiohttp import web

from vidbg.sinks.web.web_access import content_policy

_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_STYLE = re.compile(r'<link rel="stylesheet" href="page/([\w.-]+)">')
_SCRIPT = re.compile(r'<script src="page/([\w.-]+)"></script>')
_MODULE = re.compile(r'<script type="module" src="page/([\w.-]+)"></script>')


class PageFiles:
    """A page from memory: index.html at /, its other files below /page/.

    The browser gets what it needs for its first paint in one answer, and asks for all modules at
    once: index.html is sent with its style sheet and its classic scripts inside, which the page's
    content policy names by their hashes, and with a hint for each module. As separate
    files, that took 17 requests in four rounds.

    Args:
        folder: of the files; it must not change while they are served.
    """

    def __init__(self, folder: Path) -> None:
        files = [path for path in folder.iterdir() if path.suffix in _TYPES]
        # Git on Windows may write CRLF, which browsers turn into LF before they hash
        self._files = {
            path.name: (path.read_text(encoding="utf-8").encode(), _TYPES[path.suffix])
            for path in files
        }
        self._hashes: dict[str, list[str]] = {"style": [], "script": []}
        html = (folder / "index.html").read_text(encoding="utf-8")
        # Put style sheets and classic scripts into the page
        for tag, reference in (("style", _STYLE), ("script", _SCRIPT)):
            for match in reference.finditer(html):
                content, _ = self._files.pop(match[1])
                digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
                self._hashes[tag].append(f"'sha256-{digest}'")
                html = html.replace(match[0], f"<{tag}>{content.decode()}</{tag}>")
        # Name every module before the first one, which imports the others
        names = sorted(name for name in self._files if name.endswith(".js"))
        hints = "".join(f'<link rel="modulepreload" href="page/{name}">\n' for name in names)
        self._html = _MODULE.sub(lambda module: hints + module[0], html).encode()

    def add_to(self, app: web.Application) -> None:
        """Serve the page at a server's root."""
        policy = content_policy(self._hashes["style"], self._hashes["script"])

        async def index(_: web.Request) -> web.StreamResponse:
            headers = {"Content-Security-Policy": policy}
            return web.Response(
                body=self._html, content_type="text/html", charset="utf-8", headers=headers
            )

        async def file(request: web.Request) -> web.StreamResponse:
            try:
                content, media_type = self._files[request.match_info["name"]]
            except KeyError:
                raise web.HTTPNotFound from None
            return web.Response(body=content, content_type=media_type, charset="utf-8")

        app.router.add_get("/", index)
        app.router.add_get("/page/{name}", file)
