"""Make what ships in engines/: `python -m training.export --weights runs/x/best.safetensors`.

The weights say which network they belong to; NAME below is `vidbg-r50` for ResNet-50 and
`vidbg-light` for the light network. Five artefacts and their cards:

- `NAME.safetensors`: the weights, convolutions in fp16, batch norm in fp32;
- `NAME.onnx`: the graph alone, with dynamic height and width; its tensors are external data
  that point into the safetensors file, so the weights are stored once;
- `NAME-fp16.onnx` and `NAME-frame-fp16.onnx`: the same for TensorRT, strongly typed in fp16: the
  network, and the full frame around it;
- `NAME-qdq.onnx` and `NAME-frame-qdq.onnx`: these two with convolutions in INT8, by the ranges of
  the next;
- `NAME-int8.xml` and `.bin`: the network quantised for OpenVINO after training (nncf), calibrated
  on training images.

`make graphs` makes the graphs alone again, after a change to the code.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from training.data.batches import SIZES, to_input
from training.data.image_sets import find_sets
from training.data.priors import corrupt_prior
from training.data.scene_sources import SceneSources
from training.data.scenes import AugmentConfig, SceneMaker
from training.evaluate.image_scores import mean_by_set, score_images
from training.evaluate.predict import bare
from training.evaluate.quick_scores import Scores
from training.evaluate.score_tables import score_engine
from training.export.onnx_graphs import NetworkGraphs, load_network, write_graph
from training.export.quantised_graphs import activation_ranges, open_as_it_stands
from training.export.saturation import fold_constants, limit_weights
from training.export.shipped_graphs import typed_files, write_card
from training.model.checkpoint import save_weights
from training.provenance import each_recipe_once, read_recipe, saw_priors
from vidbg.frame import Alpha
from vidbg.matting.backends.openvino import import_openvino
from vidbg.matting.engines import CARDS, Cards, engine_folder, file_hash
from vidbg.matting.ladder import USUAL_PIXELS
from vidbg.matting.networks import network_name

logger = logging.getLogger(__name__)

CALIBRATION_IMAGES = 300
CALIBRATION_PIXELS = 288 * 512
SATURATION_IMAGES = 60
"""How many of them limit_weights uses to find the largest activations."""


def export_typed(graphs: NetworkGraphs, cards: Cards) -> None:
    """Write the fp16 graphs for TensorRT, and their card, into the engine folder."""
    folder = engine_folder()
    files = typed_files(cards.typed, graphs.network(), graphs.frame())
    for name, graph in files.items():
        write_graph(graph, folder / name)
    write_card(folder, cards.typed, files, {"made_from": _weights_hash(cards)})


def export_typed_int8(graphs: NetworkGraphs, cards: Cards, val: Path, pixels: int) -> None:
    """Write the INT8 graphs for TensorRT, and their card with scores, into the engine folder."""
    folder = engine_folder()
    quantised = folder / f"{cards.quantised}.xml"
    ranges = activation_ranges(quantised)
    files = typed_files(cards.typed_int8, graphs.network(ranges), graphs.frame(ranges))
    for name, graph in files.items():
        write_graph(graph, folder / name)
    facts = {
        "made_from": _weights_hash(cards),
        "ranges_from": file_hash(quantised),
        "method": "explicit quantisation by the ranges of OpenVINO's INT8 network",
        "scored_by": "ONNX Runtime",
        "scores": score_graph(folder / f"{cards.typed_int8}.onnx", val, pixels),
    }
    write_card(folder, cards.typed_int8, files, facts)


def _weights_hash(cards: Cards) -> str:
    return file_hash(engine_folder() / f"{cards.weights}.safetensors")


def quantise(graph: Path, batches: Iterable[NDArray[np.float32]], out: Path) -> None:
    """Write the INT8 network for OpenVINO by post-training quantisation.

    Args:
        graph: the ONNX graph.
        batches: network inputs, float32 (1, 4, h, w), for calibration.
        out: the .xml file to write; the .bin goes beside it.
    """
    openvino = import_openvino()  # first, for nncf takes its telemetry
    import nncf
    from openvino._offline_transformations import compress_quantize_weights_transformation

    model = openvino.Core().read_model(graph)
    fold_constants(model)
    data = list(batches)
    quantised = nncf.quantize(
        model,
        nncf.Dataset(data),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(data),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            overflow_fix=nncf.OverflowFix.DISABLE,  # limit_weights does it, for less
            backend_params={"compress_weights": False},
        ),
    )
    changed = limit_weights(quantised, data[:SATURATION_IMAGES])
    logger.info("%d output channels' weights are coarser, so that none saturate", changed)
    compress_quantize_weights_transformation(quantised)
    openvino.save_model(quantised, out, compress_to_fp16=True)


def calibration_batches(
    data: Path, count: int, seed: int, *, priors: bool
) -> Iterable[NDArray[np.float32]]:
    """Yield network inputs as in training, float32 (1, 4, h, w), at the smaller training sizes.

    Args:
        priors: whether to make previous alphas as in training.
    """
    maker = SceneMaker(SceneSources.of(find_sets(data)), AugmentConfig())
    sizes = [size for size in SIZES if size[0] * size[1] <= CALIBRATION_PIXELS]
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        image, mask = maker.pair(rng, *sizes[rng.integers(len(sizes))])
        prior = corrupt_prior(rng, mask) if priors else np.zeros_like(mask)
        inputs = to_input(
            torch.from_numpy(image[None]), torch.from_numpy(prior[None]).float() / 255
        )
        yield inputs.contiguous().numpy()


def score_all(network: str, precision: str, val: Path, pixels: int) -> dict[str, Scores]:
    """Score a shipped network in one precision with OpenVINO."""
    engine = f"cpu:{precision}:{network}"
    return _rounded(engine, score_engine(engine, find_sets(val), pixels))


def score_graph(graph: Path, val: Path, pixels: int) -> dict[str, Scores]:
    """Score a network's ONNX graph with ONNX Runtime, without its optimisations."""
    session = open_as_it_stands(graph)

    def infer(batch: NDArray[np.float32]) -> Alpha:
        alpha: Alpha = session.run(None, {"input": batch})[0][0, 0]
        return alpha

    return _rounded(graph.stem, mean_by_set(score_images(bare(infer, pixels), find_sets(val))))


