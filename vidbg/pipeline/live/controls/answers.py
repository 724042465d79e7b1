"""What the API answers, made from what a run and the option table say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vidbg.compositing.backgrounds import BACKGROUNDS, background_usage
from vidbg.compositing.compositor import as_compositing
from vidbg.option import Option
from vidbg.option_values import to_json
from vidbg.pipeline.live.controls import api_types as types
from vidbg.pipeline.live.controls.background_library import BackgroundLibrary, LibraryFile
from vidbg.sinks import FIRST_FREE, output_usage

if TYPE_CHECKING:
    from vidbg.pipeline.live.history import Sample
    from vidbg.pipeline.live.live_config import LiveConfig
    from vidbg.pipeline.live.outputs.recorder import RecordingStatus
    from vidbg.pipeline.live.status import BackendStatus, CameraStatus, OutputStatus


def background_answer(config: LiveConfig, library: BackgroundLibrary) -> types.ShownBackground:
    """Describe the background that is shown."""
    background = as_compositing(config.background).background
    path = background.files[0] if len(background.files) == 1 else None
    file = None if path is None else library.find(path)
    pictures = type(background).panel_pictures
    file_id = None if file is None else file.id
    if path is not None:
        name = path.name
    elif str(background) in pictures:
        file_id = str(background)
        name = pictures[file_id]
    else:
        name = type(background).panel_label or background.name
    adjust: float | str | None = None
    if background.panel_setting is not None:
        value = str(background).partition(":")[2]
        adjust = float(value) if background.panel_setting.limits else value
    return types.ShownBackground(background.name, str(background), name, file_id, adjust)


def kind_answers() -> list[types.BackgroundKind]:
    """Describe the kinds of background that have a button."""
    kinds = []
    for kind in BACKGROUNDS.values():
        if kind.panel_label:
            given, adjust = kind.panel_setting, None
            if given is not None:
                adjust = types.Adjustment(given.name, given.label, given.default, given.limits)
            kinds.append(types.BackgroundKind(kind.name, kind.panel_label, adjust))
    return kinds


def picture_answers() -> list[types.BackgroundPicture]:
    """Describe the pictures that need no file."""
    return [
        types.BackgroundPicture(text, label, text)
        for kind in BACKGROUNDS.values()
        for text, label in kind.panel_pictures.items()
    ]


def file_answer(file: LibraryFile) -> types.BackgroundFile:
    """Describe a background to choose."""
    return types.BackgroundFile(file.id, file.path.name, str(file.path), file.uploaded)


def camera_answer(status: CameraStatus) -> types.CameraState:
    """Describe the camera."""
    return types.CameraState(status.name, status.mode, status.fault)


def output_answer(status: OutputStatus) -> types.LiveOutputState:
    """Describe an output."""
    return types.LiveOutputState(
        value=FIRST_FREE if status.output is None else status.output,
        name=status.name,
        url=status.url,
        state=status.state.value,
        problem=status.fault,
        watched=status.watched,
    )


def network_answer(status: BackendStatus) -> types.NetworkState:
    """Describe what runs the network."""
    words = ", ".join(filter(None, (status.network, status.name, status.precision)))
    return types.NetworkState(words, [f"{name}: {why}" for name, why in status.refused.items()])


def recording_answer(status: RecordingStatus | None) -> types.RecordingState | None:
    """Describe a recording, rounded so that its growth is told once a second or so."""
    if status is None:
        return None
    size = status.size_bytes // 10**6 * 10**6
    return types.RecordingState(str(status.path), int(status.seconds), size, status.problem)


def sample_answer(sample: Sample) -> types.StatisticsSample:
    """Describe one second."""
    p50_ms, p95_ms, rss_mb = (
        None if value is None else round(value, 1)
        for value in (sample.latency_p50_ms, sample.latency_p95_ms, sample.memory_mb)
    )
    return types.StatisticsSample(
        at_s=round(sample.time_s, 1),
        state=sample.state.value,
        fps=round(sample.fps, 1),
        latency_p50_ms=p50_ms,
        latency_p95_ms=p95_ms,
        dropped=sample.dropped,
        cpu_percent=round(sample.cpu_percent, 1),
        rss_mb=rss_mb,
    )


def option_answer(option: Option[Any]) -> types.OptionAnswer:
    """Describe an option."""
    control, limits = option.control, option.limits
    labels: Mapping[str, str] = {} if control is None else control.labels
    default = option.default_for("run")
    maximum = None if limits is None or math.isinf(limits.maximum) else limits.maximum
    return types.OptionAnswer(
        key=option.key,
        label=option.key.capitalize().replace("-", " ") if control is None else control.label,
        section=None if control is None else control.section,
        help=option.help.format(
            range=option.range, backgrounds=background_usage(live=True), outputs=output_usage()
        ),
        kind=option.kind,
        live=option.live,
        default=to_json(option, default),
        range=None if limits is None else (limits.minimum, maximum),
        step=None if control is None or limits is None else control.step,
        unit=option.unit or None,
        choices=[types.Choice(word, labels.get(word, word)) for word in option.choices],
        optional=option.default is None,
    )
