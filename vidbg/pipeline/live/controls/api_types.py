"""What the API takes and answers, as JSON."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

Json = Any
"""The value of a setting: true, false, a number, a string, a list of strings, or null."""


class StatusAnswer(Struct):
    """What viewers see, and how fast.

    Attributes:
        state: "starting", "live", "degraded", "paused" or "away".
        words: the state for people.
        reason: why it is not live.
        fps: composited frames a second.
        cpu_percent: of one core.
        latency_ms: from a frame's arrival to its output.
        watched: whether the output has viewers; null if it cannot tell.
        reduced: a sentence while the network works with less than asked.
    """

    state: str
    words: str
    reason: str | None
    fps: float
    cpu_percent: float
    latency_ms: float | None
    watched: bool | None
    reduced: str | None


class ShownBackground(Struct):
    """The background that is shown.

    Attributes:
        kind: "file", "blur", "colour", "none" (the real room) or another kind.
        value: what the setting "background" is.
        name: for people, such as the name of a file.
        id: among the backgrounds to choose from; null if it is not one of them.
        adjust: value of the kind's own setting, such as the strength of blur.
    """

    kind: str
    value: str
    name: str
    id: str | None
    adjust: float | str | None


class CameraState(Struct):
    """The camera in use.

    Attributes:
        problem: why it gives no frames, or why another one could not take its place.
    """

    name: str
    mode: str | None
    problem: str | None


class NetworkState(Struct):
    """What runs the network.

    Attributes:
        words: network, device and number format.
        others: why each device before it was not taken.
    """

    words: str
    others: list[str]


class RecordingState(Struct):
    """A recording, or the last one if it failed.

    Attributes:
        path: of the file, which has this name once it is complete.
        bytes: in whole megabytes.
        problem: why it ended; null while it goes on.
    """

    path: str
    seconds: int
    bytes: int
    problem: str | None


class LiveOutputState(Struct):
    """Where frames go.

    Attributes:
        value: as in the setting "output".
        name: for people, without secrets.
        url: of the page that it serves, with the token that opens it.
        state: "opening", "on", "failing" or "ended".
        problem: what is wrong with it.
        watched: whether it has viewers; null if unknown.
    """

    value: str
    name: str
    url: str | None
    state: str
    problem: str | None
    watched: bool | None


class Revisions(Struct):
    """Numbers that grow when a list changes, so that a client knows when to ask for it again."""

    backgrounds: int
    profiles: int


class RunState(Struct):
    """Everything that a client shows of a run.

    Attributes:
        version: of the program.
        revision: grows with each change of anything but the measurements in `status` and
            `recording`.
        running: false before the run begins; `status` is then null.
        settings: every live option by key, as in the configuration file.
        room_on_air: whether viewers see the real room.
        away: whether viewers see the away card, and the camera is closed.
        profile: the one that was applied or saved last, until a setting is changed.
        lists: see Revisions.
    """

    version: str
    revision: int
    running: bool
    status: StatusAnswer | None
    settings: dict[str, Json]
    background: ShownBackground | None
    room_on_air: bool
    camera: CameraState | None
    outputs: list[LiveOutputState]
    network: NetworkState | None
    away: bool
    recording: RecordingState | None
    profile: str | None
    lists: Revisions


class StateEvent(Struct, tag="state", tag_field="type"):
    """The state has changed."""

    state: RunState


class Choice(Struct):
    value: str
    label: str


class OptionAnswer(Struct):
    """An option of `vidbg run`.

    Attributes:
        key: its name in the settings and the configuration file.
        label: for people.
        section: the heading that it stands under; null if the page has no control for it.
        help: one sentence.
        kind: "check", "number", "choice", "text", "texts", "file", "colour", "background", "camera"
            or "output".
        live: whether it can be changed during a run.
        default: its built-in value.
        range: smallest and largest number.
        optional: whether null is a value.
    """

    key: str
    label: str
    section: str | None
    help: str
    kind: str
    live: bool
    default: Json
    range: tuple[float, float | None] | None
    step: float | None
    unit: str | None
    choices: list[Choice]
    optional: bool


class Adjustment(Struct):
    """The one value of a background's kind that can be adjusted: "KIND:VALUE" as a setting.

    Attributes:
        range: of a number; null for a colour, "#rrggbb".
    """

    name: str
    label: str
    default: float | str
    range: tuple[float, float] | None


class BackgroundKind(Struct):
    """A kind of background that needs no file; its value as a setting is `kind`."""

    kind: str
    label: str
    adjust: Adjustment | None


class BackgroundFile(Struct):
    """An image or video to choose.

    Attributes:
        value: what the setting "background" becomes.
        deletable: whether it was uploaded.
    """

    id: str
    name: str
    value: str
    deletable: bool


class BackgroundPicture(Struct):
    """A picture to choose that vidbg draws itself; its value as a setting is `value`."""

    id: str
    name: str
    value: str


class PictureFile(Struct):
    """An image that was uploaded; `value` is what a setting of the kind "file" becomes."""

    name: str
    value: str


class Backgrounds(Struct):
    """The backgrounds to choose from; `pictures` and `files` have a thumbnail each."""

    kinds: list[BackgroundKind]
    pictures: list[BackgroundPicture]
    files: list[BackgroundFile]


class ResetRequest(Struct, forbid_unknown_fields=True):
    """Which settings go back to how the run started; null for all of them."""

    keys: list[str] | None = None


class Profile(Struct):
    """Settings with a name, from the configuration file."""

    name: str
    settings: dict[str, Json]


class RenameRequest(Struct, forbid_unknown_fields=True):
    """A profile's new name."""

    name: str


