"""From a shipped graph to an engine: parse, fix the sizes, build. Needs no torch and no onnx."""

from __future__ import annotations

from typing import Any

from vidbg.errors import BackendError
from vidbg.matting.backends.graphs import Recipe
from vidbg.matting.backends.tensorrt.flavour import Flavour, open_log


def network_recipe(height: int, width: int) -> Recipe:
    """The network alone at its input's size, multiples of 32."""
    return Recipe("network", f"{width}x{height}", {"input": (1, 4, height, width)})


def build_engine(flavour: Flavour, recipe: Recipe, target: str) -> bytes:
    """Build an engine, serialised.

    Args:
        target: as `Flavour.target_of` gives it, or one of TARGETS.
    Raises:
        BackendError: TensorRT refuses; the message holds its first error.
    """
    log = open_log(flavour)
    builder = flavour.api.Builder(log)
    network = parse(flavour, builder, log, recipe)
    config = builder.create_builder_config()
    flavour.aim(config, target)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise _refusal(flavour, f"cannot build the {recipe.graph} for {target}", log)
    return bytes(plan)


def parse(flavour: Flavour, builder: Any, log: Any, recipe: Recipe) -> Any:
    """The graph as a network definition whose inputs have the recipe's shapes."""
    path = recipe.graph_file()
    network = builder.create_network(flavour.network_flags())
    parser = flavour.api.OnnxParser(network, log)
    if not parser.parse_from_file(str(path)):
        raise _refusal(flavour, f"cannot read {path}", log)
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        tensor.shape = recipe.shapes[tensor.name]
    return network


def _refusal(flavour: Flavour, what: str, log: Any) -> BackendError:
    why = log.errors[0] if log.errors else "no reason given"
    return BackendError(f"{flavour.name} {flavour.version} {what}: {why}")
