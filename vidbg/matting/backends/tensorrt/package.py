"""NVIDIA's packages `tensorrt` (10.x, 11.x) and `tensorrt_rtx` behind one interface.

An engine of `tensorrt` runs on the GPU model that it was built on. An engine of `tensorrt_rtx` runs
on a family of GPUs, on Linux and Windows, and is built without a GPU: the code that depends on the
GPU is compiled when the engine is loaded.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from vidbg.errors import BackendError
from vidbg.matting.backends.tensorrt.cuda import Gpu, find_gpu
from vidbg.platform.installation import install_command
from vidbg.util.choices import check_choice

logger = logging.getLogger(__name__)

PACKAGES = ("tensorrt", "tensorrt_rtx")
"""Package names in order of preference."""

TARGETS = ("ampere+", "sm75")
"""GPU families that `tensorrt_rtx` builds for: compute capability 8.0 and up, and 7.5."""

_TURING = "7.5"


@dataclass(frozen=True, slots=True)
class TensorRtPackage:
    """An installed TensorRT package.

    Attributes:
        api: its module.
    """

    name: str
    version: str
    api: Any

    @property
    def portable(self) -> bool:
        """Whether its engines run on a family of GPUs."""
        return self.name == "tensorrt_rtx"

    def target_of(self, gpu: Gpu) -> str:
        """Return the target of engines for this GPU: its model, or its family.

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
        """Set a builder's config to the target's family; the default is ampere+."""
        if self.portable and target == "sm75":
            config.num_compute_capabilities = 1
            config.set_compute_capability(self.api.ComputeCapability.SM75, 0)

    def network_flags(self) -> int:
        """Return the flags for strongly typed networks, which 10.x needs and 11.x implies."""
        return 1 << int(self.api.NetworkDefinitionCreationFlag.STRONGLY_TYPED)

    def error(self, what: str, log: Any) -> BackendError:
        """Return the error for what this package could not do, with the first reason in a log.

        Args:
            log: as `open_log` makes it.
        """
        why = log.errors[0] if log.errors else "no reason given"
        return BackendError(f"{self.name} {self.version} {what}: {why}")


def find_package(target: str | None = None) -> TensorRtPackage:
    """Find the first installed package, or tensorrt_rtx for another machine's GPU.

    Args:
        target: one of TARGETS, or None for the GPU here.
    Raises:
        ConfigError: unknown target.
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
            return TensorRtPackage(name, str(api.__version__), api)
    raise BackendError(
        f"TensorRT is not installed ({'; '.join(refusals)}); `{install_command('tensorrt')}`"
    )


def choose(target: str | None) -> tuple[TensorRtPackage, str]:
    """Choose the package and the target to build for: another machine's GPU, or the local one.

    Raises:
        ConfigError: unknown target.
        BackendError: no package is installed, or no target was given and there is no GPU.
    """
    package = find_package(target)
    if target is not None:
        return package, target
    try:
        gpu = find_gpu()
    except BackendError as error:
        raise BackendError(
            f"{error}; for another machine's GPU give --target, one of {', '.join(TARGETS)}"
        ) from None
    return package, package.target_of(gpu)


def open_log(package: TensorRtPackage) -> Any:
    """Make a TensorRT logger that writes to Python's log and collects errors in `errors`."""
    severity = package.api.ILogger.Severity
    errors = (severity.INTERNAL_ERROR, severity.ERROR)

    class TensorRtLog(package.api.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.errors: list[str] = []

        def log(self, of: Any, message: str) -> None:
            if of in (*errors, severity.WARNING):
                logger.info("%s: %s", package.name, message)
            if of in errors:
                self.errors.append(message)

    return TensorRtLog()
