"""How vidbg was installed, and the command that adds one of its extras."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

NAME = "vidbg"

_CHECKOUT = Path(__file__).resolve().parents[2]
"""The folder that would be the checkout; it is one if it has a pyproject.toml."""


def install_command(extra: str = "", *options: str) -> str:
    """Return the command that installs vidbg again the way it was, with one of its extras.

    A checkout or a local folder is named by its path, or "." in that folder; a package from a
    repository or an archive by its address. Only a package from an index is given by its name.

    Args:
        extra: such as "web"; "" for none.
        options: of pip, such as "--force-reinstall".
    """
    origin = _origin()
    folder = _source_folder(origin)
    if folder is not None:
        target = "." if folder == Path.cwd() else str(folder)
        if origin.get("dir_info", {}).get("editable"):
            options = (*options, "-e")
    else:
        target = NAME
    what = f"{target}[{extra}]" if extra else target
    if folder is None and "url" in origin:
        version_control = origin.get("vcs_info", {}).get("vcs")
        what += (
            f" @ {version_control}+{origin['url']}" if version_control else f" @ {origin['url']}"
        )
    quoted = f"'{what}'" if set(what) & set("[ @'") else what
    if Path(sys.prefix).parent.parts[-2:] == ("pipx", "venvs"):
        program = f"pipx runpip {Path(sys.prefix).name}"
    else:
        program = "uv pip" if _recorded("INSTALLER").strip() == "uv" else "pip"
    return " ".join([program, "install", *options, quoted])


def _source_folder(origin: dict[str, Any]) -> Path | None:
    """Return the checkout that this module runs from, or the folder it was installed from."""
    if (_CHECKOUT / "pyproject.toml").is_file():
        return _CHECKOUT
    if "dir_info" not in origin:
        return None
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    folder = Path(url2pathname(urlsplit(origin["url"]).path))
    return folder if folder.is_dir() else None


def _origin() -> dict[str, Any]:
    """Return pip's record of the package's origin (PEP 610); empty for an index."""
    try:
        origin = json.loads(_recorded("direct_url.json") or "{}")
    except ValueError:
        return {}
    return origin if isinstance(origin, dict) else {}


def _recorded(file: str) -> str:
    from importlib import metadata  # late: `vidbg --help` does not need it

    try:
        return metadata.distribution(NAME).read_text(file) or ""
    except metadata.PackageNotFoundError:
        return ""
