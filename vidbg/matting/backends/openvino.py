"""OpenVINO backend for CPUs and Intel GPUs."""

from __future__ import annotations

import logging
import os
import platform
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vidbg.errors import BackendError, ConfigError
from vidbg.matting.backends.alpha_checks import try_out
from vidbg.matting.backends.compiled import CompiledNetworks
from vidbg.matting.backends.kept import Kept
from vidbg.matting.backends.lifetime import NativeBackend
from vidbg.matting.backends.trial import try_apart
from vidbg.matting.engines import CARDS, NetworkName, digests_of, engine_file
from vidbg.platform.memory import return_freed_memory

logger = logging.getLogger(__name__)

PRECISIONS = {"int8": "INT8", "bf16": "BF16", "fp16": "FP16", "fp32": "FP32"}
"""Our precisions, fastest first, and OpenVINO's names of the matching device capabilities."""

_CV_CPU_AVX2 = 11
"""OpenCV's number for AVX2 in checkHardwareSupport."""

_TRIAL_SIZE = 128, 128

_SIZES = 2
"""Number of compiled input sizes that stay in memory: the present one, and one to go to or come
from. Each takes about 40 MB, and 0.13 s of CPU time to load again from the cache folder."""

UNUSED_S = 60.0
"""How long a network stays in memory that is not used."""

_TOOLS = "openvino.tools"
_importing = threading.Lock()

_ELEMENT = {"bf16": "bf16", "fp16": "f16", "fp32": "f32"}


