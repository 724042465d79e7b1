"""CUDA's runtime through cuda-bindings: find the GPU, and turn failed calls into exceptions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vidbg.errors import BackendError
from vidbg.platform.installation import install_command
from vidbg.platform.nvidia import has_driver


@dataclass(frozen=True, slots=True)
class Gpu:
    """An NVIDIA GPU."""

    name: str
    major: int
    minor: int

    @property
    def compute_capability(self) -> str:
        return f"{self.major}.{self.minor}"


def load_runtime() -> Any:
    """Import the module of CUDA's runtime.

    Raises:
        BackendError: there is no driver, or cuda-bindings is not installed.
    """
    if not has_driver():
        raise BackendError("there is no NVIDIA driver here, so TensorRT can use no GPU")
    try:
        from cuda.bindings import runtime
    except ImportError as error:
        raise BackendError(
            f"cuda-bindings is not installed ({error}); `{install_command('tensorrt')}`"
        ) from None
    return runtime


def find_gpu() -> Gpu:
    """Find the first GPU.

    Raises:
        BackendError: there is none, or CUDA cannot use it; the message gives the reason.
    """
    runtime = load_runtime()
    if not call(runtime, "cudaGetDeviceCount"):
        raise BackendError("there is no NVIDIA GPU here, only its driver")
    properties = call(runtime, "cudaGetDeviceProperties", 0)
    name = properties.name
    text = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
    return Gpu(text.strip("\0"), int(properties.major), int(properties.minor))


def call(runtime: Any, name: str, *arguments: Any) -> Any:
    """Call a function of CUDA's runtime and return its result, None if it has none.

    Raises:
        BackendError: the function failed.
    """
    error, *values = getattr(runtime, name)(*arguments)
    if int(error) != 0:
        raise BackendError(f"{name} failed: {getattr(error, 'name', error)}")
    return values[0] if values else None
