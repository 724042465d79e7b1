"""The graphs in engines/ are those that the code makes from the weights there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")
onnx = pytest.importorskip("onnx")
pytest.importorskip("openvino")

from onnx import ModelProto, TensorProto, helper, numpy_helper  # noqa: E402

from training.export.graph_structure import GraphStructure  # noqa: E402
from training.export.shipped_graphs import (  # noqa: E402
    differences,
    shipped_networks,
    trace_graphs,
    update_graphs,
)
from vidbg.errors import EngineMismatch  # noqa: E402
from vidbg.matting import temporal  # noqa: E402
from vidbg.matting.engines import Cards, engine_folder, file_hash  # noqa: E402

ENGINES = engine_folder()

STALE = """The code and the shipped graphs differ: run `make graphs`.
A step on the CPU has a twin for GPUs, see vidbg/matting/full_frame/__init__.py."""


@pytest.fixture(
    scope="module", params=shipped_networks(ENGINES), ids=lambda cards: str(cards.weights)
)
def cards(request: pytest.FixtureRequest) -> Cards:
    parameter: Cards = request.param
    return parameter


@pytest.fixture(scope="module")
def traced(cards: Cards) -> dict[str, ModelProto]:
    """All graphs of a network by file name, made now."""
    made = trace_graphs(ENGINES, cards)
    return {name: graph for graphs in made.values() for name, graph in graphs.items()}


def test_the_shipped_graphs_are_what_the_code_makes(traced: dict[str, ModelProto]) -> None:
    assert len(traced) == 5
    stale = {
        name: differing[:3]
        for name, graph in traced.items()
        if (differing := differences(ENGINES / name, graph))
    }
    lines = [
        f"{name}: the code now has {'; '.join(differing)}" for name, differing in stale.items()
    ]
    assert not stale, "\n".join([STALE, *lines])


def shipped_copy(cards: Cards, folder: Path) -> None:
    for path in ENGINES.glob(f"{cards.weights}*"):
        shutil.copy(path, folder / path.name)


def test_make_graphs_follows_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A constant of the smoothing changes the full frame's graphs and their cards, nothing else."""
    cards = shipped_networks(ENGINES)[-1]
    shipped_copy(cards, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(temporal, "MOTION_LEVELS", 7.0)
    changed = update_graphs(tmp_path, cards)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    frames = [f"{cards.weights}-frame-fp16.onnx", f"{cards.weights}-frame-qdq.onnx"]
    assert changed == frames
    differing = {name for name in before if before[name] != after[name]}
    assert differing == {*frames, f"{cards.typed}.json", f"{cards.typed_int8}.json"}
    assert set(after) == set(before)
    for card in (cards.typed, cards.typed_int8):
        old, new = json.loads(before[f"{card}.json"]), json.loads(after[f"{card}.json"])
        for name, entry in new["files"].items():
            path = tmp_path / name
            assert entry == {"sha256": file_hash(path), "bytes": path.stat().st_size}
        assert {**old, "files": None} == {**new, "files": None}


def other_weights(folder: Path, cards: Cards) -> None:
    with (folder / f"{cards.weights}.safetensors").open("ab") as file:
        file.write(b"more")


def other_ranges(folder: Path, cards: Cards) -> None:
    card = folder / f"{cards.typed_int8}.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "ranges_from": "another"}))


def no_ranges(folder: Path, cards: Cards) -> None:
    (folder / f"{cards.quantised}.xml").unlink()


def no_card(folder: Path, cards: Cards) -> None:
    (folder / f"{cards.weights}.json").unlink()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_weights, "not what its card says"),
        (other_ranges, "ranges of another INT8 network"),
        (no_ranges, "int8.xml is missing"),
        (no_card, "cannot be read"),
    ],
)
def test_only_graphs_of_the_scored_weights_are_made(
    change: Callable[[Path, Cards], None], message: str, tmp_path: Path
) -> None:
    cards = shipped_networks(ENGINES)[0]
    shipped_copy(cards, tmp_path)
    change(tmp_path, cards)
    with pytest.raises(EngineMismatch, match=message):
        update_graphs(tmp_path, cards)


def test_a_damaged_graph_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "cut.onnx").write_bytes(b"\x08\x09\x12")
    assert "cannot be read" in differences(tmp_path / "cut.onnx", model())[0]


def model(
    names: tuple[str, str, str] = ("x", "y", "z"),
    factor: float = 2.0,
    kind: str = "Mul",
    place: int = 0,
    axis: int = 0,
) -> ModelProto:
    """concat(x <kind> factor, weight), with tensors by any name."""
    scaling, scaled, joining = names
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2])
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="offset", value=str(place))
    number = numpy_helper.from_array(torch.tensor(factor).numpy())
    nodes = [
        helper.make_node("Constant", [], ["c"], value=number),
        helper.make_node("Identity", ["c"], ["same"]),
        helper.make_node(kind, ["in", "same"], [scaled], name=scaling),
        helper.make_node("Concat", [scaled, "w"], ["out"], name=joining, axis=axis),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "concatenated",
        [value("in", TensorProto.FLOAT, [2])],
        [value("out", TensorProto.FLOAT, [4])],
        [weight],
    )
    return helper.make_model(graph)


def test_names_do_not_count() -> None:
    assert GraphStructure(model()).differences(GraphStructure(model(("a", "b", "c")))) == []


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (model(factor=2.1), "Mul at y with constant 2.1"),
        (model(kind="Add"), "Add at y with constant 2.0"),
        (model(place=8), "weight w"),
        (model(axis=1), "Concat at out"),
    ],
)
def test_what_is_computed_counts(other: ModelProto, message: str) -> None:
    differing = GraphStructure(model()).differences(GraphStructure(other))
    assert len(differing) == 1
    assert message in differing[0]
