"""The API of a live run: one method per route."""

from __future__ import annotations

import threading
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import cv2
import msgspec

from vidbg.errors import ConfigError
from vidbg.option import Section
from vidbg.pipeline.live.appearance import warn_of_room
from vidbg.pipeline.live.controls import api_types as types
from vidbg.pipeline.live.controls import uploads
from vidbg.pipeline.live.controls.answers import (
    background_answer,
    camera_answer,
    file_answer,
    kind_answers,
    network_answer,
    option_answer,
    output_answer,
    picture_answers,
    recording_answer,
    sample_answer,
)
from vidbg.pipeline.live.controls.background_library import BackgroundLibrary
from vidbg.pipeline.live.controls.device_choices import camera_choices, output_choices, setup_of
from vidbg.pipeline.live.controls.diagnostics import RecentLog, diagnostics_of
from vidbg.pipeline.live.controls.live_settings import (
    RUN_OPTIONS,
    SETTINGS,
    settings_of,
    with_settings,
    with_settings_of,
)
from vidbg.pipeline.live.controls.profiles import Profiles
from vidbg.pipeline.live.controls.room_consent import QUESTIONS, RoomConsent
from vidbg.pipeline.live.controls.thumbnails import drawn_thumbnail, thumbnail
from vidbg.pipeline.live.previews.views import View
from vidbg.platform.folders import videos_folder
from vidbg.sinks.web.api_route import ApiError, Upload, route
from vidbg.util.atomic_file import replace_file
from vidbg.util.choices import refusal
from vidbg.util.lifecycle import Closeable
from vidbg.version import __version__

if TYPE_CHECKING:
    from vidbg.pipeline.live.controls.controlled_run import ControlledRun
    from vidbg.pipeline.live.live_config import LiveConfig
    from vidbg.pipeline.live.status import LiveStatus

MEASURED_S = 1.0
"""Least time between two measurements in the state, in seconds, so that they can be read."""


