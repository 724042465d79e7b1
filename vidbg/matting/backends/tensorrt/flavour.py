"""NVIDIA's packages `tensorrt` (10.x, 11.x) and `tensorrt_rtx` as one: what differs is here.

An engine of `tensorrt` is for the GPU that it was built on. One of `tensorrt_rtx` is for a family
of GPUs, on Linux and Windows, and is built without any: what depends on the GPU is compiled when
it is loaded.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from vidbg.choices import check_choice
from vidbg.errors import BackendError
from vidbg.installation import install_command
from vidbg.matting.backends.tensorrt.cuda import Gpu, find_gpu

logger = logging.getLogger(__name__)

PACKAGES = ("tensorrt", "tensorrt_rtx")
"""In the order of choice."""

TARGETS = ("ampere+", "sm75")
"""Families of GPUs that `tensorrt_rtx` builds for: compute capability 8.0 and more, 7.5."""

_TURING = "7.5"


@dataclass(frozen=True, slots=True)
class Flavour:
    """One of the packages.

    Attributes:
        api: the module.
    """

    name: str
    version: str
    api: Any

    @property
    def portable(self) -> bool:
        """Whether its engines are for a family of GPUs."""
        return self.name == "tensorrt_rtx"

    def target_of(self, gpu: Gpu) -> str:
        """What engines for this GPU are built for.

        Raises:
            BackendError: the package does not run on it.
        """
        if not self.portable:
            return f"{gpu.name} {gpu.compute_capability}"
        known = {str(name).removeprefix("SM") for name in self.api.ComputeCapability.__members__}
        if gpu.compute_capability.replace(".", "") not in known and gpu.major < 12:
            raise BackendError(
                f"{self.name} {self.version} does not run on {gpu.name}, compute capability "
                f"{gpu.compute_capability}; pip install tensorrt, which does"
            )
        return "sm75" if gpu.compute_capability == _TURING else "ampere+"

    def aim(self, config: Any, target: str) -> None:
        """Set a builder's config to the target's family; the package's default is ampere+."""
        if self.portable and target == "sm75":
            config.num_compute_capabilities = 1
            config.set_compute_capability(self.api.ComputeCapability.SM75, 0)

    def network_flags(self) -> int:
        """Strongly typed: to be asked for in 10.x, always so in 11.x."""
        return 1 << int(self.api.NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def find_flavour(target: str | None = None) -> Flavour:
    """The first of the packages that is installed; for another machine's GPU, tensorrt_rtx.

    Args:
        target: one of TARGETS, or None for the GPU here.
    Raises:
        ConfigError: no such target.
        BackendError: no package is installed; the message says how to install one.
    """
    if target is not None:
        check_choice("target", target, TARGETS)
    refusals = []
    for name in PACKAGES if target is None else PACKAGES[1:]:
        try:
            api = import_module(name)
        except (ImportError, OSError) as error:
            refusals.append(f"{name}: {error}")
        else:
            return Flavour(name, str(api.__version__), api)
    raise BackendError(
        f"TensorRT is not installed ({'; '.join(refusals)}); `{install_command('tensorrt')}`"
    )


def choose(target: str | None) -> tuple[Flavour, str]:
    """The package to build with, and what for: another machine's GPU, or the one here.

    Raises:
        ConfigError: no such target.
        BackendError: no package is installed, or none was named and there is no GPU here.
    """
    flavour = find_flavour(target)
    if target is not None:
        return flavour, target
    try:
        gpu = find_gpu()
    except BackendError as error:
        raise BackendError(
            f"{error}; for another machine's GPU give --target, one of {', '.join(TARGETS)}"
        ) from None
    return flavour, flavour.target_of(gpu)


def open_log(flavour: Flavour) -> Any:
    """A TensorRT logger: warnings and errors go to Python's log, errors' texts to `errors` also."""
    severity = flavour.api.ILogger.Severity
    errors = (severity.INTERNAL_ERROR, severity.ERROR)

    class Log(flavour.api.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.errors: list[str] = []

        def log(self, of: Any, message: str) -> None:
            if of in (*errors, severity.WARNING):
                logger.info("%s: %s", flavour.name, message)
            if of in errors:
                self.errors.append(message)

    return Log()