def import_openvino() -> Any:
    """Import the module `openvino` without its telemetry and its conversion tools.

    Importing it normally reports the import to Google Analytics and stores an ID in ~/intel, if its
    dependency openvino_telemetry can be imported. The tools take 10 MB of memory and 40 ms of CPU
    time; `from openvino.tools.ovc import convert_model` still works afterwards.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    with _importing:
        if "openvino" not in sys.modules:
            sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # missing
            sys.modules[_TOOLS] = None  # type: ignore[assignment]  # OpenVINO does without
            try:
                import openvino
            finally:
                del sys.modules[_TOOLS]
    import openvino

    return openvino


def probe(target: str) -> str:
    """Describe what OpenVINO would run on this device.

    Raises:
        BackendError: OpenVINO is not installed or does not see the device.
    """
    core = _core(target)
    name = core.get_property(target, "FULL_DEVICE_NAME").strip()
    return f"OpenVINO, {_choose(core, target, 'auto')}, {name}"


def load(target: str, precision: str, network: NetworkName, threads: int | None) -> OpenVinoBackend:
    """Open the backend on OpenVINO's device `target` ("CPU", "GPU").

    Raises:
        BackendError: the device is missing, or a shipped file is damaged.
        ConfigError: the device does not support the precision.
    """
    core = _core(target)
    chosen = _choose(core, target, precision)
    guarded = target == "CPU" and _unusual_processor()
    return OpenVinoBackend(core, target, chosen, network, threads, guarded=guarded)


def _unusual_processor() -> bool:
    """Return whether OpenVINO may crash here: it needs AVX2, and oneDNN without an ISA limit."""
    if os.environ.get("ONEDNN_MAX_CPU_ISA", "DEFAULT").upper() not in ("DEFAULT", "ALL"):
        return True
    x86 = platform.machine().lower() in ("x86_64", "amd64", "i686", "x86")
    return x86 and not cv2.checkHardwareSupport(_CV_CPU_AVX2)


@cache  # successes only: after an error the next call tries again
def _survives(target: str, precision: str) -> None:
    """Check in another process that the device can compute an image.

    Raises:
        BackendError: that process failed or crashed.
    """
    try:
        error = try_apart("openvino", target, precision)["error"]
    except BackendError as crash:
        error = f"OpenVINO {target} fails in {precision} on this processor: {crash}"
    if error is not None:
        raise BackendError(error)


def try_here(target: str, precision: str) -> None:
    """Compute a small image in this process, even if that may crash.

    Raises:
        BackendError: it failed.
    """
    with closing(OpenVinoBackend(_core(target), target, precision, "light", None)) as backend:
        try_out(backend, *_TRIAL_SIZE)


def _core(target: str) -> Any:
    """Return OpenVINO's core if it sees a device.

    Raises:
        BackendError: OpenVINO is not installed or does not see the device.
    """
    try:
        core = import_openvino().Core()
    except ImportError as error:
        raise BackendError(f"OpenVINO cannot be loaded ({error}); pip install openvino") from None
    try:
        # Asking for all of the devices would load every plugin: 28 MB that are never freed.
        devices = core.get_property(target, "AVAILABLE_DEVICES")
    except RuntimeError as error:
        raise BackendError(f"OpenVINO sees no {target} here: {_last_line(error)}") from None
    if not devices:
        raise BackendError(f"OpenVINO sees no {target} here")
    return core


def offered(target: str) -> list[str]:
    """Return the device's precisions in the order in which `auto` tries them.

    Raises:
        BackendError: OpenVINO is not installed or does not see the device.
    """
    return _offered(_core(target), target)


def _offered(core: Any, target: str) -> list[str]:
    capabilities = core.get_property(target, "OPTIMIZATION_CAPABILITIES")
    return [ours for ours, theirs in PRECISIONS.items() if theirs in capabilities]


def _choose(core: Any, target: str, precision: str) -> str:
    allowed = _offered(core, target)
    if precision == "auto":
        return allowed[0]
    if precision not in allowed:
        raise ConfigError(
            f"OpenVINO on this {target} has no {precision}; allowed are {', '.join(allowed)}"
        )
    return precision


class OpenVinoBackend(NativeBackend):
    """Backend that compiles the network for each input size and keeps the last few.

    Args:
        guarded: whether another process must compute an image before this one does.
    """

    def __init__(
        self,
        core: Any,
        target: str,
        precision: str,
        network: NetworkName,
        threads: int | None,
        *,
        guarded: bool = False,
    ) -> None:
        super().__init__(f"OpenVINO {target}", precision)
        self._core, self._guarded = core, guarded
        self._target = target
        self._options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        if precision != "int8":
            self._options["INFERENCE_PRECISION_HINT"] = _ELEMENT[precision]
        if target == "CPU":
            # A pinned thread waits while another process uses its core. INT8 at 384 x 224 on two
            # cores with one other busy process, p50 and p99: 34 and 81 ms, pinned 55 and 103 ms; on
            # an idle machine both take 13 ms.
            self._options["ENABLE_CPU_PINNING"] = False
            if threads is not None:
                self._options["INFERENCE_NUM_THREADS"] = threads
        self._requests: Kept[tuple[int, ...], Any] = Kept(_SIZES)
        cards = CARDS[network]
        card, suffix = (
            (cards.quantised, ".xml") if precision == "int8" else (cards.weights, ".onnx")
        )
        self._path, digests = engine_file(card, suffix), digests_of(card)
        facts = {"precision": precision, "options": self._options, "weights": digests}
        version = import_openvino().get_version()
        self._kept = CompiledNetworks({**facts, "openvino": version}) if target == "CPU" else None

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        with self._using(), self._failures():
            request = self._requests.get(batch.shape) or self._compile(batch.shape)
            request.infer([batch], share_inputs=True)
            alpha: NDArray[np.float32] = np.array(request.get_output_tensor().data[0, 0])
            if self._requests.drop_unused(UNUSED_S):
                return_freed_memory()
            return alpha

    def ready(self, height: int, width: int) -> bool:  # noqa: ARG002  (every backend's)
        """Return True: compiling takes less than a second."""
        return True

    def prepare(self, height: int, width: int) -> None:
        shape = (1, 4, height, width)
        with self._using(), self._failures():
            if self._requests.get(shape) is None:
                self._compile(shape)

    def _compile(self, shape: tuple[int, ...]) -> Any:
        """Make a network for an input shape ready to run, as the newest of those in memory."""
        if self._guarded:
            _survives(self._target, self.precision)
        self._requests.make_room()
        compiled = self._compiled_before(shape)
        if compiled is None:
            model = self._core.read_model(self._path)
            model.reshape(list(shape))
            compiled = self._core.compile_model(model, self._target, self._options)
            self._keep(shape, compiled)
        request = compiled.create_infer_request()
        self._requests.add(shape, request)
        return_freed_memory()
        return request

    def _keep(self, shape: tuple[int, ...], compiled: Any) -> None:
        """Keep a compiled network for the next start if it can be exported."""
        if self._kept is None:
            return
        try:
            content = compiled.export_model().getvalue()
        except RuntimeError as error:
            logger.info("the compiled network is not kept: %s", _last_line(error))
        else:
            self._kept.keep(shape, content)

    def _compiled_before(self, shape: tuple[int, ...]) -> Any:
        """Return the network as an earlier run compiled it, or None."""
        content = None if self._kept is None else self._kept.read(shape)
        if content is None:
            return None
        try:
            return self._core.import_model(content, self._target, self._options)
        except RuntimeError as error:
            logger.info("the kept network is compiled again: %s", _last_line(error))
            return None

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn OpenVINO's errors into BackendError."""
        try:
            yield
        except RuntimeError as error:
            raise BackendError(
                f"{self.name} failed in {self.precision}: {_last_line(error)}"
            ) from error

    def _free(self) -> None:
        self._requests.clear()
        self._core = None


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1]
