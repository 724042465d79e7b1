"""TensorRT on an NVIDIA GPU, FP16 or INT8: NVIDIA's `tensorrt` or `tensorrt_rtx`."""

from __future__ import annotations

from dataclasses import replace
from typing import cast, get_args

import numpy as np
from numpy.typing import NDArray

from vidbg.errors import ConfigError
from vidbg.matting.backends.graphs import GraphPlan, Recipe, TypedPrecision
from vidbg.matting.backends.kept import KEPT_SIZES, Kept
from vidbg.matting.backends.lifetime import NativeBackend
from vidbg.matting.backends.tensorrt.build import network_recipe
from vidbg.matting.backends.tensorrt.cache import cached_engine, is_cached
from vidbg.matting.backends.tensorrt.cuda import find_gpu
from vidbg.matting.backends.tensorrt.flavour import Flavour, find_flavour
from vidbg.matting.backends.tensorrt.session import Session

PRECISIONS: tuple[TypedPrecision, ...] = get_args(TypedPrecision)
"""The first is what `auto` takes."""


def probe(target: str) -> str:  # noqa: ARG001  (every library's module has it; here is one device)
    """What TensorRT would run.

    Raises:
        BackendError: there is no GPU, or no TensorRT that runs on it.
    """
    gpu = find_gpu()
    flavour = find_flavour()
    flavour.target_of(gpu)
    return f"{flavour.name} {flavour.version}, {PRECISIONS[0]}, {gpu.name}"


def load(target: str, precision: str, threads: int | None) -> TensorRtBackend:  # noqa: ARG001
    """The backend on the first GPU.

    Raises:
        BackendError: there is no GPU, or no TensorRT that runs on it.
        ConfigError: a precision that is not one of PRECISIONS.
    """
    chosen = PRECISIONS[0] if precision == "auto" else precision
    if chosen not in PRECISIONS:
        raise ConfigError(f"TensorRT has no {precision} here; allowed are {', '.join(PRECISIONS)}")
    gpu = find_gpu()
    flavour = find_flavour()
    return TensorRtBackend(flavour, flavour.target_of(gpu), chosen)


def offered(target: str) -> tuple[str, ...]:  # noqa: ARG001  (as probe)
    """What `auto` tries: INT8 is taken where it is asked for, for building takes a minute."""
    return PRECISIONS[:1]


class TensorRtBackend(NativeBackend):
    """Opens an engine for each input size that it meets, and keeps the last few.

    The first engine of a size is built, which takes seconds; from then on it is in the cache.
    """

    keeps_frames = True

    def __init__(
        self, flavour: Flavour, target: str, precision: TypedPrecision = PRECISIONS[0]
    ) -> None:
        super().__init__(f"TensorRT ({flavour.name} {flavour.version})", precision)
        self._flavour = flavour
        self._target = target
        self._sessions: Kept[tuple[int, ...], Session] = Kept(KEPT_SIZES, Session.close)

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        with self._using():
            session = self._sessions.get(batch.shape) or self._open(batch.shape)
            session.start(0, {"input": batch})
            alpha: NDArray[np.float32] = session.wait(0)["alpha"][0, 0].copy()
            return alpha

    def ready(self, height: int, width: int) -> bool:
        """Whether the engine has been built; building takes seconds to minutes."""
        return is_cached(self._flavour, self._network(height, width), self._target)

    def prepare(self, height: int, width: int) -> None:
        """Build the engine; it is opened by the first call, for CUDA wants no second thread."""
        with self._using():
            cached_engine(self._flavour, self._network(height, width), self._target)

    def graph_ready(self, plan: GraphPlan) -> bool:
        return is_cached(self._flavour, self._typed(plan.recipe), self._target)

    def prepare_graph(self, plan: GraphPlan) -> None:
        with self._using():
            cached_engine(self._flavour, self._typed(plan.recipe), self._target)

    def open_graph(self, plan: GraphPlan, slots: int) -> Session:
        with self._using():
            path = cached_engine(self._flavour, self._typed(plan.recipe), self._target)
            return Session(self._flavour, path, plan.wiring, slots)

    def _open(self, shape: tuple[int, ...]) -> Session:
        path = cached_engine(self._flavour, self._network(*shape[2:]), self._target)
        session = Session(self._flavour, path)
        self._sessions.add(shape, session)
        return session

    def _network(self, height: int, width: int) -> Recipe:
        return self._typed(network_recipe(height, width))

    def _typed(self, recipe: Recipe) -> Recipe:
        return replace(recipe, precision=cast(TypedPrecision, self.precision))

    def _free(self) -> None:
        self._sessions.clear()
