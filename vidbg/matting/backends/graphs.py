"""The shipped ONNX graphs, and the interface of devices that run them and keep their state.

A recurrent graph keeps its state on the device: outputs of one run are inputs of the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, cast

from numpy.typing import NDArray

from vidbg.matting.backends import Backend
from vidbg.matting.backends.switchable import SwitchableBackend
from vidbg.matting.backends.tried import TriedBackend
from vidbg.matting.engines import CARDS, NetworkName, engine_file

Graph = Literal["network", "frame"]

TypedPrecision = Literal["fp16", "int8"]

Arrays = Mapping[str, NDArray[Any]]
"""Arrays by the names of a graph's inputs or outputs."""


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """A shipped graph at one size.

    Attributes:
        size: in readable form, for file names too: the network's, or the frame's and the network's.
        shapes: of the graph's inputs, by name.
        precision: of the convolutions.
        network: the network inside the graph.
    """

    graph: Graph
    size: str
    shapes: Mapping[str, tuple[int, ...]]
    precision: TypedPrecision = "fp16"
    network: NetworkName = "resnet50"

    def graph_file(self) -> Path:
        """Path of the shipped graph.

        Raises:
            EngineMismatch: it is missing or damaged.
        """
        cards = CARDS[self.network]
        card = cards.typed if self.precision == "fp16" else cards.typed_int8
        ending = card.rpartition("-")[2] + ".onnx"
        return engine_file(card, f"frame-{ending}" if self.graph == "frame" else f"{card}.onnx")


@dataclass(frozen=True, slots=True)
class GraphBindings:
    """How a graph's inputs and outputs are bound from one run to the next.

    Attributes:
        constants: inputs that seldom change. An array that is passed again is not uploaded again,
            so it must not be written to after it has been passed.
        feedback: outputs that become inputs of the next run, by the input's name. The state starts
            as zeros and is never passed in.
        device_only: outputs that are not downloaded.
    """

    constants: frozenset[str] = frozenset()
    feedback: Mapping[str, str] = field(default_factory=dict)
    device_only: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class GraphPlan:
    """A graph at one size, for any device.

    Attributes:
        spec: the shipped ONNX graph, for devices that run ONNX.
        module: builds the graph as a torch module from an AlphaNetwork, for devices that run torch;
            the module may change the network.
        inputs: an array with each input's shape and type, in the graph's order.
        outputs: names in the graph's order.
    """

    spec: GraphSpec
    module: Callable[[Any], Any]
    inputs: Arrays
    outputs: tuple[str, ...]
    bindings: GraphBindings


class Runner(Protocol):
    """Runs an opened graph. Several runs may be in flight, each in its own slot.

    Runs are computed in the order in which they were started. `start` and `wait` may be called from
    two threads.
    """

    def start(self, slot: int, arrays: Arrays) -> None:
        """Start a run in a slot whose previous run has been waited for.

        Args:
            arrays: every input except the state, by name. All but the constants may be written to
                once this returns.
        Raises:
            BackendError: the device failed.
        """
        ...

    def wait(self, slot: int) -> Arrays:
        """Wait for the slot's run and return its outputs, valid until the slot's next start.

        Raises:
            BackendError: the device failed.
        """
        ...

    def forget(self) -> None:
        """Reset the state to zeros for all runs that are started from now on."""
        ...

    def close(self) -> None:
        """Free the device; may be called more than once."""
        ...


class GraphBackend(Backend, Protocol):
    """A backend that runs other graphs as well as the network.

    Attributes:
        supports_full_frame: whether its device is faster with the full frame than with the network
            alone.
    """

    supports_full_frame: bool

    def graph_ready(self, plan: GraphPlan) -> bool:
        """Whether `open_graph` has nothing to build."""
        ...

    def prepare_graph(self, plan: GraphPlan) -> None:
        """Build what `open_graph` needs. May be called during a call, from another thread.

        Raises:
            BackendError: the device failed.
        """
        ...

    def open_graph(self, plan: GraphPlan, slots: int) -> Runner:
        """Open the graph on this device. Close the runner before the backend.

        Raises:
            BackendError: the device failed.
        """
        ...


def graph_backend(backend: Backend) -> GraphBackend | None:
    """Return the backend if it can run full frames and gains from it, else None."""
    while isinstance(backend, TriedBackend | SwitchableBackend):
        backend = backend.chosen
    return cast(GraphBackend, backend) if getattr(backend, "supports_full_frame", False) else None
