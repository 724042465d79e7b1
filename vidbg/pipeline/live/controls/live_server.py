"""The server of a live run's page and API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, get_args

from vidbg.frame import Frame
from vidbg.pipeline.live.controls.background_library import BackgroundLibrary
from vidbg.pipeline.live.controls.diagnostics import RecentLog
from vidbg.pipeline.live.controls.live_api import LiveApi
from vidbg.pipeline.live.controls.profiles import Profiles
from vidbg.pipeline.live.previews.views import View
from vidbg.pipeline.live.status import LiveStatus
from vidbg.sinks.web.outside_address import OutsideAddress
from vidbg.sinks.web.web_service import WebAddress, WebService
from vidbg.util.lifecycle import Closeable

if TYPE_CHECKING:
    from aiohttp.web import Application

    from vidbg.pipeline.live.controls.controlled_run import ControlledRun
    from vidbg.sinks.web.newest_jpeg import NewestJpeg

HOST = "127.0.0.1"
VIEWS: tuple[View, ...] = get_args(View)


class LiveServer(Closeable):
    """Serves the page and the API.

    Args:
        port: to serve at; 0 takes any that is free.
        library: the backgrounds to choose from.
        profiles: of the configuration file.
        outside: where other devices reach it too.
    Attributes:
        previews: for the run, one for each view.
        api: what answers requests.
        url: the page's address, with the token that opens it: a secret.
        outside_url: that for other devices.
    Raises:
        SinkError: aiohttp is missing, or the port cannot be listened at.
    """

    def __init__(
        self,
        port: int,
        library: BackgroundLibrary,
        profiles: Profiles,
        outside: OutsideAddress | None = None,
    ) -> None:
        self._log = RecentLog()
        self.api = api = LiveApi(library, profiles, self._log)

        def make(views: Mapping[str, NewestJpeg], token: str) -> Application:
            from vidbg.sinks.web.api_server import api_application

            hosts = (HOST,) if outside is None else (HOST, outside.host)
            return api_application(api, views, hosts, token)

        address = WebAddress(HOST, port, hint="--panel 8092", outside=outside, announced=True)
        self._service = WebService("the panel", address, make, VIEWS)
        self.previews = [ServedView(self._service, api, view) for view in VIEWS]
        self.url, self.outside_url = self._service.url, self._service.outside_url

    def begin(self, run: ControlledRun) -> None:
        """Give page and API the run that they control."""
        self.api.begin(run)

    def close(self) -> None:
        self.api.close()
        self._service.close()
        self._log.close()


class ServedView:
    """Shows one view of a run to the clients that ask for it; implements Preview."""

    def __init__(self, service: WebService, api: LiveApi, view: View) -> None:
        self._service, self._api, self._view = service, api, view

    @property
    def view(self) -> View:
        """The view that is to be made: nothing but the output, which costs nothing, for nobody."""
        return self._view if self.smooth else "output"

    @property
    def smooth(self) -> bool:
        return self._service.wanted(self._view)

    @property
    def watches(self) -> bool:
        return self._service.watched(self._view)

    def show(self, frame: Frame, status: LiveStatus) -> None:
        self._api.status = status
        self._service.offer(frame.image, self._view)

    def close(self) -> None:
        """Leave the service to its owner: other views go on."""
