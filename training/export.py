"""Make what ships in engines/: `python -m training.export --weights runs/x/best.safetensors`.

Three artefacts and their cards:

- `vidbg-r50.safetensors`: the weights, convolutions in fp16, batch norm in fp32;
- `vidbg-r50.onnx`: the graph alone, with dynamic height and width; its tensors are external data
  that point into the safetensors file, so the weights are stored once;
- `vidbg-r50-int8.xml` and `.bin`: the network quantised for OpenVINO after training (nncf),
  calibrated on training pictures.
"""

from __future__ import annotations

import json
import logging
import struct
import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import onnx
import torch
import typer
from numpy.typing import NDArray
from onnx import TensorProto, helper
from safetensors.torch import load_file

from training.augment import AugmentConfig, SceneMaker
from training.batches import SIZES
from training.checkpoint import save_weights
from training.data import find_sets, sampling_weights
from training.evaluate import score_engine
from training.log import read_log
from training.priors import disturbed
from training.train import RECIPE
from training.trainer import to_input
from training.validate import Scores
from vidbg.config import MattingConfig
from vidbg.errors import ConfigError
from vidbg.matting.engines import QUANTISED, WEIGHTS, file_hash
from vidbg.matting.network import MattingNetwork

logger = logging.getLogger(__name__)

OPSET = 17
CALIBRATION_PICTURES = 300
CALIBRATION_PIXELS = 288 * 512
USUAL_PIXELS = MattingConfig().network_pixels
_ONNX_TYPES = {"F16": TensorProto.FLOAT16, "F32": TensorProto.FLOAT}


def load_network(path: Path) -> MattingNetwork:
    """The network in eval mode with the weights of a file."""
    network = MattingNetwork()
    network.load_weights(load_file(path))
    return network.eval()


def onnx_from_weights(weights: Path, graph: Path) -> None:
    """Write the network's ONNX graph beside its weights, pointing into them.

    Args:
        weights: a safetensors file as `save_weights` writes it.
        graph: the .onnx file to write, in the same folder.
    """
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / "exported.onnx"
        _trace(load_network(weights), exported)
        model = onnx.load(exported)
    stored = _tensor_places(weights)
    casts = []
    initializers = []
    for tensor in model.graph.initializer:
        initializer, cast = _external(tensor.name, stored[tensor.name], weights.name)
        initializers.append(initializer)
        casts += cast
    del model.graph.initializer[:]
    model.graph.initializer.extend(initializers)
    cast_names = {cast.input[0]: cast.output[0] for cast in casts}
    for node in model.graph.node:
        node.input[:] = [cast_names.get(name, name) for name in node.input]
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    graph.write_bytes(model.SerializeToString())
    onnx.checker.check_model(str(graph))


def _trace(network: MattingNetwork, path: Path) -> None:
    names = {"input": {2: "height", 3: "width"}, "alpha": {2: "height", 3: "width"}}
    with warnings.catch_warnings():
        # The tracing exporter keeps parameter names, which the external data need.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            network,
            (torch.zeros(1, 4, 192, 320),),
            str(path),
            input_names=["input"],
            output_names=["alpha"],
            dynamic_axes=names,
            opset_version=OPSET,
            do_constant_folding=False,
            dynamo=False,
        )


def _tensor_places(weights: Path) -> dict[str, dict[str, Any]]:
    """Type, shape and absolute byte range of each tensor in a safetensors file."""
    with weights.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header: dict[str, Any] = json.loads(file.read(length))
    header.pop("__metadata__", None)
    for entry in header.values():
        entry["data_offsets"] = [offset + 8 + length for offset in entry["data_offsets"]]
    return header


def _external(
    name: str, place: dict[str, Any], file_name: str
) -> tuple[TensorProto, list[onnx.NodeProto]]:
    tensor = TensorProto(name=name, data_type=_ONNX_TYPES[place["dtype"]], dims=place["shape"])
    tensor.data_location = TensorProto.EXTERNAL
    start, end = place["data_offsets"]
    for key, value in (("location", file_name), ("offset", start), ("length", end - start)):
        tensor.external_data.add(key=key, value=str(value))
    if place["dtype"] == "F32":
        return tensor, []
    return tensor, [helper.make_node("Cast", [name], [f"{name}.fp32"], to=TensorProto.FLOAT)]


