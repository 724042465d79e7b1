"""Make what ships in engines/: `python -m training.export --weights runs/x/best.safetensors`.

Five artefacts and their cards:

- `vidbg-r50.safetensors`: the weights, convolutions in fp16, batch norm in fp32;
- `vidbg-r50.onnx`: the graph alone, with dynamic height and width; its tensors are external data
  that point into the safetensors file, so the weights are stored once;
- `vidbg-r50-fp16.onnx` and `vidbg-r50-frame-fp16.onnx`: the same for TensorRT, strongly typed in
  fp16: the network, and the whole frame around it;
- `vidbg-r50-qdq.onnx` and `vidbg-r50-frame-qdq.onnx`: these two with convolutions in INT8, by the
  ranges of the next;
- `vidbg-r50-int8.xml` and `.bin`: the network quantised for OpenVINO after training (nncf),
  calibrated on training pictures.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from training.augment import AugmentConfig, SceneMaker
from training.batches import SIZES
from training.checkpoint import save_weights
from training.data import find_sets, sampling_weights
from training.evaluate import score_engine
from training.lineage import read_recipe, saw_priors, told_once
from training.onnx_graphs import (
    Ranges,
    load_network,
    onnx_from_weights,
    typed_frame,
    typed_network,
)
from training.predict import bare
from training.priors import disturbed
from training.quantised_graphs import activation_ranges, open_as_it_stands
from training.saturation import limit_weights
from training.scoring import mean_by_set, score_pictures
from training.trainer import to_input
from training.validate import Scores
from vidbg.config import MattingConfig
from vidbg.frame import Alpha
from vidbg.matting.backends.openvino import import_openvino
from vidbg.matting.engines import (
    QUANTISED,
    TYPED,
    TYPED_INT8,
    WEIGHTS,
    engine_folder,
    file_hash,
)

logger = logging.getLogger(__name__)

FRAMES = {TYPED: "vidbg-r50-frame-fp16", TYPED_INT8: "vidbg-r50-frame-qdq"}
"""The whole frame's graph beside the network's of the same name as its card."""

CALIBRATION_PICTURES = 100
CALIBRATION_PIXELS = 288 * 512
SATURATION_PICTURES = 60
"""Of these, how many show the largest activations to limit_weights."""

USUAL_PIXELS = MattingConfig().network_pixels


def export_typed(weights: Path) -> None:
    """Write the fp16 graphs for TensorRT, and their card, beside the shipped weights."""
    files = _typed_graphs(weights, TYPED)
    write_card(weights.parent, TYPED, files, {"made_from": file_hash(weights)})


def export_typed_int8(weights: Path, quantised: Path, val: Path, pixels: int) -> None:
    """Write the INT8 graphs for TensorRT, and their card with scores, beside the weights.

    Args:
        quantised: OpenVINO's INT8 network of the same weights, for the ranges.
    """
    files = _typed_graphs(weights, TYPED_INT8, activation_ranges(quantised))
    facts = {
        "made_from": file_hash(weights),
        "ranges_from": file_hash(quantised),
        "method": "explicit quantisation by the ranges of OpenVINO's INT8 network",
        "scored_by": "ONNX Runtime",
        "scores": score_graph(weights.with_name(files[0]), val, pixels),
    }
    write_card(weights.parent, TYPED_INT8, files, facts)


def _typed_graphs(weights: Path, card: str, ranges: Ranges | None = None) -> list[str]:
    """Write a card's graphs beside the weights; the names of the network's and the frame's."""
    network, frame = (weights.with_name(f"{name}.onnx") for name in (card, FRAMES[card]))
    typed_network(weights, network, ranges)
    typed_frame(weights, frame, ranges)
    return [network.name, frame.name]


def quantise(graph: Path, batches: Iterable[NDArray[np.float32]], out: Path) -> None:
    """INT8 network for OpenVINO by post-training quantisation.

    Args:
        graph: the ONNX graph.
        batches: network inputs, float32 (1, 4, h, w), for calibration.
        out: the .xml file to write; the .bin goes beside it.
    """
    openvino = import_openvino()  # first, for nncf takes its telemetry
    import nncf
    from openvino._offline_transformations import compress_quantize_weights_transformation

    model = openvino.Core().read_model(graph)
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
    changed = limit_weights(quantised, data[:SATURATION_PICTURES])
    logger.info("%d output channels' weights are coarser, so that none saturate", changed)
    compress_quantize_weights_transformation(quantised)
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


def score_all(precision: str, val: Path, pixels: int) -> dict[str, Scores]:
    """Scores of the shipped network in one precision, run by OpenVINO."""
    return _rounded(precision, score_engine(f"cpu:{precision}", find_sets(val), pixels))


def score_graph(graph: Path, val: Path, pixels: int) -> dict[str, Scores]:
    """Scores of a network's ONNX graph, run by ONNX Runtime as it stands."""
    session = open_as_it_stands(graph)

    def infer(batch: NDArray[np.float32]) -> Alpha:
        alpha: Alpha = session.run(None, {"input": batch})[0][0, 0]
        return alpha

    return _rounded(graph.stem, mean_by_set(score_pictures(bare(infer, pixels), find_sets(val))))


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
    """Export, quantise, score and card the network, into the folder that the program reads."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    out = engine_folder()
    out.mkdir(exist_ok=True)
    shipped, graph = out / f"{WEIGHTS}.safetensors", out / f"{WEIGHTS}.onnx"
    save_weights(load_network(weights), shipped)
    onnx_from_weights(shipped, graph)
    made = read_recipe(weights)
    facts: dict[str, Any] = {**told_once(made), "network_pixels": pixels}
    write_card(out, WEIGHTS, [shipped.name, graph.name], facts)
    export_typed(shipped)
    priors = saw_priors(made["recipe"])
    batches = calibration_batches(data, CALIBRATION_PICTURES, seed, priors=priors)
    quantise(graph, batches, out / f"{QUANTISED}.xml")
    quantised = {
        "made_from": file_hash(shipped),
        "method": f"nncf post-training quantisation, {CALIBRATION_PICTURES} training pictures, "
        "weights limited so that processors without VNNI do not saturate",
    }
    files = [f"{QUANTISED}.xml", f"{QUANTISED}.bin"]
    write_card(out, QUANTISED, files, quantised)
    scores = score_all("fp32", val, pixels)
    write_card(out, WEIGHTS, [shipped.name, graph.name], {**facts, "scores": scores})
    write_card(out, QUANTISED, files, {**quantised, "scores": score_all("int8", val, pixels)})
    export_typed_int8(shipped, out / f"{QUANTISED}.xml", val, pixels)


if __name__ == "__main__":
    typer.run(main)
