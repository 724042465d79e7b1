"""Retrace the ONNX graphs in engines/: `python -m training.export.shipped_graphs` (`make graphs`).

A change to a network's module or to a step of the full frame on a GPU changes the shipped graphs.
They are made again from the shipped weights and the ranges of OpenVINO's INT8 network, and their
cards get the new hashes. Weights, INT8 network and scores do not change; `training.export` makes
those.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto

from training.command_line import run as run_command
from training.export.graph_structure import GraphStructure
from training.export.onnx_graphs import NetworkGraphs, write_graph
from training.export.quantised_graphs import activation_ranges
from vidbg.errors import EngineMismatch
from vidbg.matting.engines import CARDS, Cards, engine_folder, file_hash

logger = logging.getLogger(__name__)


def shipped_networks(folder: Path) -> list[Cards]:
    """Return the cards of the networks whose weights are in a folder."""
    return [cards for cards in CARDS.values() if _weights(folder, cards).is_file()]


def trace_graphs(folder: Path, cards: Cards) -> dict[str, dict[str, ModelProto]]:
    """Make a network's graphs from the weights and the INT8 network in a folder.

    Returns:
        By card, then by file name.
    Raises:
        EngineMismatch: the weights or the INT8 network are not those that the cards were made from.
    """
    _check_origins(folder, cards)
    graphs = NetworkGraphs(_weights(folder, cards))
    ranges = activation_ranges(folder / f"{cards.quantised}.xml")
    return {
        cards.weights: {f"{cards.weights}.onnx": graphs.fp32()},
        cards.typed: typed_files(cards.typed, graphs.network(), graphs.frame()),
        cards.typed_int8: typed_files(
            cards.typed_int8, graphs.network(ranges), graphs.frame(ranges)
        ),
    }


def typed_files(card: str, network: ModelProto, frame: ModelProto) -> dict[str, ModelProto]:
    """Name the two graphs of a TensorRT card: file name to graph."""
    stem, _, precision = card.rpartition("-")
    return {f"{card}.onnx": network, f"{stem}-frame-{precision}.onnx": frame}


def differences(shipped: Path, traced: ModelProto) -> list[str]:
    """List what a traced graph computes and the shipped one does not; empty if they match."""
    try:
        model = onnx.load(shipped, load_external_data=False)
    except (OSError, DecodeError) as error:
        return [f"it cannot be read: {error}"]
    return GraphStructure(model).differences(GraphStructure(traced))


def update_graphs(folder: Path, cards: Cards) -> list[str]:
    """Write those of a network's graphs that differ from what the code makes.

    A graph that computes the same is not touched, so that another version of torch alone changes no
    file.

    Returns:
        The names of the files that were written.
    Raises:
        EngineMismatch: as of `trace_graphs`.
    """
    written = []
    for card, graphs in trace_graphs(folder, cards).items():
        changed = [name for name, graph in graphs.items() if differences(folder / name, graph)]
        for name in changed:
            write_graph(graphs[name], folder / name)
        content = read_card(folder, card)
        facts = {key: value for key, value in content.items() if key not in ("name", "files")}
        write_card(folder, card, content["files"], facts)
        written += changed
    return written


def read_card(folder: Path, card: str) -> dict[str, Any]:
    """Read a card.

    Raises:
        EngineMismatch: it is missing or not JSON.
    """
    path = folder / f"{card}.json"
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EngineMismatch(f"{path} cannot be read ({error}); export the network again") from None
    return content


def write_card(folder: Path, card: str, files: Iterable[str], facts: Mapping[str, Any]) -> None:
    """Write a card with the hashes and sizes of its files as they are now.

    Args:
        facts: the card's other entries.
    """
    entries = {
        name: {"sha256": file_hash(folder / name), "bytes": (folder / name).stat().st_size}
        for name in files
    }
    text = json.dumps({"name": card, "files": entries, **facts}, indent=2)
    (folder / f"{card}.json").write_text(text + "\n", encoding="utf-8")


def _check_origins(folder: Path, cards: Cards) -> None:
    """Refuse weights or ranges other than those to which the cards' scores belong."""
    weights, quantised = _weights(folder, cards), folder / f"{cards.quantised}.xml"
    for path, card in ((weights, cards.weights), (quantised, cards.quantised)):
        if not path.is_file():
            raise EngineMismatch(f"{path} is missing; export the network again")
        wanted, actual = read_card(folder, card)["files"][path.name]["sha256"], file_hash(path)
        if actual != wanted:
            raise EngineMismatch(
                f"{path} is not what its card says (sha256 {actual[:12]}…, not {wanted[:12]}…); "
                "new weights are exported by training.export"
            )
    ranges_from = read_card(folder, cards.typed_int8).get("ranges_from", file_hash(quantised))
    if ranges_from != file_hash(quantised):
        raise EngineMismatch(
            f"{folder / cards.typed_int8}.json has scores with the ranges of another INT8 network "
            f"than {quantised}; export the network again with training.export"
        )


def _weights(folder: Path, cards: Cards) -> Path:
    return folder / f"{cards.weights}.safetensors"


def main() -> None:
    """Retrace the graphs of all networks whose weights are there."""
    folder = engine_folder()
    for cards in shipped_networks(folder):
        written = update_graphs(folder, cards)
        logger.info("%s: %s", cards.weights, ", ".join(written) or "all graphs are up to date")


if __name__ == "__main__":
    run_command(main)
