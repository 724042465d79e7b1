"""The shipped graphs, and how a device runs one again and again with its state kept there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, cast

from numpy.typing import NDArray

from vidbg.matting.backends import Backend
from vidbg.matting.backends.tried import TriedBackend
from vidbg.matting.engines import TYPED, TYPED_INT8, engine_file

Graph = Literal["network", "frame"]

TypedPrecision = Literal["fp16", "int8"]

_FILES: dict[tuple[Graph, TypedPrecision], tuple[str, str]] = {
    ("network", "fp16"): (TYPED, "r50-fp16.onnx"),
    ("frame", "fp16"): (TYPED, "frame-fp16.onnx"),
    ("network", "int8"): (TYPED_INT8, "r50-qdq.onnx"),
    ("frame", "int8"): (TYPED_INT8, "frame-qdq.onnx"),
}
"""Card and file's ending of each shipped graph."""

Arrays = Mapping[str, NDArray[Any]]
"""Arrays by the names of a graph's inputs or outputs."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A shipped graph at one size.

    Attributes:
        size: for people and file names: the network's, or the frame's and the network's.
        shapes: of the graph's inputs, by name.
        precision: of the convolutions.
    """

    graph: Graph
    size: str
    shapes: Mapping[str, tuple[int, ...]]
    precision: TypedPrecision = "fp16"

    def graph_file(self) -> Path:
        """The shipped graph.

        Raises:
            EngineMismatch: it is missing or damaged.
        """
        return engine_file(*_FILES[self.graph, self.precision])


@dataclass(frozen=True, slots=True)
class Wiring:
    """What becomes of a graph's inputs and outputs from one run to the next.

    Attributes:
        steady: inputs that seldom change: the very array that was given last is not uploaded again,
            so it must not be written to meanwhile.
        loops: outputs that are inputs of the next run, by the input's name. They begin as zeros
            and are never given.
        unread: outputs that stay on the device.
    """

    steady: frozenset[str] = frozenset()
    loops: Mapping[str, str] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class GraphPlan:
    """A graph at one size, for whatever device.

    Attributes:
        recipe: for devices that run the shipped ONNX graph.
        module: makes the graph of a MattingNetwork as a torch module, for devices that run those;
            the module may change the network.
        inputs: an array of each input's shape and type, in the graph's order.
        outputs: names in the graph's order.
    """

    recipe: Recipe
    module: Callable[[Any], Any]
    inputs: Arrays
    outputs: tuple[str, ...]
    wiring: Wiring


class Runner(Protocol):
    """A graph at work. Several runs may be under way, each in a slot of its own.

    Runs are computed in the order in which they were started. `start` and `wait` may be called by
    two threads.
    """

    def start(self, slot: int, arrays: Arrays) -> None:
        """Begin a run in a slot whose last run has been waited for.

        Args:
            arrays: every input but the state, by name. They may be written to again once this
                returns, but for steady ones.
        Raises:
            BackendError: the device failed.
        """
        ...

    def wait(self, slot: int) -> Arrays:
        """The outputs of the slot's run, once they are there; good until its next start.

        Raises:
            BackendError: the device failed.
        """
        ...

    def forget(self) -> None:
        """Make the state zeros again, for the runs that are started from now on."""
        ...

    def close(self) -> None:
        """Free the device; may be called more than once."""
        ...


class GraphBackend(Backend, Protocol):
    """A backend that runs other graphs, too.

    Attributes:
        keeps_frames: whether its device is faster with the whole frame than with the network alone.
    """

    keeps_frames: bool

    def graph_ready(self, plan: GraphPlan) -> bool:
        """Whether `open_graph` would have nothing to build for long."""
        ...

    def prepare_graph(self, plan: GraphPlan) -> None:
        """Build what `open_graph` needs; may be called beside a call, from another thread.

        Raises:
            BackendError: the device failed.
        """
        ...

    def open_graph(self, plan: GraphPlan, slots: int) -> Runner:
        """The graph on this device; to be closed before the backend.

        Raises:
            BackendError: the device failed.
        """
        ...


def graph_backend(backend: Backend) -> GraphBackend | None:
    """The backend, if it can run whole frames and gains by it."""
    if isinstance(backend, TriedBackend):
        backend = backend.chosen
    return cast(GraphBackend, backend) if getattr(backend, "keeps_frames", False) else None