def _rounded(name: str, scores: dict[str, Scores]) -> dict[str, Scores]:
    rounded = {
        part: {key: round(value, 4) for key, value in means.items()}
        for part, means in scores.items()
    }
    logger.info("%s: %s", name, rounded)
    return rounded


def main(
    weights: Annotated[Path, typer.Option(help="Trained weights.")],
    data: Annotated[Path, typer.Option(help="Training sets, for calibration.")],
    val: Annotated[Path, typer.Option(help="Validation sets, for the scores.")],
    pixels: Annotated[int, typer.Option(help="Network size of the scores.")] = USUAL_PIXELS,
    seed: Annotated[int, typer.Option()] = 1,
) -> None:
    """Export, quantise and score the network into the folder that the program reads."""
    out = engine_folder()
    out.mkdir(exist_ok=True)
    network = load_network(weights)
    name = network_name(network.state_dict())
    cards = CARDS[name]
    shipped, graph = out / f"{cards.weights}.safetensors", out / f"{cards.weights}.onnx"
    save_weights(network, shipped)
    graphs = NetworkGraphs(shipped)
    write_graph(graphs.fp32(), graph)
    made = read_recipe(weights)
    facts: dict[str, Any] = {**each_recipe_once(made), "network_pixels": pixels}
    write_card(out, cards.weights, [shipped.name, graph.name], facts)
    export_typed(graphs, cards)
    priors = saw_priors(made["recipe"])
    batches = calibration_batches(data, CALIBRATION_IMAGES, seed, priors=priors)
    quantise(graph, batches, out / f"{cards.quantised}.xml")
    quantised = {
        "made_from": file_hash(shipped),
        "method": f"nncf post-training quantisation, {CALIBRATION_IMAGES} training images, "
        "weights limited so that processors without VNNI do not saturate",
    }
    files = [f"{cards.quantised}.xml", f"{cards.quantised}.bin"]
    write_card(out, cards.quantised, files, quantised)
    scores = score_all(name, "fp32", val, pixels)
    write_card(out, cards.weights, [shipped.name, graph.name], {**facts, "scores": scores})
    scores = score_all(name, "int8", val, pixels)
    write_card(out, cards.quantised, files, {**quantised, "scores": scores})
    export_typed_int8(graphs, cards, val, pixels)
