"""Backends, which run the network: one interface, one module per library, one factory.

`auto` tries CANDIDATES in order. A device given by name is used or refused, never replaced.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Protocol, cast, get_args

import numpy as np
from numpy.typing import NDArray

from vidbg.errors import BackendError, ConfigError
from vidbg.matting.backends.alpha_checks import try_out
from vidbg.matting.backends.lifetime import under_way
from vidbg.matting.backends.trial import try_apart
from vidbg.matting.backends.tried import Refusals, TriedBackend, no_backend
from vidbg.matting.engines import CARDS, NetworkName
from vidbg.util.choices import Device, Precision, check_choice

logger = logging.getLogger(__name__)


class Backend(Protocol):
    """Runs the network.

    Attributes:
        name: device and library in readable form, such as "OpenVINO CPU".
        precision: the precision that it computes in.
    """

    @property
    def name(self) -> str: ...

    @property
    def precision(self) -> str: ...

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute alpha, float32 (h, w) in [0, 1], from float32 (1, 4, h, w).

        Both sides are multiples of 32. The result is a new array that the caller owns. The first
        call at a size may take seconds.

        Raises:
            BackendError: the device failed.
        """
        ...

    def ready(self, height: int, width: int) -> bool:
        """Whether a call at this size can compute without a long build first."""
        ...

    def prepare(self, height: int, width: int) -> None:
        """Get ready for inputs of this size. May be called during a call, from another thread.

        Raises:
            BackendError: the device failed.
        """
        ...

    def close(self) -> None:
        """Free the device; may be called more than once. Later calls raise BackendError."""
        ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """What runs a device.

    Attributes:
        module: of this package, with `offered`, `probe` and `load`.
        target: the library's own name of the device.
    """

    module: str
    target: str

    def library(self) -> Any:
        """Import the module."""
        return import_module(f"{__name__}.{self.module}")


CANDIDATES = {
    "tensorrt": Candidate("tensorrt", "cuda"),
    "cuda": Candidate("pytorch", "cuda"),
    "mps": Candidate("pytorch", "mps"),
    "xpu": Candidate("pytorch", "xpu"),
    "cpu": Candidate("openvino", "CPU"),
    "torch-cpu": Candidate("pytorch", "cpu"),
    "intel-gpu": Candidate("openvino", "GPU"),
}
"""Devices in the order in which `auto` tries them."""

CPU_DEVICES = tuple(name for name, kind in CANDIDATES.items() if kind.target.upper() == "CPU")
"""Devices that compute on the processor. Live runs start them with a light network and climb."""

TRIAL_SIZE = 224, 384
"""Height and width of the network's input for a 16:9 image, at the usual size."""

TRIALS_S = 1.0
"""Duration of a timing in seconds; at least one image is computed, and the fastest counts."""


@dataclass(frozen=True, slots=True)
class BackendReport:
    """Report on whether a device can be used here.

    Attributes:
        reason: why the device cannot be used, or what it would run.
        chosen: whether `auto` picks it.
        ms, light_ms: how long ResNet-50 and the light network took for an image, in milliseconds;
            None if they were not tried.
    """

    name: str
    usable: bool
    reason: str
    chosen: bool
    ms: float | None = None
    light_ms: float | None = None


def load_backend(
    device: str = "auto",
    precision: str = "auto",
    network: NetworkName = "resnet50",
    threads: int | None = None,
) -> Backend:
    """Open the backend for a device.

    If device or precision is "auto", one that fails at its first image is replaced by the next.

    Args:
        device: one of `Device`.
        precision: one of `Precision`; auto picks the fastest that suits the device.
        network: which of the shipped networks it runs.
        threads: number of CPU threads; None for one per physical core.
    Raises:
        ConfigError: a name is unknown, or the device does not support the precision.
        BackendError: the named device, or with auto every device, cannot be used; the message
            gives each reason.
    """
    check_choices(device, precision)
    if "auto" not in (device, precision):
        return open_device(device, precision, network, threads)
    refusals: Refusals = []
    devices = list(CANDIDATES) if device == "auto" else [device]
    return TriedBackend(_openings(devices, precision, network, threads, refusals), refusals)


def load_first(
    devices: Sequence[str],
    precision: str,
    network: NetworkName,
    threads: int | None,
    trial: Callable[[Backend], object],
    refusals: Refusals | None = None,
) -> tuple[str, Backend]:
    """Return the first device that can be used, and its backend.

    Args:
        trial: called with each backend that opens. If it raises BackendError, the backend is closed
            and the next precision or device is tried.
        refusals: receives the devices that cannot be used, with the reasons.
    Raises:
        ConfigError: the only device does not support the precision.
        BackendError: none of them can be used; the message gives each reason.
    """
    refusals = [] if refusals is None else refusals
    for name, backend in _openings(devices, precision, network, threads, refusals):
        try:
            trial(backend)
        except BackendError as error:
            refusals.append((name, error))
            backend.close()
            continue
        logger.info("backend %s, %s", backend.name, backend.precision)
        for device, refusal in refusals:
            logger.info("not %s: %s", device, refusal)
        return name, backend
    raise no_backend(refusals)


def _openings(
    devices: Sequence[str],
    precision: str,
    network: NetworkName,
    threads: int | None,
    refusals: Refusals,
) -> Iterator[tuple[str, Backend]]:
    """Open each device in each allowed precision, and record why the others fail."""
    for name in devices:
        left = [precision]
        while left:
            try:
                backend = open_device(name, left.pop(0), network, threads)
            except (BackendError, ConfigError) as error:
                refusals.append((name, error))
                continue
            opened = backend.precision
            yield name, backend
            if precision == "auto" and not left:  # the caller wants another: this one has failed
                left = precisions_after(name, opened)


