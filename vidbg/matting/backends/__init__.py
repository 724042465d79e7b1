"""What runs the network: one interface, one module per library, one factory.

`auto` tries CANDIDATES in their order. A device that is named is taken or refused, never replaced.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from vidbg.choices import check_choice
from vidbg.errors import BackendError, ConfigError

logger = logging.getLogger(__name__)

Device = Literal["auto", "tensorrt", "cuda", "mps", "xpu", "cpu", "intel-gpu", "torch-cpu"]
Precision = Literal["auto", "int8", "bf16", "fp16", "fp32"]


class Backend(Protocol):
    """Runs the network.

    Attributes:
        name: device and library for people, such as "OpenVINO CPU".
        precision: what it computes in.
    """

    name: str
    precision: str

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (1, 4, h, w), sides multiples of 32, to alpha, float32 (h, w) in [0, 1].

        The result is a new array that the caller owns. The first call at a size may take seconds.

        Raises:
            BackendError: the device failed.
        """
        ...

    def ready(self, height: int, width: int) -> bool:
        """Whether a call at this size computes soon, with nothing to be built for long."""
        ...

    def prepare(self, height: int, width: int) -> None:
        """Get ready for inputs of this size; may be called beside a call, from another thread.

        Raises:
            BackendError: the device failed.
        """
        ...

    def close(self) -> None:
        """Free the device; may be called more than once. A call after it is a BackendError."""
        ...


@dataclass(frozen=True, slots=True)
class _Candidate:
    module: str
    target: str


CANDIDATES = {
    "tensorrt": _Candidate("tensorrt", "cuda"),
    "cuda": _Candidate("pytorch", "cuda"),
    "mps": _Candidate("pytorch", "mps"),
    "xpu": _Candidate("pytorch", "xpu"),
    "cpu": _Candidate("openvino", "CPU"),
    "torch-cpu": _Candidate("pytorch", "cpu"),
    "intel-gpu": _Candidate("openvino", "GPU"),
}
"""Devices in the order in which `auto` tries them."""


@dataclass(frozen=True, slots=True)
class BackendReport:
    """Whether a device can be used here; `reason` says why not, or what it would run."""

    name: str
    usable: bool
    reason: str
    chosen: bool


def load_backend(
    device: str = "auto", precision: str = "auto", threads: int | None = None
) -> Backend:
    """The backend for a device.

    Args:
        device: one of `Device`.
        precision: one of `Precision`; auto is the fastest that the device is good at.
        threads: of the CPU; None for one per physical core.
    Raises:
        ConfigError: a name that is not known, or a precision that the device does not have.
        BackendError: the named device, or with auto every device, cannot be used; the message
            gives each reason.
    """
    check_choices(device, precision)
    if device != "auto":
        return _load(device, precision, threads)
    return load_first(list(CANDIDATES), precision, threads)[1]


def load_first(devices: Sequence[str], precision: str, threads: int | None) -> tuple[str, Backend]:
    """The first of the devices that can be used, and its backend.

    Raises:
        ConfigError: the only device does not have the precision.
        BackendError: none of them can be used; the message gives each reason.
    """
    if len(devices) == 1:
        return devices[0], _load(devices[0], precision, threads)
    refusals = []
    for name in devices:
        try:
            backend = _load(name, precision, threads)
        except (BackendError, ConfigError) as error:
            refusals.append(f"{name}: {error}")
            continue
        logger.info("backend %s, %s", backend.name, backend.precision)
        for refusal in refusals:
            logger.info("not %s", refusal)
        return name, backend
    raise BackendError("no backend can be used here; " + "; ".join(refusals))


def parse_engine(name: str) -> tuple[str, str]:
    """Read DEVICE or DEVICE:PRECISION as a device and a precision, auto where none is given."""
    device, _, precision = name.partition(":")
    return device, precision or "auto"


def engines_here() -> list[str]:
    """Every DEVICE:PRECISION that loads on this machine, in the order of choice.

    Raises:
        BackendError: there is none.
    """
    found = []
    for report in survey():
        for precision in get_args(Precision)[1:] if report.usable else ():
            try:
                _load(report.name, precision, None).close()
            except (BackendError, ConfigError) as error:
                logger.info("not %s:%s: %s", report.name, precision, error)
                continue
            found.append(f"{report.name}:{precision}")
    if not found:
        raise BackendError("no backend can be used here; `vidbg doctor` says why")
    return found


def survey() -> list[BackendReport]:
    """Every device in the order of choice, and the one that `auto` would take."""
    reports: list[BackendReport] = []
    for name, candidate in CANDIDATES.items():
        probe: Callable[[str], str] = _module(candidate).probe
        try:
            usable, reason = True, probe(candidate.target)
        except BackendError as error:
            usable, reason = False, str(error)
        chosen = usable and not any(report.chosen for report in reports)
        reports.append(BackendReport(name, usable, reason, chosen))
    return reports


def _load(name: str, precision: str, threads: int | None) -> Backend:
    candidate = CANDIDATES[name]
    load: Callable[[str, str, int | None], Backend] = _module(candidate).load
    return load(candidate.target, precision, threads)


def _module(candidate: _Candidate) -> ModuleType:
    return import_module(f"{__name__}.{candidate.module}")


def check_choices(device: str, precision: str) -> None:
    """Refuse names that are not known.

    Raises:
        ConfigError: the message lists what is.
    """
    check_choice("device", device, get_args(Device))
    check_choice("precision", precision, get_args(Precision))
