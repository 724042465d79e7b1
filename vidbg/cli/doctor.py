"""`vidbg doctor`: what is installed here, what vidbg would use of it, and what to do next."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

import vidbg
from vidbg.cli.devices import Row, camera_rows, jsonable, section, virtual_camera_rows
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
    "torchvision": "the encoder for torch, training (optional)",
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

    @classmethod
    def examine(cls) -> System:
        """Describe this computer."""
        try:
            os_name = platform.freedesktop_os_release()["PRETTY_NAME"]
            os_name = f"{os_name}, {platform.release()}"
        except (OSError, KeyError):
            os_name = platform.platform()
        return cls(
            vidbg=vidbg.__version__,
            python=platform.python_version(),
            os=os_name,
            cpu=processor_name(),
            cpu_count=os.cpu_count() or 1,
            cpu_features=processor_features(),
        )

    def rows(self) -> list[Row]:
        features = self.cpu_features
        names = "unknown on this system" if features is None else ", ".join(features) or "none"
        return [
            Row("-", "vidbg", f"{self.vidbg}, Python {self.python}"),
            Row("-", "operating system", self.os),
            Row("-", "processor", f"{self.cpu}, {self.cpu_count} logical cores"),
            Row("-", "processor features", names),
        ]


@dataclass(frozen=True, slots=True)
class Package:
    """A package; `version` is None if it is not installed."""

    name: str
    version: str | None
    purpose: str

    @classmethod
    def find(cls, name: str, purpose: str) -> Package:
        """Find the installed version of a package, or of another one with the same module."""
        from importlib import metadata

        for candidate in _OPENCV if name == "opencv-python" else (name,):
            try:
                return cls(candidate, metadata.version(candidate), purpose)
            except metadata.PackageNotFoundError:
                continue
        return cls(name, None, purpose)

    def row(self) -> Row:
        if self.version is None:
            mark: Literal["no", "-"] = "-" if self.purpose.endswith("(optional)") else "no"
            return Row(mark, self.name, f"not installed: {self.purpose}")
        return Row("ok", self.name, self.version)


@dataclass(frozen=True, slots=True)
class Ffmpeg:
    """The FFmpeg bundled with PyAV; `problem` says why it cannot be used."""

    libraries: dict[str, str]
    encoders: dict[str, bool]
    problem: str | None = None

    @classmethod
    def examine(cls) -> Ffmpeg:
        """Return the versions of its libraries, and which of the usual encoders it has."""
        try:
            import av
            from av.codec import Codec
        except ImportError as error:
            return cls({}, {}, f"PyAV cannot be imported ({error}): `pip install av`")

        encoders = dict.fromkeys(_ENCODERS, False)
        for name in encoders:
            with suppress(ValueError):  # it is unknown
                encoders[name] = bool(Codec(name, "w").name)
        versions = {name: ".".join(map(str, parts)) for name, parts in av.library_versions.items()}
        return cls(versions, encoders)

    def rows(self) -> list[Row]:
        if self.problem is not None:
            return [Row("no", "PyAV", self.problem)]
        versions = ", ".join(f"{name} {version}" for name, version in self.libraries.items())
        encoders = [
            Row("ok" if present else "no", name, _ENCODERS[name])
            for name, present in self.encoders.items()
        ]
        return [Row("-", "libraries", versions), *encoders]


@dataclass(frozen=True, slots=True)
class Output:
    """A value of `--output`; `problem` says why it does not work and what to do, or is None."""

    name: str
    purpose: str
    problem: str | None

    def row(self) -> Row:
        mark: Literal["ok", "-"] = "ok" if self.problem is None else "-"
        return Row(mark, self.name, self.problem or self.purpose)


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

    def outputs() -> list[Output]:
        return [Output(kind.usage, kind.purpose, kind.problem()) for kind in OUTPUTS.values()]

    failures: list[str] = []
    live_failures: list[str] = []
    unknown = VirtualCameraReport(usable=False, found=("could not be examined",), next_step=None)
    return Findings(
        system=System.examine(),
        packages=[Package.find(name, purpose) for name, purpose in _PACKAGES.items()],
        backends=_tried(backends.examine, [], failures),
        engines=_tried(engines.verify, [], failures),
        cameras=_tried(list_cameras, [], live_failures),
        virtual_camera=_tried(virtual_camera_report, unknown, live_failures),
        other_outputs=_tried(outputs, [], live_failures),
        ffmpeg=Ffmpeg.examine(),
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


def show(findings: Findings, console: Console) -> None:
    """Print the findings for people, with the next steps at the end."""
    backends = [
        Row(
            "ok" if backend.usable else "-",
            f"{backend.name} (chosen)" if backend.chosen else backend.name,
            backend.reason,
        )
        for backend in findings.backends
    ]
    engines = [
        Row("ok", engine.name, engine.detail)
        if engine.ok
        else Row("no", engine.name, "not what its card says, see below")
        for engine in findings.engines
    ]
    for title, rows in (
        ("System", findings.system.rows()),
        ("Packages", [package.row() for package in findings.packages]),
        ("Backends, in order of choice", backends),
        ("Engines", engines),
        ("FFmpeg", findings.ffmpeg.rows()),
        ("Cameras", camera_rows(findings.cameras)),
        ("Virtual camera", virtual_camera_rows(findings.virtual_camera)),
        ("Other outputs, by --output", [output.row() for output in findings.other_outputs]),
    ):
        console.print(section(title, rows), "")
    # Lines are not wrapped, so that commands can be copied from them
    for can, cannot, lines in (
        ("vidbg can process files here.", "To process files:", findings.problems()),
        ("vidbg can run live here.", "To run live:", findings.live_steps()),
    ):
        console.print(cannot if lines else can, style="bold", highlight=False)
        for line in lines:
            console.print(f"- {line}", soft_wrap=True, markup=False, highlight=False)
