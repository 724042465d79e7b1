"""Compare ONNX graphs by what they compute.

Names, the order of nodes and metadata do not count, because versions of torch write the same module
differently.
"""

from __future__ import annotations

import hashlib
from typing import Any

from numpy.typing import NDArray
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

SHOWN_VALUES = 4
"""Larger constants are described by their shape."""


class GraphStructure:
    """A graph whose tensors are identified by a digest of how they are computed.

    The digest of a constant covers its type, shape and values; of a weight, its place in the file
    of weights; of an input, its name, type and shape; of any other tensor, the operation, its
    attributes and the digests of its inputs.
    """

    def __init__(self, model: ModelProto) -> None:
        self._digests: dict[str, str] = {}
        self._descriptions: dict[str, str] = {}
        self._inputs: dict[str, tuple[str, ...]] = {}
        self._constants: set[str] = set()
        for value in model.graph.input:
            self._add(value.name, _digest("input", value.name, value.type), f"input {value.name}")
        for tensor in model.graph.initializer:
            self._add_tensor(tensor.name, tensor)
        for node in model.graph.node:
            self._add_node(node)
        self.operators = sorted((entry.domain, entry.version) for entry in model.opset_import)
        self.outputs = {
            value.name: _digest(self._digests[value.name], value.type)
            for value in model.graph.output
        }

    def differences(self, other: GraphStructure) -> list[str]:
        """List what `other` has and this graph lacks; empty if both compute the same.

        Only the first operations of a change are listed, not those that follow from them.
        """
        result = [
            other._describe(digest)
            for digest, inputs in other._inputs.items()
            if digest not in self._descriptions
            and digest not in other._constants
            and all(name in self._descriptions or name in other._constants for name in inputs)
        ]
        if self.operators != other.operators:
            result.append(f"operator sets {other.operators}, not {self.operators}")
        if not result and self.outputs != other.outputs:
            result.append(f"outputs {', '.join(other.outputs)}, not {', '.join(self.outputs)}")
        return result

    def _add_node(self, node: NodeProto) -> None:
        if node.op_type == "Constant":
            self._add_tensor(node.output[0], helper.get_attribute_value(node.attribute[0]))
            return
        inputs = tuple(self._digests[name] for name in node.input if name)
        if node.op_type == "Identity":
            self._digests[node.output[0]] = inputs[0]
            return
        attributes = sorted(_attribute(attribute) for attribute in node.attribute)
        for index, name in enumerate(node.output):
            given = [bool(name) for name in node.input]  # an optional input may be left out
            digest = _digest(node.domain, node.op_type, attributes, given, inputs, index)
            self._add(name, digest, f"{node.op_type} at {name}", inputs)

    def _add_tensor(self, name: str, tensor: TensorProto) -> None:
        if tensor.external_data:
            places = sorted((entry.key, entry.value) for entry in tensor.external_data)
            digest = _digest("weight", places, tensor.data_type, list(tensor.dims))
            self._add(name, digest, f"weight {name}")
            return
        value = numpy_helper.to_array(tensor)
        description = str(value) if value.size <= SHOWN_VALUES else f"of shape {value.shape}"
        digest = _digest("constant", _content(value))
        self._constants.add(digest)
        self._add(name, digest, f"constant {description}")

    def _add(self, name: str, digest: str, description: str, inputs: tuple[str, ...] = ()) -> None:
        self._digests[name] = digest
        self._descriptions.setdefault(digest, description)
        self._inputs.setdefault(digest, inputs)

    def _describe(self, digest: str) -> str:
        constants = [self._descriptions[d] for d in self._inputs[digest] if d in self._constants]
        return " with ".join([self._descriptions[digest], *constants])


def _attribute(attribute: AttributeProto) -> tuple[str, str]:
    value: Any = helper.get_attribute_value(attribute)
    if isinstance(value, TensorProto):
        value = _content(numpy_helper.to_array(value))
    return attribute.name, repr(list(value) if attribute.ints or attribute.floats else value)


def _content(value: NDArray[Any]) -> tuple[str, tuple[int, ...], str]:
    return value.dtype.str, value.shape, hashlib.sha256(value.tobytes()).hexdigest()


def _digest(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()