def quantise(graph: Path, batches: Iterable[NDArray[np.float32]], out: Path) -> None:
    """INT8 network for OpenVINO by post-training quantisation.

    Args:
        graph: the ONNX graph.
        batches: network inputs, float32 (1, 4, h, w), for calibration.
        out: the .xml file to write; the .bin goes beside it.
    """
    import nncf
    import openvino

    model = openvino.Core().read_model(graph)
    data = list(batches)
    quantised = nncf.quantize(
        model, nncf.Dataset(data), preset=nncf.QuantizationPreset.MIXED, subset_size=len(data)
    )
    openvino.save_model(quantised, out, compress_to_fp16=True)


def calibration_batches(
    data: Path, count: int, seed: int, *, priors: bool
) -> Iterable[NDArray[np.float32]]:
    """Network inputs drawn as in training, at the smaller training sizes.

    Args:
        priors: with previous alphas as in training; else none.
    """
    sets = find_sets(data)
    people = [s for s in sets if s.people]
    maker = SceneMaker(
        people, sampling_weights(people, {}), [s for s in sets if not s.people], AugmentConfig()
    )
    sizes = [size for size in SIZES if size[0] * size[1] <= CALIBRATION_PIXELS]
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        image, mask = maker.pair(rng, *sizes[rng.integers(len(sizes))])
        prior = disturbed(rng, mask) if priors else np.zeros_like(mask)
        inputs = to_input(
            torch.from_numpy(image[None]), torch.from_numpy(prior[None]).float() / 255
        )
        yield inputs.contiguous().numpy()


def write_card(folder: Path, name: str, files: list[str], facts: dict[str, Any]) -> None:
    entries = {
        file: {"sha256": file_hash(folder / file), "bytes": (folder / file).stat().st_size}
        for file in files
    }
    text = json.dumps({"name": name, "files": entries, **facts}, indent=2)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def read_recipe(weights: Path) -> dict[str, Any]:
    """How weights were made: the recipe beside them, and how far training had come.

    Raises:
        ConfigError: there is no recipe.
    """
    path = weights.with_name(RECIPE)
    if not path.is_file():
        raise ConfigError(f"{path} is missing; export from the folder that training wrote")
    recipe: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    best = max(read_log(weights.with_name("log.csv")), key=lambda row: row["score"])
    return {"recipe": recipe, "steps": int(best["step"]), "minutes": round(best["minutes"], 1)}


def score_all(precision: str, val: Path, pixels: int) -> dict[str, Scores]:
    """Scores of the shipped network in one precision, run by OpenVINO."""
    scores = score_engine(f"cpu:{precision}", find_sets(val), pixels)
    rounded = {
        name: {key: round(value, 4) for key, value in part.items()} for name, part in scores.items()
    }
    logger.info("%s: %s", precision, rounded)
    return rounded


def main(
    weights: Annotated[Path, typer.Option(help="Trained weights.")],
    data: Annotated[Path, typer.Option(help="Training sets, for calibration.")],
    val: Annotated[Path, typer.Option(help="Validation sets, for the scores.")],
    pixels: Annotated[int, typer.Option(help="Network size of the scores.")] = USUAL_PIXELS,
    out: Annotated[Path, typer.Option(help="Where they go.")] = Path("engines"),
    seed: Annotated[int, typer.Option()] = 1,
) -> None:
    """Export, quantise, score and card the network."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    out.mkdir(exist_ok=True)
    shipped, graph = out / f"{WEIGHTS}.safetensors", out / f"{WEIGHTS}.onnx"
    save_weights(load_network(weights), shipped)
    onnx_from_weights(shipped, graph)
    facts: dict[str, Any] = {**read_recipe(weights), "network_pixels": pixels}
    write_card(out, WEIGHTS, [shipped.name, graph.name], facts)
    priors = bool(facts["recipe"]["training"].get("priors"))
    batches = calibration_batches(data, CALIBRATION_PICTURES, seed, priors=priors)
    quantise(graph, batches, out / f"{QUANTISED}.xml")
    made = {
        "made_from": file_hash(shipped),
        "method": f"nncf post-training quantisation, {CALIBRATION_PICTURES} training pictures",
    }
    files = [f"{QUANTISED}.xml", f"{QUANTISED}.bin"]
    write_card(out, QUANTISED, files, made)
    scores = score_all("fp32", val, pixels)
    write_card(out, WEIGHTS, [shipped.name, graph.name], {**facts, "scores": scores})
    write_card(out, QUANTISED, files, {**made, "scores": score_all("int8", val, pixels)})


if __name__ == "__main__":
    typer.run(main)