class CameraModeAnswer(Struct):
    """A mode of a camera, as the settings that ask for it."""

    size: str
    fps: float
    format: str


class CameraChoice(Struct):
    """A camera to choose.

    Attributes:
        value: what the setting "camera" becomes.
        modes: the largest first; empty where the system does not tell.
        problem: why it cannot be opened now, with the next step.
    """

    value: str
    label: str
    modes: list[CameraModeAnswer]
    problem: str | None


class OutputArgument(Struct):
    """What stands behind an output's word."""

    label: str
    example: str


class OutputChoice(Struct):
    """A kind of output to add.

    Attributes:
        value: what is added to the setting "output", before the argument if it takes one.
        problem: why it cannot be used on this computer, with the next step.
    """

    value: str
    label: str
    purpose: str
    argument: OutputArgument | None
    problem: str | None


class SetupStepAnswer(Struct):
    """Something that this computer lacks, and what to do about it, as `vidbg doctor` says it.

    Attributes:
        about: "camera" or "virtual camera".
        words: one line; commands stand in backticks.
        commands: these commands, to be copied.
    """

    about: str
    words: str
    commands: list[str]


class AwayRequest(Struct, forbid_unknown_fields=True):
    """Whether viewers are to see the away card."""

    away: bool


class SnapshotRequest(Struct, forbid_unknown_fields=True):
    """What becomes of a snapshot.

    Attributes:
        save: write it to a new file next to the recordings, instead of returning it.
    """

    save: bool = False


class SavedSnapshot(Struct):
    """A snapshot that was saved.

    Attributes:
        path: of the PNG, on the run's computer.
    """

    path: str


class RecordingRequest(Struct, forbid_unknown_fields=True):
    """Where to record to; null for a name made of the time, in the user's folder of videos.

    Attributes:
        path: absolute, ending in .mp4, .m4v, .mov or .mkv; no file is replaced.
    """

    path: str | None = None


class StatisticsSample(Struct):
    """What a run did in one second.

    Attributes:
        at_s: when it ended, in seconds since 1970.
        latency_p50_ms, latency_p95_ms: from a frame's arrival to the first output.
        dropped: camera frames that newer ones overtook.
        cpu_percent: of one core.
        rss_mb: memory of the program.
    """

    at_s: float
    state: str
    fps: float
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    dropped: int
    cpu_percent: float
    rss_mb: float | None


class Statistics(Struct):
    """One sample a second, for the last ten minutes, oldest first."""

    samples: list[StatisticsSample]


class LogLine(Struct):
    """A message of the run; `level` is "INFO", "WARNING" or "ERROR"."""

    time: str
    level: str
    text: str


class Log(Struct):
    lines: list[LogLine]


class RoomQuestionRequest(Struct, forbid_unknown_fields=True):
    """What the room is to be shown to: "output", everyone, or "preview", one client's preview."""

    purpose: Literal["output", "preview"]


class RoomQuestion(Struct):
    """A question for the user, and the token that proves that it was asked."""

    question: str
    token: str


class RoomRequest(Struct, forbid_unknown_fields=True):
    """The user's consent to show the real room to everyone.

    Attributes:
        token: of a RoomQuestion for the output, valid for two minutes and once.
        confirm: true.
    """

    token: str
    confirm: bool
