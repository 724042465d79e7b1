"""`vidbg doctor`: what is installed here, what vidbg would use of it, and what to do next."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

import vidbg
from vidbg.cli.devices import (
    Row,
    camera_rows,
    jsonable,
    section,
    virtual_camera_rows,
)
from vidbg.platform.installation import install_command
from vidbg.platform.processor import processor_features, processor_name
from vidbg.sinks import OUTPUTS

if TYPE_CHECKING:
    from rich.console import Console

    from vidbg.matting.backends import BackendReport
    from vidbg.matting.engines import EngineReport
    from vidbg.sinks.camera.virtual_camera import VirtualCameraReport
    from vidbg.sources.camera.v4l2 import CameraInfo

_T = TypeVar("_T")

_PACKAGES = {
    "numpy": "arrays",
    "opencv-python": "cameras, windows, pixel work",
    "av": "video files",
    "openvino": "the network on CPUs and Intel GPUs",
    "pyvirtualcam": "the virtual camera",
    "typer": "the command line",
    "aiohttp": "web:PORT and --panel (optional)",
    "torch": "the network on NVIDIA and Apple GPUs, training (optional)",
    "torchvision": "training (optional)",
    "safetensors": "weights for torch (optional)",
    "nncf": "quantisation (optional)",
}
_OPENCV = ("opencv-python", "opencv-contrib-python", "opencv-python-headless")
_ENCODERS = {
    "libx264": "H.264 in .mp4, the usual output",
    "prores_ks": "ProRes 4444 in .mov, with alpha",
    "libvpx-vp9": "VP9 in .webm, with alpha",
}


@dataclass(frozen=True, slots=True)
class System:
    """The computer; `cpu_features` lists those that speed up the network, None if unknown."""

    vidbg: str
    python: str
    os: str
    cpu: str
    cpu_count: int
    cpu_features: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Package:
    """A package; `version` is None if it is not installed."""

    name: str
    version: str | None
    purpose: str


@dataclass(frozen=True, slots=True)
class Ffmpeg:
    """The FFmpeg bundled with PyAV; `problem` says why it cannot be used."""

    libraries: dict[str, str]
    encoders: dict[str, bool]
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """A value of `--output`; `problem` says why it does not work and what to do, or is None."""

    name: str
    purpose: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that the doctor found.

    Attributes:
        failures, live_failures: checks that raised an error, for files and for devices.
    """

    system: System
    packages: list[Package]
    backends: list[BackendReport]
    engines: list[EngineReport]
    cameras: list[CameraInfo]
    virtual_camera: VirtualCameraReport
    other_outputs: list[Output]
    ffmpeg: Ffmpeg
    failures: list[str]
    live_failures: list[str]

    def live_steps(self) -> list[str]:
        """Return the steps to take before `vidbg run` can work."""
        from vidbg.pipeline.setup_steps import camera_steps, virtual_camera_steps

        steps = [*camera_steps(self.cameras), *virtual_camera_steps(self.virtual_camera)]
        return self.live_failures + steps

    def problems(self) -> list[str]:
        """Return the problems that prevent processing files, each with its next step."""
        problems = list(self.failures)
        if not any(backend.chosen for backend in self.backends):
            problems.append("no backend can run the network: `pip install openvino`")
        problems += [engine.detail for engine in self.engines if not engine.ok]
        if self.ffmpeg.problem is not None:
            problems.append(self.ffmpeg.problem)
        elif not self.ffmpeg.encoders["libx264"]:
            problems.append(
                "PyAV has no libx264: `pip install --force-reinstall --only-binary=av av`"
            )
        return problems


def doctor(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object for scripts.")
    ] = False,
) -> None:
    """Show what is installed, what vidbg would use, and what to do next.

    Exits with 0 if vidbg can process files here, else with 1.
    """
    findings = examine()
    if as_json:
        problems = findings.problems()
        facts = {key: value for key, value in asdict(findings).items() if "failures" not in key}
        summary = {
            "can_process": not problems,
            "problems": problems,
            "live_steps": findings.live_steps(),
        }
        typer.echo(json.dumps({**summary, **facts}, default=jsonable))
    else:
        from rich.console import Console

        show(findings, Console())
    raise typer.Exit(1 if findings.problems() else 0)


def examine() -> Findings:
    """Run every check; a check that fails becomes a line of the findings."""
    from vidbg.matting import backends, engines
    from vidbg.sinks.camera.virtual_camera import VirtualCameraReport, virtual_camera_report
    from vidbg.sources.camera.camera_source import list_cameras

    failures: list[str] = []
    live_failures: list[str] = []
    unknown = VirtualCameraReport(usable=False, found=("could not be examined",), next_step=None)
    return Findings(
        system=System(
            vidbg=vidbg.__version__,
            python=platform.python_version(),
            os=_os_name(),
            cpu=processor_name(),
            cpu_count=os.cpu_count() or 1,
            cpu_features=processor_features(),
        ),
        packages=[_package(name, purpose) for name, purpose in _PACKAGES.items()],
        backends=_tried(backends.examine, [], failures),
        engines=_tried(engines.verify, [], failures),
        cameras=_tried(list_cameras, [], live_failures),
        virtual_camera=_tried(virtual_camera_report, unknown, live_failures),
        other_outputs=_tried(_other_outputs, [], live_failures),
        ffmpeg=_ffmpeg(),
        failures=failures,
        live_failures=live_failures,
    )


