"""The page of a run in the default browser."""

from __future__ import annotations

import sys
import webbrowser

from vidbg.cli.ctl.run_client import Client
from vidbg.errors import VidbgError


def open_page(client: Client) -> None:
    """Open the page of a run.

    Every account can read in the list of processes what a browser is started with. On Linux the
    address therefore has no token: the kernel tells that the browser belongs to the run's account.

    Raises:
        VidbgError: no browser starts.
    """
    needs_none = sys.platform.startswith("linux") and client.is_local
    address = f"{client.address}/" if needs_none else client.page
    if not webbrowser.open(address):
        raise VidbgError(f"no browser starts here; open {client.page} in one")