class LiveApi(Closeable):
    """Answers the API's requests about a run. Its methods may be called from any thread.

    Args:
        library: the backgrounds to choose from.
        profiles: of the configuration file.
        log: keeps the last messages.
    Attributes:
        version: of the program.
        status: the newest, set by whoever shows the run; None before the first.
    """

    version = __version__

    def __init__(self, library: BackgroundLibrary, profiles: Profiles, log: RecentLog) -> None:
        self._library, self._profiles, self._log = library, profiles, log
        self._consent = RoomConsent()
        pictures = uploads.uploads_folder("pictures")
        self._pictures = None if pictures is None else uploads.Uploads(pictures)
        self._profile: tuple[str, dict[str, Any]] | None = None
        self._changing, self._reporting = threading.Lock(), threading.Lock()
        self._run: ControlledRun | None = None
        self._at_start: LiveConfig | None = None
        self.status: LiveStatus | None = None
        self._measured: tuple[float, LiveStatus | None] = (float("-inf"), None)
        self._reported: types.RunState | None = None

    def close(self) -> None:
        """End the conversion of an upload that is going on."""
        self._library.close()
        if self._pictures is not None:
            self._pictures.close()

    def begin(self, run: ControlledRun) -> None:
        """Give the API the run that it controls."""
        self._run, self._at_start = run, run.config

    # --- state ------------------------------------------------------------------------------------

    @route("GET", "/state")
    def state(self) -> types.RunState:
        """Return everything that a client shows of the run."""
        run, used = self._run, self._profile
        self._library.files()  # notices what has changed in the folders
        self._profiles.check_file()
        with self._reporting:  # what is read outside could be older than what was reported
            config = None if run is None else run.config
            settings = {} if config is None else settings_of(config)
            state = types.RunState(
                version=self.version,
                revision=0 if self._reported is None else self._reported.revision,
                running=config is not None,
                status=None,
                settings=settings,
                background=None if config is None else background_answer(config, self._library),
                room_on_air=config is not None and config.look.shows_room,
                camera=None if run is None else camera_answer(run.camera),
                outputs=[] if run is None else [output_answer(each) for each in run.outputs],
                network=None if run is None else network_answer(run.backend),
                away=run is not None and run.away,
                recording=None if run is None else recording_answer(run.recording),
                # The last profile, if nothing was changed since
                profile=used[0] if used is not None and used[1] == settings else None,
                lists=types.Revisions(self._library.revision, self._profiles.revision),
            )
            recording = state.recording
            if recording is not None:  # what grows all the time is no change
                state.recording = msgspec.structs.replace(recording, seconds=0, bytes=0)
            if state != self._reported:
                state.revision += 1
                self._reported = state
            return msgspec.structs.replace(state, status=self._status(), recording=recording)

    @route("GET", "/options")
    def options(self) -> list[types.OptionAnswer]:
        """Return the options of `vidbg run`, those that the page shows first, by section."""
        sections = get_args(Section)
        described = [option_answer(option) for option in RUN_OPTIONS.values()]
        return sorted(
            described,
            key=lambda option: sections.index(option.section) if option.section else len(sections),
        )

    # --- settings ---------------------------------------------------------------------------------

    @route("GET", "/settings")
    def settings(self) -> dict[str, types.Json]:
        """Return the live options by key."""
        return settings_of(self._live_run().config)

    @route("PATCH", "/settings")
    def change_settings(self, body: dict[str, types.Json]) -> types.RunState:
        """Change any of the settings, all of them or none. Another background hides the room."""
        run = self._live_run()
        background = body.get("background", "none")
        if isinstance(background, str) and background.strip() != "none":
            run.hide_room()  # at once: another change may hang, and this background may be missing
        with self._changing:
            self._apply(
                with_settings(run.config, body), next(iter(body)) if len(body) == 1 else None
            )
        return self.state()

    @route("POST", "/settings/reset")
    def reset_settings(self, body: types.ResetRequest) -> types.RunState:
        """Reset settings to how the run started."""
        run, at_start = self._live_run(), self._at_start
        keys = list(SETTINGS) if body.keys is None else body.keys
        with self._changing:
            config = run.config
            if at_start is not None:
                if body.keys is None and at_start.look.shows_room and not config.look.shows_room:
                    keys.remove("background")  # a reset of everything puts no room on air
                config = with_settings_of(config, at_start, keys)
            self._apply(config, None)
        return self.state()

    # --- backgrounds ------------------------------------------------------------------------------

    @route("GET", "/backgrounds")
    def backgrounds(self) -> types.Backgrounds:
        """Return the backgrounds to choose from."""
        files = [file_answer(file) for file in self._library.files()]
        return types.Backgrounds(kind_answers(), picture_answers(), files)

    @route("POST", "/backgrounds", max_bytes=uploads.MAX_BYTES)
    def upload_background(self, body: Upload) -> types.BackgroundFile:
        """Take an image or video as a background to choose, converted to JPEG, PNG or MP4."""
        return file_answer(self._library.add(body))

    @route("POST", "/pictures", max_bytes=uploads.MAX_PICTURE_BYTES)
    def upload_picture(self, body: Upload) -> types.PictureFile:
        """Take an image for a setting that is a file, such as the overlay; its alpha is kept."""
        if self._pictures is None:
            raise ApiError(409, "this account has no home to keep pictures in")
        path = self._pictures.keep(body)
        return types.PictureFile(path.name, str(path))

    @route("DELETE", "/backgrounds/{id}")
    def delete_background(self, id: str) -> types.Backgrounds:
        """Delete an uploaded background that is not shown."""
        shown = background_answer(self._live_run().config, self._library)
        if shown.id == id:
            raise ApiError(409, "this background is being shown; choose another one first")
        self._library.delete(id)
        return self.backgrounds()

    @route("GET", "/backgrounds/{id}/thumbnail", media_type="image/jpeg", exclusive=True)
    def background_thumbnail(self, id: str) -> bytes:
        """Return a background as a small JPEG."""
        file = self._library.get(id)
        if file is not None:
            jpeg = thumbnail(file.path)
        else:
            jpeg = drawn_thumbnail(id) if id in {each.id for each in picture_answers()} else None
        if jpeg is None:
            raise ApiError(404, "there is no such background, or it cannot be shown")
        return jpeg

    # --- devices ----------------------------------------------------------------------------------

    @route("GET", "/cameras", exclusive=True)
    def cameras(self) -> list[types.CameraChoice]:
        """Return the cameras to choose from."""
        return camera_choices(self._live_run().config.camera)

    @route("GET", "/outputs", exclusive=True)
    def outputs(self) -> list[types.OutputChoice]:
        """Return the kinds of output, and why one cannot be used on this computer."""
        return output_choices()

    @route("GET", "/setup", exclusive=True)
    def setup(self) -> list[types.SetupStepAnswer]:
        """Return what this computer lacks for a live run, and what to do about it."""
        return setup_of(self._live_run().config)

    # --- profiles ---------------------------------------------------------------------------------

    @route("GET", "/profiles")
    def profiles(self) -> list[types.Profile]:
        """Return the profiles of the configuration file."""
        return [types.Profile(*each) for each in self._profiles.all().items()]

    @route("PUT", "/profiles/{name}")
    def save_profile(self, name: str) -> types.RunState:
        """Save how things look now as a profile, a new one or in place of the old."""
        settings = settings_of(self._live_run().config)
        self._profiles.save(name, settings)
        self._profile = name, settings
        return self.state()

    @route("DELETE", "/profiles/{name}")
    def delete_profile(self, name: str) -> types.RunState:
        """Delete a profile; the settings stay as they are."""
        self._profiles.delete(name)
        return self.state()

    @route("POST", "/profiles/{name}/apply")
    def apply_profile(self, name: str) -> types.RunState:
        """Change the settings to a profile's, and the rest of the look to the file's."""
        run, wanted = self._live_run(), self._profiles.settings(name)
        with self._changing:
            self._apply(with_settings(run.config, wanted), None)
            self._profile = name, settings_of(run.config)
        return self.state()

    @route("POST", "/profiles/{name}/rename")
    def rename_profile(self, name: str, body: types.RenameRequest) -> types.RunState:
        """Give a profile another name."""
        self._profiles.rename(name, body.name)
        if self._profile is not None and self._profile[0] == name:
            self._profile = body.name, self._profile[1]
        return self.state()

    # --- the picture ------------------------------------------------------------------------------

    @route("POST", "/away")
    def set_away(self, body: types.AwayRequest) -> types.RunState:
        """Close the camera and show viewers a card, or go on."""
        self._live_run().set_away(body.away)
        return self.state()

    @route("POST", "/snapshot", media_type="image/png", exclusive=True)
    def snapshot(self, body: types.SnapshotRequest | None = None) -> bytes | types.SavedSnapshot:
        """Return what viewers see at the moment as a PNG, or save it next to the recordings."""
        png = cv2.imencode(".png", self._live_run().snapshot())[1].tobytes()
        if body is None or not body.save:
            return png
        path = _new_file(".png")
        try:
            replace_file(path, png)
        except OSError as error:
            words = f"{path} cannot be written: {error.strerror}; make room on its disk"
            raise ApiError(409, words) from None
        return types.SavedSnapshot(str(path))

    @route("POST", "/recording")
    def start_recording(self, body: types.RecordingRequest) -> types.RunState:
        """Start to record what viewers see, to a new file on this computer."""
        run, path = self._live_run(), None if body.path is None else Path(body.path)
        if path is not None and not path.is_absolute():
            raise ApiError(400, "give the whole path of the file, beginning at the root", "path")
        with self._changing:
            if run.recording is not None and run.recording.problem is None:
                raise ApiError(409, f"a recording is in progress: {run.recording.path.name}")
            run.start_recording(_new_file(".mp4") if path is None else path)
        return self.state()

    @route("DELETE", "/recording")
    def stop_recording(self) -> types.RunState:
        """End the recording and complete its file."""
        with self._changing:
            if self._live_run().stop_recording() is None:
                raise ApiError(409, "nothing is being recorded")
        return self.state()

    # --- the room ---------------------------------------------------------------------------------

    @route("POST", "/room/question")
    def ask_for_room(self, body: types.RoomQuestionRequest) -> types.RoomQuestion:
        """Return the question to put to the user before the real room is shown."""
        return types.RoomQuestion(QUESTIONS[body.purpose], self._consent.ask(body.purpose))

    @route("POST", "/room")
    def show_room(self, body: types.RoomRequest) -> types.RunState:
        """Show the real room to everyone, after the user has said yes."""
        run = self._live_run()
        answered = self._consent.redeem(body.token, "output")  # a no uses the question up, too
        if not (answered and body.confirm):
            raise ApiError(409, "ask first: POST /room/question, and answer within two minutes")
        with self._changing:
            run.change(with_settings(run.config, {"background": "none"}))
            warn_of_room(run.config.look, "confirmed on the page or over the API")
        return self.state()

    # --- what went on -----------------------------------------------------------------------------

    @route("GET", "/statistics")
    def statistics(self) -> types.Statistics:
        """Return what the run did in each second of the last ten minutes."""
        return types.Statistics([sample_answer(each) for each in self._live_run().history])

    @route("GET", "/log")
    def log(self) -> types.Log:
        """Return the last messages of the run, oldest first."""
        return types.Log(self._log.lines())

    @route("GET", "/diagnostics", media_type="text/plain")
    def diagnostics(self) -> str:
        """Return what a report of a problem should hold, without paths and secrets."""
        run = self._run
        config = None if run is None else run.config
        return diagnostics_of(self.state(), config, self._log.lines())

    # --- the run ----------------------------------------------------------------------------------

    @route("POST", "/quit")
    def quit(self) -> types.RunState:
        """End the run."""
        state = self.state()
        self._live_run().stop()
        return state

    # --- for the server ---------------------------------------------------------------------------

    def event(self) -> types.StateEvent:
        """Return the state for the clients of /events."""
        return types.StateEvent(self.state())

    def check_view(self, view: str, ticket: str) -> None:
        """Refuse a view that does not exist, or the camera's without the user's consent."""
        if view not in get_args(View):
            raise ApiError(404, refusal("view", view[:40], get_args(View)), "view")
        if view == "camera" and not self._consent.redeem(ticket, "preview"):
            raise ApiError(
                409,
                "the camera view shows your room; get a ticket from POST /room/question first",
                "view",
            )

    def _live_run(self) -> ControlledRun:
        """Return the run.

        Raises:
            ApiError: it has not begun yet.
        """
        if self._run is None:
            raise ApiError(409, "the run has not begun yet; ask again in a moment")
        return self._run

    def _apply(self, config: LiveConfig, key: str | None) -> None:
        """Change the run. Puts no room on air that is not there already.

        Raises:
            ApiError: it cannot be changed like this; `key` is the setting to blame.
        """
        run = self._live_run()
        if config.look.shows_room and not run.config.look.shows_room:
            raise ApiError(
                409,
                "this would show your real room; POST /room/question asks first, then POST /room "
                "shows it",
                "background",
            )
        try:
            run.change(config, keep_hidden=True)  # it may have been hidden just now
        except ConfigError as error:
            raise ApiError(400, str(error), key) from None

    def _status(self) -> types.StatusAnswer | None:
        status, (measured_s, measured) = self.status, self._measured
        if status is None:
            return None
        if measured is None or time.monotonic() - measured_s >= MEASURED_S:
            self._measured, measured = (time.monotonic(), status), status
        return types.StatusAnswer(
            state=status.state.value,
            words=status.state.words,
            reason=status.reason,
            fps=round(measured.fps, 1),
            cpu_percent=round(measured.cpu_percent, 1),
            latency_ms=None if measured.latency_ms is None else round(measured.latency_ms, 1),
            watched=status.watched,
            reduced=status.reduced,
        )


def _new_file(suffix: str) -> Path:
    """Return the path of a new file in the folder of recordings, named by the time.

    Raises:
        ApiError: there cannot be such a folder.
    """
    folder = videos_folder() / "vidbg"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ApiError(409, f"the folder {folder} cannot be made: {error.strerror}") from None
    stem = time.strftime("vidbg %Y-%m-%d %H.%M.%S")
    names = (f"{stem}{f' {number}' if number > 1 else ''}{suffix}" for number in count(1))
    return next(folder / name for name in names if not (folder / name).exists())