def _tried(look: Callable[[], _T], otherwise: _T, failures: list[str]) -> _T:
    """Run one check and catch any error, so that a failing check does not hide the others."""
    try:
        return look()
    except Exception as error:
        failures.append(
            f"{look.__module__} failed with {type(error).__name__}: {error}; "
            f"try `{install_command('', '--force-reinstall')}`"
        )
        return otherwise


def _os_name() -> str:
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {platform.release()}"
    except (OSError, KeyError):
        return platform.platform()


def _package(name: str, purpose: str) -> Package:
    from importlib import metadata

    for candidate in _OPENCV if name == "opencv-python" else (name,):
        try:
            return Package(candidate, metadata.version(candidate), purpose)
        except metadata.PackageNotFoundError:
            continue
    return Package(name, None, purpose)


def _ffmpeg() -> Ffmpeg:
    try:
        import av
        from av.codec import Codec
    except ImportError as error:
        return Ffmpeg({}, {}, f"PyAV cannot be imported ({error}): `pip install av`")

    def present(name: str) -> bool:
        try:
            return bool(Codec(name, "w").name)
        except ValueError:
            return False

    versions = {name: ".".join(map(str, parts)) for name, parts in av.library_versions.items()}
    return Ffmpeg(versions, {name: present(name) for name in _ENCODERS})


def _other_outputs() -> list[Output]:
    return [Output(kind.usage, kind.purpose, kind.problem()) for kind in OUTPUTS.values()]


def show(findings: Findings, console: Console) -> None:
    """Print the findings for people, with the next steps at the end."""
    for title, rows in (
        ("System", _system_rows(findings.system)),
        ("Packages", [_package_row(package) for package in findings.packages]),
        ("Backends, in order of choice", [_backend_row(backend) for backend in findings.backends]),
        ("Engines", [_engine_row(engine) for engine in findings.engines]),
        ("FFmpeg", _ffmpeg_rows(findings.ffmpeg)),
        ("Cameras", camera_rows(findings.cameras)),
        ("Virtual camera", virtual_camera_rows(findings.virtual_camera)),
        ("Other outputs, by --output", [_output_row(output) for output in findings.other_outputs]),
    ):
        console.print(section(title, rows), "")
    problems = findings.problems()
    _list(
        console, "vidbg can process files here." if not problems else "To process files:", problems
    )
    steps = findings.live_steps()
    _list(console, "vidbg can run live here." if not steps else "To run live:", steps)


def _list(console: Console, title: str, lines: Sequence[str]) -> None:
    """Print lines without wrapping, so that commands can be copied from them."""
    console.print(title, style="bold", highlight=False)
    for line in lines:
        console.print(f"- {line}", soft_wrap=True, markup=False, highlight=False)


def _system_rows(system: System) -> list[Row]:
    features = system.cpu_features
    names = "unknown on this system" if features is None else ", ".join(features) or "none"
    return [
        Row("-", "vidbg", f"{system.vidbg}, Python {system.python}"),
        Row("-", "operating system", system.os),
        Row("-", "processor", f"{system.cpu}, {system.cpu_count} logical cores"),
        Row("-", "processor features", names),
    ]


def _package_row(package: Package) -> Row:
    if package.version is None:
        mark: Literal["no", "-"] = "-" if package.purpose.endswith("(optional)") else "no"
        return Row(mark, package.name, f"not installed: {package.purpose}")
    return Row("ok", package.name, package.version)


def _backend_row(backend: BackendReport) -> Row:
    mark: Literal["ok", "-"] = "ok" if backend.usable else "-"
    return Row(mark, f"{backend.name} (chosen)" if backend.chosen else backend.name, backend.reason)


def _engine_row(engine: EngineReport) -> Row:
    if engine.ok:
        return Row("ok", engine.name, engine.detail)
    return Row("no", engine.name, "not what its card says, see below")


def _output_row(output: Output) -> Row:
    if output.problem is None:
        return Row("ok", output.name, output.purpose)
    return Row("-", output.name, output.problem)


def _ffmpeg_rows(ffmpeg: Ffmpeg) -> list[Row]:
    if ffmpeg.problem is not None:
        return [Row("no", "PyAV", ffmpeg.problem)]
    versions = ", ".join(f"{name} {version}" for name, version in ffmpeg.libraries.items())
    encoders = [
        Row("ok" if present else "no", name, _ENCODERS[name])
        for name, present in ffmpeg.encoders.items()
    ]
    return [Row("-", "libraries", versions), *encoders]
