"""TensorRT backend for NVIDIA GPUs, FP16 or INT8: NVIDIA's `tensorrt` or `tensorrt_rtx`."""

from __future__ import annotations

from dataclasses import replace
from typing import cast, get_args

import numpy as np
from numpy.typing import NDArray

from vidbg.errors import ConfigError
from vidbg.matting.backends.graphs import GraphPlan, GraphSpec, TypedPrecision
from vidbg.matting.backends.kept import KEPT_SIZES, Kept
from vidbg.matting.backends.lifetime import NativeBackend
from vidbg.matting.backends.tensorrt.cache import cached_engine, is_cached
from vidbg.matting.backends.tensorrt.cuda import find_gpu
from vidbg.matting.backends.tensorrt.engine_builder import network_spec
from vidbg.matting.backends.tensorrt.package import TensorRtPackage, find_package
from vidbg.matting.backends.tensorrt.session import Session
from vidbg.matting.engines import NetworkName

PRECISIONS: tuple[TypedPrecision, ...] = get_args(TypedPrecision)
"""Supported precisions; `auto` picks the first."""


def probe(target: str) -> str:  # noqa: ARG001  (part of the interface; there is only one device)
    """Describe what TensorRT would run.

    Raises:
        BackendError: there is no GPU, or no TensorRT that runs on it.
    """
    gpu = find_gpu()
    package = find_package()
    package.target_of(gpu)
    return f"{package.name} {package.version}, {PRECISIONS[0]}, {gpu.name}"


def load(
    target: str,  # noqa: ARG001
    precision: str,
    network: NetworkName,
    threads: int | None,  # noqa: ARG001
) -> TensorRtBackend:
    """Open the backend on the first GPU.

    Raises:
        BackendError: there is no GPU, or no TensorRT that runs on it.
        ConfigError: the precision is not one of PRECISIONS.
    """
    chosen = PRECISIONS[0] if precision == "auto" else precision
    if chosen not in PRECISIONS:
        raise ConfigError(f"TensorRT has no {precision} here; allowed are {', '.join(PRECISIONS)}")
    gpu = find_gpu()
    package = find_package()
    return TensorRtBackend(package, package.target_of(gpu), chosen, network)


def offered(target: str) -> tuple[str, ...]:  # noqa: ARG001  (as probe)
    """Return the precisions that `auto` tries: not INT8, because building takes a minute."""
    return PRECISIONS[:1]


class TensorRtBackend(NativeBackend):
    """Backend that opens an engine for each input size and keeps the last few open.

    An engine that is not in the cache is built first, which takes seconds.
    """

    supports_full_frame = True

    def __init__(
        self,
        package: TensorRtPackage,
        target: str,
        precision: TypedPrecision = PRECISIONS[0],
        network: NetworkName = "resnet50",
    ) -> None:
        super().__init__(f"TensorRT ({package.name} {package.version})", precision)
        self._package = package
        self._target, self._network_name = target, network
        self._sessions: Kept[tuple[int, ...], Session] = Kept(KEPT_SIZES, Session.close)

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        with self._using():
            session = self._sessions.get(batch.shape)
            if session is None:
                spec = self._typed(network_spec(*batch.shape[2:]))
                session = Session(self._package, cached_engine(self._package, spec, self._target))
                self._sessions.add(batch.shape, session)
            session.start(0, {"input": batch})
            alpha: NDArray[np.float32] = session.wait(0)["alpha"][0, 0].copy()
            return alpha

    def ready(self, height: int, width: int) -> bool:
        """Whether the engine has been built; building takes seconds to minutes."""
        return is_cached(self._package, self._typed(network_spec(height, width)), self._target)

    def prepare(self, height: int, width: int) -> None:
        """Build the engine. The first call opens it, because CUDA should be used by one thread."""
        with self._using():
            spec = self._typed(network_spec(height, width))
            cached_engine(self._package, spec, self._target)

    def graph_ready(self, plan: GraphPlan) -> bool:
        return is_cached(self._package, self._typed(plan.spec), self._target)

    def prepare_graph(self, plan: GraphPlan) -> None:
        with self._using():
            cached_engine(self._package, self._typed(plan.spec), self._target)

    def open_graph(self, plan: GraphPlan, slots: int) -> Session:
        with self._using():
            path = cached_engine(self._package, self._typed(plan.spec), self._target)
            return Session(self._package, path, plan.bindings, slots)

    def _typed(self, spec: GraphSpec) -> GraphSpec:
        """Return a spec in this backend's precision, of its network."""
        precision = cast(TypedPrecision, self.precision)
        return replace(spec, precision=precision, network=self._network_name)

    def _free(self) -> None:
        self._sessions.clear()
