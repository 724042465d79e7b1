"""OpenVINO on the CPU or an Intel GPU."""

from __future__ import annotations

import logging
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidbg.errors import BackendError, ConfigError
from vidbg.matting.engines import CARDS, NetworkName, engine_file

logger = logging.getLogger(__name__)

PRECISIONS = {"int8": "INT8", "bf16": "BF16", "fp16": "FP16", "fp32": "FP32"}
"""Ours, fastest first, and OpenVINO's names of what a device is good at."""

_ELEMENT = {"bf16": "bf16", "fp16": "f16", "fp32": "f32"}


def import_openvino() -> Any:
    """The module `openvino`, without its telemetry.

    Importing it reports the import to Google Analytics and keeps an ID in ~/intel wherever the
    package openvino_telemetry, which it depends on, can be imported too.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # "not there"
    import openvino

    return openvino


def probe(target: str) -> str:
    """What OpenVINO would run on this device.

    Raises:
        BackendError: OpenVINO is not installed or does not see the device.
    """
    core = _core(target)
    name = core.get_property(target, "FULL_DEVICE_NAME").strip()
    return f"OpenVINO, {_choose(core, target, 'auto')}, {name}"


def load(target: str, precision: str, network: NetworkName, threads: int | None) -> OpenVinoBackend:
    """The backend on OpenVINO's device `target` ("CPU", "GPU").

    Raises:
        BackendError: the device is not there, or a shipped file is damaged.
        ConfigError: the device does not have the precision.
    """
    core = _core(target)
    chosen = _choose(core, target, precision)
    return OpenVinoBackend(core, target, chosen, network, threads)


def _core(target: str) -> Any:
    try:
        core = import_openvino().Core()
    except ImportError as error:
        raise BackendError(f"OpenVINO cannot be loaded ({error}); pip install openvino") from None
    if target not in core.available_devices:
        raise BackendError(f"OpenVINO sees no {target} here, only {core.available_devices}")
    return core


def _choose(core: Any, target: str, precision: str) -> str:
    capabilities = core.get_property(target, "OPTIMIZATION_CAPABILITIES")
    offered = [ours for ours, theirs in PRECISIONS.items() if theirs in capabilities]
    if precision == "auto":
        return offered[0]
    if precision not in offered:
        raise ConfigError(
            f"OpenVINO on this {target} has no {precision}; allowed are {', '.join(offered)}"
        )
    return precision


class OpenVinoBackend:
    """Compiles the network for each input size that it meets, and keeps it."""

    def __init__(
        self,
        core: Any,
        target: str,
        precision: str,
        network: NetworkName,
        threads: int | None,
    ) -> None:
        self.name = f"OpenVINO {target}"
        self.precision = precision
        self._core = core
        self._target = target
        self._options = _options(target, precision, threads)
        self._model = _read(core, precision, network)
        self._requests: dict[tuple[int, ...], Any] = {}

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            request = self._requests.get(batch.shape) or self._compile(batch.shape)
            request.infer([batch], share_inputs=True)
            alpha: NDArray[np.float32] = np.array(request.get_output_tensor().data[0, 0])
        except RuntimeError as error:
            raise BackendError(f"{self.name} failed: {_first_line(error)}") from error
        return alpha

    def ready(self, height: int, width: int) -> bool:  # noqa: ARG002  (every backend's)
        """Always: compiling takes less than a second."""
        return True

    def prepare(self, height: int, width: int) -> None:
        shape = (1, 4, height, width)
        try:
            if shape not in self._requests:
                self._compile(shape)
        except RuntimeError as error:
            raise BackendError(f"{self.name} failed: {_first_line(error)}") from error

    def _compile(self, shape: tuple[int, ...]) -> Any:
        if self._model is None:
            raise BackendError(f"{self.name} was called after it was closed")
        model = self._model.clone()
        model.reshape(list(shape))
        request = self._core.compile_model(
            model, self._target, self._options
        ).create_infer_request()
        self._requests[shape] = request
        return request

    def close(self) -> None:
        self._requests.clear()
        self._model = None


def _options(target: str, precision: str, threads: int | None) -> dict[str, Any]:
    options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    if precision != "int8":
        options["INFERENCE_PRECISION_HINT"] = _ELEMENT[precision]
    if target == "CPU":
        # A pinned thread waits for whoever else has its core. Beside one busy process on two cores,
        # INT8 at 384 x 224, p50 and p99: 34 and 81 ms, pinned 55 and 103; alone both take 13
        options["ENABLE_CPU_PINNING"] = False
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
    return options


def _read(core: Any, precision: str, network: NetworkName) -> Any:
    cards = CARDS[network]
    card, suffix = (cards.quantised, ".xml") if precision == "int8" else (cards.weights, ".onnx")
    path = engine_file(card, suffix)
    try:
        return core.read_model(path)
    except RuntimeError as error:
        raise BackendError(f"OpenVINO cannot read {path}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1]
