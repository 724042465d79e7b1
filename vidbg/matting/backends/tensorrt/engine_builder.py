"""Build an engine from a shipped graph. Needs neither torch nor onnx."""

from __future__ import annotations

from typing import Any

from vidbg.matting.backends.graphs import GraphSpec
from vidbg.matting.backends.tensorrt.package import TensorRtPackage, open_log


def network_spec(height: int, width: int) -> GraphSpec:
    """Return the spec of the network alone at its input's size, multiples of 32."""
    return GraphSpec("network", f"{width}x{height}", {"input": (1, 4, height, width)})


def build_engine(package: TensorRtPackage, spec: GraphSpec, target: str) -> bytes:
    """Build a serialised engine.

    Args:
        target: as `TensorRtPackage.target_of` gives it, or one of TARGETS.
    Raises:
        BackendError: TensorRT refuses; the message contains its first error.
    """
    log = open_log(package)
    builder = package.api.Builder(log)
    network = parse(package, builder, log, spec)
    config = builder.create_builder_config()
    package.aim(config, target)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise package.error(f"cannot build the {spec.graph} for {target}", log)
    return bytes(plan)


def parse(package: TensorRtPackage, builder: Any, log: Any, spec: GraphSpec) -> Any:
    """Parse the graph into a network definition whose inputs have the spec's shapes."""
    path = spec.graph_file()
    network = builder.create_network(package.network_flags())
    parser = package.api.OnnxParser(network, log)
    if not parser.parse_from_file(str(path)):
        raise package.error(f"cannot read {path}", log)
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        tensor.shape = spec.shapes[tensor.name]
    return network