def precisions_after(device: str, precision: str) -> list[str]:
    """Return the precisions that `auto` tries on a device after this one."""
    candidate = CANDIDATES[device]
    with under_way():
        in_order = list(candidate.library().offered(candidate.target))
    return in_order[in_order.index(precision) + 1 :] if precision in in_order else []


def open_device(device: str, precision: str, network: NetworkName, threads: int | None) -> Backend:
    """Open a device, without trying it.

    Raises:
        ConfigError: it does not support the precision.
        BackendError: it cannot be used.
    """
    candidate = CANDIDATES[device]
    with under_way():
        backend: Backend = candidate.library().load(candidate.target, precision, network, threads)
    return backend


def parse_engine(name: str) -> tuple[Device, Precision, NetworkName]:
    """Read DEVICE, DEVICE:PRECISION or DEVICE:PRECISION:NETWORK.

    The defaults are precision auto and network resnet50.

    Raises:
        ConfigError: there is no such device, precision or network.
    """
    device, precision, network, *rest = [*name.split(":"), "", ""]
    if any(rest) or network not in ("", *CARDS):
        raise ConfigError(
            f"unknown engine {name!r}; write DEVICE:PRECISION:NETWORK, where the network is one of "
            f"{', '.join(CARDS)}"
        )
    precision = precision or "auto"
    check_choices(device, precision)
    return (
        cast(Device, device),
        cast(Precision, precision),
        cast(NetworkName, network or "resnet50"),
    )


def engines_here() -> list[str]:
    """List the engines that work on this machine, for `parse_engine`, in order of preference.

    Each DEVICE:PRECISION is listed twice: for ResNet-50, and with ":light".

    Raises:
        BackendError: there is none.
    """
    engines = []
    for report in survey():
        for precision in get_args(Precision)[1:] if report.usable else ():
            try:
                load_first([report.name], precision, "resnet50", None, _compute_once)[1].close()
            except (BackendError, ConfigError) as error:
                logger.info("not %s:%s: %s", report.name, precision, error)
                continue
            engine = f"{report.name}:{precision}"
            engines += [engine, f"{engine}:light"]
    if not engines:
        raise BackendError("no backend can be used here; `vidbg doctor` says why")
    return engines


def survey() -> list[BackendReport]:
    """Report on every device in order of preference, and on which one `auto` would pick.

    This checks that a device is present but does not open it; see `examine`.
    """
    return _reports(_probed)


def examine() -> list[BackendReport]:
    """Report as `survey` does, after making each device present compute a few images.

    Each device runs in its own process, so a crash or hang does not affect the others. This takes
    seconds. A device whose engine would take long to build is not tried.
    """

    def measured_apart(name: str) -> BackendReport:
        try:
            return BackendReport(**try_apart("report", name))
        except BackendError as error:
            return BackendReport(name, False, str(error), False)

    return _reports(measured_apart)


def _reports(report_on: Callable[[str], BackendReport]) -> list[BackendReport]:
    reports: list[BackendReport] = []
    for name in CANDIDATES:
        tried = report_on(name)
        chosen = tried.usable and not any(report.chosen for report in reports)
        reports.append(replace(tried, chosen=chosen))
    return reports


def _probed(name: str) -> BackendReport:
    candidate = CANDIDATES[name]
    try:
        with under_way():
            reason = candidate.library().probe(candidate.target)
            return BackendReport(name, True, reason, False)
    except BackendError as error:
        return BackendReport(name, False, str(error), False)


def measure(name: str) -> BackendReport:
    """Time each network on a few images, in the best precision that works on the device."""
    probed = _probed(name)
    if not probed.usable:
        return probed
    try:
        with closing(load_first([name], "auto", "resnet50", None, _compute_once)[1]) as backend:
            if not backend.ready(*TRIAL_SIZE):
                built = f"{probed.reason}; not tried: its engine is built by the first run"
                return replace(probed, reason=built)
            ms = 1e3 * _time(backend)
            precision = backend.precision
        with closing(load_first([name], precision, "light", None, _compute_once)[1]) as backend:
            light_ms = 1e3 * _time(backend)
    except Exception as error:  # report whatever a library raises
        failed = f"{probed.reason}, but it fails at its first image: {error}"
        return replace(probed, usable=False, reason=failed)
    height, width = TRIAL_SIZE
    reason = probed.reason
    if f", {precision}" not in reason:
        reason += f"; {precision} is used because what is faster fails"
    reason += (
        f"; {ms:.1f} ms for an image by ResNet-50, {light_ms:.1f} ms by the light network "
        f"({width}x{height} in the network)"
    )
    return replace(probed, reason=reason, ms=round(ms, 2), light_ms=round(light_ms, 2))


def _compute_once(backend: Backend) -> None:
    """Compute an image, unless an engine would have to be built first."""
    if backend.ready(*TRIAL_SIZE):
        try_out(backend, *TRIAL_SIZE)


def _time(backend: Backend) -> float:
    """Measure the seconds that an image takes."""
    taken_s: list[float] = []
    while sum(taken_s) < TRIALS_S:
        taken_s.append(try_out(backend, *TRIAL_SIZE))
    return min(taken_s)


def check_choices(device: str, precision: str) -> None:
    """Check that the names are known.

    Raises:
        ConfigError: a name is unknown; the message lists the known ones.
    """
    check_choice("device", device, get_args(Device))
    check_choice("precision", precision, get_args(Precision))
